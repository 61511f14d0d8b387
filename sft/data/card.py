"""`card.md`: what a built data set is, for people."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .record import DatasetRecord
from .select import Selection
from .sets import FILTERS
from .tokens import TokenCounter

SAMPLE = 2_000
"""Rows whose tokens are counted: the first ones, which stand in the order of a seeded hash."""

EXAMPLES, QUESTION_SHOWN, ANSWER_SHOWN = 3, 800, 400
BARS, WIDTH = 12, 40


class Lengths:
    """The lengths of what was written: characters of all rows, tokens of a sample."""

    def __init__(self, count: TokenCounter | None) -> None:
        self._count = count
        self.question, self.persona, self.answer = array("L"), array("L"), array("L")
        self.tokens = array("L")
        self.examples: list[Mapping[str, Any]] = []

    def add(self, row: Mapping[str, Any]) -> None:
        """Measure one row as it was written."""
        self.question.append(len(row["question"]))
        self.persona.append(len(row["persona"] or ""))
        self.answer.append(len(row["messages"][-1]["content"]))
        if self._count is not None and len(self.tokens) < SAMPLE:
            self.tokens.append(self._count.count(row["messages"]))
        if len(self.examples) < EXAMPLES:
            self.examples.append(row)


def card(
    record: DatasetRecord, selection: Selection, lengths: Lengths, notices: Sequence[str]
) -> str:
    """Return the data card (Markdown)."""
    dataset = record.train.dataset
    assert dataset is not None
    sections = [
        f"# {dataset.name}, {record.train.strategy}\n\n{_summary(record)}",
        "## Where it comes from\n\n" + _origin(record),
        "## What was left out\n\n" + _left_out(record, selection),
        *(
            ["## What to look at\n\n" + "\n".join(f"- {told}" for told in notices)]
            if notices
            else []
        ),
        "## Lengths\n\n" + _lengths(lengths),
        "## Examples\n\n" + "\n\n".join(map(_example, lengths.examples)),
    ]
    return "\n\n".join(sections) + "\n"


def _summary(record: DatasetRecord) -> str:
    train = record.train
    assert train.dataset is not None
    told = (
        f"{train.dataset.rows:,} questions with their answers, for a checkpoint that is trained"
        f" with the strategy `{train.strategy}` (Input-Time Scaling, arXiv 2508.13654)."
    )
    if train.system or train.instruction:
        told += " Every row has the same texts around its question (see below)."
    if not train.has_context:
        return f"{told} No context stands with the questions: ask this checkpoint without one."
    where = "before" if train.placement == "before" else "after"
    return (
        f"{told} A context stands {where} each question, so ask this checkpoint with one too."
        " Only the question was changed; answers are the source's, byte for byte."
    )


def _origin(record: DatasetRecord) -> str:
    train = record.train
    rows = [("rows", f"{train.dataset.rows:,}" if train.dataset and train.dataset.rows else "")]
    if train.dataset:
        rows.append(("SHA-256 of train.jsonl", f"`{train.dataset.sha256}`"))
    for origin in record.sources:
        rows.append(("source", origin.name))
        rows.append(("its licence", origin.licence or "not known to this tool: see to it"))
        rows.append(("its rows and their SHA-256", f"{origin.rows:,}, `{origin.sha256}`"))
    if train.system:
        rows.append(("system text of every row", train.system))
    if train.instruction:
        where = f"instruction, {train.instruction_placement} every question"
        rows.append((where, train.instruction))
    personas = train.personas
    if train.has_context:
        rows.append(("contexts from", personas.source))
        if personas.model:
            rows.append(("written by", personas.model))
        if personas.distinct:
            told = f"{personas.distinct:,} ({personas.effective:,.1f} effective)"
            rows.append(("different contexts", told))
        for key, value in train.strategy_options.items():
            rows.append((f"option `{key}`", _said(value)))
    rows.append(("seed", str(train.seed)))
    return _table(("", ""), rows)


def _said(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {share:g}" for name, share in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _left_out(record: DatasetRecord, selection: Selection) -> str:
    counts = selection.counts
    rows = [("rows of the source", f"{counts['read']:,}")]
    reasons = {f"left out by {name}": why for name, (_, why) in FILTERS.items()}
    for name, number in counts.items():
        if name not in {"read", "kept"}:
            why = f" (kept only where {reasons[name]})" if name in reasons else ""
            rows.append((f"{name}{why}", f"{number:,}"))
    rows.append(("left", f"{counts['kept']:,}"))
    rows.append(("drawn from these by a seeded hash", f"{len(selection.numbers):,}"))
    if selection.held_out:
        rows.append(("of these held out of training", f"{len(selection.held_out):,}"))
    tests = record.decontaminated
    if tests:
        names = ", ".join(f"{test.name} ({test.rows:,} rows)" for test in tests)
        told = (
            f"Compared with {names}: the same words, or 13 of them in a row. Each overlap is in"
            " `contaminated.jsonl`."
        )
    else:
        told = "**Not decontaminated**: no file of test questions was given (`--decontaminate`)."
    return _table(("", "rows"), rows) + "\n\n" + told


def _lengths(lengths: Lengths) -> str:
    parts = [
        _table(
            ("characters, all rows", "least", "median", "95 of 100", "most"),
            [
                ("question", *_quantiles(lengths.question)),
                ("context", *_quantiles(lengths.persona)),
                ("answer", *_quantiles(lengths.answer)),
            ],
        )
    ]
    if not lengths.tokens:
        return parts[0] + "\n\nTokens were not counted: no `--tokenizer` was given."
    counted = f"tokens, {len(lengths.tokens):,} rows drawn by the seed"
    parts.append(
        _table(
            (counted, "least", "median", "95 of 100", "most"),
            [("question, context and answer", *_quantiles(lengths.tokens))],
        )
    )
    parts.append("```text\n" + "\n".join(_histogram(lengths.tokens)) + "\n```")
    return "\n\n".join(parts)


def _quantiles(values: Sequence[int]) -> list[str]:
    ranked = sorted(values)
    last = len(ranked) - 1
    return [f"{ranked[round(share * last)]:,}" for share in (0, 0.5, 0.95, 1)]


def _histogram(values: Sequence[int]) -> Iterable[str]:
    low, high = min(values), max(values) + 1
    step = max(1, -(-(high - low) // BARS))
    bins = [0] * (-(-(high - low) // step))
    for value in values:
        bins[(value - low) // step] += 1
    for number, count in enumerate(bins):
        begin = low + number * step
        bar = "█" * -(-count * WIDTH // max(bins))
        yield f"{begin:>7,} - {begin + step - 1:>7,}  {bar} {count:,}"


def _example(row: Mapping[str, Any]) -> str:
    opening = next(m["content"] for m in row["messages"] if m["role"] == "user")
    answer = row["messages"][-1]["content"]
    lines = [f"`{row['id']}`", "", *_quoted("asked", opening, QUESTION_SHOWN), ">"]
    return "\n".join([*lines, *_quoted("answer", answer, ANSWER_SHOWN)])


def _quoted(what: str, text: str, most: int) -> list[str]:
    shown = text if len(text) <= most else f"{text[:most]} ..."
    return [f"> **{what}**", ">", *(f"> {line}".rstrip() for line in shown.splitlines())]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
