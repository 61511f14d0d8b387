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
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from ..bm25 import BM25
from ..words import LONGEST_READ, words

Scores: TypeAlias = npt.NDArray[np.float64]

_ASKS_FOR_A_NUMBER = re.compile(
    r"\b(how (many|much|long|far|old|tall|fast)|find|compute|calculate|determine|evaluate|solve"
    r"|number of|sum of|product of|value of|what (is|are|was) the|what (percent|fraction|time)"
    r"|remainder|probability|total)\b",
    re.IGNORECASE,
)
_HAS_FORMULAS = re.compile(r"\$[^$]+\$|\\[a-zA-Z]+|\b[a-z] ?=")
_HAS_QUANTITIES = re.compile(
    r"\d|\$|\\frac|\b(one|two|three|four|five|six|seven|eight|nine|ten|dozen|half|twice|pair)\b",
    re.IGNORECASE,
)

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
        self._by_domain: dict[Domain, list[Persona]] = {domain: [] for domain in self.domains}
        for persona in self.personas:
            self._by_domain[persona.domain].append(persona)
        self._rows, self._weights = _index(self.personas)
        self._named = {domain.name: domain for domain in self.domains}
        number = {domain: i for i, domain in enumerate(self.domains)}
        self._domain_of = np.array([number[p.domain] for p in self.personas])
        self._sizes = np.bincount(self._domain_of)
        self._quantitative = np.array([float(p.domain.quantitative) for p in self.personas])

    def of(self, domain: Domain) -> Sequence[Persona]:
        """Return the personas of one domain, in the bank's order."""
        return self._by_domain[domain]

    def domain(self, name: str) -> Domain:
        """Return the domain of that name."""
        return self._named[name]

    def nearest(self, question: str, number: int) -> list[Persona]:
        """Return the `number` most relevant personas; equal ones in the bank's order."""
        order = np.argsort(-self._rank(question), kind="stable")[:number]
        return [self.personas[i] for i in order.tolist()]

    def rank_domains(self, question: str) -> dict[Domain, float]:
        """Return each domain's mean relevance."""
        sums = np.bincount(self._domain_of, weights=self._rank(question))
        return dict(zip(self.domains, (sums / self._sizes).tolist(), strict=True))

    def _rank(self, question: str) -> Scores:
        """Return each persona's relevance (BM25 with the number prior; >= 0).

        Of a question longer than `LONGEST_READ` characters the beginning counts.
        """
        question = question[:LONGEST_READ]
        query = list(dict.fromkeys(words(question)))[:QUERY_WORDS]
        rows = [row for word in query if (row := self._rows.get(word)) is not None]
        scores: Scores = self._weights[rows].sum(axis=0).astype(np.float64)
        if asks_for_a_number(question):
            scores += NUMBER_PRIOR * (scores.max() or 1.0) * self._quantitative
        return scores


def _index(personas: Sequence[Persona]) -> tuple[dict[str, int], npt.NDArray[np.float32]]:
    """Return a row for each word, and its BM25 weight for each persona in that row.

    The bank is small enough to keep the zeros, and summing rows is ten times faster than
    following postings.
    """
    ranker = BM25()
    ranker.index(
        [words(f"{p.text} {p.domain.name} {p.domain.keywords}") for p in personas],
        show_progress=False,
    )
    starts, found, weights = (ranker.scores[key] for key in ("indptr", "indices", "data"))
    dense = np.zeros((len(starts) - 1, len(personas)), np.float32)
    for row in range(len(starts) - 1):
        at = slice(starts[row], starts[row + 1])
        dense[row, found[at]] = weights[at]
    return {word: row for word, row in ranker.vocab_dict.items() if word}, dense


def asks_for_a_number(question: str) -> bool:
    """Tell whether `question` names quantities and asks for one, or is written in formulas."""
    if _HAS_FORMULAS.search(question):
        return True
    return bool(_HAS_QUANTITIES.search(question) and _ASKS_FOR_A_NUMBER.search(question))


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
