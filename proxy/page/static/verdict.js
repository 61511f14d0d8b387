// One verdict: what was decided, by which ballots, on which prompts, when, and what if not.

import { h, add, fill, notice, plural, short, visible, when } from "./dom.js";
import { get, pathOf } from "./api.js";
import { card, folded, mark, promptView, stateOf, textOf } from "./calls.js";
import { answer, rich } from "./math.js";
import { tally, verdictLine } from "./tally.js";
import { waterfall } from "./waterfall.js";
import { whatIf } from "./whatif.js";

export async function showVerdict(main, id) {
  document.title = "Verdict · Input-Time Scaling";
  const detail = await get(pathOf(id));
  fill(main, h("p", { class: "crumbs" }, h("a", { href: "/verdicts", "data-link": true }, "Verdicts"), " / ", h("code", {}, id)),
    head(detail), parts(detail, id));
}

function head(detail) {
  const asked = (detail.messages || []).findLast?.((message) => message.role === "user") || (detail.messages || [])[0];
  return [
    asked ? rich(short(textOf(asked), 400), "question", "h1") : h("h1", {}, `A request to ${detail.model}`),
    h("p", { class: "sub" }, `${when(detail.at)} · status ${detail.status || "–"}${detail.streamed ? " · streamed" : ""}`),
  ];
}

export function parts(detail, id) {
  const found = [verdictLine(detail), tally(detail)];
  if (!detail.texts) found.push(notice(detail.why_no_texts || "Texts are not kept."));
  const unread = detail.kind === "member" && detail.streamed && detail.texts && !detail.calls[0].content;
  if (unread) found.push(notice("A member's stream is passed on unread, so its text is not kept."));
  found.push(section(detail.kind === "member" ? "Answer" : "Ballots", ballots(detail)));
  if (detail.prompts?.length) found.push(section("Prompts, as the engines saw them", prompts(detail)));
  if (detail.texts && detail.kind === "panel" && detail.clusters.length) found.push(equalSection(id));
  found.push(section("Timeline", waterfall(detail)));
  const tree = rounds(detail);
  if (tree) found.push(section("Rounds", tree));
  if (detail.texts && detail.kind === "panel") found.push(section("What if?", whatIf(detail, id)));
  found.push(section("Raw", h("p", {}, "The same as JSON: ", h("code", {}, `GET ${pathOf(id)}`)),
    folded("Show the JSON", h("pre", { class: "code", tabindex: "0" }, JSON.stringify(detail, null, 1).slice(0, 300000)))));
  return found;
}

function section(title, ...inside) {
  return h("section", { class: "part", "aria-label": title }, h("h2", {}, title), inside);
}

// Ballots first, in the order of their answers; what judged them stands in their cards.
function ballots(detail) {
  const drafts = detail.calls.filter((call) => call.role === "answer");
  const others = detail.calls.filter((call) => call.role !== "answer");
  const beside = new Map(drafts.map((call) => [call.name, judgedBy(call, detail, others)]));
  const shown = new Set([...beside.values()].flat().map(([, judge]) => judge?.name));
  const place = (call) => {
    const n = detail.clusters?.findIndex((cluster) => cluster.calls.includes(call.name)) ?? -1;
    return (call.name === detail.winner ? -1 : 0) + (n < 0 ? 99 : n);
  };
  const sorted = [...drafts].sort((a, b) => place(a) - place(b));
  const rest = others.filter((call) => !shown.has(call.name));
  return [
    h("div", { class: "cards" }, sorted.map((call) => card(call, detail, beside.get(call.name)))),
    rest.length ? folded(`${plural(rest.length, "other call")}: ${[...new Set(rest.map((call) => call.role))].join(", ")}`,
      h("div", { class: "cards" }, rest.map((call) => card(call, detail)))) : null,
  ];
}

// Scores of a draft: what the method's account has under its name, and the calls that show its text.
function judgedBy(draft, detail, others) {
  const found = [];
  const scores = under(detail.account, draft.name);
  const text = (draft.content || "").trim().slice(-160);
  const about = others.filter((call) => ["judge", "score"].includes(call.role) && call.prompt !== null && call.prompt !== undefined &&
    text && (detail.prompts?.[call.prompt] || []).some((message) => textOf(message).includes(text)));
  const list = Array.isArray(scores) ? scores : scores === undefined ? [] : [scores];
  about.forEach((judge, n) => found.push([about.length === list.length ? written(list[n]) : null, judge]));
  if (list.length && about.length !== list.length) found.unshift([list.map(written).join(", "), null]);
  return found;
}

const written = (score) => (score === null ? "not at all" : typeof score === "number" ? String(Math.round(score * 1000) / 1000) : String(score));

