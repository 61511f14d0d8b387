"""What an experiment can show, reckoned before it is run, from what a pilot's checkpoints varied.

A claim about training compares groups of checkpoints. How much they vary without any cause is the
standard deviation (SD) between checkpoints of one strategy, within blocks of one training seed. The
difference of two cells of one checkpoint (asked with a context, and without) varies less, as the
two cells share the checkpoint's luck: SD_d = SD sqrt(2 (1 - r)), where r is their correlation. More
problems do not help against it; more seeds do.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import EvalError
from ..figures.permutation import LEVEL, arrangements

SIMULATED = 1_000
POWER = 0.8
WIDEST = 20.0
"""Effects above so many SDs are not searched."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PilotSpread:
    """How checkpoints of one strategy vary, as shares: `level` is the SD of a cell between them.

    `correlation` is that of a checkpoint's accuracy with a context and without one. `checkpoints`
    were seen, in `blocks` strategies of at least two.
    """

    level: float
    correlation: float
    checkpoints: int = 0
    strategies: int = 0

    @property
    def change(self) -> float:
        """The SD between checkpoints of what a context changes within one."""
        return self.level * math.sqrt(2 * (1 - self.correlation))


@dataclass(frozen=True, slots=True)
class Detectable:
    """The smallest difference of shares that a test at 5% finds in four of five experiments.

    `level` compares accuracies of two groups, `change` what a context changes in them. `None`: so
    few checkpoints can give no p so small. `smallest_p` is the smallest p that they can give;
    `hypotheses` are tested together, so that the smallest p must be below 5% by their number.
    """

    seeds: int
    treated: int
    others: int
    hypotheses: int
    smallest_p: float
    level: float | None
    change: float | None

    def as_json(self) -> dict[str, Any]:
        """Return the figures as JSON has them."""
        return asdict(self)


def detectable(
    spread: PilotSpread, seeds: int, treated: int = 1, others: int = 1, hypotheses: int = 1
) -> Detectable:
    """Return what `treated` strategies against `others`, with `seeds` each, can show.

    Checkpoints are permuted within blocks of one seed, as `figures.permutation.blocked` does; the
    power is simulated with normal luck.
    """
    block = [True] * treated + [False] * others
    chosen = np.array(block * seeds)
    parts = [np.arange(n * len(block), (n + 1) * len(block)) for n in range(seeds)]
    weights = arrangements(parts, chosen)
    shift = weights @ chosen.astype(float)
    smallest = float((np.abs(shift) > 1 - 1e-9).mean())
    at = LEVEL / hypotheses
    effect = _effect(weights, shift, chosen, at) if smallest <= at and seeds > 1 else None
    return Detectable(
        seeds, treated, others, hypotheses, smallest,
        None if effect is None else effect * spread.level,
        None if effect is None else effect * spread.change,
    )  # fmt: skip


def _effect(weights: Array, shift: Array, chosen: npt.NDArray[np.bool_], at: float) -> float | None:
    """Return the effect, in SDs, that is found with `POWER`, by bisection on the same luck."""
    luck = np.random.default_rng(0).normal(size=(SIMULATED, len(chosen))) @ weights.T
    own = int(np.argmax(shift))

    def power(effect: float) -> float:
        seen = luck + effect * shift
        as_far = np.abs(seen) >= np.abs(seen[:, [own]]) - 1e-9
        return float((as_far.mean(1) <= at).mean())

    low, high = 0.0, WIDEST
    if power(high) < POWER:
        return None
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def paired_cells(problems: int, discordant: float) -> float:
    """Return the difference of two cells of one checkpoint that a test at 5% finds with 80%.

    They differ on a share `discordant` of the problems (McNemar's test; Connor 1987, Biometrics
    43:207). It is a claim about one checkpoint.
    """
    if problems < 1 or not 0 < discordant <= 1:
        raise ValueError("needs problems >= 1, and a discordant share in (0, 1]")
    z = NormalDist().inv_cdf(1 - LEVEL / 2) + NormalDist().inv_cdf(POWER)
    return z * math.sqrt(discordant / problems)


def pilot_spread(matrix: Mapping[str, Any]) -> PilotSpread:
    """Return how the checkpoints of a pilot vary, from its `matrix.json`.

    The variances are those within a training strategy, pooled; the correlation is that of the
    deviations of the two kinds of cells.

    Raises:
        EvalError: no strategy has two checkpoints.
    """
    cells: dict[str, dict[str, dict[bool, list[float]]]] = {}
    for each in matrix["models"]:
        asked = each["test"] != "none"
        kinds = cells.setdefault(each["train"], {}).setdefault(each["model"], {})
        kinds.setdefault(asked, []).append(each["pass_at_1"]["value"])
    several = [list(models.values()) for models in cells.values() if len(models) > 1]
    if not several:
        raise EvalError(
            "no training strategy of the pilot has two checkpoints, so their spread is unknown:"
            " train a second seed, or say --sd and --correlation"
        )
    deviations = {asked: _deviations(several, asked) for asked in (True, False)}
    free = sum(len(group) - 1 for group in several)
    variances = [float(sum(np.square(each))) / free for each in deviations.values() if len(each)]
    level = math.sqrt(float(np.mean(variances)))
    return PilotSpread(
        level, _correlation(deviations[True], deviations[False]),
        sum(map(len, several)), len(several),
    )  # fmt: skip


def _deviations(
    groups: Sequence[Sequence[Mapping[bool, Sequence[float]]]], asked: bool
) -> list[float]:
    """Return each checkpoint's mean over its cells of a kind, less its strategy's mean."""
    found: list[float] = []
    for group in groups:
        means = [float(np.mean(each[asked])) for each in group if asked in each]
        found += [mean - float(np.mean(means)) for mean in means]
    return found


def _correlation(one: Sequence[float], two: Sequence[float]) -> float:
    if len(one) != len(two) or not one:
        return 0.0
    size = math.sqrt(float(sum(np.square(one))) * float(sum(np.square(two))))
    return float(np.dot(one, two)) / size if size else 0.0
