"""A problem with its known answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """`id` is unique in its task; `answer` is the gold answer as text.

    `row` is what a scorer of the task's own may need: the row of the data file.
    """

    id: str
    problem: str
    answer: str
    row: Mapping[str, Any] = field(default_factory=dict, compare=False)
