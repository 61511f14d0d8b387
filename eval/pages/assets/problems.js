"use strict";
// Which problems are shown, and in which order. No element is touched here.
const INDEX = JSON.parse(document.getElementById("index").textContent);
const OWN = new Set(INDEX.columns.filter((column) => column.own).map((column) => column.key));
const COLUMNS = new Map(INDEX.columns.map((column) => [column.key, column]));

// The order of eval/pages/problems.py: ProblemTally.
const [ASKED, RIGHT, WRONG, NO_ANSWER, CUT, FAILED, LOST, UNDECIDED, TOKENS] = Array(9).keys();

const some = (count) => (tallies) => tallies.some((tally) => tally[count] > 0);
const solved = (tally) => tally[RIGHT] * 2 > tally[ASKED];

// Each holds if it holds in one of the columns that are chosen.
const FILTERS = {
  wrong: ["wrong", "an answer counts as wrong, for any reason", (tallies) => tallies.some((tally) => tally[RIGHT] < tally[ASKED])],
  other: ["wrong answer", "an answer was given that is not equal to the right one", some(WRONG)],
  silent: ["no answer", "no answer could be read", some(NO_ANSWER)],
  cut: ["cut", "an answer ended at the limit of tokens", some(CUT)],
  failed: ["failed", "a call failed", some(FAILED)],
  missing: ["not asked", "a run has no answer to it, or fewer than it was to have", (tallies) => tallies.length === 0],
  runs: ["runs differ", "one chosen run solves it in more than half of its answers, another does not", (tallies) =>
    new Set(tallies.map(solved)).size > 1],
  samples: ["samples differ", "one run has right and wrong answers", (tallies) =>
    tallies.some((tally) => tally[RIGHT] > 0 && tally[RIGHT] < tally[ASKED])],
  lost: ["vote lost a right answer", "a ballot was right, and the vote was not", some(LOST)],
  undecided: ["vote undecided", "no answer led alone", some(UNDECIDED)],
  none: ["never right", "no answer of the chosen runs is right", (tallies) => tallies.every((tally) => tally[RIGHT] === 0)],
};

// "all runs" are the runs' own answers: a panel's members are in its vote already.
function chosenColumns() {
  return state.in ? [state.in] : [...OWN];
}

function chosenTallies(problem) {
  return chosenColumns().map((key) => problem.tallies[key]).filter(Boolean);
}

function holds(name, problem) {
  const tallies = chosenTallies(problem);
  if (name === "missing") return chosenColumns().some((key) => lacks(problem, COLUMNS.get(key)));
  return tallies.length > 0 && FILTERS[name][2](tallies);
}

function found(problem, words) {
  return words.every((word) => problem.find.includes(word));
}

function matching(problems) {
  const words = state.deep ? [] : wordsOf(state.find);
  return problems.filter((problem) =>
    inColumn(problem) && found(problem, words) && [...state.show].every((name) => holds(name, problem)));
}

// Of one column, the problems of its task: also those that it was not asked.
function inColumn(problem) {
  return !state.in || COLUMNS.get(state.in)?.task === problem.task;
}

function lacks(problem, column) {
  return column?.task === problem.task && (problem.tallies[column.key]?.[ASKED] ?? 0) < column.samples;
}

// All words have to be there, and what stands in double quotes as it is.
function wordsOf(text) {
  return [...text.toLowerCase().matchAll(/"([^"]+)"|\S+/g)].map((found) => found[1] ?? found[0]);
}

function share(problem) {
  const tallies = chosenTallies(problem);
  const asked = tallies.reduce((sum, tally) => sum + tally[ASKED], 0);
  return asked ? tallies.reduce((sum, tally) => sum + tally[RIGHT], 0) / asked : 2;
}

function tokens(problem) {
  return Math.max(0, ...chosenTallies(problem).map((tally) => tally[TOKENS] / tally[ASKED]));
}

const byId = new Intl.Collator("en", { numeric: true });
const ORDERS = {
  "": (one, two) => one.number - two.number,
  hard: (one, two) => share(one) - share(two) || one.number - two.number,
  easy: (one, two) => share(two) - share(one) || one.number - two.number,
  differ: (one, two) => Math.abs(share(one) - 0.5) - Math.abs(share(two) - 0.5) || one.number - two.number,
  long: (one, two) => tokens(two) - tokens(one) || one.number - two.number,
  id: (one, two) => byId.compare(one.id, two.id),
};

INDEX.problems.forEach((problem, number) => {
  problem.number = number;
  problem.find = problem.find.toLowerCase();
});
