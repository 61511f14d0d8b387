"use strict";
// What the page shows. It stands in the address after "#", so that a link shows what its sender saw:
// #p=ID&show=wrong,cut&in=B&find=...&deep=1&sort=hard
const state = { open: "", show: new Set(), in: "", find: "", deep: false, sort: "" };

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  state.open = given.get("p") ?? "";
  state.show = new Set((given.get("show") ?? "").split(",").filter((name) => name in FILTERS));
  state.in = given.get("in") ?? "";
  state.find = given.get("find") ?? "";
  state.deep = given.get("deep") === "1";
  state.sort = given.get("sort") ?? "";
}

function address() {
  const given = new URLSearchParams();
  if (state.open) given.set("p", state.open);
  if (state.show.size) given.set("show", [...state.show].join(","));
  for (const name of ["in", "find", "sort"]) if (state[name]) given.set(name, state[name]);
  if (state.deep) given.set("deep", "1");
  return `#${given}`;
}

// Opening a problem can be undone with "back"; typing and filtering would fill the history.
function writeAddress(step = false) {
  if (address() === (location.hash || "#")) return;
  history[step ? "pushState" : "replaceState"](null, "", address());
}

const THEMES = ["system", "light", "dark"];

function setTheme(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  document.getElementById("theme").textContent = `Theme: ${name}`;
  try { localStorage.setItem("its-eval-theme", name); } catch { /* a browser may forbid it to files */ }
}

function storedTheme() {
  try { return localStorage.getItem("its-eval-theme") ?? "system"; } catch { return "system"; }
}
