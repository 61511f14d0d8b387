"""A person who would write, teach or need the question (S of Input-Time Scaling,
arXiv 2508.13654, section 3)."""

from collections.abc import Mapping
from itertools import groupby
from random import Random
from typing import TYPE_CHECKING, TypeVar

from ..asks import asks_for_a_number
from .strategy import Options, Pick, Shelf, Strategy, person

if TYPE_CHECKING:
    from ..bm25 import Scores
    from ..personas.bank import Bank, Domain

DOMAINS = 8
"""Domains at most that are drawn from; those that score the same as the last of them count too."""

FITTING = 1 / 4
"""Share of the best domain's score from which on another one fits."""

STEPS = 10
"""Scores are compared in steps of this share of the best one: smaller differences say nothing."""

T = TypeVar("T")


def pick(question: str, shelf: Shelf, rng: Random, options: Options) -> Pick:
    """A fitting domain is drawn, then a person of it; the better one fits, the likelier it is.

    One draw among the nearest persons of the whole bank would give a thousand school problems the
    same ten of them, and a data set would measure a constant prefix instead of relevance.
    """
    scores = shelf.bank.relevance(question)
    domain = _drawn(_fitting(question, shelf.bank, scores), rng)
    return person(_drawn(shelf.bank.rank_in(domain, scores), rng), "similar")


def _fitting(question: str, bank: "Bank", scores: "Scores") -> dict["Domain", float]:
    """Return the domains that fit, with their scores.

    Who asks for a number gets people who live on numbers: a farm story of a school book wants a
    teacher of word problems, not a farmer.
    """
    every = bank.rank_domains(scores)
    numbers = {domain: score for domain, score in every.items() if domain.quantitative}
    domains = numbers if numbers and asks_for_a_number(question) else every
    ranked = sorted(domains.values(), reverse=True)
    limit = max(ranked[:DOMAINS][-1], FITTING * ranked[0])
    return {domain: score for domain, score in domains.items() if score >= limit}


def _drawn(scores: Mapping[T, float], rng: Random) -> T:
    """Draw by rank: the one in place k (from 1) weighs 1 / k; equal ones share their weights."""
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    best = ranked[0][1] or 1.0
    weights, place = list[float](), 1
    for _, equal in groupby(ranked, key=lambda item: round(STEPS * item[1] / best)):
        number = len(list(equal))
        shared = sum(1 / k for k in range(place, place + number)) / number
        weights += [shared] * number
        place += number
    return rng.choices([key for key, _ in ranked], weights)[0]


STRATEGY = Strategy("similar", "s", pick, Options, prompts=("similar",), version=2)
