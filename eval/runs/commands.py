"""The commands `its-eval regrade` and `its-eval export`."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from its.cli import CommandLine, bar

from ..errors import EvalError

if TYPE_CHECKING:
    from ..samples import RunFolder
    from .judge import Agreement, Judged, JudgeServer
    from .regrade import GradeChange

CLI = CommandLine("its-eval")


def regrade(
    folders: Annotated[list[Path], typer.Argument(help="Folders that `its-eval run` wrote.")],
    write: Annotated[
        bool, typer.Option("--write", help="Write the new verdicts into the runs.")
    ] = False,
    gold: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Other gold answers: a file of problems with these ids."),
    ] = None,
    judge_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Have a model judge the answers too: its server."),
    ] = None,
    judge_model: Annotated[str | None, typer.Option(help="The model that judges.")] = None,
    judge_key: Annotated[
        str | None,
        typer.Option(metavar="REF", help="Its key: env:NAME or file:PATH; else OPENAI_API_KEY."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line a run.")] = False,
) -> None:
    """Grade stored answers again: nothing is asked, and what would change is shown.

    Only --write changes the runs; what was there before is kept in regraded.jsonl. With a judge,
    a model says of each answer whether it means the same as the gold answer. That is a second
    score, shown beside the first and kept in judge.jsonl.
    """
    from its.answers.algebra.workers import Workers

    from ..samples import RunFolder, run_folders
    from .regrade import regrade as grade_again
    from .regrade import write as write_changes

    judge = _judge(judge_url, judge_model, judge_key)
    golds, failed = _golds(gold), []
    for run in map(RunFolder, run_folders(folders)):
        with Workers() as graders:
            with bar(f"grading {run.path.name}", len(run.outcomes()), transient=True) as on_sample:
                found = grade_again(run, graders, golds, on_sample)
            if write and found:
                _written(run, found, graders, write_changes)
        told = _judged(run, judge) if judge else None
        failed += told[2] if told else []
        if as_json:
            print(json.dumps(_as_json(run, found, told, written=write and bool(found))))
        else:
            _show(run, found, told, written=write)
    if failed:
        raise EvalError(
            f"{len(failed)} calls of the judge failed; the same command asks them again:"
            f" {failed[0].said[:300]}", 1,
        )  # fmt: skip


def export(
    folders: Annotated[list[Path], typer.Argument(help="Folders that `its-eval run` wrote.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="A .csv, .jsonl or .parquet file.")],
    texts: Annotated[
        bool, typer.Option("--texts/--no-texts", help="With prompts, contexts and answers.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Write runs as one long table: a row for each sample, and for each ballot of a panel.

    pandas reads it as it is. docs/eval.md says what the columns hold.
    """
    from its.answers.algebra.workers import Workers

    from ..samples import RunFolder, run_folders
    from .export import long_rows, write_table

    runs = [RunFolder(folder) for folder in run_folders(folders)]
    for run in runs:
        run.settings()  # a folder that is no run's is said before anything is written
    with Workers() as graders:
        rows = (row for run in runs for row in long_rows(run, graders))
        count = write_table(rows, out, texts=texts)
    if as_json:
        print(json.dumps({"out": str(out), "rows": count, "runs": len(runs)}))
    else:
        CLI.say(f"{out}: {count:,} rows of {len(runs)} run{'' if len(runs) == 1 else 's'}")


def _judge(url: str | None, model: str | None, key: str | None) -> "JudgeServer | None":
    from .judge import JudgeServer

    if url is None and model is None:
        return None
    if url is None or model is None:
        raise EvalError("a judge needs both --judge-url and --judge-model")
    return JudgeServer(CLI.url("--judge-url", url), model, CLI.secret("--judge-key", key))


def _golds(file: Path | None) -> Mapping[str, str] | None:
    from ..tasks.files import read_problems

    return None if file is None else {each.id: each.answer for each in read_problems(file)}


def _written(run: "RunFolder", found: "list[GradeChange]", graders: Any, write: Any) -> None:
    try:
        write(run, found, graders)
    except OSError as error:
        raise EvalError(f"cannot write to {run.path}: {error.strerror}", 1) from error


def _judged(
    run: "RunFolder", judge: "JudgeServer"
) -> "tuple[Agreement, list[tuple[Any, Judged]], list[Judged]]":
    from .judge import agreement, judge_run

    number = len({(s.id, s.gold, s.answer) for s in run.outcomes().values() if s.answer})
    try:
        with bar(f"judging {run.path.name}", number, transient=True) as on_answer:
            judged = judge_run(run.path, run.samples(), judge, on_answer)
    except OSError as error:
        raise EvalError(f"cannot write to {run.path}: {error.strerror}", 1) from error
    told, apart = agreement(run.path.name, run.samples(), judged)
    return told, apart, [each for each in judged.values() if each.verdict == "failed"]


def _as_json(run: "RunFolder", found: "list[GradeChange]", told: Any, *, written: bool) -> Any:
    samples = run.outcomes().values()
    shown: dict[str, Any] = {
        "run": str(run.path),
        "samples": len(samples),
        "changed": [asdict(each) for each in found],
        "written": written,
    }
    if told:
        counts, apart, _ = told
        shown["judge"] = asdict(counts)
        shown["apart"] = [_apart(sample, said) for sample, said in apart]
    return shown


def _apart(sample: Any, said: "Judged") -> dict[str, Any]:
    return {
        "problem": sample.id, "sample": sample.sample, "gold": sample.gold,
        "answer": sample.answer, "correct": sample.correct, "judge": said.verdict,
    }  # fmt: skip


def _show(run: "RunFolder", found: "list[GradeChange]", told: Any, *, written: bool) -> None:
    """Print one line a change: a table would crop what an answer was read as."""
    right = {True: "right", False: "wrong"}
    for each in found:
        before, after = each.before, each.after
        print(
            f"{each.problem}, sample {each.sample}: {right[before.correct]} ->"
            f" {right[after.correct]}: {each.why}"
        )
    gained = sum(each.after.correct and not each.before.correct for each in found)
    lost = sum(each.before.correct and not each.after.correct for each in found)
    samples = len(run.outcomes())
    done = "written" if written else "nothing is written without --write"
    counted = f"{len(found)} of {samples} samples change ({gained} gained, {lost} lost)"
    print(f"{run.path}: {counted if found else f'none of {samples} samples changes'}"
          f"{f'; {done}' if found else ''}")  # fmt: skip
    if told:
        _show_judge(told[0], told[1])


def _show_judge(told: "Agreement", apart: "list[tuple[Any, Judged]]") -> None:
    for sample, said in apart:
        grader = "right" if sample.correct else "wrong"
        print(
            f"{sample.id}, sample {sample.sample}: the grader says {grader}, the judge"
            f" {said.verdict}: {sample.answer!r} against {sample.gold!r}"
        )
    print(
        f"second score, by a judge, of the {told.compared} answers that it has a verdict on:"
        f" right by the grader {told.grader:.1%}, by the judge {told.judge:.1%};"
        f" only by the grader {told.only_grader}, only by the judge {told.only_judge}"
    )
    print(
        f"left out: {told.no_answer} samples without an answer, {told.unreadable} whose verdict"
        f" cannot be read, {told.failed} whose call failed"
    )
