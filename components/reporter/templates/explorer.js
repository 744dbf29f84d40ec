"use strict";

(() => {
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const at = (id) => document.getElementById(id);
  const cut = at("cut");
  const prevalence = at("prevalence");
  const Z = 1.96;
  const OUTCOMES = ["found", "missed", "alarm", "rest"];

  const share = (part, whole) => (whole > 0 ? part / whole : NaN);
  const text = (value, digits) => (Number.isNaN(value) ? "–" : value.toFixed(digits));

  /** Wilson's score interval, as the rest of the page has it. */
  function wilson(successes, trials) {
    if (!trials) return "";
    const p = successes / trials;
    const spread = Z * Math.sqrt((p * (1 - p)) / trials + (Z / (2 * trials)) ** 2);
    const bound = (side) => (p + (Z * Z) / (2 * trials) + side * spread) / (1 + (Z * Z) / trials);
    return `${text(Math.max(bound(-1), 0), 4)}–${text(Math.min(bound(1), 1), 4)}`;
  }

  function place(name, x, y) {
    const mark = document.querySelector(`[data-live="${name}"]`);
    const { left, right, top, bottom } = mark.ownerSVGElement.dataset;
    const unknown = Number.isNaN(x) || Number.isNaN(y);
    mark.toggleAttribute("hidden", unknown);
    if (unknown) return;
    const across = Number(left) + x * (right - left);
    if (mark.tagName === "circle") {
      mark.setAttribute("cx", across);
      mark.setAttribute("cy", Number(bottom) - y * (bottom - top));
    } else {
      mark.setAttribute("x1", across);
      mark.setAttribute("x2", across);
    }
  }

  /** Whole people that add up to 1,000. */
  function people(sick, sensitivity, specificity) {
    const all = Math.round(1000 * sick);
    const found = Math.round(all * (Number.isNaN(sensitivity) ? 0 : sensitivity));
    const alarms = Math.round((1000 - all) * (1 - (Number.isNaN(specificity) ? 1 : specificity)));
    return { all, found, missed: all - found, alarms, rest: 1000 - all - alarms };
  }

  function draw() {
    const [threshold, found, alarms] = data.points[cut.value];
    const sick = prevalence.value / 1000;
    const sensitivity = share(found, data.sick);
    const specificity = share(data.healthy - alarms, data.healthy);
    const truly = sensitivity * sick;
    const falsely = (1 - specificity) * (1 - sick);
    const own = Number(cut.value) === data.own;
    at("cut-value").value = text(Math.max(threshold, 0), 4) + (own ? " (the model's own)" : "");
    cut.setAttribute("aria-valuetext", at("cut-value").value);
    at("prevalence-value").value = `${text(100 * sick, 1)} %`;
    prevalence.setAttribute("aria-valuetext", at("prevalence-value").value);
    at("sensitivity").value = text(sensitivity, 4);
    at("specificity").value = text(specificity, 4);
    at("sensitivity-range").textContent = wilson(found, data.sick);
    at("specificity-range").textContent = wilson(data.healthy - alarms, data.healthy);
    at("ppv").value = text(share(truly, truly + falsely), 4);
    const calm = specificity * (1 - sick);
    at("npv").value = text(share(calm, calm + (1 - sensitivity) * sick), 4);
    const group = people(sick, sensitivity, specificity);
    at("of-sick").textContent = group.all;
    at("found").textContent = group.found;
    at("missed").textContent = group.missed;
    at("alarms").textContent = group.alarms;
    colour([group.found, group.missed, group.alarms, group.rest]);
    place("roc", 1 - specificity, sensitivity);
    place("pr", sensitivity, share(found, found + alarms));
    place("threshold", Math.max(threshold, 0), 0);
  }

  const dots = Array.from({ length: 1000 }, (_, number) => {
    const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    dot.setAttribute("cx", 5 + 10 * Math.floor(number / 20));
    dot.setAttribute("cy", 5 + 10 * (number % 20));
    dot.setAttribute("r", 3.8);
    return dot;
  });
  at("people").append(...dots);

  function colour(numbers) {
    let kind = 0;
    let left = numbers[0];
    for (const dot of dots) {
      while (left === 0 && kind < 3) left = numbers[++kind];
      dot.setAttribute("class", OUTCOMES[kind]);
      left -= 1;
    }
    at("people").setAttribute("aria-label",
      `Of 1,000 patients ${numbers[0]} found, ${numbers[1]} missed, ${numbers[2]} false alarms`);
  }

  const ofTest = Math.round((1000 * data.sick) / (data.sick + data.healthy));
  cut.max = data.points.length - 1;
  cut.value = data.own;
  prevalence.value = ofTest;
  cut.addEventListener("input", draw);
  prevalence.addEventListener("input", draw);
  at("own").addEventListener("click", () => {
    cut.value = data.own;
    draw();
  });
  for (const button of document.querySelectorAll("[data-prevalence]")) {
    button.addEventListener("click", () => {
      const wanted = button.dataset.prevalence;
      prevalence.value = wanted === "test" ? ofTest : wanted;
      draw();
    });
  }
  at("heat").addEventListener("change", (event) => {
    at("films").classList.toggle("plain", !event.target.checked);
  });
  draw();
})();
