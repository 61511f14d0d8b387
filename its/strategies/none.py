"""No context (N of Input-Time Scaling, arXiv 2508.13654, section 3)."""

from random import Random

from .strategy import Options, Shelf, Strategy


def pick(question: str, shelf: Shelf, rng: Random, options: Options) -> None:
    """Nothing: the question stands alone."""


STRATEGY = Strategy("none", "n", pick, Options, context=False)
