// The page: files in, the visit's list, the viewer and the report kept in step.

import { serverState } from "./api.js";
import { connect } from "./controls.js";
import { decisionOf, sentence, showReport } from "./report.js";
import { Viewer } from "./viewer.js";
import { Visit } from "./visit.js";

const byId = (id) => document.getElementById(id);
const visit = new Visit(byId("films"), Number(document.body.dataset.uploadBytes));
const viewer = new Viewer(byId("stage"));
connect(viewer, visit);

let shown = {};

/** Brings viewer and report in step with the film that is selected. */
function show(film) {
  byId("main").removeAttribute("data-empty");
  byId("welcome").hidden = true;
  byId("viewer").hidden = false;
  if (shown.film !== film || shown.picture !== film.picture || shown.heat !== film.heat) {
    viewer.show(film.picture ?? null, film.heat ?? null, film.lungs ?? null);
    shown = { film, picture: film.picture, heat: film.heat };
  }
  byId("working").hidden = film.state !== "working" && film.state !== "waiting";
  byId("working-text").textContent = film.note;
  byId("unusable").hidden = film.state !== "failed";
  byId("unusable-text").textContent = film.state === "failed" ? `${film.note}.` : "";
  byId("again").hidden = !visit.passes(film);
  showReport(film);
}

visit.addEventListener("select", (event) => show(event.detail));
visit.addEventListener("change", (event) => {
  if (event.detail === visit.current) show(event.detail);
});
visit.addEventListener("done", ({ detail: film }) => {
  byId("announcer").textContent = film.answer
    ? `${film.name}: ${decisionOf(film.answer)}. ${sentence(film.answer)}`
    : `${film.name}: ${film.note}.`;
  if (film.state === "failed") watchServer();
});

byId("again").addEventListener("click", () => visit.retry());

// Files come by choice, by drop, or from the samples.
byId("add").addEventListener("click", () => byId("file").click());
byId("drop").addEventListener("click", () => byId("file").click());
byId("file").addEventListener("change", () => {
  visit.add(byId("file").files);
  byId("file").value = "";
});
const curtain = byId("curtain");
const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragover", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  curtain.hidden = false;
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) curtain.hidden = true;
});
addEventListener("drop", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  curtain.hidden = true;
  visit.add(event.dataTransfer.files);
});
for (const button of document.querySelectorAll(".sample")) {
  button.addEventListener("click", async () => {
    const response = await fetch(button.dataset.sample);
    visit.add([new File([await response.blob()], button.dataset.name)]);
  });
}

// The model server's state, asked more often while it is away.
const STATES = {
  ready: "Model server ready",
  server_away: "Model server away",
  page_away: "This page's server is away",
  model_missing: "No model loaded",
};
const BANNERS = {
  server_away: "The model server does not answer. Start it with `pneumonia serve`; this page notices by itself and goes on.",
  page_away: "This page's own server does not answer. Start it with `pneumonia web`; this page notices by itself and goes on.",
  model_missing: "The model server is up but has not loaded the model. This page goes on as soon as it has.",
};
let timer = 0;
let lastState = "unknown";

async function watchServer() {
  clearTimeout(timer);
  const { state, version } = await serverState();
  byId("server").dataset.state = state === "ready" ? "ready" : "bad";
  byId("server-text").textContent = STATES[state] ?? "Model server busy";
  byId("server-text").title = version ? `version ${version}` : "";
  const banner = byId("banner");
  banner.hidden = !BANNERS[state];
  banner.replaceChildren(...withCode(BANNERS[state] ?? ""));
  if (state === "ready" && lastState !== "ready") visit.retry();
  lastState = state;
  timer = setTimeout(watchServer, state === "ready" ? 30_000 : 4_000);
}

/** The text's nodes; what stands between backquotes becomes code. */
function withCode(text) {
  return text.split("`").map((part, i) => {
    if (i % 2 === 0) return document.createTextNode(part);
    return Object.assign(document.createElement("code"), { textContent: part });
  });
}

watchServer();
