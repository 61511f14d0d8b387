"""What a run has spent and which calls failed, so that it ends when it should."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ..figures.figures import Prices
from ..samples import EvalSample

ALIKE = 20
"""Calls that may fail alike, if nothing was ever answered, before the run stops."""

_ODD = re.compile(r"\b[0-9a-f]{8,}(-[0-9a-f]+)*\b|\d+")


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What a run may cost at most, all its parts together: tokens in both directions, or money."""

    tokens: int | None = None
    cost: float | None = None
    prices: Prices | None = None

    def __bool__(self) -> bool:
        return self.tokens is not None or self.cost is not None


class Ledger:
    """Counts a run's samples: those of `before`, and each new one."""

    def __init__(self, limits: RunLimits, before: Iterable[EvalSample]) -> None:
        self._limits = limits
        self._prompt = self._completion = self._answered = self._ended = 0
        self._errors: Counter[str] = Counter()
        self._unknown = False
        for sample in before:
            self._count(sample)

    def add(self, sample: EvalSample) -> None:
        """Count a new sample."""
        self._count(sample)
        self._ended += 1
        if sample.error is not None:
            self._errors[sample.error] += 1

    def _count(self, sample: EvalSample) -> None:
        if sample.error is None:
            self._answered += 1
            self._unknown |= sample.tokens is None or sample.prompt_tokens is None
        self._prompt += sample.prompt_tokens or 0
        self._completion += sample.tokens or 0

    def used_up(self) -> str | None:
        """Return which limit is reached, and what was spent; `None` while none is."""
        limits = self._limits
        if limits and self._unknown:
            return "the server reports no usage, so that a limit on tokens or money cannot be kept"
        total = self._prompt + self._completion
        if limits.tokens is not None and total >= limits.tokens:
            return f"--max-tokens-total {limits.tokens:,} is reached: {total:,} tokens were used"
        if limits.cost is not None and limits.prices is not None:
            prices = limits.prices
            cost = (self._prompt * prices.prompt + self._completion * prices.completion) / 1e6
            if cost >= limits.cost:
                return f"--max-cost {limits.cost:g} is reached: {cost:.4g} was spent"
        return None

    def failing(self) -> str | None:
        """Return why asking on makes no sense: all calls fail alike, and nothing was answered."""
        if self._answered or not self._errors:
            return None
        error, _ = self._errors.most_common(1)[0]
        if error.startswith("401 "):
            return f"the server wants a key: {error}. Set OPENAI_API_KEY"
        alike = len({_ODD.sub("#", each) for each in self._errors}) == 1
        if self._ended >= ALIKE and alike:
            return f"the first {self._ended} calls failed alike: {error}"
        return None


def commonest(samples: Iterable[EvalSample]) -> tuple[int, str]:
    """Return how many samples failed, and the commonest error with its count."""
    errors = [sample.error for sample in samples if sample.error is not None]
    alike = Counter(_ODD.sub("#", error) for error in errors)
    if not alike:
        return 0, ""
    kind, count = alike.most_common(1)[0]
    error = next(each for each in errors if _ODD.sub("#", each) == kind)
    return len(errors), error if count == len(errors) else f"{error} ({count} of them)"
