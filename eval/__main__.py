"""`its-eval`: measure a model behind any OpenAI-compatible server."""

import json
import signal
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from its.answers import KINDS
from its.answers.algebra.workers import Workers
from its.methods import METHODS
from its.urls import fault

from .figures.figures import Prices
from .figures.scores import scores
from .grading import replay as replaying
from .grading import rows as grading
from .pages import tables as report
from .pages.progress import grading_bar
from .samples import RunError, runs_in
from .tasks.hub import HUB_SETS
from .tasks.load import Task, TaskError, load, write_file

TASKS = ", ".join([*HUB_SETS, "arith"])

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Measure how many problems a model solves, through any OpenAI-compatible server.",
)


@app.command()
def run(
    task: Annotated[
        str, typer.Argument(help=f"{TASKS}, or a FILE.jsonl of {{id, problem, answer}}.")
    ],
    base_url: Annotated[str, typer.Option(help="The server, e.g. http://127.0.0.1:8000/v1.")],
    model: Annotated[str, typer.Option(help="The model's name there: a member or a panel.")],
    samples: Annotated[int, typer.Option(min=1, help="Answers asked for each problem.")] = 1,
    temperature: Annotated[float, typer.Option(min=0, help="0 takes the likeliest token.")] = 0.0,
    top_p: Annotated[float | None, typer.Option(min=0, max=1, help="Nucleus sampling.")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Longest answer; the server's own limit if absent.")
    ] = None,
    system: Annotated[str | None, typer.Option(help="A system message.")] = None,
    strategy: Annotated[
        str | None, typer.Option(help="Overrides how the proxy chooses contexts.")
    ] = None,
    persona_per_sample: Annotated[
        bool, typer.Option("--persona-per-sample", help="A context for each sample, not problem.")
    ] = False,
    answer_kind: Annotated[
        str,
        typer.Option("--answers", help=f"The kind of the answers: {', '.join(KINDS)}."),
    ] = "auto",
    thinking: Annotated[
        bool | None,
        typer.Option(
            "--thinking/--no-thinking",
            help="The chat template opens <think> itself; if absent, what the server says.",
        ),
    ] = None,
    extra_body: Annotated[
        str, typer.Option(metavar="JSON", help="Further fields of each request.")
    ] = "{}",
    concurrency: Annotated[int, typer.Option(min=1, help="Calls at the same time.")] = 8,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that one call may take.")] = 3600,
    retries: Annotated[
        int, typer.Option(min=0, help="Times a call is repeated that met a busy or broken server.")
    ] = 3,
    stop_on_error: Annotated[
        bool, typer.Option("--stop-on-error", help="End at the first call that fails for good.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first N problems of the task.")
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Derives each sample's own seed, and fixes the contexts.")
    ] = 0,
    data: Annotated[
        Path | None, typer.Option(help="Read the task's problems from this JSONL file.")
    ] = None,
    prices: Annotated[
        str | None,
        typer.Option(metavar="IN,OUT", help="What a million tokens cost, prompt and completion."),
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
    from .asking.ask_all import Sampling
    from .asking.call import Patience
    from .asking.measure import EndError, Job, measure

    if answer_kind not in KINDS:
        _fail(f"--answers {answer_kind}: use one of {', '.join(KINDS)}", 2)
    loaded = _loaded(task, data, seed)
    problems = replace(loaded, problems=loaded.problems[:limit])
    job = Job(
        task=problems,
        base_url=_url(base_url),
        sampling=Sampling(
            model=model, samples=samples, temperature=temperature, top_p=top_p,
            max_tokens=max_tokens, seed=seed, system=system, strategy=strategy,
            persona_per_sample=persona_per_sample, answers=answer_kind, thinking=thinking,
            extra=_object(extra_body),
        ),
        folder=out or Path("runs") / f"{problems.name}-{model.replace('/', '_')}",
        concurrency=concurrency,
        patience=Patience(timeout, retries),
        stop_on_error=stop_on_error,
        fresh=fresh,
        prices=_prices(prices),
    )  # fmt: skip
    try:
        failed = measure(job)
    except RunError as error:
        _fail(str(error), 2)
    except EndError as error:
        _fail(str(error), error.code)
    _print_report([job.folder], f"{problems.name}, {model}")
    if failed:
        _fail(f"{failed} calls failed; the same command asks them again", 1)


@app.command(name="task")
def task_(
    name: Annotated[str, typer.Argument(help=f"{TASKS}, or a FILE.jsonl.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="JSONL rows {id, problem, answer}.")],
    seed: Annotated[int, typer.Option(help="For arith: draws the problems.")] = 0,
) -> None:
    """Write a task's problems to a file, as `its-sft build --decontaminate` wants them."""
    loaded = _loaded(name, None, seed)
    try:
        write_file(loaded, out)
    except TaskError as error:
        _fail(str(error), 1)
    rows = len(loaded.problems)
    Console(stderr=True).print(f"{out}: {rows:,} problems, SHA-256 {loaded.sha256}", markup=False)


@app.command(name="report")
def report_(
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
    try:
        if html is not None:
            _write_page(folders, title or ", ".join(folder.name for folder in folders), html)
        _print_report(runs_in(folders), title)
    except RunError as error:
        _fail(str(error), 2)


def _write_page(folders: list[Path], title: str, path: Path) -> None:
    try:
        from .pages.html import gather, render
    except ImportError as error:
        _fail(f"--html needs the extra `eval`: pip install '.[eval]' ({error})", 2)
    with Workers() as graders:
        page = gather(folders, title, graders)
    try:
        path.write_text(render(page), "utf-8")
    except OSError as error:
        _fail(f"cannot write {path}: {error.strerror}", 1)
    Console(stderr=True).print(f"{path} written", style="green", markup=False)


@app.command(name="compare")
def compare_(
    folders: Annotated[
        list[Path], typer.Argument(help="Two runs; or one of a panel, against its own members.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line a pair.")] = False,
) -> None:
    """Compare two runs problem by problem: the difference, its interval, a paired test."""
    from .figures.compare import compare_folders, within
    from .pages.tables import comparisons

    try:
        with Workers() as graders:
            if len(folders) == 1:
                made = within(folders[0], graders)
            elif len(folders) == 2:
                made = compare_folders(folders[0], folders[1], graders)
            else:
                _fail("compare takes one run or two", 2)
    except RunError as error:
        _fail(str(error), 2)
    if as_json:
        for each in made:
            print(json.dumps(asdict(each)))
    else:
        Console().print(comparisons(made))


@app.command(name="matrix")
def matrix_(
    plan: Annotated[Path, typer.Argument(help="A plan, a TOML file (docs/eval.md).")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Name the cells and end.")] = False,
) -> None:
    """Run train strategy x test strategy: what is missing is run, what is done is kept.

    Prints each cell with its interval, and holds "contexts in both stages" against "in one".
    """
    from .asking.measure import EndError
    from .codesign.matrix import read_plan
    from .codesign.matrix_run import run_all, save, show

    try:
        read = read_plan(plan)
        found = run_all(read, plan.parent, Console(stderr=True), dry_run)
    except (RunError, TaskError) as error:
        _fail(str(error), 2)
    except EndError as error:
        _fail(str(error), error.code)
    if not dry_run:
        save(found, plan.parent / read.out / "matrix.json")
        show(found, Console())


@app.command(name="codesign")
def codesign_(
    plan: Annotated[Path, typer.Argument(help="A plan, such as eval/codesign/cpu.toml.")],
    section: Annotated[
        str | None, typer.Option(help="A smaller plan of it: a name under `sections` in the file.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; else runs/codesign-NAME.")
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="STAGE", help="Do this stage, or this step of --dry-run, alone."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be run.")] = False,
) -> None:
    """Train, serve and measure train strategy x test strategy, and the vote: all by commands.

    Interrupted or killed, the same command goes on: what is done is kept. Run it in a clone, where
    the Axolotl files are.
    """
    from .codesign.plan import PlanError, read
    from .codesign.runner import Run, StepError
    from .codesign.steps import steps

    console, root = Console(stderr=True), Path(__file__).parent.parent
    try:
        asked = read(plan, section)
        name = f"codesign-{asked.name}{f'-{section}' if section else ''}"
        folder = (out or Path("runs") / name).absolute()
        every = steps(asked, folder, root)
        wanted = [step for step in every if only in {None, step.stage, step.name}]
        if not wanted:
            stages = ", ".join(dict.fromkeys(step.stage for step in every))
            _fail(f"--only {only}: this plan's stages are {stages}; --dry-run names the steps", 2)
        if dry_run:
            for step in wanted:
                print("\n".join([f"# {step.name}", *step.lines, ""]))
            return
        for number in (signal.SIGTERM, signal.SIGHUP):  # ends as Ctrl-C does: in order
            signal.signal(number, signal.default_int_handler)
        Run(folder, root, console).do(asked, wanted)
    except PlanError as error:
        _fail(str(error), 2)
    except StepError as error:
        _fail(str(error), 1)
    except KeyboardInterrupt:
        _fail("interrupted; the same command goes on with what is missing", 130)


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
        rows = [row for folder in folders for row in scores(folder, graders)]
    Console().print(report.table(rows, title))


def _loaded(name: str, data: Path | None, seed: int) -> Task:
    try:
        return load(name, data=data, seed=seed)
    except TaskError as error:
        _fail(str(error), 2)


def _url(url: str) -> str:
    if wrong := fault(url):
        _fail(f"--base-url: {url[:100]!r} {wrong}, as in http://127.0.0.1:8000/v1", 2)
    return url


def _object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        _fail(f"--extra-body: not JSON: {error}", 2)
    if not isinstance(value, dict):
        _fail("--extra-body: must be a JSON object, as in '{\"top_k\": 20}'", 2)
    return value


def _prices(text: str | None) -> Prices | None:
    if text is None:
        return None
    try:
        prompt, completion = map(float, text.split(","))
    except ValueError:
        _fail(f"--prices: {text!r} is not two numbers, as in 0.5,1.5", 2)
    return Prices(prompt, completion)


def _fail(message: str, code: int) -> NoReturn:
    Console(stderr=True, soft_wrap=True).print(f"its-eval: {message}", markup=False, style="red")
    raise typer.Exit(code)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
