"""Measure the grader: rows whose verdict is known against the verdict that `its.answers` gives."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any

from its import answers
from its.answers import Comparison
from its.answers.algebra.workers import Workers

from ..errors import EvalError


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """A gold answer, what is held against it, and whether they are equal.

    `stated` says that the candidate is a model's whole output, from which the answer is read.
    """

    number: int
    gold: str
    candidate: str
    equal: bool
    stated: bool


@dataclass(frozen=True, slots=True)
class GradedRow:
    """A row's verdict. `seconds` is wall-clock time; `read` what was read from the candidate."""

    row: LabelledRow
    verdict: Comparison
    read: str | None
    seconds: float

    @property
    def right(self) -> bool:
        return (self.verdict is Comparison.EQUAL) == self.row.equal


def read_rows(file: Path, *, sure: bool) -> list[LabelledRow]:
    """Read rows `{expected, candidate, equal}` or `{text, gold, label}`.

    A row whose label was adjudicated (`adjudications.jsonl`) has that label. `sure` leaves out
    rows that are marked `doubt` or `conflict`.

    Raises:
        EvalError: a line is no such row.
    """
    adjudicated = adjudications()
    try:
        with file.open(encoding="utf-8") as lines:
            rows = [_row(line, n, file, adjudicated) for n, line in enumerate(lines, 1)]
    except (OSError, UnicodeDecodeError) as error:
        raise EvalError(f"cannot read {file}: {error}") from error
    return [row for row, doubt in rows if not (sure and doubt)]


def adjudications() -> dict[Any, bool]:
    """Return the labels that were found wrong by reading, by `gen_id`."""
    text = (files(__package__) / "adjudications.jsonl").read_text("utf-8")
    return {row["gen_id"]: row["label"] for row in map(json.loads, text.splitlines())}


def _row(
    line: str, number: int, file: Path, adjudicated: Mapping[Any, bool]
) -> tuple[LabelledRow, bool]:
    try:
        row = json.loads(line)
        doubt = bool(row.get("doubt") or row.get("conflict"))
        if "candidate" in row:
            gold, candidate, equal = row["expected"], row["candidate"], row["equal"]
        else:
            gold, candidate = row["gold"], row["text"]
            equal = adjudicated.get(row.get("gen_id"), row["label"])
        return LabelledRow(
            number, str(gold), str(candidate), bool(equal), "candidate" not in row
        ), doubt
    except (ValueError, KeyError, AttributeError) as error:
        shapes = "{expected, candidate, equal} or {text, gold, label}"
        raise EvalError(f"{file}: line {number}: not {shapes}: {error!r}") from error


def grade_rows(
    rows: Sequence[LabelledRow], jobs: int, on_row: Callable[[], None] | None = None
) -> list[GradedRow]:
    """Return the verdicts in the order of `rows`, `jobs` at a time."""
    with Workers(jobs) as graders, ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda number: graders.judge()(f"x+{number}"), range(jobs)))  # start them
        results = []
        for result in pool.map(lambda row: _grade(row, graders), rows):
            results.append(result)
            if on_row:
                on_row()
        return results


def _grade(row: LabelledRow, graders: Workers) -> GradedRow:
    started = time.perf_counter()
    gold = answers.read_or_parse(row.gold)
    given = (
        answers.read({"content": row.candidate})
        if row.stated
        else answers.read_or_parse(row.candidate)
    )
    verdict = Comparison.DIFFERENT
    if gold is not None and given is not None:
        verdict = answers.compare(gold, given, graders.judge())
    seconds = time.perf_counter() - started
    return GradedRow(row, verdict, given.text if given else None, seconds)


def summary(results: Sequence[GradedRow]) -> dict[str, float]:
    """Return the counts, and the milliseconds of a row: median, 95th percentile, largest."""
    times = sorted(result.seconds * 1000 for result in results) or [0.0]
    wrong = [result for result in results if not result.right]
    return {
        "total": len(results),
        "right": len(results) - len(wrong),
        "false_negatives": sum(result.row.equal for result in wrong),
        "false_positives": sum(not result.row.equal for result in wrong),
        "undecided": sum(result.verdict is Comparison.UNDECIDED for result in results),
        "ms_p50": round(median(times), 3),
        "ms_p95": round(times[int(0.95 * (len(times) - 1))], 3),
        "ms_max": round(times[-1], 3),
    }


def wrongly_graded(results: Sequence[GradedRow]) -> Iterator[dict[str, Any]]:
    """Yield what one needs to see of each row that was graded wrongly."""
    for result in results:
        if not result.right:
            yield {
                "line": result.row.number,
                "gold": result.row.gold[-200:],
                "candidate": result.row.candidate[-200:],
                "read": result.read,
                "equal": result.row.equal,
                "verdict": result.verdict.value,
            }
