"""`its-eval`: measure a model behind any OpenAI-compatible server."""

import asyncio
import json
import os
import shlex
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from its.answers.workers import Workers
from its.methods import METHODS

from . import grade as grading
from . import replay as replaying
from . import report
from .progress import grading_bar
from .samples import RunError, RunFolder
from .tasks import Task, TaskError, load

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Measure how many problems a model solves, through any OpenAI-compatible server.",
)


@app.callback()
def _commands() -> None:
    """Keep `run` and `report` commands, even if one of them were alone."""


@app.command()
def run(
    task: Annotated[
        str, typer.Argument(help="aime24, aime25, arith, or a FILE.jsonl of {id, problem, answer}.")
    ],
    base_url: Annotated[str, typer.Option(help="The server, e.g. http://127.0.0.1:8000/v1.")],
    model: Annotated[str, typer.Option(help="The model's name there: a member or a panel.")],
    samples: Annotated[int, typer.Option(min=1, help="Answers asked for each problem.")] = 1,
    temperature: Annotated[float, typer.Option(min=0, help="0 takes the likeliest token.")] = 0.0,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Longest answer; the server's own limit if absent.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Problems asked at the same time.")] = 8,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first N problems of the task.")
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Derives each sample's own seed, and fixes the contexts.")
    ] = 0,
    data: Annotated[
        Path | None, typer.Option(help="Read the task's problems from this JSONL file.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; runs/TASK-MODEL if absent.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Throw away what the folder holds and start anew.")
    ] = False,
) -> None:
    """Ask MODEL every problem of TASK and print pass@1.

    A run that was interrupted goes on where it stopped when the same command is given again.
    The key, if the server wants one, is taken from OPENAI_API_KEY.
    """
    try:
        loaded = load(task, data=data, seed=seed)
    except TaskError as error:
        _fail(str(error), 2)
    problems = replace(loaded, problems=loaded.problems[:limit])
    folder = out or Path("runs") / f"{problems.name}-{model.replace('/', '_')}"
    settings = {
        "task": problems.name,
        "task_sha256": problems.sha256,
        "problems": len(problems.problems),
        "instruction": problems.instruction,
        "model": model,
        "samples": samples,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "seed": seed,
    }
    failed = _measured(problems, base_url, settings, folder, concurrency, fresh)
    _print_report([folder], f"{problems.name}, {model}")
    if failed:
        _fail(f"{failed} calls failed; the same command asks them again", 1)


@app.command(name="report")
def report_(
    folders: Annotated[list[Path], typer.Argument(help="Folders that `its-eval run` wrote.")],
    title: Annotated[str, typer.Option(help="Stands over the table.")] = "",
) -> None:
    """Print one table over runs: each model, and each member of a panel by its ballots."""
    try:
        _print_report(folders, title)
    except RunError as error:
        _fail(str(error), 2)


@app.command(name="grade")
def grade_(
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
    try:
        rows = grading.read_rows(file, sure=sure)
    except grading.GradeError as error:
        _fail(str(error), 2)
    try:
        with grading_bar(len(rows)) as on_row:
            results = grading.grade(rows, jobs, on_row)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    figures = grading.summary(results)
    if show:
        for row in grading.failures(results):
            print(json.dumps(row, ensure_ascii=False))
    print(json.dumps(figures)) if as_json else Console().print(report.grades(figures, file.name))


@app.command(name="replay")
def replay_(
    file: Annotated[
        Path, typer.Argument(help="JSONL rows {problem_id, model, text, gold}: finished outputs.")
    ],
    method: Annotated[str, typer.Option(help="How the models' answers become one.")] = "majority",
) -> None:
    """Let the models whose outputs FILE holds vote, and print how each did beside the vote."""
    if method not in METHODS:
        _fail(f"--method {method}: there are: {', '.join(METHODS)}", 2)
    try:
        outputs = replaying.read_outputs(file)
    except grading.GradeError as error:
        _fail(str(error), 2)
    with Workers() as graders:
        print(replaying.markdown(replaying.replay(outputs, method, graders)))


def _print_report(folders: list[Path], title: str) -> None:
    with Workers() as graders:
        rows = [row for folder in folders for row in report.scores(folder, graders)]
    Console().print(report.table(rows, title))


def _measured(
    task: Task,
    base_url: str,
    settings: dict[str, object],
    folder: Path,
    concurrency: int,
    fresh: bool,
) -> int:
    """Open the run's folder and ask what it lacks; return how many samples failed."""
    about = {
        "command": shlex.join(sys.argv),
        "base_url": base_url,
        "version": version("input-time-scaling"),
    }
    try:
        RunFolder(folder).open(settings, about, fresh)
        return asyncio.run(_measure(task, base_url, settings, folder, concurrency))
    except RunError as error:
        _fail(str(error), 2)
    except OSError as error:
        _fail(f"cannot write to {folder}: {error.strerror}; what is done is kept", 1)
    except KeyboardInterrupt:
        _fail(f"interrupted; what is done is in {folder}: the same command goes on with it", 130)


async def _measure(
    task: Task, base_url: str, settings: dict[str, object], folder: Path, concurrency: int
) -> int:
    """Run what is missing under a progress bar; return how many samples failed."""
    import openai

    from . import run as runner
    from .progress import bar

    sampling = runner.Sampling(
        **{field: settings[field] for field in runner.Sampling.__dataclass_fields__}  # type: ignore[arg-type]
    )
    kept = RunFolder(folder)
    before = kept.latest()
    try:
        server = await runner.connect(
            base_url, os.environ.get("OPENAI_API_KEY") or "none", sampling.model
        )
    except openai.OpenAIError as error:
        _fail(f"cannot ask {base_url}: {error}", 1)
    try:
        total = len(task.problems) * sampling.samples
        with Workers() as graders, bar(total, before.values()) as on_sample:
            await runner.run(
                task,
                server,
                sampling,
                kept,
                concurrency=concurrency,
                graders=graders,
                on_sample=on_sample,
            )
    finally:
        await server.client.close()
    return sum(sample.error is not None for sample in kept.latest().values())


def _fail(message: str, code: int) -> NoReturn:
    Console(stderr=True, soft_wrap=True).print(f"its-eval: {message}", markup=False, style="red")
    raise typer.Exit(code)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
