// One side's column: its facts, its times beside the other side's, its pictures or its error.

import { counted, formatMs, formatTime } from "./words.js";

const TIMES = [
  ["roundTrip", "Round trip", "to the last byte, as this browser sees it"],
  ["process", "Process", "what the service itself measured"],
  ["latency", "Latency", "to the first byte, as this browser sees it"],
];

const IDLE_TILES = 8;

export class Column {
  #times = null; // of the answer shown, null while there is none
  #ticking = null;
  #rows = {};

  constructor(side, position) {
    this.side = side;
    this.element = document.getElementById("column").content.cloneNode(true).firstElementChild;
    this.element.classList.add(position === 0 ? "first" : "second");
    this.element.dataset.side = side.name;
    const heading = this.#part("h2");
    heading.textContent = side.title;
    heading.id = `title-${position}`;
    this.element.setAttribute("aria-labelledby", heading.id);
    this.#part(".note").textContent = side.note;
    this.#part(".facts").textContent = describe(side);
    this.#part(".times").replaceChildren(...TIMES.map((time) => this.#row(time)));
    this.#notice("idle", "Press Go! to see pictures.");
    this.#pictures(Array.from({ length: IDLE_TILES }, placeholder));
  }

  /** "The function" of "From the function". */
  get shortTitle() {
    const title = this.side.title.replace(/^From /, "");
    return title[0].toUpperCase() + title.slice(1);
  }

  /** Neutral tiles and a running clock until the answer is there. */
  wait(images) {
    this.#times = null;
    this.element.dataset.state = "waiting";
    this.element.setAttribute("aria-busy", "true");
    this.#part(".problem").hidden = true;
    for (const row of Object.values(this.#rows)) clear(row);
    this.#pictures(Array.from({ length: images }, placeholder));
    const sent = performance.now();
    const tick = () => {
      this.#notice("waiting", `Waiting… ${((performance.now() - sent) / 1000).toFixed(1)} s`);
    };
    tick();
    this.#ticking = setInterval(tick, 100);
  }

  showAnswer({ pictures, times, coldMs, seed }) {
    this.#settle("answered");
    this.#times = times;
    for (const [name] of TIMES) this.#amount(name).textContent = formatMs(times[name]);
    if (coldMs > 0) {
      this.#notice("cold", `This answer includes a cold start of ${formatTime(coldMs)}.`);
    } else {
      this.#notice("warm", "An instance was ready.");
    }
    this.#pictures(pictures.map((source, at) => picture(source, at, pictures.length, seed, this.side)));
  }

  showProblem({ title, detail }) {
    this.#settle("failed");
    this.#pictures([]);
    this.#notice("failed", "No answer this time.");
    this.#part(".problem-title").textContent = title;
    this.#part(".problem-detail").textContent = detail;
    this.#part(".problem").hidden = false;
  }

  /** Bars of both sides under each time, the longer one full; blank until both have answered. */
  compareWith(other) {
    for (const [name] of TIMES) {
      const own = this.#times?.[name];
      const theirs = other.#times?.[name];
      if (!own || !theirs) continue;
      const longest = Math.max(own, theirs);
      const row = this.#rows[name];
      fill(row.querySelector(".own"), own / longest);
      fill(row.querySelector(".other"), theirs / longest);
      row.querySelector(".ratio").textContent = ratio(own, theirs, other.shortTitle.toLowerCase());
    }
  }

  showState(status) {
    const { text, name } = describeState(status);
    this.#state(text, name);
  }

  showUnreachable() {
    this.#state("not reachable", "gone");
  }

  #state(text, name) {
    const state = this.#part(".state");
    state.dataset.state = name;
    if (state.textContent !== text) state.textContent = text;
    state.hidden = false;
  }

  #settle(state) {
    clearInterval(this.#ticking);
    this.element.dataset.state = state;
    this.element.removeAttribute("aria-busy");
  }

  #row([name, label, explanation]) {
    const row = document.getElementById("time").content.cloneNode(true).firstElementChild;
    row.dataset.time = name;
    row.querySelector(".label").textContent = label;
    row.querySelector(".explained").textContent = explanation;
    this.#rows[name] = row;
    return row;
  }

  #amount(name) {
    return this.#rows[name].querySelector(".amount");
  }

  #pictures(tiles) {
    const frame = this.#part(".pictures");
    frame.dataset.size = tiles.length > 24 ? "small" : tiles.length > 4 ? "middle" : "large";
    frame.replaceChildren(...tiles);
  }

  #notice(kind, text) {
    const notice = this.#part(".notice");
    notice.dataset.kind = kind;
    notice.textContent = text;
  }

  #part(selector) {
    return this.element.querySelector(selector);
  }
}

function describe({ cpu, concurrency, idle_s: idle }) {
  const share = `${counted(cpu, "CPU")}, ${concurrency ? counted(concurrency, "request") : "any number of requests"} at a time`;
  return `${share}, stops after ${idle} s idle`;
}

function describeState({ instances }) {
  const among = (state) => instances.filter((instance) => instance.state === state).length;
  if (among("ready")) return { text: `${counted(among("ready"), "instance")} ready`, name: "warm" };
  if (among("starting")) return { text: "starting an instance", name: "starting" };
  return { text: "no instance running", name: "cold" };
}

function clear(row) {
  row.querySelector(".amount").textContent = "–";
  row.querySelector(".ratio").textContent = "";
  for (const bar of row.querySelectorAll(".bar")) fill(bar, 0);
}

function fill(bar, share) {
  bar.style.width = share ? `${Math.max(1, 100 * share)}%` : "0";
}

function ratio(own, theirs, other) {
  const times = own / theirs;
  if (times > 1.05) return `${times.toFixed(1)} × ${other}`;
  if (times < 1 / 1.05) return `${(1 / times).toFixed(1)} × faster`;
  return `like ${other}`;
}

function placeholder() {
  const tile = document.createElement("div");
  tile.className = "tile";
  return tile;
}

function picture(source, at, count, seed, side) {
  const image = document.createElement("img");
  image.src = source;
  image.alt = `Picture ${at + 1} of ${count}, seed ${seed}, ${side.title.toLowerCase()}`;
  image.className = "tile";
  return image;
}
