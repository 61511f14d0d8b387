"""Our own bank of personas, ranked against a question.

A persona is one or two sentences about a specific person, in one of some sixty domains. The
ranker is BM25 over the persona and its domain's key words, which needs no model and no network.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from statistics import fmean

import bm25s
from bm25s.stopwords import STOPWORDS_EN

_STOP_WORDS = frozenset(STOPWORDS_EN) | {"you", "your"}
_WORD = re.compile(r"[a-z]{2,}")
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


@dataclass(frozen=True, slots=True)
class Ranked:
    """A persona with its relevance to a question (BM25 with the number prior; >= 0)."""

    persona: Persona
    score: float


class Bank:
    """Personas by domain, and a ranker over them. Nothing changes after construction."""

    def __init__(self, personas: Sequence[Persona]) -> None:
        self.personas = tuple(personas)
        self.domains = tuple(dict.fromkeys(p.domain for p in self.personas))
        self._by_domain: dict[Domain, list[Persona]] = {domain: [] for domain in self.domains}
        for persona in self.personas:
            self._by_domain[persona.domain].append(persona)
        self._ranker = bm25s.BM25()
        self._ranker.index(
            [words(f"{p.text} {p.domain.name} {p.domain.keywords}") for p in self.personas],
            show_progress=False,
        )

    def of(self, domain: Domain) -> Sequence[Persona]:
        """Return the personas of one domain, in the bank's order."""
        return self._by_domain[domain]

    def rank(self, question: str) -> list[Ranked]:
        """Return every persona with its score, in the bank's order."""
        query = list(dict.fromkeys(words(question)))[:QUERY_WORDS]
        known = [word for word in query if word in self._ranker.vocab_dict]
        scores = self._ranker.get_scores(known).tolist() if known else [0.0] * len(self.personas)
        prior = NUMBER_PRIOR * (max(scores) or 1.0) if asks_for_a_number(question) else 0.0
        return [
            Ranked(persona, score + prior * persona.domain.quantitative)
            for persona, score in zip(self.personas, scores, strict=True)
        ]

    def rank_domains(self, question: str) -> dict[Domain, float]:
        """Return each domain's mean score."""
        scores: dict[Domain, list[float]] = {domain: [] for domain in self.domains}
        for ranked in self.rank(question):
            scores[ranked.persona.domain].append(ranked.score)
        return {domain: fmean(values) for domain, values in scores.items()}


def words(text: str) -> list[str]:
    """Return the lower-case words of `text` that BM25 matches: no stop words, plurals folded."""
    return [_fold(word) for word in _WORD.findall(text.lower()) if word not in _STOP_WORDS]


def asks_for_a_number(question: str) -> bool:
    """Tell whether `question` names quantities and asks for one, or is written in formulas."""
    if _HAS_FORMULAS.search(question):
        return True
    return bool(_HAS_QUANTITIES.search(question) and _ASKS_FOR_A_NUMBER.search(question))


@cache
def load() -> Bank:
    """Read the bank that ships with the package."""
    folder = files(__package__)
    domains = {
        row["name"]: Domain(row["name"], row["quantitative"], " ".join(row["keywords"]))
        for row in map(json.loads, (folder / "domains.jsonl").read_text("utf-8").splitlines())
    }
    rows = map(json.loads, (folder / "bank.jsonl").read_text("utf-8").splitlines())
    return Bank([Persona(row["persona"], domains[row["domain"]]) for row in rows])


def _fold(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("s") and len(word) > 3 and not word.endswith("ss"):
        return word[:-1]
    return word
