// Brings the list up to date, unless somebody is amid it with the keyboard.
const SECONDS = 15;

setInterval(async () => {
  if (document.activeElement !== document.body) return;
  const answer = await fetch(location.href).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.body.replaceChildren(...page.body.children);
}, 1000 * SECONDS);
