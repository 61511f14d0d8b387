"use strict";
// The elements: they follow the state, and what the user does changes it.
const $ = (id) => document.getElementById(id);
const elements = [...document.querySelectorAll(".problem")];
const rows = new Map(INDEX.problems.map((problem) => [problem.id, elements[problem.number]]));
const problemOf = new Map(INDEX.problems.map((problem) => [rows.get(problem.id), problem]));
let shown = [...INDEX.problems];
let order = [...elements];
let search = 0;

async function unpacked(number) {
  const bytes = Uint8Array.from(atob($(`packed-${number}`).textContent), (sign) => sign.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

// The text is HTML that the harness wrote: all that models wrote is escaped in it, and the page's
// policy runs no script but its own.
async function fill(row) {
  const body = row.querySelector(".body");
  const number = problemOf.get(row).number;
  if (body.childElementCount || !$(`packed-${number}`)) return;
  body.setAttribute("aria-busy", "true");
  const text = await unpacked(number);
  if (!body.childElementCount) body.innerHTML = text;
  body.removeAttribute("aria-busy");
}

async function hasText(problem, words) {
  const row = rows.get(problem.id);
  const body = row.querySelector(".body");
  const text = body.childElementCount ? body.textContent
    : new DOMParser().parseFromString(await unpacked(problem.number), "text/html").body.textContent;
  const all = `${problem.find}\n${text.toLowerCase()}`;
  return words.every((word) => all.includes(word));
}

async function update() {
  const turn = ++search;
  showControls();
  let wanted = matching(INDEX.problems);
  if (state.deep && state.find) wanted = await searched(wanted, turn);
  if (turn !== search) return;
  shown = wanted.sort(ORDERS[state.sort] ?? ORDERS[""]);
  showList();
}

async function searched(problems, turn) {
  const words = wordsOf(state.find), wanted = [];
  for (const [at, problem] of problems.entries()) {
    if (turn !== search) return [];
    if (at % 20 === 0) $("status").textContent = `Searching ${at} of ${problems.length} problems ...`;
    if (await hasText(problem, words)) wanted.push(problem);
  }
  return wanted;
}

function showList() {
  const visible = new Set(shown.map((problem) => problem.id));
  for (const [id, row] of rows) row.hidden = !visible.has(id);
  arrange([...shown.map((problem) => rows.get(problem.id)), ...order.filter((row) => row.hidden)]);
  $("empty").hidden = shown.length > 0;
  const all = INDEX.problems.length;
  $("status").textContent = shown.length === all ? `${all} problems` : `${shown.length} of ${all} problems`;
}

// Rows are moved only where the order changes: an element that is moved loses the focus.
function arrange(wanted) {
  if (wanted.some((row, at) => row !== order[at])) $("list").append(...wanted);
  order = wanted;
}

function showControls() {
  for (const [id, name] of [["in", "in"], ["find", "find"], ["sort", "sort"]]) if ($(id).value !== state[name]) $(id).value = state[name];
  $("deep").checked = state.deep;
  $("clear").hidden = !(state.show.size || state.find || state.in || state.sort);
  const kept = state.show;
  for (const button of $("filters").children) {
    const name = button.dataset.name;
    const count = INDEX.problems.filter((problem) => inColumn(problem) && holds(name, problem)).length;
    button.setAttribute("aria-pressed", String(kept.has(name)));
    button.classList.toggle("zero", count === 0);
    button.querySelector(".count").textContent = count;
  }
  for (const cell of document.querySelectorAll(".head .cell")) cell.classList.toggle("chosen", cell.textContent === state.in);
}

function change(changes) {
  Object.assign(state, changes);
  writeAddress();
  return update();
}

function toggle(name) {
  const show = new Set(state.show);
  if (!show.delete(name)) show.add(name);
  change({ show });
}

function clear() {
  change({ show: new Set(), find: "", deep: false, in: "", sort: "" });
}

async function openProblem(row, scroll) {
  await fill(row);
  row.open = true;
  if (scroll) row.scrollIntoView({ block: "start" });
}

// A link, or "back", may name a problem that the filters hide: it is shown all the same.
async function follow() {
  if (location.hash && !location.hash.includes("=")) return;  // a section of the page
  readAddress();
  await update();
  const row = rows.get(state.open);
  if (!row) return;
  row.hidden = false;
  await openProblem(row, true);
  row.querySelector("summary").focus({ preventScroll: true });
}

function makeFilters() {
  const several = INDEX.columns.filter((column) => column.own).length > 1;
  const every = INDEX.problems.flatMap((problem) => Object.values(problem.tallies));
  const panels = INDEX.columns.some((column) => !column.own) || every.some((tally) => tally[LOST] || tally[UNDECIDED]);
  const sampled = every.some((tally) => tally[ASKED] > 1);
  const left = new Set([...(several ? [] : ["runs", "missing"]), ...(panels ? [] : ["lost", "undecided"]), ...(sampled ? [] : ["samples"])]);
  Object.entries(FILTERS).filter(([name]) => !left.has(name)).forEach(([name, [label, title]], number) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", title: `${title}${number < 9 ? ` (key ${number + 1})` : ""}` });
    button.dataset.name = name;
    button.append(`${label} `, Object.assign(document.createElement("span"), { className: "count" }));
    button.addEventListener("click", () => toggle(name));
    $("filters").append(button);
  });
}

function focusRow(step, opens = false) {
  const visible = shown.map((problem) => rows.get(problem.id));
  const now = document.activeElement?.closest?.(".problem") ?? rows.get(state.open);
  const at = visible.indexOf(now);
  const next = visible[at < 0 ? (step > 0 ? 0 : visible.length - 1) : at + step];
  if (!next) return;
  if (opens && now) now.open = false;
  if (opens) openProblem(next, true);
  const summary = next.querySelector("summary");
  summary.focus({ preventScroll: opens });
  if (!opens) summary.scrollIntoView({ block: "nearest" });
}

function unfold(row) {
  const folds = [...row.querySelectorAll(".body details")];
  const open = folds.some((fold) => !fold.open);
  folds.forEach((fold) => { fold.open = open; });
}

function current() {
  return document.activeElement?.closest?.(".problem") ?? rows.get(state.open);
}

function close(row) {
  if (!row?.open) return;
  row.open = false;
  row.querySelector("summary").focus();
}

const KEYS = {
  "/": () => { $("find").focus(); $("find").select(); },
  j: () => focusRow(1), k: () => focusRow(-1),
  n: () => focusRow(1, true), p: () => focusRow(-1, true),
  u: () => current()?.open && unfold(current()),
  c: clear,
  t: () => $("theme").click(),
  "?": () => $("keys").showModal(),
  Escape: () => close(current()),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  if (event.target.matches("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const filter = /^[1-9]$/.test(event.key) ? $("filters").children[event.key - 1] : null;
  const act = filter ? () => filter.click() : KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

// A cell leads to the answers of its column.
function onCell(event) {
  const cell = event.target.closest("summary .cell");
  if (!cell) return;
  const row = cell.closest(".problem");
  event.preventDefault();
  openProblem(row, false).then(() => {
    const key = [...row.querySelectorAll(".body .key")].find((each) => each.textContent === cell.dataset.key);
    (key?.closest("article, section") ?? row).scrollIntoView({ block: "start" });
  });
}

function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (!head.matches(".num, .bars")) return;
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => parseFloat(row.cells[column].dataset.value || "NaN");
      const worth = (row) => (Number.isNaN(value(row)) ? -Infinity : (down ? 1 : -1) * value(row));
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort((one, two) => worth(two) - worth(one)));
    });
  });
}