function under(account, name) {
  if (!account || typeof account !== "object") return undefined;
  for (const [key, value] of Object.entries(account)) {
    if (key === name && (typeof value === "number" || Array.isArray(value))) return value;
    const inner = Array.isArray(value) ? undefined : under(value, name);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

// The distinct prompts of the drafts side by side; what is not the same in all of them is marked.
function prompts(detail) {
  const users = new Map();
  for (const call of detail.calls) {
    if (call.prompt === null || call.prompt === undefined) continue;
    if (!users.has(call.prompt)) users.set(call.prompt, []);
    users.get(call.prompt).push(call);
  }
  const first = ([, calls]) => calls[0].role === "answer" && calls[0].round === 0;
  const own = [...users].filter(first);
  const others = [...users].filter((each) => !first(each));
  const all = own.map(([n]) => detail.prompts[n]);
  const view = ([n, calls], marks) => h("article", { class: "card" },
    h("header", {}, h("h3", {}, [...new Set(calls.map((call) => call.member))].join(", "))),
    h("p", { class: "sub" }, `${calls[0].strategy || ""}${calls[0].source ? ` · from ${calls[0].source}` : ""}${calls[0].domain ? ` · ${calls[0].domain}` : ""}`),
    promptView(detail.prompts[n], calls[0].persona, marks));
  return [
    all.length > 1 ? h("p", { class: "muted" }, "Marked: what differs between the members.") : h("p", { class: "muted" }, "Marked: the persona."),
    h("div", { class: "cards" }, own.map((each, n) => view(each, all.length > 1 ? differences(all, n, each[1][0].persona) : undefined))),
    others.length ? folded(`${plural(others.length, "later prompt")}`, h("div", { class: "cards" }, others.map((each) => view(each)))) : null,
  ];
}

// What is not the same in all prompts: the whole persona, where it lies within that.
function differences(all, n, persona) {
  return all[n].map((message, index) => {
    const texts = all.map((messages) => (messages[index] ? textOf(messages[index]) : ""));
    const own = texts[n];
    if (texts.every((text) => text === own)) return [0, 0];
    let from = 0;
    while (from < own.length && texts.every((text) => text[from] === own[from])) from += 1;
    let back = 0;
    const most = Math.min(...texts.map((text) => text.length)) - from;
    while (back < most && texts.every((text) => text.at(-1 - back) === own.at(-1 - back))) back += 1;
    const at = persona ? own.indexOf(persona) : -1;
    const end = own.length - back;
    return at >= 0 && at <= from && end <= at + persona.length ? [at, at + persona.length] : [from, end];
  });
}

function equalSection(id) {
  const place = h("div", {}, h("p", { class: "muted" }, "Compares the answers again, here and now."));
  const button = h("button", { type: "button" }, "Say why answers are equal or not");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      fill(place, equal(await get(`${pathOf(id)}/equality`)));
      button.remove();
    } catch (error) {
      fill(place, notice(error.message, "bad"));
      button.disabled = false;
    }
  });
  return section("Which answers are equal", place, button);
}

function equal({ answers, pairs, left_out }) {
  const cell = (label, ...inside) => h("td", { "data-label": label }, inside);
  const code = (text) => h("code", { dir: "ltr" }, visible(short(text, 160)));
  return [
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Answers" }, h("table", {},
      h("thead", {}, h("tr", {}, ["", "As written", "As read", "Normal form", "Taken for"].map((t) => h("th", { scope: "col" }, t || h("span", { class: "hidden" }, "Letter"))))),
      h("tbody", {}, answers.map((each, n) => h("tr", {}, h("th", { scope: "row" }, letter(n)),
        cell("As written", each.written.map((text) => h("div", {}, code(text)))),
        cell("As read", answer(visible(each.answer))), cell("Normal form", code(each.normal)), cell("Taken for", each.meaning)))))),
    pairs.length ? h("ul", { class: "pairs" }, pairs.map((pair) => h("li", { class: pair.outcome },
      h("strong", {}, `${letter(pair.a)} ${{ equal: "=", different: "≠", undecided: "?" }[pair.outcome]} ${letter(pair.b)}`),
      ` ${pair.outcome}: ${pair.why}`))) : h("p", {}, "All answers are written alike."),
    left_out ? h("p", { class: "muted" }, `${plural(left_out, "answer")} more are not shown.`) : null,
  ];
}

const letter = (n) => String.fromCharCode(65 + n);

// Calls by the path of nested methods, then by round.
function rounds(detail) {
  const tree = new Map();
  for (const call of detail.calls) {
    const path = call.name.includes("/") ? call.name.slice(0, call.name.lastIndexOf("/")) : "";
    if (!tree.has(path)) tree.set(path, new Map());
    const of = tree.get(path);
    if (!of.has(call.round)) of.set(call.round, []);
    of.get(call.round).push(call);
  }
  if (tree.size < 2 && [...tree.values()].every((of) => of.size < 2)) return null;
  return h("ul", { class: "tree" }, [...tree].map(([path, of]) => h("li", {},
    h("span", { class: "node" }, path ? `nested: ${path}` : detail.method),
    h("ul", {}, [...of].sort(([a], [b]) => a - b).map(([round, calls]) => h("li", {},
      h("span", { class: "node" }, `Round ${round}`), ` ${plural(calls.length, "call")}`,
      h("ul", {}, calls.map((call) => h("li", {},
        h("a", { href: `#call-${call.name}` }, call.member), h("small", {}, ` ${call.role} `), mark(stateOf(call, detail.winner)),
        call.answer ? [" ", answer(visible(short(call.answer, 60)))] : ""))))))))) ;
}
