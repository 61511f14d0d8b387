// When each call was queued, sent, heard, ended.

import { h, seconds } from "./dom.js";
import { mark, stateOf } from "./calls.js";

export function waterfall(detail) {
  const total = Math.max(detail.seconds, ...detail.calls.map((call) => call.end || 0), 0.001);
  const part = (x) => `${Math.max(0, Math.min(100, (100 * x) / total))}%`;
  const bar = (kind, from, to, label) => from !== null && to > from &&
    h("span", { class: `span ${kind}`, title: `${label}: ${seconds(to - from)}`, vars: { left: part(from), width: part(to - from) } });
  const rows = detail.calls.map((call) => {
    const sent = call.sent || [];
    const left = sent[0] ?? (detail.kind === "member" ? call.start : call.end);
    const last = sent.at(-1) ?? left;
    const first = call.first ?? null;
    const told = [
      left > call.start && `waited ${seconds(left - call.start)}`,
      sent.length > 1 && `sent again ${sent.length - 1} times`,
      first !== null && `first token after ${seconds(first - call.start)}`,
      `${call.outcome === "ok" ? "ended" : call.outcome} at ${seconds(call.end)}`,
    ].filter(Boolean).join(", ");
    return h("tr", {},
      h("th", { scope: "row" }, h("a", { href: `#call-${call.name}` }, call.member), h("small", {}, ` ${call.name}`)),
      h("td", { class: "track" }, h("div", { role: "img", "aria-label": told },
        bar("queued", call.start, left, "queued"),
        sent.slice(0, -1).map((at, n) => bar("retried", at, sent[n + 1], "attempt that failed")),
        bar("waiting", last, first ?? call.end, first === null ? "until it ended" : "until the first token"),
        first !== null && bar(`writing ${call.outcome}`, first, call.end, "writing"),
        sent.slice(1).map((at) => h("i", { class: "again", title: "sent again", vars: { left: part(at) } })),
        call.outcome !== "ok" && h("i", { class: `cut ${call.outcome}`, vars: { left: part(call.end) } }))),
      h("td", { class: "num" }, seconds(call.end - call.start)),
      h("td", {}, mark(stateOf(call, detail.winner))));
  });
  const legend = [["queued", "queued"], ["waiting", "until the first token"], ["writing", "writing"], ["retried", "failed attempt"], ["writing cancelled", "stopped early"]];
  return [
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Timeline of calls" }, h("table", { class: "waterfall" },
      h("thead", {}, h("tr", {}, ["Call", `0 to ${seconds(total)}`, "Time", "State"].map((t) => h("th", { scope: "col" }, t)))),
      h("tbody", {}, rows))),
    h("ul", { class: "legend small" }, legend.map(([kind, text]) => h("li", {}, h("span", { class: `span sample ${kind}`, "aria-hidden": "true" }), text))),
  ];
}
