"""What went wrong with model text that nobody foresaw: counted, and told once, by its class.

A model may write anything, and reading it goes through libraries that may raise anything. Such an
error costs a ballot, never a request or an evaluation.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Literal, TypeAlias

FaultStep: TypeAlias = Literal["read", "compare", "evaluate", "method"]

_LOG = logging.getLogger("its.answers")
_EFFECTS: Mapping[FaultStep, str] = {
    "read": "the answer is not read (it abstains)",
    "compare": "two answers stay undecided",
    "evaluate": "an expression stays undecided",
    "method": "the method has not decided",
}


class Faults:
    """The count of each step and class of error in this process, as `counts` has it.

    There is no lock: two threads that meet here at most lose one of two counts.
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[FaultStep, str]] = Counter()

    def note(self, step: FaultStep, error: str) -> None:
        """Count an error of the class named `error`; the first of its kind goes to the log.

        Its message stays unsaid: it may hold what the model wrote.
        """
        self._counts[step, error] += 1
        if self._counts[step, error] == 1:
            _LOG.warning(
                "%s in the step %r on a model's text: %s. Others of this kind are only counted",
                error, step, _EFFECTS[step],
            )  # fmt: skip

    @property
    def counts(self) -> Mapping[tuple[FaultStep, str], int]:
        return dict(self._counts)


FAULTS = Faults()
"""This process's count; it is global, as a logger is."""
