// Calls to the page's own server; an X-ray goes out as bytes, without its name.

const TRIES = 6;

export class Refusal extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** The model's answer for a Blob; waits where page or server are busy, and says so by `onBusy`. */
export async function predict(blob, onBusy) {
  for (let attempt = 1; ; attempt++) {
    const response = await send(blob);
    const body = await response.json().catch(() => null);
    if (response.ok && body) return body;
    const { code, message } = body?.error ?? {
      code: "page_failed",
      message: `the page answered with status ${response.status}`,
    };
    const busy = ["rate_limited", "page_busy", "server_busy"].includes(code);
    if (!busy || attempt === TRIES) throw new Refusal(code, message);
    onBusy();
    const seconds = Number(response.headers.get("Retry-After")) || 1;
    await new Promise((resume) => setTimeout(resume, 1000 * seconds));
  }
}

/** The address of a part of the API, wherever a proxy has put the page. */
function route(name) {
  return new URL(`../../api/${name}`, import.meta.url);
}

async function send(blob) {
  try {
    return await fetch(route("predict"), {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: blob,
    });
  } catch {
    throw new Refusal("page_away", "this page's own server does not answer");
  }
}

/** Keeps what a reader says of a film: label 0 or 1. */
export async function sendOpinion(sha256, label) {
  const response = await fetch(route("opinion"), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ sha256, label }),
  }).catch(() => null);
  return Boolean(response?.ok);
}

/** The model server's state: {state, version}. */
export async function serverState() {
  try {
    const response = await fetch(route("server"));
    if (response.ok) return await response.json();
  } catch {
    // Answered below: the page's own server is away.
  }
  return { state: "page_away", version: null };
}

/** The bytes of a base64 text as a Blob. */
export function blobOf(base64, type = "image/png") {
  return new Blob([Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))], { type });
}
