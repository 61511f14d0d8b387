// The verdict in one line, the tally as a bar, and why.

import { h, number, plural, seconds, share, short, visible } from "./dom.js";
import { answer } from "./math.js";

export const labelOf = (cluster, n) => cluster.answer ?? `answer ${n + 1}`;

export function line(detail) {
  if (detail.failed && !detail.winner) return `Failed with ${detail.status}${detail.error ? ` (${detail.error})` : ""}`;
  if (detail.kind === "member") return detail.failed ? `Failed: ${detail.error || detail.cause}` : "Answered by one member";
  if (detail.withheld) return "The panel abstained";
  const top = detail.clusters[0];
  if (!top) return detail.winner ? "Answered, without a vote" : "No answer";
  const of = detail.planned || detail.calls.length;
  const said = detail.decided === false ? "Undecided" : detail.decided ? "Decided" : "Answered";
  return `${said}: ${top.calls.length} of ${of} for ${short(labelOf(top, 0), 60)}`;
}

// The same line, with its answer as a formula.
function heading(detail) {
  const top = detail.clusters?.[0];
  const text = line(detail);
  if (top?.answer === undefined || !text.includes(" for ")) return h("bdi", {}, text);
  return [text.slice(0, text.indexOf(" for ") + 5), answer(visible(short(top.answer, 200)))];
}

export function verdictLine(detail) {
  const tokens = detail.usage?.total_tokens ?? detail.calls.reduce((n, c) => n + (c.tokens || 0), 0);
  const state = detail.failed ? "bad" : detail.decided === false || detail.withheld ? "unsure" : "good";
  return h("section", { class: `verdict ${state}`, "aria-label": "Verdict" },
    h("h2", {}, heading(detail)),
    h("p", { class: "sub" }, [
      `${detail.model}`, detail.method && `method ${detail.method}`, plural(detail.calls.length, "call"),
      `${number(tokens)} tokens`, seconds(detail.seconds),
      detail.agreement !== null && detail.agreement !== undefined && `agreement ${share(detail.agreement)}`,
    ].filter(Boolean).join(" · ")),
    h("ul", { class: "why" }, why(detail).map((each) => h("li", {}, each))));
}

export function why(detail) {
  const found = [];
  if (detail.message) found.push(detail.message);
  if (detail.cause) found.push({ left: "The client left before the answer.", expired: "It took longer than server.max_seconds.", stopping: "The proxy was stopping." }[detail.cause] || detail.cause);
  if (detail.kind === "member" || !detail.winner) return found;
  const [first, second] = detail.clusters;
  const account = detail.account || {};
  const rated = account.scores || account.ratings;
  if (account.error) found.push(`The method failed (${account.error}), so the first answer stands.`);
  else if (detail.decided === null) found.push("This method chooses nothing: its last call is the answer.");
  else if (rated) found.push(detail.decided ? "It is rated best." : "No rating decides it.");
  else if (first && second && first.weight === second.weight) found.push("A tie: the answer whose member comes first in the panel's order wins.");
  else if (first && first.calls.length === 1 && !detail.decided) found.push("Only one answer could be read for it, so it is not decided.");
  else if (first && second) found.push(`More weight than any other answer: ${weight(first)} against ${weight(second)}.`);
  else if (first && first.calls.length > 1) found.push("All answers that could be read are equal.");
  else if (!first) found.push("No answer could be read from any reply, so the first reply stands.");
  if (detail.threshold) found.push(`Agreement ${share(detail.agreement)}, threshold ${share(detail.threshold)}${detail.withheld ? ": below it, the panel abstains." : "."}`);
  const stopped = { settled: "Stopped early: no further answer could have changed the result.", deadline: "Its deadline had passed.", budget: "Its budget was spent." }[detail.stopped];
  if (stopped) found.push(stopped);
  const rest = [[detail.abstained, "without a readable answer"], [detail.failures, "failed"], [detail.late, "late"], [detail.cancelled, "cancelled"]]
    .filter(([n]) => n).map(([n, what]) => `${n} ${what}`);
  if (rest.length) found.push(`Of the calls: ${rest.join(", ")}.`);
  if (detail.undecided) found.push(`${plural(detail.undecided, "answer")} could not be compared; they count as different.`);
  return found;
}

const weight = (cluster) => (Number.isInteger(cluster.weight) ? plural(cluster.weight, "vote") : cluster.weight.toFixed(3));

export function tally(detail) {
  if (detail.kind === "member" || !detail.clusters?.length) return null;
  const votes = detail.calls.filter((call) => call.role === "answer").length;
  const counted = detail.clusters.reduce((n, c) => n + c.calls.length, 0);
  const segments = detail.clusters.map((cluster, n) => [labelOf(cluster, n), cluster.calls.length, String(Math.min(n, 7)), cluster]);
  if (votes > counted) segments.push(["no vote", votes - counted, "none", null]);
  const told = segments.map(([label, n]) => `${short(label, 60)}: ${n}`).join(", ");
  return h("section", { class: "tally", "aria-label": "Tally" },
    h("div", { class: "bar", role: "img", "aria-label": `Votes. ${told}` },
      segments.map(([, n, colour]) => h("span", { "data-cluster": colour, vars: { "flex-grow": n } }, String(n)))),
    h("ul", { class: "legend" }, segments.map(([label, n, colour, cluster]) => h("li", { "data-cluster": colour },
      h("span", { class: "dot", "aria-hidden": "true" }),
      h("strong", {}, cluster?.answer !== undefined ? answer(visible(short(label, 120))) : label),
      ` ${plural(n, "call")}`,
      cluster && h("span", { class: "muted" }, ` ${members(detail, cluster)}`)))));
}

function members(detail, cluster) {
  const of = new Map(detail.calls.map((call) => [call.name, call.member]));
  const counts = new Map();
  for (const name of cluster.calls) counts.set(of.get(name), (counts.get(of.get(name)) || 0) + 1);
  return [...counts].map(([name, n]) => (n > 1 ? `${name}×${n}` : name)).join(", ");
}
