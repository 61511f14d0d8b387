"""Why the answers of a verdict are equal or not: computed when somebody asks, within limits."""

from typing import Any

from its.answers.algebra.judge import Judge
from its.answers.explained import explain, meaning, normal
from its.answers.reading.boxes import boxed
from its.types import Answer

from ..base.told import Told

MOST_ANSWERS = 12
"""Distinct answers that are compared with each other, of the most voted ones."""

LONGEST_WRITTEN = 300


def answers_of(told: Told) -> dict[Answer, list[str]]:
    """Return the distinct answers with the names of the calls that gave them."""
    found: dict[Answer, list[str]] = {}
    for row in told.rows.values():
        if row.reply is not None and row.reply.answer is not None:
            found.setdefault(row.reply.answer, []).append(row.call.name)
    return found


def equality(told: Told, judge: Judge) -> dict[str, Any]:
    """Return each distinct answer (as written, as read, normal form), and every pair of them."""
    found = answers_of(told)
    shown = sorted(found, key=lambda answer: -len(found[answer]))[:MOST_ANSWERS]
    rows = [
        {
            "answer": answer.text,
            "calls": found[answer],
            "written": sorted({_written(told, name, answer) for name in found[answer]})[:4],
            "normal": normal(answer)[:LONGEST_WRITTEN],
            "meaning": meaning(answer),
        }
        for answer in shown
    ]
    pairs = []
    for a in range(len(shown)):
        for b in range(a + 1, len(shown)):
            outcome, why = explain(shown[a], shown[b], judge)
            pairs.append({"a": a, "b": b, "outcome": outcome.value, "why": why})
    return {"answers": rows, "pairs": pairs, "left_out": len(found) - len(shown)}


def _written(told: Told, name: str, answer: Answer) -> str:
    """Return the place of a reply where its answer stands, as the model wrote it."""
    reply = told.rows[name].reply
    text = reply.text if reply is not None else ""
    if box := boxed(text):
        return f"\\boxed{{{box[:LONGEST_WRITTEN]}}}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    holding = [line for line in lines if answer.text in line]
    return (holding or lines or [answer.text])[-1][-LONGEST_WRITTEN:]
