// The last runs: round trip a side, so that cold answers stand apart from warm ones.

import { formatTime } from "./words.js";

const KEPT = 8;

export class History {
  #runs = [];
  #count = 0;
  #section = document.getElementById("history");
  #rows = document.getElementById("history-rows");

  constructor(sides) {
    const seed = document.querySelector("#history-columns .seed");
    for (const [position, side] of sides.entries()) {
      const head = document.createElement("th");
      head.scope = "col";
      head.className = `side ${position === 0 ? "first" : "second"}`;
      head.textContent = side.title.replace(/^From the /, "");
      seed.before(head);
    }
  }

  /** Puts a run on top: `results` has one answer, or `{problem}`, a side. */
  add(wish, results) {
    this.#count += 1;
    this.#runs.unshift({ number: this.#count, ...wish, results });
    this.#runs.length = Math.min(this.#runs.length, KEPT);
    this.#draw();
  }

  #draw() {
    const trips = this.#runs.flatMap(({ results }) => results.map(roundTrip));
    const longest = Math.max(...trips);
    this.#rows.replaceChildren(...this.#runs.map((run) => row(run, longest)));
    this.#section.hidden = false;
  }
}

function row({ number, images, seed, results }, longest) {
  const line = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = number;
  const sides = results.map((result, position) => sideCell(result, position, longest));
  line.append(head, cell(images, "number"), ...sides, cell(seed, "number seed"));
  return line;
}

function sideCell(result, position, longest) {
  const found = cell("", `side ${position === 0 ? "first" : "second"}`);
  if (result.problem) {
    found.append(span("failed", `failed: ${result.problem.title}`));
    return found;
  }
  const trip = roundTrip(result);
  const cold = Math.min(result.coldMs, trip);
  const bar = span("trip", "");
  bar.setAttribute("aria-hidden", "true");
  bar.append(part("trip-cold", cold, longest), part("trip-warm", trip - cold, longest));
  const words = span("trip-time", formatTime(trip));
  if (cold > 0) words.append(span("trip-note", ` ${formatTime(cold)} cold`));
  found.append(bar, words);
  return found;
}

function part(name, ms, longest) {
  const piece = span(name, "");
  piece.style.width = ms > 0 ? `max(2px, ${(100 * ms) / longest}%)` : "0";
  return piece;
}

function roundTrip(result) {
  return result.times?.roundTrip ?? 0;
}

function cell(text, name) {
  const found = document.createElement("td");
  found.className = name;
  found.textContent = text;
  return found;
}

function span(name, text) {
  const found = document.createElement("span");
  found.className = name;
  found.textContent = text;
  return found;
}
