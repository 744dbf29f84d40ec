// The model's answer in words, on a scale, and as files to keep.

import { blobOf, sendOpinion } from "./api.js";

const byId = (id) => document.getElementById(id);
const DECISIONS = ["No pneumonia detected", "Pneumonia suspected"];
let links = [];

export const decisionOf = (answer) => DECISIONS[answer.label];

/** The sentence that a screen reader hears when the answer arrives. */
export function sentence(answer) {
  const side = answer.label === 1 ? "at or above" : "below";
  const [probability, threshold] = shown(answer);
  return `The probability of ${probability} is ${side} the model's operating threshold of ${threshold}.`;
}

/** Shows a film's answer; hides the panel where there is none. */
export function showReport(film) {
  const { answer } = film ?? {};
  byId("report").hidden = !answer;
  links.forEach(URL.revokeObjectURL);
  links = [];
  if (!answer) return;
  byId("name").textContent = film.name;
  byId("decision").dataset.label = answer.label;
  byId("decision").toggleAttribute("data-doubtful", Boolean(answer.warning));
  byId("decision-text").textContent = decisionOf(answer);
  byId("sentence").textContent = sentence(answer);
  showWarning(answer.warning);
  showScale(answer);
  showFacts(answer);
  askOpinion(film);
  offer("download-overlay", blobOf(answer.overlay_png), stem(film.name) + ".overlay.png");
  offer("download-json", asJson(film), stem(film.name) + ".json");
}

/** Asks whether the reader agrees, where the page keeps that; the newest word counts. */
function askOpinion(film) {
  const box = byId("opinion");
  if (!box) return;
  const { answer } = film;
  const say = () => {
    byId("opinion-text").textContent = film.opinion ?? "";
    for (const button of box.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.agrees === film.agrees));
    }
  };
  for (const button of box.querySelectorAll("button")) {
    button.onclick = async () => {
      const { agrees } = button.dataset;
      const label = agrees === "1" ? answer.label : 1 - answer.label;
      const kept = await sendOpinion(answer.image.sha256, label);
      if (kept) film.agrees = agrees;
      film.opinion = kept ? "Kept" : "Not kept; try again";
      say();
    };
  }
  say();
}

function showWarning(text) {
  const box = byId("warning");
  box.hidden = !text;
  box.querySelector("span").textContent = text ? `This image ${text}.` : "";
}

function showScale(answer) {
  const [probability, threshold] = shown(answer);
  const scale = byId("scale");
  scale.style.setProperty("--p", answer.probability);
  scale.style.setProperty("--t", answer.threshold);
  scale.setAttribute(
    "aria-label",
    `Scale from 0 to 1: probability ${probability}, threshold ${threshold}`,
  );
  byId("scale-probability").textContent = probability;
  byId("scale-threshold-text").textContent = `threshold ${threshold}`;
}

function showFacts({ probability, threshold, version, latency_ms, image }) {
  const facts = {
    probability: probability.toFixed(4),
    threshold: threshold.toFixed(4),
    version: `${version}`,
    latency: `${Math.round(latency_ms)} ms`,
    image: `${image.format.toUpperCase()}, ${image.width} × ${image.height}`,
    sha256: `${image.sha256.slice(0, 16)}…`,
  };
  for (const [name, text] of Object.entries(facts)) {
    document.querySelector(`[data-fact=${name}]`).textContent = text;
  }
  const exported = new Date(version * 1000);
  const date = Object.assign(document.createElement("small"), {
    textContent: exported.toISOString().slice(0, 16).replace("T", ", ") + " UTC",
  });
  document.querySelector("[data-fact=version]").append(date);
  document.querySelector("[data-fact=sha256]").title = image.sha256;
}

function offer(id, blob, fileName) {
  const url = URL.createObjectURL(blob);
  links.push(url);
  byId(id).href = url;
  byId(id).download = fileName;
}

function asJson({ name, answer }) {
  const { display_png, heatmap_png, lungs_png, overlay_png, ...values } = answer;
  const notice = "Research use only, not a medical device.";
  return new Blob([JSON.stringify({ file: name, ...values, notice }, null, 2) + "\n"], {
    type: "application/json",
  });
}

/** Probability and threshold with as many digits as tell them apart, two at least. */
function shown({ probability, threshold }) {
  const digits = [2, 3, 4, 5].find((n) => probability.toFixed(n) !== threshold.toFixed(n)) ?? 2;
  return [probability.toFixed(digits), threshold.toFixed(digits)];
}

const stem = (name) => name.replace(/\.[^.]*$/, "") || "x-ray";
