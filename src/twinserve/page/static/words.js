// Numbers as people read them.

/** "34.2" below 100 ms, else whole ms with thin spaces between thousands. */
export function formatMs(ms) {
  if (ms === null) return "–";
  if (ms < 100) return ms.toFixed(1);
  return String(Math.round(ms)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** "34.2 ms" or "1.9 s". */
export function formatTime(ms) {
  return ms < 1000 ? `${formatMs(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** "1 image", "8 images". */
export function counted(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}
