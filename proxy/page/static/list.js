// The last requests, with filters.

import { h, fill, notice, number, seconds, share, short, visible, when } from "./dom.js";
import { get, pathOf } from "./api.js";
import { answer, rich } from "./math.js";

const SLOW = 0.9;

const STATES = {
  "": ["All", () => true],
  decided: ["Decided", (row) => row.decided === true],
  undecided: ["Not decided", (row) => row.decided === false],
  abstained: ["Abstained", (row) => row.withheld || row.abstained > 0],
  slow: ["Slowest tenth", (row, limit) => row.seconds >= limit],
  failed: ["Failed", (row) => row.failed],
};

export async function showList(main, path, still) {
  document.title = "Verdicts · Input-Time Scaling";
  const told = await get("/verdicts");
  let rows = told.data;
  const model = h("select", { name: "model" });
  const least = h("select", { name: "agreement" }, [["", "Any"], ["low", "Below 50%"], ["mid", "50% to 99%"], ["all", "All agree"]].map(([value, text]) => h("option", { value }, text)));
  const find = h("input", { type: "search", name: "find", placeholder: "Question, answer or id", autocomplete: "off" });
  const states = Object.entries(STATES).map(([value, [text]], n) => h("label", { class: "seg" },
    h("input", { type: "radio", name: "state", value, checked: n === 0 }), h("span", {}, text)));
  const place = h("div");
  const form = h("form", { class: "filters", onsubmit: (event) => event.preventDefault() },
    h("fieldset", { class: "segs" }, h("legend", { class: "hidden" }, "State"), states),
    h("label", {}, "Model", model), h("label", {}, "Agreement", least), h("label", {}, "Find", find));
  const draw = () => {
    const names = ["", ...new Set(rows.map((row) => row.model).sort())];
    const chosen = model.value;
    if (names.length !== model.options.length || names.some((name, n) => model.options[n].value !== name)) {
      fill(model, names.map((name) => h("option", { value: name }, name || "All")));
      model.value = names.includes(chosen) ? chosen : "";
    }
    const state = form.querySelector("[name=state]:checked").value;
    const limit = slowest(rows);
    const wanted = find.value.trim().toLowerCase();
    const shown = rows.filter((row) => STATES[state][1](row, limit) && (!model.value || row.model === model.value) && agrees(row, least.value) &&
      (!wanted || [row.question, row.answer, row.id].some((text) => text?.toLowerCase().includes(wanted))));
    fill(place, rows.length === 0 ? empty(told) : shown.length === 0 ? notice("No request fits these filters.") : table(shown, limit),
      told.more ? h("p", { class: "muted" }, `${number(told.more)} older ones are kept and not listed.`) : null);
  };
  for (const event of ["input", "change"]) form.addEventListener(event, draw);
  fill(main, h("div", { class: "headline" }, h("h1", {}, "Verdicts"), h("p", { class: "sub" }, `The last ${number(told.kept)} requests, in memory.`)),
    told.kept && !told.texts ? notice(told.why_no_texts) : null, form, place);
  draw();
  // Looks again while the page is looked at; typing is not disturbed, as only the table is drawn.
  const timer = setInterval(async () => {
    if (!still()) return clearInterval(timer);
    if (document.hidden) return;
    const fresh = await get("/verdicts").catch(() => null);
    if (!fresh || !still() || (fresh.data[0]?.id === rows[0]?.id && fresh.data.length === rows.length)) return;
    const focused = document.activeElement?.getAttribute("href");
    rows = fresh.data;
    draw();
    if (focused) [...place.querySelectorAll("a")].find((a) => a.getAttribute("href") === focused)?.focus();
  }, 2000);
}

function slowest(rows) {
  const sorted = rows.map((row) => row.seconds).sort((a, b) => a - b);
  return sorted[Math.floor(SLOW * sorted.length)] ?? Infinity;
}

function agrees(row, level) {
  if (!level) return true;
  const x = row.agreement;
  if (x === null || x === undefined) return false;
  return level === "low" ? x < 0.5 : level === "mid" ? x >= 0.5 && x < 1 : x >= 1;
}

function empty(told) {
  if (told.why_empty) return notice(told.why_empty);
  return h("div", { class: "empty" }, h("p", {}, "No request has been answered yet."), h("a", { class: "button", href: "/", "data-link": true }, "Ask something"));
}

function table(rows, limit) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Requests" }, h("table", { class: "list" },
    h("thead", {}, h("tr", {}, ["Verdict", "Question", "Model", "Votes", "Tokens", "Time", "When"].map((t, n) => h("th", { scope: "col", class: n > 3 ? "num" : null }, t)))),
    h("tbody", {}, rows.map((row) => h("tr", {},
      h("td", { "data-label": "Verdict" }, h("a", { href: pathOf(row.id), "data-link": true, "aria-label": `Open the request ${row.id}: ${verdict(row)}` }, mark(row)), row.answer ? h("span", { class: "answer" }, answer(visible(short(row.answer, 60)))) : ""),
      h("td", { "data-label": "Question", class: "wide" }, row.question ? rich(short(row.question, 130), "asked") : h("span", { class: "muted" }, row.question === null ? "no text" : "not kept")),
      h("td", { "data-label": "Model" }, row.model, row.method ? h("small", {}, ` ${row.method}`) : ""),
      h("td", { "data-label": "Votes" }, votes(row)),
      h("td", { "data-label": "Tokens", class: "num" }, number(row.tokens)),
      h("td", { "data-label": "Time", class: "num" }, seconds(row.seconds), row.seconds >= limit && rows.length > 9 ? h("span", { class: "chip" }, "slow") : ""),
      h("td", { "data-label": "When", class: "num" }, when(row.at)))))));
}

function verdict(row) {
  if (row.failed) return row.error || (row.cause ? { left: "client left", expired: "expired" }[row.cause] || row.cause : `failed ${row.status}`);
  if (row.kind === "member") return "answered";
  if (row.withheld) return "abstained";
  return row.decided ? "decided" : row.decided === false ? "undecided" : "answered";
}

function mark(row) {
  const state = row.failed ? "failed" : row.withheld ? "abstained" : row.decided === false ? "late" : "won";
  const sign = { failed: "✕", abstained: "○", late: "≈", won: row.kind === "member" ? "✓" : "★" }[state];
  return h("span", { class: `state ${state}` }, h("span", { "aria-hidden": "true" }, sign), ` ${verdict(row)}`);
}

function votes(row) {
  if (!row.votes?.length) return h("span", { class: "muted" }, "–");
  const rest = Math.max(0, (row.planned || 0) - row.votes.reduce((n, each) => n + each, 0));
  const told = `${row.votes.join(" to ")}${rest ? `, ${rest} without a vote` : ""}, agreement ${share(row.agreement)}`;
  return h("div", { class: "bar mini", role: "img", "aria-label": told, title: told },
    row.votes.map((n, at) => h("span", { "data-cluster": String(Math.min(at, 7)), vars: { "flex-grow": n } })),
    rest ? h("span", { "data-cluster": "none", vars: { "flex-grow": rest } }) : null);
}
