"""The public sources, and the training sets of the paper that are drawn from them.

Input-Time Scaling (arXiv 2508.13654), section 4: 15,000 and 1,000 mathematical rows of
OpenThoughts whose output says `final answer` and has a box, and LIMO.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from . import examples
from .examples import Shape, TrainingExample
from .raw import Fields


@dataclass(frozen=True, slots=True)
class Source:
    """A data set on the hub. `rows` is the size that was published; another one is an error."""

    name: str
    repo: str
    config: str | None
    rows: int
    licence: str
    columns: tuple[str, ...]
    shape: Shape
    wanted: Callable[[Fields], bool] = lambda fields: True


SOURCES = {
    source.name: source
    for source in (
        Source(
            "open-thoughts", "open-thoughts/OpenThoughts-114k", "metadata", 113_957, "Apache-2.0",
            ("problem", "deepseek_reasoning", "deepseek_solution", "domain"),
            examples.open_thoughts, lambda fields: fields.get("domain") == "math",
        ),
        Source(
            "limo", "GAIR/LIMO", None, 817, "Apache-2.0",
            ("question", "solution"), examples.limo,
        ),
        Source(
            "limo-v2", "GAIR/LIMO-v2", None, 800, "Apache-2.0",
            ("question", "solution"), examples.limo,
        ),
        Source(
            "s1k", "simplescaling/s1K-1.1", None, 1_000, "MIT",
            ("question", "deepseek_thinking_trajectory", "deepseek_attempt"), examples.s1k,
        ),
        Source(
            "gsm8k", "openai/gsm8k", "main", 7_473, "MIT",
            ("question", "answer"), examples.gsm8k,
        ),
    )
}  # fmt: skip


def says_final_answer(example: TrainingExample) -> bool:
    return "final answer" in example.answer.lower()


def has_a_box(example: TrainingExample) -> bool:
    return "boxed{" in example.answer


def ends_its_thinking(example: TrainingExample) -> bool:
    return "<think>" not in example.answer or "</think>" in example.answer


FILTERS: Mapping[str, tuple[Callable[[TrainingExample], bool], str]] = {
    "final-answer": (says_final_answer, "the answer says `final answer`"),
    "boxed": (has_a_box, "the answer has a `boxed{`"),
    "thinking-ends": (ends_its_thinking, "a `<think>` that is opened is closed"),
}
"""Which examples are kept, by name, with what it says in the data card."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A named training set: so many rows (all: `None`) of a source that pass the filters."""

    source: str
    rows: int | None = None
    filters: tuple[str, ...] = ()


SETS = {
    "ot-1k": Recipe("open-thoughts", 1_000, ("final-answer", "boxed")),
    "ot-15k": Recipe("open-thoughts", 15_000, ("final-answer", "boxed")),
    "limo": Recipe("limo"),
    "limo-v2": Recipe("limo-v2"),
    "gsm8k-1k": Recipe("gsm8k", 1_000),
}
"""`ot-1k` is the head of `ot-15k`: rows are drawn in the order of their seeded hashes."""
