// The X-rays of this visit: a list, and a queue that asks about two at a time.

import { blobOf, predict, Refusal } from "./api.js";
import { decode, drawThumbnail } from "./pixels.js";

const AT_ONCE = 2;
const HINTS = {
  server_away: "The model server does not answer",
  model_missing: "The model server has no model yet",
  server_busy: "The model server is busy; try again",
  page_busy: "The page is busy; try again",
  rate_limited: "Too many X-rays at once; try again",
  deadline_exceeded: "The model server took too long",
  page_away: "The page's own server does not answer",
  too_large: "Too large",
  truncated: "The file is cut off",
  unreadable: "The file is damaged",
  not_an_image: "Neither JPEG, PNG nor DICOM",
  unsupported: "Not a single radiograph",
  image_refused: "The model could not read this image",
};
const PASSING = [
  "server_away",
  "model_missing",
  "server_busy",
  "page_busy",
  "rate_limited",
  "deadline_exceeded",
  "page_away",
];

/** An answered film's state and note. */
function verdict({ label, probability, warning }) {
  const note = `${label === 1 ? "Suspected" : "Not detected"} · ${probability.toFixed(2)}`;
  if (warning) return { state: "doubtful", note: `Unusual image · ${probability.toFixed(2)}` };
  return { state: label === 1 ? "positive" : "normal", note };
}

export class Visit extends EventTarget {
  #queue = [];
  #running = 0;
  #previews = Promise.resolve();
  films = [];
  current = null;

  constructor(list, uploadBytes) {
    super();
    this.list = list;
    this.uploadBytes = uploadBytes;
  }

  /** Takes files in, oldest first in the list, and shows the first of them. */
  add(files) {
    const added = [...files].map((file) => this.#film(file));
    if (!added.length) return;
    this.select(added[0]);
    this.#queue.push(...added.filter((film) => film.state === "waiting"));
    this.#next();
  }

  select(film) {
    this.current = film;
    for (const other of this.films) this.#label(other);
    film.row.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.#tell("select", film);
  }

  /** Selects a neighbour in the list. */
  step(by) {
    const film = this.films[this.films.indexOf(this.current) + by];
    if (film) this.select(film);
  }

  /** Whether a film failed for a reason that passes. */
  passes(film) {
    return PASSING.includes(film.code);
  }

  /** Asks again about what failed for a reason that passes. */
  retry() {
    const again = this.films.filter((film) => this.passes(film));
    for (const film of again) this.#set(film, { state: "waiting", code: null, note: "Waiting" });
    this.#queue.push(...again);
    this.#next();
  }

  #film(file) {
    const film = { name: file.name, blob: file, state: "waiting", note: "Waiting", code: null };
    film.row = document.createElement("button");
    film.row.type = "button";
    film.row.className = "film-row";
    film.row.append(document.createElement("canvas"), document.createElement("span"));
    film.row.lastChild.append(document.createElement("b"), document.createElement("small"));
    film.row.addEventListener("click", () => this.select(film));
    const item = document.createElement("li");
    item.append(film.row);
    this.list.append(item);
    this.films.push(film);
    if (file.size > this.uploadBytes) {
      const most = Math.floor(this.uploadBytes / 2 ** 20);
      this.#set(film, { state: "failed", code: "too_large", note: `Larger than ${most} MB` });
    } else {
      this.#previews = this.#previews.then(() => this.#preview(film)); // one in memory at a time
    }
    this.#label(film);
    return film;
  }

  async #preview(film) {
    try {
      film.picture = await decode(film.blob);
    } catch {
      return; // a DICOM: the server's answer brings the picture along
    }
    drawThumbnail(film.row.querySelector("canvas"), film.picture);
    this.#tell("change", film);
  }

  #next() {
    while (this.#running < AT_ONCE && this.#queue.length) {
      this.#running++;
      this.#ask(this.#queue.shift()).finally(() => {
        this.#running--;
        this.#next();
      });
    }
  }

  async #ask(film) {
    this.#set(film, { state: "working", note: "Reading" });
    try {
      const answer = await predict(film.blob, () => this.#set(film, { note: "Waiting: busy" }));
      if (answer.display_png) {
        film.picture = await decode(blobOf(answer.display_png));
        drawThumbnail(film.row.querySelector("canvas"), film.picture);
      }
      film.lungs = answer.lungs_png && (await decode(blobOf(answer.lungs_png)));
      film.heat = await decode(blobOf(answer.heatmap_png));
      this.#set(film, { answer, ...verdict(answer) });
    } catch (error) {
      if (!(error instanceof Refusal)) console.error(error);
      const { code = "page_failed" } = error;
      this.#set(film, { state: "failed", code, note: HINTS[code] ?? error.message });
    }
    this.#tell("done", film);
  }

  #set(film, change) {
    Object.assign(film, change);
    this.#label(film);
    this.#tell("change", film);
  }

  #label(film) {
    film.row.dataset.state = film.state;
    film.row.setAttribute("aria-current", film === this.current);
    film.row.querySelector("b").textContent = film.name;
    film.row.querySelector("small").textContent = film.note;
  }

  #tell(kind, film) {
    this.dispatchEvent(new CustomEvent(kind, { detail: film }));
  }
}
