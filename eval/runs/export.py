"""A run as one long table, for pandas and others: a row for each sample and each ballot."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from its.answers.algebra.workers import Workers
from its.files import atomic_open

from ..errors import EvalError
from ..figures.scores import ballot_samples
from ..grading.samples import graded
from ..grading.scorers import scorer_of
from ..samples import EvalSample, RunFolder

COLUMNS: Mapping[str, tuple[type, str]] = {
    "run": (str, "the run's folder"),
    "task": (str, "the task"),
    "model": (str, "the model that was asked; a panel's name"),
    "row": (str, "`sample`, or `ballot`: the answer of one member of a panel"),
    "problem": (str, "the problem's id"),
    "sample": (int, "the number of the sample, from 0"),
    "member": (str, "who answered: of a ballot the member, of a panel's sample the winner"),
    "strategy": (str, "how the context was chosen"),
    "source": (str, "where the context is from"),
    "domain": (str, "the context's domain"),
    "gold": (str, "the gold answer"),
    "answer": (str, "the answer that was read, empty if none"),
    "answer_kind": (str, "how it is compared"),
    "correct": (bool, "whether it is right"),
    "outcome": (str, "`voted`, `abstained` (no answer), `failed`, `late` or `cancelled`"),
    "error": (str, "why the call failed"),
    "finish_reason": (str, "`stop`, `length` (cut), ..."),
    "tokens": (int, "completion tokens; empty where the server does not say"),
    "thinking_tokens": (int, "of these, thinking"),
    "prompt_tokens": (int, "prompt tokens"),
    "seconds": (float, "how long the call took"),
    "seed": (int, "the sampling seed that was sent"),
    "temperature": (float, "the temperature that was sent"),
    "persona": (str, "the context"),
    "prompt": (str, "the question with its instruction"),
    "text": (str, "what the model wrote"),
    "reasoning": (str, "its thinking, where the server sends it apart"),
}
"""Name, type and meaning of each column, in their order. docs/eval.md has the same."""

TEXTS = ("persona", "prompt", "text", "reasoning")


def long_rows(run: RunFolder, graders: Workers) -> Iterator[dict[str, Any]]:
    """Yield the rows of a run: each sample, then the ballots of its panel.

    Raises:
        EvalError: there is no run in the folder.
    """
    settings, scorer = run.settings(), scorer_of(run.path)
    head = {"run": str(run.path), "task": settings.get("task"), "model": settings.get("model")}
    for sample in run.samples():
        told = sample.input_time
        yield _row(head, sample, told, "sample", told.get("winner"))
        for ballot, cast in ballot_samples(sample):
            judged = graded(cast, graders, scorer)
            yield _row(head, judged, ballot, "ballot", ballot.get("member"))


def write_table(rows: Iterable[dict[str, Any]], path: Path, *, texts: bool) -> int:
    """Write rows as `.csv`, `.jsonl` or `.parquet`; return how many there are.

    Without `texts` the columns of `TEXTS` are left out.

    Raises:
        EvalError: the file's name has another ending, or it cannot be written.
    """
    writers = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
    if path.suffix not in writers:
        raise EvalError(f"--out {path}: name it .csv, .jsonl or .parquet")
    columns = [name for name in COLUMNS if texts or name not in TEXTS]
    number = 0

    def counted() -> Iterator[dict[str, Any]]:
        nonlocal number
        for row in rows:
            number += 1
            yield row

    try:
        writers[path.suffix](counted(), path, columns)
        return number
    except OSError as error:
        raise EvalError(f"cannot write {path}: {error.strerror}", 1) from error


def _row(
    head: Mapping[str, Any], sample: EvalSample, told: Mapping[str, Any], kind: str,
    member: str | None,
) -> dict[str, Any]:  # fmt: skip
    outcome = told.get("outcome") if kind == "ballot" else None
    if outcome is None:
        outcome = "failed" if sample.error else "abstained" if sample.answer is None else "voted"
    found: dict[str, Any] = {
        **head,
        "row": kind,
        "problem": sample.id,
        "member": member,
        "strategy": told.get("drawn") or told.get("strategy"),
        "outcome": outcome,
        **{name: told.get(name) for name in ("source", "domain", "persona")},
    }
    if kind == "ballot":
        found["seconds"] = told.get("seconds")
        found["prompt_tokens"] = (told.get("usage") or {}).get("prompt_tokens")
    own = {name: getattr(sample, name) for name in COLUMNS if hasattr(sample, name)}
    return {name: _plain({**own, **found}.get(name)) for name in COLUMNS}


def _plain(value: Any) -> Any:
    """Return a value without half surrogate pairs, which no file can hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def _csv(rows: Iterable[dict[str, Any]], path: Path, columns: list[str]) -> None:
    with atomic_open(path) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
        writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(row)
        text.detach()


def _jsonl(rows: Iterable[dict[str, Any]], path: Path, columns: list[str]) -> None:
    with atomic_open(path) as file:
        for row in rows:
            shown = {name: row[name] for name in columns}
            file.write(json.dumps(shown, ensure_ascii=True).encode() + b"\n")


def _parquet(rows: Iterable[dict[str, Any]], path: Path, columns: list[str]) -> None:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise EvalError("a .parquet file needs pyarrow: pip install pyarrow") from error
    types = {str: arrow.string(), int: arrow.int64(), float: arrow.float64(), bool: arrow.bool_()}
    schema = arrow.schema([(name, types[COLUMNS[name][0]]) for name in columns])
    with atomic_open(path) as file, parquet.ParquetWriter(file, schema) as writer:
        block: list[dict[str, Any]] = []
        for row in rows:
            block.append({name: row[name] for name in columns})
            if len(block) == 1_000:
                writer.write_table(arrow.Table.from_pylist(block, schema))
                block = []
        writer.write_table(arrow.Table.from_pylist(block, schema))
