"""`its-eval`: measure a model behind any OpenAI-compatible server.

Imports that cost time stand in the commands that need them: `--help` loads neither numpy nor the
OpenAI client, and a test holds that.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from its.cli import Form, bar, finite, in_forms, note_console, show, write_any_text
from its.cli.application import application
from its.extras import needs

from .asking.commands import CLI, run
from .codesign.commands import codesign, matrix, power
from .errors import EvalError
from .replaying.commands import frontier, replay, search
from .runs.commands import export, regrade
from .suites.commands import suite
from .tasks.commands import task, tasks

if TYPE_CHECKING:
    from .figures.scores import RunRow

app = application(
    CLI, "Measure how many problems a model solves, through any OpenAI-compatible server."
)


def report(
    folders: Annotated[list[Path], typer.Argument(help="Folders that `its-eval run` wrote.")],
    title: Annotated[str, typer.Option(help="Stands over the tables.")] = "",
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page too: plots, and every answer to read."),
    ] = None,
    html_mb: Annotated[
        float,
        typer.Option(min=0.1, callback=finite, help="Megabytes of text that the page keeps."),
    ] = 100,
    form: Form = Form.TEXT,
) -> None:
    """Print a table for each task: each model of each run, and each member of a panel.

    --html writes one file that needs no network. A folder of runs, such as a matrix's cells, may be
    given too.
    """
    from its.answers.algebra.workers import Workers

    from .figures.scores import run_rows
    from .pages.tables import report_tables

    with Workers() as graders:
        rows = run_rows(folders, graders)
    if html is not None:
        name = title or ", ".join(folder.name for folder in folders)
        _write_page(rows, folders, name, html, html_mb)
    show(form, report_tables(rows, title), [row.as_json() for row in rows])


def _write_page(
    rows: "list[RunRow]", folders: list[Path], title: str, path: Path, megabytes: float
) -> None:

    from its.answers.algebra.workers import Workers

    try:
        from .pages.html import write_report
        from .pages.problems import ProblemStore
        from .pages.read_report import read_report
    except ImportError as error:
        message = f"{needs('--html', 'eval')} ({error})"
        raise EvalError(message) from error
    try:
        with Workers() as graders, ProblemStore() as store:
            page = read_report(rows, folders, title, store, graders)
            write_report(page, path, megabytes)
    except OSError as error:
        raise EvalError(f"cannot write {path}: {error.strerror}", 1) from error
    note_console().print(f"{path} written", style="green", markup=False)


def compare(
    folders: Annotated[
        list[Path], typer.Argument(help="Two runs; or one of a panel, against its own members.")
    ],
    problems: Annotated[
        bool, typer.Option("--problems", help="List every problem, not only those that differ.")
    ] = False,
    form: Form = Form.TEXT,
) -> None:
    """Compare two runs problem by problem: the difference, its interval, a paired test.

    Failed, missing and cut calls and settings that differ stand below the table. With --json each
    line is a pair of models, with all of its problems.
    """
    from its.answers.algebra.workers import Workers

    from .figures.compare import compare_folders, compare_with_members
    from .pages.tables import comparison_tables

    if len(folders) > 2:
        raise EvalError("compare takes one run or two")
    with Workers() as graders:
        if len(folders) == 1:
            made = compare_with_members(folders[0], graders)
        else:
            made = compare_folders(folders[0], folders[1], graders)
    tables = comparison_tables(made, every=problems)
    # A file of figures has one table, unless more was asked for.
    shown = tables if problems or form is Form.TEXT else tables[:1]
    show(form, shown, [each.as_json() for each in made])


def grade(
    file: Annotated[
        Path,
        typer.Argument(help="JSONL rows {expected, candidate, equal} or {text, gold, label}."),
    ],
    jobs: Annotated[int, typer.Option(min=1, help="Rows graded at the same time.")] = 1,
    shown: Annotated[bool, typer.Option("--show", help="Print the rows graded wrongly.")] = False,
    sure: Annotated[
        bool, typer.Option("--sure", help="Leave out rows marked `doubt` or `conflict`.")
    ] = False,
    form: Form = Form.TEXT,
) -> None:
    """Measure the grader: how many of FILE's verdicts it gives as well."""
    from .grading.rows import grade_rows, read_rows, summary, wrongly_graded
    from .pages.grading import grading_table

    rows = read_rows(file, sure=sure)
    with bar("grading", len(rows), transient=True) as on_row:
        results = grade_rows(rows, jobs, on_row)
    figures = summary(results)
    if shown:
        for row in wrongly_graded(results):
            print(json.dumps(row, ensure_ascii=False))
    show(form, [grading_table(figures, file.name)], [figures])


COMMANDS = (
    in_forms(run),
    in_forms(suite),
    task,
    tasks,
    in_forms(report),
    in_forms(compare),
    regrade,
    export,
    in_forms(matrix),
    in_forms(power),
    codesign,
    in_forms(grade),
    in_forms(replay),
    in_forms(frontier),
    in_forms(search),
)
for command in COMMANDS:
    app.command()(CLI.one_line_errors(EvalError, interrupted="interrupted")(command))


def main() -> None:
    """Run the command line."""
    write_any_text()
    app()


if __name__ == "__main__":
    main()
