// The page: reads the form, asks both sides at once, shows each answer as it arrives.

import { ask, fetchJson } from "./ask.js";
import { Column } from "./column.js";
import { Form } from "./form.js";
import { History } from "./history.js";
import { formatTime } from "./words.js";

const STATUS_EVERY_MS = 1000;

const form = new Form();
const news = document.getElementById("news");
let modelsKnown = false;
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
  showModels(sides.map((side) => ({ name: side.model }))); // resolution and terms come with answers
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
  if (!modelsKnown) describeModels(columns, results);
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

async function describeModels(columns, results) {
  // Only sides that have just answered are asked: a question must not start an instance.
  const asked = columns.filter((_, at) => !results[at].problem);
  const answers = await Promise.allSettled(
    asked.map((column) => fetchJson(`/${column.side.name}/models`)),
  );
  const models = answers
    .filter((answer) => answer.status === "fulfilled")
    .map(({ value }) => value.models.find((model) => model.name === value.default));
  if (models.length) showModels(models);
  modelsKnown = models.length === columns.length;
}

function showModels(models) {
  const sentences = new Set(models.map(describeModel));
  document.getElementById("models").textContent = [...sentences].join(" ");
}

function describeModel({ name, resolution, terms, commercial_use: commercial }) {
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
