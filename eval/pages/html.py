"""Write a report as one HTML file. Nothing in it is loaded from elsewhere, nothing is built.

Scripts and styles are files of this package. The page's policy (CSP) names them by their hashes, so
that nothing else runs, whatever a model wrote. All text is escaped; see `texts`.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from its.files import atomic_open

from ..figures.figures import COUNTED
from ..figures.scores import early
from . import texts
from .columns import ReportColumn
from .problems import ProblemTally, ShownProblem
from .published import PUBLISHED, Published
from .read_report import Report
from .report_plots import plots_of
from .tables import STOPPED

MEGABYTES = 100.0
"""Of what models wrote, as far as a page keeps it where the command does not say otherwise."""

UNPACKED = 2_000_000
"""Characters of text up to which a page has its answers as they are; more are compressed."""

FORMULAS = 30_000_000
"""Characters of text in which formulas are rendered, shortest first: a million take a second."""

SCRIPTS = ("state.js", "problems.js", "page.js")


@dataclass(frozen=True, slots=True)
class PageLimits:
    """What a page keeps: the characters of a text (`None`: all), and of one with its formulas."""

    packed: bool
    text: int | None
    formulas: int | None


def write_report(report: Report, path: Path, megabytes: float = MEGABYTES) -> None:
    """Write the page, problem by problem: at most one is in memory.

    Raises:
        OSError: the file cannot be written.
    """
    limits = limits_of(report.store.lengths, megabytes)
    pages = _environment(limits)
    body = partial(_body, pages, report)
    template = pages.get_template("page.html.jinja")
    with atomic_open(path) as file:
        stream = template.stream(
            report=report, limits=limits, style=_asset("page.css"),
            scripts=[_asset(name) for name in SCRIPTS], policy=_policy(),
            index=_index(report), problems=report.store.problems.values(), body=body,
            packed=partial(_packed, body), plots_of=plots_of, published=_published,
            stopped=STOPPED if any(early(c.context) for c in report.columns) else "",
            megabytes=megabytes, counted=COUNTED,
        )  # fmt: skip
        stream.enable_buffering(20)
        stream.dump(file, "utf-8", "backslashreplace")


def limits_of(lengths: Sequence[int], megabytes: float) -> PageLimits:
    """Return what of texts of these lengths a page keeps."""
    text = texts.longest(lengths, round(megabytes * 1e6))
    kept = [min(length, text or length) for length in lengths]
    return PageLimits(sum(kept) > UNPACKED, text, texts.whole_up_to(kept, FORMULAS))


def _body(pages: Any, report: Report, problem: ShownProblem) -> Markup:
    """Return all answers to a problem, by run, as HTML."""
    said = report.store.said(problem)
    rendered: str = pages.get_template("problem.html.jinja").render(
        report=report, problem=problem,
        columns_of=lambda number: [c for c in report.columns if c.number == number],
        singles=[each for each in said if not each.ballots],
        votes=[each for each in said if each.ballots],
    )  # fmt: skip
    return Markup(rendered)


def _packed(body: Callable[[ShownProblem], Markup], problem: ShownProblem) -> str:
    return base64.b64encode(gzip.compress(body(problem).encode(), 6, mtime=0)).decode()


def _index(report: Report) -> Markup:
    """Return what the scripts search, filter and sort, as JSON that no HTML parser misreads."""
    columns = [
        {"key": c.key, "own": c.own, "task": c.task, "samples": c.samples} for c in report.columns
    ]
    problems = [
        {
            "id": problem.slug,
            "task": problem.key.task,
            "find": "\n".join(map(texts.visible, (problem.slug, *problem.key, *problem.answers))),
            "tallies": {
                column.key: astuple(tally) for column, tally in cells(report.columns, problem)
                if tally
            },
        }
        for problem in report.store.problems.values()
    ]  # fmt: skip
    text = json.dumps({"columns": columns, "problems": problems})
    return Markup(text.replace("<", "\\u003c"))


def cells(
    columns: Sequence[ReportColumn], problem: ShownProblem
) -> list[tuple[ReportColumn, ProblemTally | None]]:
    """Return each column with its tally of a problem; `None` where it was not asked."""
    return [(c, problem.tallies.get((c.number, c.figures.name))) for c in columns]


def _published(task: str) -> list[Published]:
    return [each for each in PUBLISHED if each.task.lower() == task.lower()]


def _environment(limits: PageLimits) -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=PackageLoader("eval.pages", "assets"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    pages.filters |= {
        "percent": "{:.1%}".format, "signed": "{:+.1%}".format, "count": _count,
        "p_value": lambda p: "none" if p is None else f"{p:.2g}",
        "visible": texts.visible, "answer": lambda text: Markup(texts.answer(text)),
        "rich": lambda text: Markup(texts.rich(text)), "written": partial(_written, limits),
    }  # fmt: skip
    pages.globals |= {"split": texts.split, "cells": cells, "outcome": outcome, "shade": shade}
    return pages


def _written(limits: PageLimits, text: str) -> Markup:
    """Return what a model wrote, as far as the page keeps it."""
    head, left, tail = texts.shortened(text, limits.text or len(text))
    whole = limits.formulas is None or len(head) + len(tail) <= limits.formulas
    shown = texts.rich if whole else texts.plain
    if not left:
        return Markup(shown(head))
    note = f"{left:,} characters are left out here; samples.jsonl has all of them"
    return Markup(f'{shown(head)}<span class="left-out">[{note}]</span>{shown(tail)}')


def _count(value: float | None) -> str:
    """Return a mean of tokens or seconds; what no server reported is unknown, not 0."""
    if value is None:
        return "unknown"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def outcome(said: Any) -> tuple[str, str]:
    """Return the class and the word of a sample."""
    if said.error is not None:
        return "failed", "failed"
    if said.correct:
        return "right", "right, cut" if said.finish_reason == "length" else "right"
    word = "wrong" if said.answer is not None else "no answer"
    return "wrong", f"{word}, cut" if said.finish_reason == "length" else word


def shade(tally: ProblemTally | None) -> tuple[str, str]:
    """Return the class and the text of a problem's cell in the heat map."""
    if tally is None:
        return "none", ""
    quarters = round(4 * tally.right / tally.asked)
    if 0 < tally.right < tally.asked:
        quarters = min(3, max(1, quarters))  # only all is 4, only none is 0
    level = f"share-{quarters}"
    if tally.asked > 1:
        return level, f"{tally.right}/{tally.asked}"
    if tally.right:
        return level, "✓"
    return level, "!" if tally.failed else "✂" if tally.cut else "∅" if tally.no_answer else "✗"


def _asset(name: str) -> Markup:
    return Markup((files("eval.pages") / "assets" / name).read_text("utf-8"))


def _policy() -> str:
    """Return the page's policy: the scripts and styles of this package, and nothing else."""

    def hashed(name: str) -> str:
        digest = hashlib.sha256(_asset(name).encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"

    scripts = " ".join(map(hashed, SCRIPTS))
    return (
        f"default-src 'none'; script-src {scripts}; style-src {hashed('page.css')};"
        " base-uri 'none'; form-action 'none'"
    )
