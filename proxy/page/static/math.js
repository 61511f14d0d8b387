// Texts with formulas. The proxy turns LaTeX into trees, and the elements are built one by one.

import { h } from "./dom.js";
import { post } from "./api.js";

const MATHML = "http://www.w3.org/1998/Math/MathML";
const MOST = 20000;
const FORMULA = /\$\$([^$]{1,600})\$\$|\\\[([\s\S]{1,600}?)\\\]|\\\(([\s\S]{1,600}?)\\\)|\$([^$\n]{1,600})\$|(\\boxed\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\}){0,600}\})/g;
const FENCE = /```[^\n]*\n([\s\S]*?)(?:```|$)/g;

const known = new Map();
let waiting = new Map();
let timer = null;

// Return an element with `text`; long texts are cut until somebody asks for all.
export function rich(text, className = "said", tag = "div") {
  const el = h(tag, { class: className, dir: "auto" });
  draw(el, text.length > MOST ? text.slice(0, MOST) : text);
  if (text.length > MOST) {
    const more = h("button", { type: "button", class: "quiet" }, `Show all ${text.length.toLocaleString("en-US")} characters`);
    more.addEventListener("click", () => { el.replaceChildren(); draw(el, text); });
    el.append(more);
  }
  return el;
}

export function draw(el, text) {
  let from = 0;
  for (const match of text.matchAll(FENCE)) {
    prose(el, text.slice(from, match.index));
    el.append(h("pre", { class: "code", tabindex: "0" }, match[1]));
    from = match.index + match[0].length;
  }
  prose(el, text.slice(from));
}

function prose(el, text) {
  let from = 0;
  for (const match of text.matchAll(FORMULA)) {
    if (match.index > from) el.append(text.slice(from, match.index));
    const block = match[1] ?? match[2];
    el.append(formula(match[0], block ?? match[3] ?? match[4] ?? match[5], block !== undefined));
    from = match.index + match[0].length;
  }
  if (from < text.length) el.append(text.slice(from));
}

// An answer alone: shown as a formula if it looks like one.
export function answer(text) {
  const looks = /[\\^_{}]/.test(text) && text.length <= 300;
  return looks ? formula(text, text, false) : h("bdi", {}, text);
}

function formula(written, latex, block) {
  const el = h("span", { class: block ? "formula block" : "formula", dir: "ltr" }, written);
  if (known.has(latex)) show(el, known.get(latex), block);
  else {
    if (!waiting.has(latex)) waiting.set(latex, []);
    waiting.get(latex).push([el, block]);
    timer ??= setTimeout(ask, 30);
  }
  return el;
}

async function ask() {
  timer = null;
  const asked = [...waiting.entries()].slice(0, 100);
  waiting = new Map([...waiting.entries()].slice(100));
  if (waiting.size) timer = setTimeout(ask, 30);
  try {
    const { data } = await post("/page/math", { formulas: asked.map(([latex]) => latex) });
    asked.forEach(([latex, places], n) => {
      known.set(latex, data[n]);
      for (const [el, block] of places) show(el, data[n], block);
    });
  } catch {
    // The LaTeX stays: it can be read too.
  }
}

function show(el, tree, block) {
  if (!tree) return;
  const math = build(tree);
  if (block) math.setAttribute("display", "block");
  math.setAttribute("aria-label", el.textContent);
  el.title = el.textContent;
  el.replaceChildren(math);
}

function build([name, attributes, text, children]) {
  const el = document.createElementNS(MATHML, name);
  for (const [key, value] of Object.entries(attributes)) el.setAttribute(key, value);
  if (text) el.append(text);
  for (const child of children) el.append(build(child));
  return el;
}
