// One call as a card: whom it asked, its state, its prompt, what it thought and said, its answer.

import { h, fill, number, plural, scrolls, seconds, short, visible } from "./dom.js";
import { answer, rich } from "./math.js";

// Each state has its own mark, so that colour is never the only difference.
export const STATES = {
  running: ["…", "running"],
  queued: ["⏳", "waiting for a slot"],
  won: ["★", "winner"],
  voted: ["✓", "voted"],
  ok: ["✓", "done"],
  abstained: ["○", "no answer read"],
  failed: ["✕", "failed"],
  late: ["◷", "late"],
  cancelled: ["⊘", "stopped early"],
};

export function stateOf(call, winner) {
  if (!call.outcome) return call.sent?.length || call.started ? "running" : "queued";
  if (call.outcome !== "ok") return call.outcome;
  if (call.name === winner) return "won";
  if (call.role !== "answer" || call.answered === null) return "ok";
  return call.answered || call.answer !== null && call.answer !== undefined ? "voted" : "abstained";
}

export function mark(state) {
  const [sign, text] = STATES[state];
  return h("span", { class: `state ${state}` }, h("span", { "aria-hidden": "true" }, sign), ` ${text}`);
}

export function colourOf(detail, name) {
  const n = (detail.clusters || []).findIndex((cluster) => cluster.calls.includes(name));
  return n < 0 ? "none" : String(Math.min(n, 7));
}

// The card of a finished call of `detail`.
export function card(call, detail, judged = []) {
  const view = new Card(call);
  view.end({ ...call, seconds: call.end - call.start }, detail.winner, colourOf(detail, call.name));
  view.judgedBy(judged, detail);
  return view.el;
}

export class Card {
  constructor(call) {
    this.call = { ...call };
    this.state = h("span", { class: "where" });
    this.facts = h("p", { class: "facts" });
    this.prompt = h("div");
    this.thinking = h("div");
    this.text = h("div", { class: "text" });
    this.answer = h("div", { class: "answer" });
    this.judges = h("div", { class: "judges" });
    const role = call.role === "answer" ? "" : `${call.role} · `;
    const heading = h("h3", {}, h("bdi", {}, call.member));
    this.el = h("article", { class: "card", id: `call-${call.name}`, "aria-label": `${role}${call.member}, ${call.name}` },
      h("header", {}, heading, this.state),
      h("p", { class: "sub" }, `${role}${call.name}`, call.strategy ? ` · ${call.strategy}` : "", call.round ? ` · round ${call.round}` : ""),
      this.answer, this.facts, this.prompt, this.thinking, this.text, this.judges);
    this.said = { content: "", reasoning: "" };
    this.show();
  }

  show(winner) {
    const state = stateOf(this.call, winner);
    this.el.dataset.state = state;
    fill(this.state, mark(state));
  }

  asked({ strategy, persona, prompt }) {
    Object.assign(this.call, { strategy, persona, started: true });
    this.el.querySelector(".sub").textContent = `${this.call.name} · ${strategy}`;
    const view = folded("Prompt", promptView(prompt, persona));
    view.open = true;
    fill(this.prompt, view);
    this.show();
  }

  heard({ content, reasoning, tokens, first }) {
    this.call.started = true;
    if (reasoning) {
      if (!this.thought) {
        this.thought = scrolls(h("div", { class: "said thought", dir: "auto" }), "Thinking");
        this.fold = folded("Thinking", this.thought);
        this.thinking.append(this.fold);
      }
      this.thought.append(reasoning);
      this.said.reasoning += reasoning;
    }
    if (content) {
      if (!this.live) this.text.append((this.live = scrolls(h("div", { class: "said", dir: "auto" }), "What it says")));
      this.live.append(content);
      this.live.scrollTop = this.live.scrollHeight;
      this.said.content += content;
    }
    fill(this.facts, plural(tokens, "token"), first ? ` · first after ${seconds(first - (this.call.start || 0))}` : "");
    this.show();
  }

