"""The figures of one model over one run: pass@1 with its interval, pass@k, maj@k, tokens, time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from its import answers
from its.answers.algebra.judge import Judge

from ..samples import EvalSample
from . import intervals, scaling
from .estimators import Interval, maj_at_k

COUNTED = (
    "A call that failed counts as wrong, and so does an answer that cannot be read. An answer that"
    " was cut counts only if it stands in a box before the cut."
)
"""How pass@1 counts what is no plain answer: the tables, the page and the docs say the same."""

BUDGETS = (256, 512, 1024, 2048, 4096, 8192, 16384, 32768)


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, median and 95th percentile of what was counted; `None` where nothing was."""

    mean: float | None
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """How one model did. Shares are 0 to 1; `COUNTED` says what counts as wrong.

    `pass_at_1` is the mean over samples, then over problems. `pass_at_k` and `maj_at_k` are means
    over problems for k = 1 to the smallest number of samples of a problem. `agreement` is the mean
    share of the largest cluster of equal answers. `tokens_per_solved` counts all tokens.
    `uncounted` is the number of answers without usage: `tokens_per_solved` and `cost` are `None`
    then, and the spreads of tokens are those of the other answers. `cancelled` is the number of a
    panel's calls that it cancelled because it was settled.
    """

    name: str
    problems: int
    samples: int
    pass_at_1: Interval
    pass_at_k: list[float]
    maj_at_k: list[float]
    agreement: float
    abstained: int
    cut: int
    failed: int
    uncounted: int
    tokens: Spread
    thinking_tokens: Spread
    response_tokens: Spread
    tokens_correct: Spread
    tokens_wrong: Spread
    tokens_per_solved: float | None
    seconds: Spread
    cost: float | None = None
    cancelled: int = 0


@dataclass(frozen=True, slots=True)
class Prices:
    """What a million tokens cost, in any currency."""

    prompt: float
    completion: float


def figures_of(
    name: str,
    samples: Sequence[EvalSample],
    judges: Callable[[], Judge],
    prices: Prices | None = None,
) -> Figures:
    """Return the figures of `samples` (at least one), several of a problem or one.

    Each problem has a judge of its own, as a judge's patience is that of one vote.
    """
    problems = by_problem(samples)
    shares = [fmean(sample.correct for sample in group) for group in problems.values()]
    fewest = min(len(group) for group in problems.values())
    votes = [_votes(group[:fewest], judges()) for group in problems.values()]
    answered = [sample for sample in samples if sample.error is None]
    solved = sum(sample.correct for sample in samples)
    total = _total(sample.tokens for sample in answered)
    return Figures(
        name=name,
        problems=len(problems),
        samples=len(samples),
        pass_at_1=intervals.mean_interval(shares),
        pass_at_k=scaling.coverage(counts(problems)),
        maj_at_k=[fmean(each) for each in zip(*(found for found, _ in votes), strict=True)],
        agreement=fmean(agreed for _, agreed in votes),
        abstained=sum(sample.answer is None for sample in answered),
        cut=sum(sample.finish_reason == "length" for sample in answered),
        failed=len(samples) - len(answered),
        uncounted=sum(sample.tokens is None for sample in answered),
        tokens=spread([s.tokens for s in answered]),
        thinking_tokens=spread([s.thinking_tokens for s in answered]),
        response_tokens=spread([s.response_tokens for s in answered]),
        tokens_correct=spread([s.tokens for s in answered if s.correct]),
        tokens_wrong=spread([s.tokens for s in answered if not s.correct]),
        tokens_per_solved=total / solved if solved and total is not None else None,
        seconds=spread([s.seconds for s in answered]),
        cost=_cost(answered, prices) if prices else None,
    )


def by_problem(samples: Sequence[EvalSample]) -> Mapping[str, list[EvalSample]]:
    """Return the samples of each problem, in the order of their numbers."""
    found: dict[str, list[EvalSample]] = {}
    for sample in sorted(samples, key=lambda sample: sample.sample):
        found.setdefault(sample.id, []).append(sample)
    return found


def counts(problems: Mapping[str, Sequence[EvalSample]]) -> list[tuple[int, int]]:
    """Return (samples, correct ones) of each problem."""
    return [(len(group), sum(sample.correct for sample in group)) for group in problems.values()]


def spread(values: Sequence[float | None]) -> Spread:
    """Return mean, median and 95th percentile of the values that are known."""
    ranked = sorted(value for value in values if value is not None)
    if not ranked:
        return Spread(None, None, None)
    last = len(ranked) - 1
    return Spread(fmean(ranked), ranked[round(0.5 * last)], ranked[round(0.95 * last)])


def scaling_of(samples: Sequence[EvalSample]) -> dict[str, Any]:
    """Return what more samples or tokens would bring, as JSON has it."""
    curve = scaling.coverage(counts(by_problem(samples)))
    law, saturation = scaling.power_law(curve), scaling.saturation(curve)
    rows = [(sample.correct, sample.tokens) for sample in samples]
    return {
        "coverage": curve,
        "power_law": asdict(law) if law else None,
        "saturation": asdict(saturation) if saturation else None,
        "budgets": list(BUDGETS),
        "solved_within": scaling.solved_within(rows, BUDGETS),
    }


def _votes(group: Sequence[EvalSample], judge: Judge) -> tuple[list[float], float]:
    """Return maj@k of one problem, and the share of its largest cluster."""
    given = [answers.parse(sample.answer or "", sample.answer_kind) for sample in group]
    clusters = answers.cluster(given, judge)
    sizes = [len(cluster) for cluster in clusters]
    right = [any(group[i].correct for i in cluster) for cluster in clusters]
    silent = len(group) - sum(sizes)
    return maj_at_k(sizes, right, silent), max(sizes, default=0) / len(group)


def _total(values: Iterable[int | None]) -> int | None:
    """Return the sum; `None` if one of the values is not known."""
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _cost(samples: Sequence[EvalSample], prices: Prices) -> float | None:
    prompt = _total(sample.prompt_tokens for sample in samples)
    completion = _total(sample.tokens for sample in samples)
    if prompt is None or completion is None:
        return None
    return (prompt * prices.prompt + completion * prices.completion) / 1e6
