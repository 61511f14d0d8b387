"""`its-eval report --html`: one self-contained page over runs, with a section for each problem."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from its.answers.algebra.workers import Workers

from ..figures.figures import BUDGETS, Figures, by_problem
from ..figures.scaling import solved_within
from ..figures.scores import early, samples_by_model, scores
from ..samples import EvalSample, RunFolder, run_folders
from . import plots
from .published import PUBLISHED
from .tables import STOPPED

MOST_TEXT = 20_000
"""Characters of an answer that are shown; a run of thousands of long ones must still open."""


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model of one run, as the page shows it."""

    run: str
    context: str
    figures: Figures
    samples: Sequence[EvalSample]

    @property
    def name(self) -> str:
        return f"{self.run}: {self.figures.name}"


@dataclass(frozen=True, slots=True)
class Page:
    """All that the page shows."""

    title: str
    runs: Sequence[Mapping[str, Any]]
    rows: Sequence[ModelRow]
    matrix: Mapping[str, Any] | None


def read_page(folders: Sequence[Path], title: str, graders: Workers) -> Page:
    """Read runs, and the matrix of a folder of cells.

    Raises:
        EvalError: there is no run in a folder.
    """
    rows, runs = [], []
    places = run_folders(folders)
    short = Counter(place.name for place in places)
    for place in places:
        name = place.name if short[place.name] == 1 else str(place)
        run = RunFolder(place)
        samples = samples_by_model(run, graders, texts=True)
        runs.append({"name": name, **run.about()})
        for context, found in scores(run, graders):
            rows.append(ModelRow(name, context, found, samples[found.name]))
    return Page(title, runs, rows, _matrix(folders))


def _matrix(folders: Sequence[Path]) -> Mapping[str, Any] | None:
    for file in (folder / "matrix.json" for folder in folders):
        if file.is_file():
            return dict(msgspec.json.decode(file.read_bytes()))
    return None


def render(page: Page) -> str:
    """Return the page as HTML."""
    text: str = _template().render(
        page=page, published=PUBLISHED, plots=_plots(page), problems=_problems(page),
        percent="{:.1%}".format,
        stopped=STOPPED if any(early(row.context) for row in page.rows) else "",
    )  # fmt: skip
    return text


def _plots(page: Page) -> list[str]:
    made = []
    if page.matrix:
        made.append(_heat_map(page.matrix))
    most = max((len(row.figures.maj_at_k) for row in page.rows), default=1)
    if most > 1:
        several = [row for row in page.rows if len(row.figures.maj_at_k) > 1]
        lines = {f"{row.name}, pass@k": row.figures.pass_at_k for row in several}
        lines |= {f"{row.name}, maj@k": row.figures.maj_at_k for row in several}
        made.append(plots.curves(lines, "With more samples", "samples k", "share solved"))
    every = {
        row.name: solved_within([(s.correct, s.tokens) for s in row.samples], BUDGETS)
        for row in page.rows
    }
    within = {
        name: [share for share in shares if share is not None] for name, shares in every.items()
    }
    within = {name: shares for name, shares in within.items() if shares}
    made.append(
        plots.curves(within, "Within a token budget", "completion tokens", "share solved", BUDGETS)
    )
    own = _own_samples(page)
    groups = {
        "right": [s.tokens for s in own if s.correct and s.tokens is not None],
        "wrong": [s.tokens for s in own if not s.correct and s.tokens is not None],
    }
    made.append(plots.histogram(groups, "Length of answers", "completion tokens"))
    return made


def _own_samples(page: Page) -> list[EvalSample]:
    """Return the runs' own samples: a panel's ballots are in its sums already."""
    last = {row.run: row for row in page.rows}
    return [sample for row in last.values() for sample in row.samples]


def _heat_map(matrix: Mapping[str, Any]) -> str:
    cells = matrix["cells"]
    rows = list(dict.fromkeys(cell["train"] for cell in cells))
    columns = list(dict.fromkeys(cell["test"] for cell in cells))
    values = {(cell["train"], cell["test"]): cell["pass_at_1"]["value"] for cell in cells}
    marked = frozenset((c["train"], c["test"]) for c in cells if c["co_designed"])
    title = "Solved; framed: contexts in both stages or in none"
    return plots.heat_map(rows, columns, values, marked, title)


def _problems(page: Page) -> list[dict[str, Any]]:
    """Return each problem with what every model said to it."""
    grouped = [by_problem(row.samples) for row in page.rows]
    ids = dict.fromkeys(key for group in grouped for key in group)
    found = []
    for number, key in enumerate(ids):
        said = [group.get(key, []) for group in grouped]
        first = next(samples[0] for samples in said if samples)
        found.append(
            {
                "anchor": f"p{number}",
                "id": key,
                "prompt": first.prompt,
                "gold": first.gold,
                "cells": [_cell(samples) for samples in said],
                "said": [
                    _said(row, sample)
                    for row, samples in zip(page.rows, said, strict=True)
                    for sample in samples
                ],
            }
        )
    return found


def _cell(samples: Sequence[EvalSample]) -> dict[str, Any]:
    if not samples:
        return {"class": "none", "text": ""}
    right = sum(sample.correct for sample in samples)
    kind = "right" if right == len(samples) else "wrong" if right == 0 else "some"
    return {
        "class": kind,
        "text": f"{right}/{len(samples)}" if len(samples) > 1 else "+-"[not right],
    }


def _said(row: ModelRow, sample: EvalSample) -> dict[str, Any]:
    known = sample.input_time
    text = sample.text or ""
    return {
        "who": row.name,
        "context": row.context,
        "sample": sample.sample,
        "correct": sample.correct,
        "answer": sample.answer,
        "persona": known.get("persona"),
        "reasoning": (sample.reasoning or "")[:MOST_TEXT],
        "text": text[:MOST_TEXT],
        "left": max(0, len(text) - MOST_TEXT),
        "finish": sample.finish_reason,
        "tokens": sample.tokens,
        "seconds": sample.seconds,
        "error": sample.error,
        "tally": _tally(known),
    }


def _tally(known: Mapping[str, Any]) -> str:
    """Say who voted for what, where the sample is a panel's."""
    ballots = known.get("ballots") or []
    cast = [f"{ballot['member']}: {ballot.get('answer') or 'no answer'}" for ballot in ballots]
    return ", ".join(cast)


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string((files(__package__) / "report.html.jinja").read_text("utf-8"))
