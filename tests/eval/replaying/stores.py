"""Stored answers for the tests: files of rows, and runs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.samples import EvalSample, RunFolder


def outputs(file: Path, texts: Mapping[str, Mapping[str, object]], gold: str = "7") -> Path:
    """Write rows `problem -> model -> answer`: one or a list, alone or with further fields."""
    rows = [
        {"problem_id": problem, "model": model, "gold": gold, **_fields(value)}
        for problem, by_model in texts.items()
        for model, values in by_model.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return file


def _fields(value: object) -> dict[str, Any]:
    if isinstance(value, dict):
        return {**value, "text": f"\\boxed{{{value['text']}}}"}
    return {"text": "I cannot tell." if value is None else f"\\boxed{{{value}}}"}


def run(
    folder: Path,
    answers: Sequence[Sequence[str | None]],
    *,
    model: str = "m",
    gold: str = "7",
    **fields: Any,
) -> Path:
    """Write a run: for each problem its samples' answers; `None` is a call that failed."""
    stored = RunFolder(folder)
    settings = {"model": model, "problems": len(answers), "samples": max(map(len, answers))}
    stored.start(settings, {}, fresh=True)
    for sample in _samples(answers, gold, fields):
        stored.append(sample)
    return folder


def _samples(
    answers: Sequence[Sequence[str | None]], gold: str, fields: Mapping[str, Any]
) -> Iterator[EvalSample]:
    for number, given in enumerate(answers):
        for index, answer in enumerate(given):
            more = {key: value[index] if isinstance(value, list) else value
                    for key, value in fields.items()}  # fmt: skip
            base = EvalSample(f"p{number}", index, index, gold, f"What is question {number}?")
            values = {"tokens": 10, "seconds": 1.0, **more}
            if answer is None:
                values = {"error": "no", "seconds": 0.5}
            else:
                values |= {"text": answer, "answer": answer, "correct": answer == gold}
            yield EvalSample(**{**_plain(base), **values})


def _plain(sample: EvalSample) -> dict[str, Any]:
    return {name: getattr(sample, name) for name in sample.__slots__}
