// Elements from data. Texts become text nodes and nothing else: no model text is ever HTML.

export function h(tag, props, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else if (name === "class") el.className = value;
    else if (name === "vars") for (const [k, v] of Object.entries(value)) el.style.setProperty(k, v);
    else if (name === "value") el.value = value;
    else el.setAttribute(name, value === true ? "" : value);
  }
  add(el, children);
  return el;
}

export function add(el, children) {
  for (const child of [children].flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    el.append(child instanceof Node ? child : String(child));
  }
  return el;
}

export function fill(el, ...children) {
  el.replaceChildren();
  return add(el, children);
}

export const plural = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

export const number = (n) => (n ?? 0).toLocaleString("en-US");

export function seconds(s) {
  if (s === null || s === undefined) return "–";
  if (s < 0.0995) return `${Math.max(0, s * 1000).toFixed(s < 0.01 ? 1 : 0)} ms`;
  return s < 99.5 ? `${s.toFixed(s < 10 ? 2 : 1)} s` : `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`;
}

export const share = (x) => (x === null || x === undefined ? "–" : `${Math.round(100 * x)}%`);

export function when(at) {
  const date = new Date(at * 1000);
  const today = new Date().toDateString() === date.toDateString();
  return today ? date.toLocaleTimeString("en-GB") : date.toLocaleString("en-GB");
}

// Characters that turn the direction of what follows would let an answer rewrite its surroundings.
const TURNS = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

export function visible(text) {
  return String(text).replace(TURNS, (c) => `⟨U+${c.codePointAt(0).toString(16).toUpperCase()}⟩`);
}

export function short(text, most = 80) {
  const line = visible(text).replace(/\s+/g, " ").trim();
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}

// What scrolls can be reached by keyboard; what does not is no stop on the way.
const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollHeight > target.clientHeight + 1) target.setAttribute("tabindex", "0");
    else target.removeAttribute("tabindex");
  }
});

export function scrolls(el, label) {
  el.setAttribute("role", "group");
  el.setAttribute("aria-label", label);
  sizes.observe(el);
  return el;
}

export function say(text) {
  document.getElementById("said").textContent = text;
}

export function notice(text, kind = "info") {
  return h("p", { class: `notice ${kind}`, role: kind === "bad" ? "alert" : null }, text);
}

export function copyButton(label, text) {
  const button = h("button", { type: "button", class: "quiet" }, label);
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text());
    button.textContent = "Copied";
    say("Copied to the clipboard");
    setTimeout(() => (button.textContent = label), 1500);
  });
  return button;
}
