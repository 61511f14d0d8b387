"""Reading and comparing as everybody calls them: nothing that a model writes raises here.

What an error means is decided in this one place: an answer that cannot be read abstains, two that
cannot be compared are undecided. `MemoryError` and `RecursionError` are errors like others.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from ..types import Answer
from .algebra.judge import Comparison, Judge, Remembered, Watched
from .equality import compare as comparing
from .faults import FAULTS
from .reading import read as reading

P = ParamSpec("P")


def _abstains(read: Callable[P, Answer | None]) -> Callable[P, Answer | None]:
    """Return `read` with `None` in place of whatever it raises."""

    @wraps(read)
    def safe(*args: P.args, **kwargs: P.kwargs) -> Answer | None:
        try:
            return read(*args, **kwargs)
        except Exception as error:
            FAULTS.note("read", type(error).__name__)
            return None

    return safe


read = _abstains(reading.read)
parse = _abstains(reading.parse)
read_or_parse = _abstains(reading.read_or_parse)


def compare(a: Answer, b: Answer, judge: Judge | None = None) -> Comparison:
    """Compare two answers; see `equality.compare`. What raises is undecided."""
    if isinstance(judge, Remembered):
        return judge.recall(a, b, compare)
    try:
        return comparing.compare(a, b, judge)
    except Exception as error:
        FAULTS.note("compare", type(error).__name__)
        if isinstance(judge, Watched):
            judge.undecided.add(max(a.text, b.text, key=lambda text: (len(text), text)))
        return Comparison.UNDECIDED
