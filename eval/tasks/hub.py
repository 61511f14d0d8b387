"""Public problem sets on the Hugging Face hub: where they are, and how their rows are read.

Only ids, columns and sizes stand here, never a problem text. They were checked against public
documentation and published code. A set whose size differs from `rows` is refused when it is loaded.
"""

from dataclasses import dataclass

from its import seeds

from .columns import ProblemReader, TableRow, cell, columns, final_answer
from .problem import Problem

INSTRUCTION = "Reason step by step and put the final answer into \\boxed{}."
LETTER = "Reason step by step and put the letter of the right choice into \\boxed{}."
LETTERS = "ABCD"


def gsm8k(row: TableRow, number: int) -> Problem:
    """The answer stands behind `####` in the solution."""
    answer = final_answer(row, "answer")
    return Problem(f"gsm8k-test-{number}", cell(row, "question"), answer)


def olympiad(row: TableRow, number: int) -> Problem:
    """Several final answers are one list."""
    answer = final_answer(row, "final_answer")
    return Problem(cell(row, "id"), cell(row, "question"), answer, row)


def gpqa(row: TableRow, number: int) -> Problem:
    """Choices in an order that is drawn by the question, the same for everybody."""
    question = cell(row, "Question")
    right = cell(row, "Correct Answer").strip()
    choices = [right, *(cell(row, f"Incorrect Answer {i}").strip() for i in (1, 2, 3))]
    seeds.rng("gpqa", question).shuffle(choices)
    shown = "\n".join(f"{letter}) {text}" for letter, text in zip(LETTERS, choices, strict=True))
    return Problem(str(number), f"{question.strip()}\n\n{shown}", LETTERS[choices.index(right)])


@dataclass(frozen=True, slots=True)
class HubSet:
    """A data set: id, configuration, split, its size, and how a row is read."""

    id: str
    split: str
    rows: int
    read: ProblemReader
    config: str | None = None
    instruction: str = INSTRUCTION
    choice: bool = False
    gated: bool = False


MATH_ARENA = columns("problem", "answer", "problem_idx")

HUB_SETS = {
    "aime24": HubSet("HuggingFaceH4/aime_2024", "train", 30, columns("problem", "answer", "id")),
    "aime25": HubSet("MathArena/aime_2025", "train", 30, MATH_ARENA),
    "aime26": HubSet("MathArena/aime_2026", "train", 30, MATH_ARENA),
    "math500": HubSet(
        "HuggingFaceH4/MATH-500", "test", 500, columns("problem", "answer", "unique_id")
    ),
    "gsm8k": HubSet("openai/gsm8k", "test", 1319, gsm8k, "main"),
    "amc23": HubSet("math-ai/amc23", "test", 40, columns("question", "answer")),
    "hmmt-feb25": HubSet("MathArena/hmmt_feb_2025", "train", 30, MATH_ARENA),
    "gpqa-diamond": HubSet(
        "Idavidrein/gpqa", "train", 198, gpqa, "gpqa_diamond", LETTER, choice=True, gated=True
    ),
    "olympiadbench-math": HubSet(
        "Hothan/OlympiadBench", "train", 674, olympiad, "OE_TO_maths_en_COMP"
    ),
}  # fmt: skip

NAMES = ", ".join([*HUB_SETS, "arith", "gym:NAME"])
"""The tasks that have a name, as the help of the commands lists them."""

FILES = "FILE (JSONL, JSON, CSV, Parquet, .gz), or a task file .toml"
"""What else a task may be, as the help says it."""
