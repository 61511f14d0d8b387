"""`its-eval`: measure a model behind any OpenAI-compatible server.

Imports that cost time stand in the commands that need them: `--help` loads neither numpy nor the
OpenAI client, and a test holds that.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from its.cli import bar, note_console
from its.cli.application import application
from its.extras import needs

from .asking.commands import CLI, run
from .codesign.commands import codesign, matrix
from .errors import EvalError
from .replaying.commands import frontier, replay, search
from .tasks.hub import NAMES

if TYPE_CHECKING:
    from .figures.scores import ScoreRows

app = application(
    CLI, "Measure how many problems a model solves, through any OpenAI-compatible server."
)


def task(
    name: Annotated[str, typer.Argument(help=f"{NAMES}, or a FILE.jsonl.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="JSONL rows {id, problem, answer}.")],
    seed: Annotated[int, typer.Option(help="For arith: draws the problems.")] = 0,
) -> None:
    """Write a task's problems to a file, as `its-sft build --decontaminate` wants them."""

    from .tasks.load import load, write_file

    loaded = load(name, data=None, seed=seed)
    write_file(loaded, out)
    rows = len(loaded.problems)
    note_console().print(f"{out}: {rows:,} problems, SHA-256 {loaded.sha256}", markup=False)


def report(
    folders: Annotated[list[Path], typer.Argument(help="Folders that `its-eval run` wrote.")],
    title: Annotated[str, typer.Option(help="Stands over the table.")] = "",
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page too: plots, and every answer to read."),
    ] = None,
) -> None:
    """Print one table over runs: each model, and each member of a panel by its ballots.

    --html writes one file that needs no network. A folder of runs, such as a matrix's cells, may be
    given too.
    """
    from rich.console import Console

    from its.answers.algebra.workers import Workers

    from .figures.scores import scores
    from .pages.tables import scores_table
    from .samples import RunFolder, run_folders

    if html is not None:
        found = _write_page(folders, title or ", ".join(folder.name for folder in folders), html)
    else:
        with Workers() as graders:
            runs = map(RunFolder, run_folders(folders))
            found = [row for run in runs for row in scores(run, graders)]
    Console().print(scores_table(found, title))


def _write_page(folders: list[Path], title: str, path: Path) -> "ScoreRows":
    """Write the page; return what the table shows of the same runs."""

    from its.answers.algebra.workers import Workers

    try:
        from .pages.html import read_page, render
    except ImportError as error:
        message = f"{needs('--html', 'eval')} ({error})"
        raise EvalError(message) from error
    with Workers() as graders:
        page = read_page(folders, title, graders)
    try:
        path.write_text(render(page), "utf-8")
    except OSError as error:
        raise EvalError(f"cannot write {path}: {error.strerror}", 1) from error
    note_console().print(f"{path} written", style="green", markup=False)
    return [(row.context, row.figures) for row in page.rows]


def compare(
    folders: Annotated[
        list[Path], typer.Argument(help="Two runs; or one of a panel, against its own members.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line a pair.")] = False,
) -> None:
    """Compare two runs problem by problem: the difference, its interval, a paired test."""
    from rich.console import Console

    from its.answers.algebra.workers import Workers

    from .figures.compare import compare_folders, compare_with_members
    from .pages.tables import comparison_table

    if len(folders) > 2:
        raise EvalError("compare takes one run or two")
    with Workers() as graders:
        if len(folders) == 1:
            made = compare_with_members(folders[0], graders)
        else:
            made = compare_folders(folders[0], folders[1], graders)
    if as_json:
        for each in made:
            print(json.dumps(asdict(each)))
    else:
        Console().print(comparison_table(made))


def grade(
    file: Annotated[
        Path,
        typer.Argument(help="JSONL rows {expected, candidate, equal} or {text, gold, label}."),
    ],
    jobs: Annotated[int, typer.Option(min=1, help="Rows graded at the same time.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one line.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the rows graded wrongly.")] = False,
    sure: Annotated[
        bool, typer.Option("--sure", help="Leave out rows marked `doubt` or `conflict`.")
    ] = False,
) -> None:
    """Measure the grader: how many of FILE's verdicts it gives as well."""
    from rich.console import Console

    from .grading.rows import grade_rows, read_rows, summary, wrongly_graded
    from .pages.grading import grading_table

    rows = read_rows(file, sure=sure)
    with bar("grading", len(rows), transient=True) as on_row:
        results = grade_rows(rows, jobs, on_row)
    figures = summary(results)
    if show:
        for row in wrongly_graded(results):
            print(json.dumps(row, ensure_ascii=False))
    if as_json:
        print(json.dumps(figures))
    else:
        Console().print(grading_table(figures, file.name))


COMMANDS = (run, task, report, compare, matrix, codesign, grade, replay, frontier, search)
for command in COMMANDS:
    app.command()(CLI.one_line_errors(EvalError, interrupted="interrupted")(command))


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
