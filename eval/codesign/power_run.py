"""The command `its-eval power`: read a pilot, reckon, show."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from its.cli import Column, Sheet

from ..errors import EvalError
from ..pages.numbers import p_value, percent
from .power import Detectable, PilotSpread, detectable, paired_cells, pilot_spread

ASSUMED = PilotSpread(0.06, 0.78)
"""Seen between checkpoints on held-out templates of one-step stories, by a pilot of two seeds."""

DISCORDANT = (0.10, 0.25)


@dataclass(frozen=True, slots=True)
class PowerReport:
    """What is known of the spread, and what can be shown with it.

    `cells` has, for a share of problems that two cells of one checkpoint solve differently, the
    difference that a paired test finds.
    """

    spread: PilotSpread
    rows: Sequence[Detectable]
    problems: int
    cells: dict[float, float]

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return {
            "spread": {**asdict(self.spread), "change": self.spread.change},
            "detectable": [row.as_json() for row in self.rows],
            "problems": self.problems,
            "cells": [{"discordant": share, "detectable": d} for share, d in self.cells.items()],
        }


def power_of(
    pilot: Path | None,
    sd: float | None,
    correlation: float | None,
    seeds: int,
    arms: tuple[int, int],
    hypotheses: int,
    problems: int,
) -> PowerReport:
    """Reckon; what is said in the command goes before the pilot's.

    Raises:
        EvalError: the pilot cannot be read, or no strategy of it has two checkpoints.
    """
    known = ASSUMED
    if pilot is not None and (sd is None or correlation is None):
        known = pilot_spread(_matrix(pilot))
    spread = PilotSpread(
        known.level if sd is None else sd,
        known.correlation if correlation is None else correlation,
        known.checkpoints, known.strategies,
    )  # fmt: skip
    counts = sorted({1, hypotheses})
    rows = [detectable(spread, seeds, *arms, number) for number in counts]
    cells = {share: paired_cells(problems, share) for share in DISCORDANT}
    return PowerReport(spread, rows, problems, cells)


def _matrix(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_bytes())
        list(found["models"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise EvalError(f"{file} is no matrix.json ({type(error).__name__})") from error
    return found


def power_tables(found: PowerReport) -> list[Sheet]:
    """Return what groups of checkpoints can show, and what two cells of one can."""
    columns = [
        Column("seeds"), Column("strategies", "{0[0]}, {0[1]}".format, parts=("one", "other")),
        Column("hypotheses"), Column("smallest p", p_value),
        Column("accuracy", percent, missing="nothing"),
        Column("change by a context", percent, missing="nothing"),
    ]  # fmt: skip
    rows: list[list[Any]] = [
        [
            row.seeds,
            (row.treated, row.others),
            row.hypotheses,
            row.smallest_p,
            row.level,
            row.change,
        ]
        for row in found.rows
    ]
    spread = found.spread
    seen = f", from {spread.checkpoints} checkpoints" if spread.checkpoints else ", assumed"
    notes = [
        f"SD between checkpoints: {spread.level:.1%} of accuracy, {spread.change:.1%} of what a"
        f" context changes (correlation within a checkpoint {spread.correlation:.2f}){seen}"
    ]
    title = "Groups of checkpoints: the difference found in four of five experiments"
    groups = Sheet(title, columns, rows, notes)
    pairs = Sheet(
        f"Two cells of one checkpoint, {found.problems} problems: a claim about it alone",
        [Column("discordant", percent), Column("difference", percent)],
        [[share, difference] for share, difference in found.cells.items()],
    )
    return [groups, pairs]
