// What the page asks the proxy for. The key stays in this tab and goes as `Authorization`.

const KEY = "its-key";

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

export class Refused extends Error {
  constructor(status, error) {
    super(error?.message || `The proxy answered ${status}.`);
    this.status = status;
    this.code = error?.code;
  }
}

function headers(more) {
  const own = key.get();
  return { ...(own ? { authorization: `Bearer ${own}` } : {}), ...more };
}

export async function send(path, { body, signal, more } = {}) {
  const asked = { headers: headers({ accept: "application/json", ...more }), signal, cache: "no-store" };
  if (body !== undefined) {
    asked.method = "POST";
    asked.headers["content-type"] = "application/json";
    asked.body = JSON.stringify(body);
  }
  const response = await fetch(path, asked);
  if (!response.ok) {
    const told = await response.json().catch(() => ({}));
    if (response.status === 401) document.dispatchEvent(new CustomEvent("its-key-needed"));
    throw new Refused(response.status, told.error);
  }
  return response;
}

export const get = async (path) => (await send(path)).json();

export const post = async (path, body) => (await send(path, { body })).json();

// Server-sent events by `fetch`, because an EventSource sends no Authorization.
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    held += value;
    let end;
    while ((end = held.search(/\r?\n\r?\n/)) >= 0) {
      const block = held.slice(0, end);
      held = held.slice(end).replace(/^\r?\n\r?\n/, "");
      const event = { name: "message", data: "" };
      for (const line of block.split(/\r?\n/)) {
        if (line.startsWith("event:")) event.name = line.slice(6).trim();
        else if (line.startsWith("data:")) event.data += line.slice(5).trimStart();
      }
      if (event.data) yield event;
    }
  }
}

export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

export const pathOf = (id) => `/verdicts/${encodeURIComponent(id).replaceAll("%2F", "/")}`;
