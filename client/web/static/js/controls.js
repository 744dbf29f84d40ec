// Buttons, sliders and keys of the viewer.

const STEP = 40; // pixels that an arrow key moves the film

export function connect(viewer, visit) {
  const byId = (id) => document.getElementById(id);
  const views = [...document.querySelectorAll("input[name=view]")];
  const sliders = { opacity: byId("opacity"), level: byId("level"), width: byId("width") };
  const keys = byId("keys");
  const outline = () => viewer.outline(!viewer.outlined);
  const invert = () => viewer.setWindow({ inverted: !viewer.window.inverted });

  views.forEach((input) => input.addEventListener("change", () => viewer.setView(input.value)));
  byId("zoom-in").addEventListener("click", () => viewer.zoomIn());
  byId("zoom-out").addEventListener("click", () => viewer.zoomOut());
  byId("fit").addEventListener("click", () => viewer.fit());
  byId("outline").addEventListener("click", outline);
  byId("invert").addEventListener("click", invert);
  byId("reset").addEventListener("click", () => viewer.resetWindow());
  byId("help").addEventListener("click", () => keys.showModal());
  sliders.opacity.addEventListener("input", () => viewer.setOpacity(sliders.opacity.value / 100));
  sliders.level.addEventListener("input", () => viewer.setWindow({ level: +sliders.level.value }));
  sliders.width.addEventListener("input", () => viewer.setWindow({ width: +sliders.width.value }));

  const actions = {
    "+": () => viewer.zoomIn(),
    "=": () => viewer.zoomIn(),
    "-": () => viewer.zoomOut(),
    0: () => viewer.fit(),
    "[": () => viewer.setOpacity(viewer.opacity - 0.1),
    "]": () => viewer.setOpacity(viewer.opacity + 0.1),
    "?": () => keys.showModal(),
    h: () => viewer.setView("heat"),
    s: () => viewer.setView("both"),
    x: () => viewer.setView("film"),
    l: outline,
    i: invert,
    r: () => viewer.resetWindow(),
    n: () => visit.step(1),
    p: () => visit.step(-1),
    arrowleft: () => viewer.move(STEP, 0),
    arrowright: () => viewer.move(-STEP, 0),
    arrowup: () => viewer.move(0, STEP),
    arrowdown: () => viewer.move(0, -STEP),
  };
  // On the stage only: a single key elsewhere may belong to a screen reader or a voice command.
  viewer.stage.addEventListener("keydown", (event) => {
    const action = actions[event.key.toLowerCase()];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  });

  const show = () => {
    const { level, width, inverted } = viewer.window;
    views.forEach((input) => (input.checked = input.value === viewer.view));
    byId("zoom").value = `${viewer.percent} %`;
    byId("outline").setAttribute("aria-pressed", viewer.outlined);
    byId("outline").disabled = !viewer.hasLungs;
    byId("invert").setAttribute("aria-pressed", inverted);
    const values = { opacity: Math.round(viewer.opacity * 100), level, width };
    for (const [name, slider] of Object.entries(sliders)) {
      slider.value = values[name];
      slider.parentElement.querySelector("output").value =
        name === "opacity" ? `${values[name]} %` : values[name];
    }
  };
  viewer.addEventListener("change", show);
  viewer.setOpacity(viewer.opacity);
}
