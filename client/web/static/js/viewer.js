// The X-ray on its stage: zoom, move, window, and the heat over it. Both panes move together.

import { colourBar, drawFilm, drawHeat, drawOutline } from "./pixels.js";

const ZOOM_STEP = 1.25;
const LARGEST = 16;
const NEUTRAL = { level: 128, width: 255, inverted: false };

export class Viewer extends EventTarget {
  #picture = null;
  #scale = 1;
  #x = 0;
  #y = 0;
  #fitted = true;
  #drawing = 0;
  window = { ...NEUTRAL };
  opacity = 0.7;
  view = "heat";
  outlined = false;

  constructor(stage) {
    super();
    this.stage = stage;
    this.sheets = [...stage.querySelectorAll(".sheet")];
    this.films = [...stage.querySelectorAll("canvas.film")];
    this.heat = stage.querySelector("canvas.heat");
    this.lungs = stage.querySelector("canvas.lungs");
    stage.querySelector(".bar i").style.backgroundImage = colourBar();
    stage.dataset.view = this.view;
    new ResizeObserver(() => (this.#fitted ? this.fit() : this.#place())).observe(stage);
    this.#listen();
  }

  /** Shows a picture, with heat and lungs over it where there are any; null clears the stage. */
  show(picture, heat, lungs) {
    this.#picture = picture;
    this.stage.toggleAttribute("data-blank", !heat);
    for (const sheet of this.sheets) {
      sheet.hidden = !picture;
      sheet.style.width = `${picture?.width ?? 0}px`;
      sheet.style.height = `${picture?.height ?? 0}px`;
    }
    this.heat.hidden = !heat;
    if (heat) drawHeat(this.heat, heat);
    this.hasLungs = Boolean(lungs);
    if (lungs) drawOutline(this.lungs, lungs);
    this.outline(this.outlined);
    this.setWindow(NEUTRAL);
    this.fit();
  }

  setView(view) {
    this.view = view;
    this.stage.dataset.view = view;
    this.#changed();
    if (this.#fitted) this.fit();
  }

  /** Draws the lung fields that the model looked at, or does not. */
  outline(outlined) {
    this.outlined = outlined;
    this.lungs.hidden = !(outlined && this.hasLungs);
    this.#changed();
  }

  setOpacity(opacity) {
    this.opacity = Math.min(1, Math.max(0, opacity));
    this.heat.style.opacity = this.opacity;
    this.#changed();
  }

  setWindow(change) {
    const next = { ...this.window, ...change };
    this.window = {
      level: Math.round(Math.min(255, Math.max(0, next.level))),
      width: Math.round(Math.min(255, Math.max(1, next.width))),
      inverted: next.inverted,
    };
    cancelAnimationFrame(this.#drawing);
    this.#drawing = requestAnimationFrame(() => this.#draw());
    this.#changed();
  }

  resetWindow() {
    this.setWindow(NEUTRAL);
  }

  fit() {
    if (!this.#picture) return;
    const { width, height } = this.#pane();
    this.#scale = Math.min(width / this.#picture.width, height / this.#picture.height) || 1;
    this.#x = (width - this.#picture.width * this.#scale) / 2;
    this.#y = (height - this.#picture.height * this.#scale) / 2;
    this.#fitted = true;
    this.#place();
  }

  /** Zooms by a factor about a point of the pane, its middle unless given. */
  zoom(factor, point) {
    if (!this.#picture) return;
    const { width, height } = this.#pane();
    const { x, y } = point ?? { x: width / 2, y: height / 2 };
    const smallest = Math.min(width / this.#picture.width, height / this.#picture.height) / 2;
    const scale = Math.min(LARGEST, Math.max(smallest, this.#scale * factor));
    this.#x = x - ((x - this.#x) * scale) / this.#scale;
    this.#y = y - ((y - this.#y) * scale) / this.#scale;
    this.#scale = scale;
    this.#fitted = false;
    this.#place();
  }

  zoomIn() {
    this.zoom(ZOOM_STEP);
  }

  zoomOut() {
    this.zoom(1 / ZOOM_STEP);
  }

  move(dx, dy) {
    this.#x += dx;
    this.#y += dy;
    this.#fitted = false;
    this.#place();
  }

  get percent() {
    return Math.round(this.#scale * devicePixelRatio * 100);
  }

  #pane() {
    const shown = this.sheets.find((sheet) => sheet.parentElement.offsetParent !== null);
    return (shown ?? this.sheets[0]).parentElement.getBoundingClientRect();
  }

  #place() {
    if (!this.#picture) return;
    const { width, height } = this.#pane();
    const keep = 48; // of the film stays in sight
    this.#x = Math.min(width - keep, Math.max(keep - this.#picture.width * this.#scale, this.#x));
    this.#y = Math.min(height - keep, Math.max(keep - this.#picture.height * this.#scale, this.#y));
    for (const sheet of this.sheets) {
      sheet.style.transform = `translate(${this.#x}px, ${this.#y}px) scale(${this.#scale})`;
    }
    this.#changed();
  }

  #draw() {
    if (!this.#picture) return;
    for (const film of this.films) drawFilm(film, this.#picture, this.window);
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }

  #listen() {
    const fingers = new Map();
    const at = (event) => {
      const pane = event.target.closest(".pane") ?? this.stage;
      const box = pane.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    this.stage.addEventListener("contextmenu", (event) => event.preventDefault());
    this.stage.addEventListener("dblclick", () => this.fit());
    this.stage.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoom(Math.exp(-event.deltaY * 0.0015), at(event));
      },
      { passive: false },
    );
    this.stage.addEventListener("pointerdown", (event) => {
      fingers.set(event.pointerId, { ...at(event), windowing: event.button === 2 || event.shiftKey });
      this.stage.setPointerCapture(event.pointerId);
    });
    for (const name of ["pointerup", "pointercancel"]) {
      this.stage.addEventListener(name, (event) => fingers.delete(event.pointerId));
    }
    this.stage.addEventListener("pointermove", (event) => {
      const finger = fingers.get(event.pointerId);
      if (!finger) return;
      const { movementX: dx, movementY: dy } = event;
      if (fingers.size === 2) this.#pinch(fingers, event, dx, dy);
      else if (finger.windowing) this.#dragWindow(dx, dy);
      else this.move(dx, dy);
    });
  }

  #dragWindow(dx, dy) {
    this.setWindow({ width: this.window.width + dx, level: this.window.level + dy });
  }

  #pinch(fingers, event, dx, dy) {
    const moved = fingers.get(event.pointerId);
    const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    const before = Math.hypot(moved.x - other.x, moved.y - other.y);
    moved.x += dx;
    moved.y += dy;
    const after = Math.hypot(moved.x - other.x, moved.y - other.y);
    if (before > 0) this.zoom(after / before, { x: (moved.x + other.x) / 2, y: (moved.y + other.y) / 2 });
  }
}
