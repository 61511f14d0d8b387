"""A bank of personas, our own or a user's, ranked against a question.

A persona is one or two sentences about a specific person, in one of some sixty domains. The
ranker is BM25 over the persona and its domain's key words, which needs no model and no network.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import msgspec
import numpy as np

from ..asks import asks_for_a_number
from ..bm25 import BM25, Scores
from ..words import LONGEST_READ, words

_SUM = re.compile(r"\d\)* ?[+*×÷%] ?\(*\d?|\d\)* [-\u2212/x] \(*\d")
_OF_A_SUM = " arithmetic numbers total"
"""Words that stand for the signs of a bare sum: "12 + 7" has none of its own."""

QUERY_WORDS = 256
"""A question's words that are ranked; a persona cannot fit the far end of a long document."""

NUMBER_PRIOR = 1.0
"""Added to quantitative domains, as a share of the best score, when a number is asked for: a
farm story of a school book wants a teacher of word problems, not a farmer."""


class BankError(ValueError):
    """A bank that cannot be read; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Domain:
    """A field of life; `quantitative` ones live on numbers."""

    name: str
    quantitative: bool
    keywords: str


@dataclass(frozen=True, slots=True)
class Persona:
    """A person described to the model, and the domain they belong to."""

    text: str
    domain: Domain


class Bank:
    """Personas by domain, and a ranker over them. Nothing changes after construction.

    `sha256` is of the files, for the manifest.
    """

    def __init__(self, personas: Sequence[Persona], sha256: str = "") -> None:
        self.personas, self.sha256 = tuple(personas), sha256
        self.domains = tuple(dict.fromkeys(p.domain for p in self.personas))
        self._by_domain: dict[Domain, list[int]] = {domain: [] for domain in self.domains}
        for row, persona in enumerate(self.personas):
            self._by_domain[persona.domain].append(row)
        self._ranker = BM25(
            [words(f"{p.text} {p.domain.name} {p.domain.keywords}") for p in self.personas]
        )
        self._named = {domain.name: domain for domain in self.domains}
        number = {domain: i for i, domain in enumerate(self.domains)}
        self._domain_of = np.array([number[p.domain] for p in self.personas])
        self._sizes = np.bincount(self._domain_of)
        self._quantitative = np.array([p.domain.quantitative for p in self.personas])

    def of(self, domain: Domain) -> Sequence[Persona]:
        """Return the personas of one domain, in the bank's order."""
        return [self.personas[row] for row in self._by_domain[domain]]

    def domain(self, name: str) -> Domain:
        """Return the domain of that name."""
        return self._named[name]

    def relevance(self, question: str) -> Scores:
        """Return each persona's BM25 score (>= 0), in the bank's order.

        Of a question longer than `LONGEST_READ` characters the beginning counts.
        """
        question = question[:LONGEST_READ]
        said = question + _OF_A_SUM if _SUM.search(question) else question
        query = list(dict.fromkeys(words(said)))[:QUERY_WORDS]
        return self._ranker.scores(query)

    def rank(self, question: str) -> Scores:
        """Return each persona's relevance with the number prior."""
        scores = self.relevance(question)
        if asks_for_a_number(question):
            scores += NUMBER_PRIOR * (scores.max() or 1.0) * self._quantitative
        return scores

    def rank_domains(self, scores: Scores) -> dict[Domain, float]:
        """Return the mean of its personas' scores for each domain."""
        sums = np.bincount(self._domain_of, weights=scores)
        return dict(zip(self.domains, (sums / self._sizes).tolist(), strict=True))

    def rank_in(self, domain: Domain, scores: Scores) -> dict[Persona, float]:
        """Return the score of each persona of `domain`."""
        rows = self._by_domain[domain]
        return {self.personas[row]: float(scores[row]) for row in rows}


@cache
def load() -> Bank:
    """Read the bank that ships with the package."""
    folder = files(__package__)
    raw = [(folder / name).read_bytes() for name in ("bank.jsonl", "domains.jsonl")]
    rows = map(json.loads, raw[0].splitlines())
    personas = [Persona(row["persona"], _domains()[row["domain"]]) for row in rows]
    return Bank(personas, hashlib.sha256(b"\0".join(raw)).hexdigest())


def read(path: Path) -> Bank:
    """Read a user's bank: JSONL of `persona` and `domain`.

    A domain of ours keeps its key words; another one is known by its name, which is all that its
    personas add to their own words where they are ranked.

    Raises:
        BankError: the file cannot be read, a row is no persona, or there is but one domain.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BankError(f"cannot read {path}: {error.strerror}") from error
    lines = enumerate(raw.splitlines(), 1)
    personas = [_persona(line, f"{path}, line {number}") for number, line in lines if line.strip()]
    if len({persona.domain.name for persona in personas}) < 2:
        raise BankError(f"{path}: needs personas of two domains or more")
    return Bank(personas, hashlib.sha256(raw).hexdigest())


class _Row(msgspec.Struct):
    persona: str
    domain: str


def _persona(line: bytes, at: str) -> Persona:
    try:
        row = msgspec.json.decode(line, type=_Row)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BankError(f"{at}: {error}") from error
    if not row.persona.strip() or not row.domain.strip():
        raise BankError(f"{at}: `persona` or `domain` is empty")
    return Persona(row.persona, _domains().get(row.domain) or Domain(row.domain, False, ""))


@cache
def _domains() -> dict[str, Domain]:
    lines = (files(__package__) / "domains.jsonl").read_text("utf-8").splitlines()
    return {
        row["name"]: Domain(row["name"], row["quantitative"], " ".join(row["keywords"]))
        for row in map(json.loads, lines)
    }
