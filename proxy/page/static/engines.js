// How the engines are, and what uses them.

import { h, fill, notice, number, plural } from "./dom.js";
import { get } from "./api.js";

export async function showEngines(main, path, still) {
  document.title = "Engines · Input-Time Scaling";
  const place = h("div", { class: "cards" });
  let before = null;
  const look = async () => {
    const told = await get("/engines");
    if (!still()) return;
    fill(place, told.data.length ? told.data.map((engine) => card(engine, rate(engine, told, before))) : notice("No engine is behind the models of this key."));
    before = told;
  };
  fill(main, h("div", { class: "headline" }, h("h1", {}, "Engines"), h("p", { class: "sub" }, "Looked at every two seconds.")), place);
  await look();
  const timer = setInterval(() => {
    if (!still()) clearInterval(timer);
    else if (!document.hidden) look().catch(() => {});
  }, 2000);
}

function rate(engine, told, before) {
  const then = before?.data.find((each) => each.name === engine.name);
  if (!then || engine.calls === undefined || told.at <= before.at) return null;
  return Math.max(0, (engine.calls - then.calls) / (told.at - before.at));
}

function card(engine, perSecond) {
  const used = engine.slots ? engine.running / engine.slots : 0;
  const errors = Object.entries(engine.errors || {});
  return h("article", { class: "card engine", "data-state": engine.ready ? "won" : "failed", "aria-label": `Engine ${engine.name}` },
    h("header", {}, h("h2", {}, engine.name), h("span", { class: `state ${engine.ready ? "won" : "failed"}` }, h("span", { "aria-hidden": "true" }, engine.ready ? "●" : "✕"), engine.ready ? " ready" : " not ready")),
    h("p", { class: "sub" }, `${engine.server === "embedded" ? "embedded" : "OpenAI-compatible server"}${engine.kind === "reward" ? " · reward model" : ""}`),
    engine.fault ? notice(engine.fault, "bad") : null,
    engine.numbers ? [
      h("div", { class: "meter", role: "img", "aria-label": `${engine.running} of ${engine.slots} slots taken, ${engine.waiting} waiting` }, h("span", { vars: { width: `${100 * used}%` } })),
      h("dl", { class: "numbers" }, [
        ["Slots", `${number(engine.running)} of ${number(engine.slots)}`], ["Waiting", number(engine.waiting)],
        ["Rate", perSecond === null ? "…" : `${perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond)} calls/s`], ["Calls so far", number(engine.calls)],
      ].map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
      h("p", {}, errors.length ? ["Errors: ", errors.map(([kind, n]) => h("span", { class: "chip bad" }, `${kind} ${number(n)}`))] : h("span", { class: "muted" }, "No errors so far.")),
    ] : h("p", { class: "muted" }, "Numbers are for keys with metrics = true."),
    h("h3", {}, plural(engine.members.length, "member")),
    h("ul", { class: "plain" }, engine.members.map((member) => h("li", {}, h("strong", {}, member.name), h("small", {}, ` ${member.model} · ${member.strategy}`)))),
    engine.panels.length ? [h("h3", {}, plural(engine.panels.length, "panel")), h("p", {}, engine.panels.map((name) => h("span", { class: "chip" }, name)))] : null);
}
