"""A problem with its known answer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """`id` is unique in its task; `answer` is the gold answer as text."""

    id: str
    problem: str
    answer: str
