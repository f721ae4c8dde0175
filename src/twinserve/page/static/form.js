// The form: what is asked for, and what is wrong with it.

const MOST_IMAGES = 64;
const LARGEST_SEED = Number.MAX_SAFE_INTEGER;

export class Form {
  /** `onGo` gets `{images, seed, model}` when a valid form is sent. */
  onGo = () => {};

  #form = document.getElementById("ask");
  #images = document.getElementById("images");
  #seed = document.getElementById("seed");
  #model = document.getElementById("model");
  #go = document.getElementById("go");
  #complaint = document.getElementById("complaint");
  #seedNote = document.getElementById("seed-note");
  #usedSeed = document.getElementById("used-seed");
  #seedShown = document.getElementById("seed-shown");

  constructor() {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    document.getElementById("keep-seed").addEventListener("click", () => {
      this.#seed.value = this.#seedShown.textContent;
      this.#seed.focus();
    });
  }

  /** Offers models by name, the default first; a single one needs no choice. */
  offer(models) {
    this.#model.replaceChildren(...models.map((name) => new Option(name, name)));
    document.getElementById("model-field").hidden = models.length < 2;
  }

  /** While both sides work: no second Go; the seed that both got is shown. */
  disable(seed) {
    this.#go.setAttribute("aria-disabled", "true");
    this.#go.textContent = "Going…";
    this.#seedShown.textContent = String(seed);
    this.#usedSeed.hidden = false;
    document.getElementById("seed-promise").hidden = true;
  }

  enable() {
    this.#go.removeAttribute("aria-disabled");
    this.#go.textContent = "Go!";
  }

  #send() {
    if (this.#go.hasAttribute("aria-disabled")) return;
    const images = readImages(this.#images.value);
    const seed = readSeed(this.#seed.value);
    const wrong = [
      [this.#images, images],
      [this.#seed, seed],
    ].filter(([field, read]) => mark(field, read));
    this.#complain(wrong);
    if (!wrong.length) {
      this.onGo({ images: images.value, seed: seed.value, model: this.#model.value });
    }
  }

  #complain(wrong) {
    this.#complaint.textContent = wrong.map(([, read]) => read.complaint).join("\n");
    this.#complaint.hidden = !wrong.length;
    this.#seedNote.hidden = Boolean(wrong.length);
    wrong[0]?.[0].focus();
  }
}

function readImages(text) {
  const value = Number(text);
  if (text.trim() && Number.isInteger(value) && value >= 1 && value <= MOST_IMAGES) return { value };
  const given = text.trim() ? `, not ${text.trim()}` : "";
  return { complaint: `Number of images must be a whole number from 1 to ${MOST_IMAGES}${given}.` };
}

function readSeed(text) {
  const given = text.trim();
  if (!given) return { value: crypto.getRandomValues(new Uint32Array(1))[0] };
  const value = Number(given);
  if (/^\d+$/.test(given) && value <= LARGEST_SEED) return { value };
  return {
    complaint: `Seed must be a whole number from 0 to ${LARGEST_SEED}, or empty, not ${given}.`,
  };
}

function mark(field, { complaint }) {
  if (complaint) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
  return Boolean(complaint);
}