function listen() {
  let typing;
  $("find").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => change({ find: $("find").value }), state.deep ? 400 : 80);
  });
  $("deep").addEventListener("change", () => change({ deep: $("deep").checked }));
  $("in").addEventListener("change", () => change({ in: $("in").value }));
  $("sort").addEventListener("change", () => change({ sort: $("sort").value }));
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("clear").addEventListener("click", clear);
  $("clear-too").addEventListener("click", clear);
  $("theme").addEventListener("click", () => setTheme(THEMES[(THEMES.indexOf(storedTheme()) + 1) % THEMES.length]));
  $("help").addEventListener("click", () => $("keys").showModal());
  $("list").addEventListener("click", onCell);
  // "toggle" comes after every way of opening: mouse, keyboard, the browser's own search in the page.
  $("list").addEventListener("toggle", (event) => {
    const row = event.target;
    if (!row.classList.contains("problem")) return;
    if (row.open) fill(row);
    const id = problemOf.get(row).id;
    if (row.open) state.open = id;
    else if (state.open === id) state.open = "";
    writeAddress(row.open);
  }, true);
  addEventListener("keydown", onKey);
  addEventListener("popstate", follow);
}

setTheme(storedTheme());
for (const id of ["theme", "help", "controls"]) $(id).hidden = false;
makeFilters();
document.querySelectorAll(".sortable").forEach(makeSortable);
listen();
follow();
