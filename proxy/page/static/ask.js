// Ask a panel or a member, and watch it answer: one column a call.

import { h, fill, copyButton, notice, plural, say, seconds, visible } from "./dom.js";
import { events, get, newId, pathOf, send } from "./api.js";
import { Card, colourOf } from "./calls.js";
import { answer, rich } from "./math.js";
import { line, tally, verdictLine } from "./tally.js";
import { curl, python } from "./snippets.js";

const EXAMPLES = [
  "How many positive integers below 100 are divisible by 3 or 7?",
  "If $x + \\frac{1}{x} = 3$, what is $x^3 + \\frac{1}{x^3}$?",
  "A box has 4 red and 6 blue balls. Two are drawn without replacement. What is the probability that both are red?",
];
const STRATEGIES = ["none", "similar", "unsimilar", "random", "mixed"];
let draft = { question: "", model: null };

export async function showAsk(main, path, still) {
  document.title = "Ask · Input-Time Scaling";
  const { data } = await get("/v1/models");
  const models = new Map(data.map((card) => [card.id, card]));
  const view = new Ask(models, still);
  fill(main, h("div", { class: "headline" }, h("h1", {}, "Ask"), h("p", { class: "sub" }, "Every call of a panel, as it happens.")), view.form, view.result);
  if (!draft.question) view.suggest();
}

