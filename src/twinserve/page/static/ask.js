// One request to one side, with the times that this browser measured and those that the answer names.

const ENTRY_TRIES = 10;
const ENTRY_WAIT_MS = 15;

/**
 * Asks `side` for pictures.
 *
 * Resolves to `{pictures, times, coldMs, seed}`: pictures as data URLs, times in ms
 * (`roundTrip`, `latency`, `process`; null where unknown), `coldMs` 0 for a warm answer.
 * Rejects with `{title, detail}`.
 */
export async function ask(side, { images, seed, model }) {
  const path = `/${side}/generate`;
  const body = JSON.stringify({ num_images: images, seed, model, format: "png", layout: "list" });
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  const sent = performance.now();
  const response = await reach(path, { method: "POST", headers, body });
  const headed = performance.now();
  const text = await lastByte(response);
  const roundTrip = performance.now() - sent;
  const answer = decode(response, text);
  const timing = serverTiming(response.headers.get("Server-Timing") ?? "");
  return {
    pictures: pictures(answer),
    times: {
      roundTrip,
      latency: (await firstByte(path, sent)) ?? headed - sent,
      process: timing.process ?? answer.time ?? null,
    },
    coldMs: timing.cold ?? 0,
    seed: answer.seed,
  };
}

/** The JSON at `path`; rejects with `{title, detail}`. */
export async function fetchJson(path) {
  const response = await reach(path, { headers: { Accept: "application/json" } });
  return decode(response, await lastByte(response));
}

async function reach(path, options) {
  try {
    return await fetch(path, { ...options, cache: "no-store" });
  } catch {
    throw {
      title: "The page's server cannot be reached",
      detail: "Is twinserve up still running? Start it, then press Go! again.",
    };
  }
}

async function lastByte(response) {
  try {
    return await response.text();
  } catch {
    throw {
      title: "The answer was cut off",
      detail: "The connection broke before the last byte came. Press Go! to ask again.",
    };
  }
}

function decode(response, text) {
  let value = null;
  try {
    value = JSON.parse(text);
  } catch {
    // What it says otherwise is of no use to a person; its status is.
  }
  if (!response.ok) {
    throw {
      title: value?.title ?? `Status ${response.status}`,
      detail: value?.detail ?? `The answer has status ${response.status} and no explanation.`,
    };
  }
  if (value === null) throw { title: "Unreadable answer", detail: "The answer is not JSON." };
  return value;
}

/** Durations in ms by name, entries of the same name added up: service and gateway both write some. */
function serverTiming(header) {
  const sums = {};
  for (const entry of header.split(",")) {
    const name = entry.split(";")[0].trim();
    const duration = /;\s*dur\s*=\s*"?([\d.]+)/.exec(entry);
    if (name && duration) sums[name] = (sums[name] ?? 0) + Number(duration[1]);
  }
  return sums;
}

function pictures({ images, src }) {
  const files = images?.length ? images : src ? [src] : [];
  return files.map((file) => `data:image/png;base64,${file}`);
}

/** ms from sending to the first byte; null where the browser keeps no entry. */
async function firstByte(path, sent) {
  const url = new URL(path, location.href).href;
  for (let tries = 0; tries < ENTRY_TRIES; tries += 1) {
    const entry = performance.getEntriesByName(url, "resource").at(-1);
    if (entry && entry.startTime >= sent - 1 && entry.responseStart > 0) {
      // The browser's list of entries is short and never emptied by itself.
      performance.clearResourceTimings();
      return entry.responseStart - entry.startTime;
    }
    await new Promise((resolve) => setTimeout(resolve, ENTRY_WAIT_MS));
  }
  return null;
}