  end(told, winner, colour) {
    Object.assign(this.call, told);
    this.el.dataset.cluster = colour ?? "none";
    const { content = "", reasoning = "" } = told;
    const [thought, said] = split(content, reasoning);
    fill(this.thinking, thought && folded(`Thinking · ${number(thought.length)} characters`, scrolls(h("div", { class: "said thought", dir: "auto" }, thought.slice(0, 100000)), "Thinking")));
    fill(this.text, said && scrolls(rich(said), "What it said"), told.tool_calls?.length ? h("pre", { class: "code", tabindex: "0" }, JSON.stringify(told.tool_calls, null, 1)) : "");
    fill(this.facts, factsOf(told));
    fill(this.answer, told.answer !== null && told.answer !== undefined
      ? ["Answer ", h("strong", {}, answer(visible(told.answer)))]
      : told.score !== null && told.score !== undefined ? ["Score ", h("strong", {}, told.score.toFixed(3))] : "");
    if (told.detail) this.text.prepend(h("p", { class: "notice bad" }, told.detail));
    if (told.outcome === "cancelled") this.text.prepend(h("p", { class: "notice" }, "Stopped early: nobody waited for it any more."));
    this.show(winner);
  }

  judgedBy(judged, detail) {
    fill(this.judges, judged.map(([scores, judge]) => h("details", {},
      h("summary", {}, scores ? `Rated ${scores}` : "Rated", judge ? ` by ${judge.member} (${judge.name})` : ""),
      judge?.content ? rich(judge.content) : h("p", { class: "muted" }, detail.texts === false ? "Its text is not kept." : "It said nothing."))));
  }
}

function factsOf(call) {
  const found = [];
  if (call.tokens) found.push(`${call.estimated ? "about " : ""}${plural(call.tokens, "token")}`);
  if (call.seconds !== undefined) found.push(seconds(call.seconds));
  if (call.tokens && call.seconds > 0.05) found.push(`${Math.round(call.tokens / call.seconds)} tokens/s`);
  if (call.finish_reason && call.finish_reason !== "stop") found.push(`ended by ${call.finish_reason}`);
  if (call.error) found.push(`error: ${call.error}`);
  if ((call.sent || []).length > 1) found.push(`${plural(call.sent.length - 1, "retry", "retries")}`);
  return found.join(" · ");
}

// Models that think in their content do it between <think> and </think>.
function split(content, reasoning) {
  const end = content.lastIndexOf("</think>");
  if (reasoning || end < 0) return [reasoning, content];
  return [content.slice(0, end).replace(/^\s*<think>\s*/, ""), content.slice(end + 8).trimStart()];
}

export function folded(label, ...inside) {
  return h("details", {}, h("summary", {}, label), inside);
}

export function textOf(message) {
  const content = message.content;
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return content ? JSON.stringify(content) : "";
  return content.map((part) => part.text ?? `[${part.type || "part"}]`).join("\n");
}

// The messages as the engine got them, with the persona marked.
export function promptView(messages, persona, marks) {
  return h("ol", { class: "prompt" }, messages.map((message, n) => {
    const text = textOf(message);
    return h("li", {}, h("span", { class: "role" }, message.role || message.type || "message"),
      scrolls(h("div", { class: "said", dir: "auto" }, marked(text, marks?.[n] ?? place(text, persona))), `${message.role || "message"} ${n + 1}`));
  }));
}

function place(text, persona) {
  const at = persona ? text.indexOf(persona) : -1;
  return at < 0 ? null : [at, at + persona.length];
}

function marked(text, span) {
  const most = 50000;
  if (!span || span[0] >= span[1]) return text.slice(0, most);
  const [from, to] = span;
  return [text.slice(0, from), h("mark", {}, text.slice(from, to)), text.slice(to, to + most)];
}

export function chip(text, label) {
  return h("span", { class: "chip", title: label }, short(text, 40));
}
