// The page: reads the form, asks both sides at once, shows each answer as it arrives.

import { ask, fetchJson } from "./ask.js";
import { Column } from "./column.js";
import { Form } from "./form.js";
import { History } from "./history.js";
import { formatTime } from "./words.js";

const STATUS_EVERY_MS = 1000;

const form = new Form();
const news = document.getElementById("news");
let models = []; // facts by model, known once a side has answered
start();

async function start() {
  try {
    const { sides } = await fetchJson("/sides");
    show(sides);
  } catch (problem) {
    const unready = document.getElementById("unready");
    unready.textContent = `${problem.title}. ${problem.detail}`;
    unready.hidden = false;
  }
}

function show(sides) {
  const place = document.getElementById("columns");
  const columns = sides.map((side, position) => new Column(side, position));
  place.replaceChildren(...columns.map((column) => column.element));
  const history = new History(sides);
  // What one side lacks cannot be compared.
  const offered = sides[0].models.filter((name) => sides.every((side) => side.models.includes(name)));
  form.offer(offered);
  describe(offered[0]);
  form.onGo = (wish) => go(wish, columns, history);
  watchStates(columns);
}

async function go(wish, columns, history) {
  form.disable(wish.seed);
  news.textContent = "Asking both sides.";
  for (const column of columns) column.wait(wish.images);
  const results = await Promise.all(columns.map((column) => askOne(column, wish, columns)));
  history.add(wish, results);
  form.enable();
  refreshStates(columns);
  if (!models.length) await learnModels(columns, results);
  describe(wish.model);
}

async function askOne(column, wish, columns) {
  try {
    const result = await ask(column.side.name, wish);
    column.showAnswer(result);
    say(`${column.shortTitle} answered in ${formatTime(result.times.roundTrip)}.`);
    return result;
  } catch (problem) {
    column.showProblem(problem);
    return { problem };
  } finally {
    compare(columns);
  }
}

function compare(columns) {
  const [first, second] = columns;
  if (!second) return;
  first.compareWith(second);
  second.compareWith(first);
}

function say(sentence) {
  // Both sides may answer in the same instant: the second sentence must not replace the first.
  news.textContent = news.textContent.startsWith("Asking")
    ? sentence
    : `${news.textContent} ${sentence}`;
}

async function learnModels(columns, results) {
  // Only a side that has just answered is asked: a question must not start an instance.
  const answered = columns.find((_, at) => !results[at].problem);
  if (!answered) return;
  try {
    models = (await fetchJson(`/${answered.side.name}/models`)).models;
  } catch {
    // The next answer is another occasion.
  }
}

function describe(name) {
  const facts = models.find((model) => model.name === name) ?? { name };
  document.getElementById("models").textContent = sentence(facts);
}

function sentence({ name, resolution, terms, commercial_use: commercial }) {
  const size = resolution ? `, ${resolution} × ${resolution} pixels` : "";
  const limit = commercial === false && !/non-commercial/i.test(terms ?? "")
    ? " Not for commercial use."
    : "";
  return `Model ${name}${size}.${terms ? ` Terms: ${terms.replace(/\.$/, "")}.` : ""}${limit}`;
}

function watchStates(columns) {
  refreshStates(columns);
  setInterval(() => {
    if (document.visibilityState === "visible") refreshStates(columns);
  }, STATUS_EVERY_MS);
}

function refreshStates(columns) {
  for (const column of columns) {
    fetchJson(`/${column.side.name}/status`).then(
      (status) => column.showState(status),
      () => column.showUnreachable(),
    );
  }
}
