// The same ballots, decided otherwise. No engine is asked.

import { h, fill, notice, number, seconds, share, short, visible } from "./dom.js";
import { get, post, pathOf } from "./api.js";
import { answer } from "./math.js";

export function whatIf(detail, id) {
  const place = h("div", { "aria-live": "polite" });
  const load = async () => {
    button.disabled = true;
    try {
      const { data } = await get(`${pathOf(id)}/what_if`);
      fill(place, table(data), form(detail, id, place));
      button.remove();
    } catch (error) {
      fill(place, notice(error.message, "bad"));
      button.disabled = false;
    }
  };
  const button = h("button", { type: "button", onclick: load }, "Decide these ballots in other ways");
  return [h("p", { class: "muted" }, "Another method, or the panel without a member, on the replies that are here. No engine is asked."), place, button];
}

function table(rows) {
  const can = rows.filter((row) => row.reason === null);
  const cannot = rows.filter((row) => row.reason !== null);
  return h("div", {}, can.length ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Other ways to decide" }, h("table", { class: "whatif" },
    h("thead", {}, h("tr", {}, ["If", "Answer", "Votes", "Agreement", "Calls used", "Tokens", "Time"].map((t, n) => h("th", { scope: "col", class: n > 1 ? "num" : null }, t)))),
    h("tbody", {}, can.map((row) => h("tr", { class: row.same ? "same" : "other" },
      h("th", { scope: "row" }, named(row)),
      h("td", {}, row.withheld ? "abstains" : row.answer === null ? "no answer read" : answer(visible(short(row.answer, 80))),
        row.same === false ? h("span", { class: "chip bad" }, "differs") : "",
        row.decided === false ? h("span", { class: "chip" }, "undecided") : ""),
      h("td", { class: "num" }, row.clusters.map((c) => c.calls.length).join(" : ") || "–"),
      h("td", { class: "num" }, share(row.agreement)),
      h("td", { class: "num" }, `${row.used.length}${row.missing ? ` (${row.missing} not there)` : ""}`),
      h("td", { class: "num" }, number(row.tokens)),
      h("td", { class: "num" }, seconds(row.seconds))))))) : null,
    cannot.length ? h("details", {}, h("summary", {}, `${cannot.length} cannot decide on these replies`),
      h("ul", {}, cannot.map((row) => h("li", {}, h("strong", {}, named(row)), ` ${row.reason}`)))) : null);
}

function named(row) {
  const options = Object.entries(row.options).map(([key, value]) => `${key}=${typeof value === "object" ? JSON.stringify(value) : value}`);
  return [row.method, ...options, ...(row.without.length ? [`without ${row.without.join(", ")}`] : [])].join(" ");
}

function form(detail, id, place) {
  const members = [...new Set(detail.calls.filter((call) => call.role === "answer").map((call) => call.member))];
  const method = h("input", { name: "method", value: detail.method, required: true, autocomplete: "off" });
  const options = h("input", { name: "options", placeholder: "threshold=0.6 below=abstain", autocomplete: "off" });
  const boxes = members.map((name) => h("input", { type: "checkbox", name: "without", value: name }));
  const result = h("div");
  const decide = async (event) => {
    event.preventDefault();
    const without = boxes.filter((box) => box.checked).map((box) => box.value);
    const pairs = options.value.trim() ? options.value.trim().split(/\s+(?=[\w.]+=)/) : [];
    try {
      const { data } = await post(`${pathOf(id)}/what_if`, { method: method.value.trim(), options: pairs, without });
      fill(result, data[0].reason === null ? table(data) : notice(data[0].reason));
    } catch (error) {
      fill(result, notice(error.message, "bad"));
    }
  };
  return h("form", { class: "row", onsubmit: decide },
    h("label", {}, "Method", method), h("label", {}, "Options", options),
    h("fieldset", {}, h("legend", {}, "Without"), boxes.map((box, n) => h("label", { class: "inline" }, box, ` ${members[n]}`))),
    h("button", {}, "Decide"), result);
}