class Ask {
  constructor(models, still) {
    this.models = models;
    this.still = still;
    const names = [...models.values()];
    const group = (kind, label) => {
      const found = names.filter((card) => card.input_time.kind === kind);
      return found.length ? h("optgroup", { label }, found.map((card) => h("option", { value: card.id }, card.id))) : null;
    };
    this.model = h("select", { name: "model" }, group("panel", "Panels"), group("member", "Members"));
    if (draft.model && models.has(draft.model)) this.model.value = draft.model;
    this.question = h("textarea", { name: "question", rows: "3", required: true, dir: "auto", placeholder: "How many positive integers below 100 are divisible by 3 or 7?", value: draft.question });
    this.about = h("p", { class: "sub about" });
    this.options = h("div", { class: "row" });
    this.go = h("button", { class: "primary" }, "Ask");
    this.stop = h("button", { type: "button", hidden: true, onclick: () => this.abort?.abort() }, "Stop");
    const note = h("span", { class: "muted keys" }, "Ctrl + Enter");
    this.form = h("form", { class: "ask", onsubmit: (event) => { event.preventDefault(); this.run(); } },
      h("label", {}, "Question", this.question),
      h("div", { class: "row" }, h("label", {}, "Model", this.model), this.go, this.stop, note,
        copyButton("Copy as Python", () => python(this.body())), copyButton("Copy as curl", () => curl(this.body()))),
      this.about,
      h("details", {}, h("summary", {}, "Options"), this.options));
    this.result = h("div", { class: "result" });
    this.model.addEventListener("change", () => this.describe());
    this.question.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); this.form.requestSubmit(); }
    });
    this.describe();
  }

  suggest() {
    const take = (text) => () => { this.question.value = text; this.question.focus(); };
    fill(this.result, h("p", { class: "muted" }, "For example"), h("ul", { class: "examples" }, EXAMPLES.map((text) => h("li", {}, h("button", { type: "button", onclick: take(text) }, rich(text, "asked"))))));
  }

  get card() { return this.models.get(this.model.value).input_time; }

  describe() {
    const card = this.card;
    const panel = card.kind === "panel";
    fill(this.about, panel
      ? [`${card.method} of `, card.members.map((member) => h("span", { class: "chip" }, `${member.member} · ${member.strategy}`)), ` ${card.samples > 1 ? `× ${card.samples} samples · ` : ""}at most ${plural(card.most_calls, "call")}`]
      : ["one member, asked with ", h("span", { class: "chip" }, card.strategy), ` · co-design ${card.co_design}`]);
    const field = (name, label, props) => h("label", {}, label, h("input", { name, autocomplete: "off", ...props }));
    fill(this.options,
      panel ? field("samples", "Samples of each member", { type: "number", min: 1, placeholder: card.samples }) : null,
      h("label", {}, "Strategy", h("select", { name: "strategy" }, h("option", { value: "" }, "the member's own"), STRATEGIES.map((name) => h("option", { value: name }, name)))),
      field("persona", "Persona", { placeholder: "instead of a chosen one" }),
      field("seed", "Context seed", { type: "number" }),
      field("temperature", "Temperature", { type: "number", step: "0.1", min: 0, max: 2 }),
      field("max_tokens", "Most tokens", { type: "number", min: 1 }),
      panel ? card.allow_options.map((name) => field(`option:${name}`, name, { placeholder: String(valueAt(card.options, name) ?? "") })) : null);
  }

  body() {
    const body = { model: this.model.value, messages: [{ role: "user", content: this.question.value }] };
    const extras = {};
    for (const input of this.options.querySelectorAll("[name]")) {
      const text = input.value.trim();
      if (!text) continue;
      if (input.name === "temperature" || input.name === "max_tokens") body[input.name] = Number(text);
      else if (input.name === "samples" || input.name === "seed") extras[input.name] = Number(text);
      else if (input.name.startsWith("option:")) put((extras.options ??= {}), input.name.slice(7).split("."), valueOf(text));
      else extras[input.name] = text;
    }
    if (Object.keys(extras).length) body.input_time = extras;
    return body;
  }

  async run() {
    draft = { question: this.question.value, model: this.model.value };
    const body = this.body();
    this.abort = new AbortController();
    this.go.disabled = true;
    this.stop.hidden = false;
    say("Asking");
    try {
      await (this.card.kind === "panel" ? this.panel(body) : this.member(body));
    } catch (error) {
      if (error.name === "AbortError") this.head.replaceChildren(notice("Stopped. The engines were told to stop too."));
      else this.fail(error);
    } finally {
      this.abort.abort();
      this.go.disabled = false;
      this.stop.hidden = true;
      clearInterval(this.clock);
    }
  }

  fail(error) {
    if (!this.final) fill(this.head ?? this.result, notice(error.message, "bad"), this.id ? this.link() : null);
    say(error.message);
  }

  begin() {
    this.id = newId();
    this.final = false;
    this.cards = new Map();
    this.head = h("div");
    this.columns = h("div", { class: "cards live" });
    const began = performance.now();
    const clock = h("span", { class: "clock" });
    fill(this.head, h("p", { class: "sub" }, h("span", { class: "spinner", "aria-hidden": "true" }), "Running ", clock));
    this.clock = setInterval(() => { clock.textContent = seconds((performance.now() - began) / 1000); }, 100);
    fill(this.result, this.head, this.columns);
  }

  link() {
    return h("p", {}, h("a", { class: "button", href: pathOf(this.id), "data-link": true }, "Open this verdict: prompts, timeline, what if"));
  }

  // First somebody looks, then the request is sent: so that nothing of it is missed.
  async panel(body) {
    this.begin();
    const signal = this.abort.signal;
    const looking = await send(`${pathOf(this.id)}/events`, { signal, more: { accept: "text/event-stream" } });
    const asked = send("/v1/chat/completions", { body, signal, more: { "x-request-id": this.id } });
    await Promise.all([this.watch(looking), asked.then((response) => response.text())]);
  }

  async watch(looking) {
    for await (const { name, data } of events(looking)) {
      if (!this.still()) return this.abort.abort();
      this.take(name, JSON.parse(data));
      if (name === "verdict" || name === "nothing") return;
    }
  }

  take(name, told) {
    if (name === "call") {
      const card = new Card(told);
      this.cards.set(told.name, card);
      this.columns.append(card.el);
    } else if (name === "asked") this.cards.get(told.name)?.asked(told);
    else if (name === "text") this.cards.get(told.name)?.heard(told);
    else if (name === "end") this.cards.get(told.name)?.end(told);
    else if (name === "verdict") this.verdict(told);
  }

  verdict(detail) {
    this.final = true;
    clearInterval(this.clock);
    fill(this.head, verdictLine(detail), tally(detail), this.won(detail), this.link());
    for (const call of detail.calls) {
      const card = this.cards.get(call.name);
      card?.end({ ...call, seconds: call.end - call.start }, detail.winner, colourOf(detail, call.name));
    }
    say(line(detail));
  }

  won(detail) {
    const call = detail.calls.find((each) => each.name === detail.winner);
    if (!call || call.answer === null || call.answer === undefined || detail.withheld) return null;
    return h("p", { class: "final" }, "Answer ", h("strong", {}, answer(visible(call.answer))), h("span", { class: "muted" }, ` from ${call.member}`));
  }

  async member(body) {
    this.begin();
    const began = performance.now();
    const card = new Card({ name: "answer", member: body.model, role: "answer", round: 0, start: 0, strategy: this.card.strategy });
    this.columns.append(card.el);
    const asked = { ...body, stream: true, stream_options: { include_usage: true }, input_time: body.input_time ?? {} };
    const signal = this.abort.signal;
    // Whoever looks has the stream kept; nobody else's is read.
    await send(`${pathOf(this.id)}/events`, { signal, more: { accept: "text/event-stream" } });
    const response = await send("/v1/chat/completions", { body: asked, signal, more: { "x-request-id": this.id } });
    let tokens = 0, first = null, usage = null, finish = null;
    for await (const { name, data } of events(response)) {
      if (data === "[DONE]") break;
      const chunk = JSON.parse(data);
      if (name === "error") throw new Error(chunk.error?.message || "The stream broke.");
      usage = chunk.usage ?? usage;
      const told = chunk.input_time;
      if (told) card.asked({ strategy: told.strategy, persona: told.persona, prompt: [{ role: "persona", content: told.persona || "(none)" }] });
      const delta = chunk.choices?.[0]?.delta ?? {};
      finish = chunk.choices?.[0]?.finish_reason ?? finish;
      const reasoning = delta.reasoning_content || delta.reasoning;
      if (!delta.content && !reasoning) continue;
      first ??= (performance.now() - began) / 1000;
      tokens += 1;
      card.heard({ content: delta.content, reasoning, tokens, first });
    }
    this.final = true;
    clearInterval(this.clock);
    card.end({ ...card.said, outcome: "ok", answered: null, tokens: usage?.completion_tokens ?? tokens, estimated: !usage, seconds: (performance.now() - began) / 1000, finish_reason: finish });
    fill(this.head, h("p", { class: "sub" }, "Answered by one member."), this.link());
    say("Answered");
  }
}

function valueAt(options, path) {
  return path.split(".").reduce((value, key) => value?.[key], options);
}

function put(table, [key, ...rest], value) {
  if (rest.length) put((table[key] ??= {}), rest, value);
  else table[key] = value;
}

function valueOf(text) {
  try { return JSON.parse(text); } catch { return text; }
}
