"""`its-eval`: measure a model behind any OpenAI-compatible server.

Imports that cost time stand in the commands that need them: `--help` loads neither numpy nor the
OpenAI client, and a test holds that.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from its.cli import bar, finite

from .asking.commands import CLI, run
from .codesign.commands import codesign, matrix
from .errors import EvalError
from .replaying.commands import frontier, replay, search
from .tasks.hub import NAMES

if TYPE_CHECKING:
    from .figures.scores import ScoreRows

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Measure how many problems a model solves, through any OpenAI-compatible server.",
)


def task(
    name: Annotated[str, typer.Argument(help=f"{NAMES}, or a FILE.jsonl.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="JSONL rows {id, problem, answer}.")],
    seed: Annotated[int, typer.Option(help="For arith: draws the problems.")] = 0,
) -> None:
    """Write a task's problems to a file, as `its-sft build --decontaminate` wants them."""
    from rich.console import Console

    from .tasks.load import load, write_file

    loaded = load(name, data=None, seed=seed)
    write_file(loaded, out)
    rows = len(loaded.problems)
    Console(stderr=True).print(f"{out}: {rows:,} problems, SHA-256 {loaded.sha256}", markup=False)


def report(
    folders: Annotated[list[Path], typer.Argument(help="Folders that `its-eval run` wrote.")],
    title: Annotated[str, typer.Option(help="Stands over the table.")] = "",
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page too: plots, and every answer to read."),
    ] = None,
    html_mb: Annotated[
        float,
        typer.Option(min=0.1, callback=finite, help="Megabytes of text that the page keeps."),
    ] = 100,
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
        found = _write_page(
            folders, title or ", ".join(folder.name for folder in folders), html, html_mb
        )
    else:
        with Workers() as graders:
            runs = map(RunFolder, run_folders(folders))
            found = [row for run in runs for row in scores(run, graders)]
    Console().print(scores_table(found, title))


def _write_page(folders: list[Path], title: str, path: Path, megabytes: float) -> "ScoreRows":
    """Write the page; return what the table shows of the same runs."""
    from rich.console import Console

    from its.answers.algebra.workers import Workers

    try:
        from .pages.html import write_report
        from .pages.problems import ProblemStore
        from .pages.read_report import read_report
    except ImportError as error:
        message = f"--html needs the extra `eval`: pip install '.[eval]' ({error})"
        raise EvalError(message) from error
    try:
        with Workers() as graders, ProblemStore() as store:
            page = read_report(folders, title, store, graders)
            write_report(page, path, megabytes)
    except OSError as error:
        raise EvalError(f"cannot write {path}: {error.strerror}", 1) from error
    Console(stderr=True).print(f"{path} written", style="green", markup=False)
    return [(column.context, column.figures) for column in page.columns]


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
