"""How much contexts vary, and how much they have to do with their questions.

A strategy that gives most questions the same few personas trains on a constant prefix: a comparison
with it would measure variety, not relevance. So both stand in one table.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import nan
from random import Random

import numpy as np
import numpy.typing as npt

from . import seeds, strategies
from .bm25 import Scores
from .personas.bank import Persona
from .personas.twins import ALIKE
from .strategies import Shelf
from .variety import effective
from .words import LONGEST_READ, words

EVEN = "even"
"""The line of an even draw from the quantitative personas of the bank."""

FLIPS = 9_999
"""Random signs of the paired test; its smallest p-value is 1 / (FLIPS + 1)."""


@dataclass(frozen=True, slots=True)
class Variety:
    """How much `rows` texts vary.

    `effective` is the inverse Simpson index (1 / sum of squared shares): so many texts, used
    equally often, would vary as much. `largest` is the share of the commonest text (0 to 1).
    """

    rows: int
    distinct: int
    effective: float
    largest: float

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Variety":
        """Count `texts`; of none, all is 0."""
        said = Counter(texts)
        rows = said.total()
        largest = max(said.values(), default=0) / max(rows, 1)
        return cls(rows, len(said), effective(said.values()), largest)


@dataclass(frozen=True, slots=True)
class Line:
    """One strategy over one set of questions.

    `quantitative` is the share of personas that live on numbers; `rank` the mean share of the bank
    that fits the question worse (0.5 by chance); both are NaN where contexts are not of the bank.
    `shared` is the mean number of words that a context has in common with its question.
    """

    strategy: str
    variety: Variety
    quantitative: float
    rank: float
    shared: float


@dataclass(frozen=True, slots=True)
class EvenDrawTest:
    """The words that `similar` shares with its questions, less those of an even draw.

    `mean` is the mean difference over `questions`, `p` the one-sided p-value of random signs.
    """

    questions: int
    mean: float
    p: float


class Measured:
    """Contexts of some questions, by strategy and by an even draw from quantitative personas."""

    def __init__(self, questions: Sequence[str], shelf: Shelf, seed: int, member: str) -> None:
        self._questions = [question[:LONGEST_READ] for question in questions]
        self._shelf, self._seed, self._member = shelf, seed, member
        self._said = [frozenset(words(question)) for question in self._questions]
        self._at = {persona.text: i for i, persona in enumerate(shelf.bank.personas)}

    def line(self, strategy: str, options: strategies.Options | None = None) -> Line:
        """Return the line of one strategy (or of `EVEN`).

        Raises:
            ValueError: the strategy has no context, or the shelf lacks what it needs.
        """
        texts, bank = self.texts(strategy, options), self._shelf.bank
        rows = [self._at.get(text) for text in texts]
        ranks = [
            share_below(bank.rank(question), row)
            for question, row in zip(self._questions, rows, strict=True)
            if row is not None
        ]
        numbers = [bank.personas[row].domain.quantitative for row in rows if row is not None]
        shared = _mean(self._shared(texts))
        return Line(strategy, Variety.of(texts), _mean(numbers), _mean(ranks), shared)

    def paired(self) -> EvenDrawTest:
        """Compare `similar` with an even draw from the same quantitative personas."""
        ours, even = (np.array(self._shared(self.texts(name))) for name in ("similar", EVEN))
        return signs(ours - even, seeds.rng("diversity", self._seed))

    def texts(self, strategy: str, options: strategies.Options | None = None) -> list[str]:
        """Return each question's context."""
        if strategy == EVEN:
            numbers = [p for p in self._shelf.bank.personas if p.domain.quantitative]
            return [self._even(question, numbers) for question in self._questions]
        picks = [
            strategies.choose(
                strategy,
                q,
                shelf=self._shelf,
                seed=self._seed,
                member=self._member,
                options=options,
            )
            for q in self._questions
        ]
        if None in picks:
            raise ValueError(f"the strategy {strategy!r} has no context to measure")
        return [pick.text for pick in picks if pick]

    def _even(self, question: str, numbers: Sequence[Persona]) -> str:
        if not numbers:
            raise ValueError("the bank has no quantitative personas to compare with")
        return seeds.rng(EVEN, self._seed, question).choice(numbers).text

    def _shared(self, texts: Sequence[str]) -> list[int]:
        pairs = zip(self._said, texts, strict=True)
        return [len(said & set(words(text))) for said, text in pairs]


def share_below(scores: Scores, row: int) -> float:
    """Return the share of the other scores that are below that of `row`; equal ones count half."""
    own = scores[row]
    equal = int((scores == own).sum()) - 1
    return (int((scores < own).sum()) + equal / 2) / (len(scores) - 1)


def signs(differences: npt.NDArray[np.int64], rng: Random) -> EvenDrawTest:
    """Test whether the mean of paired `differences` is above 0, by random signs.

    It supposes no distribution (Fisher's randomization test); `p` counts the observed order too.
    """
    if not len(differences):
        raise ValueError("there are no questions to compare")
    random = np.random.default_rng(rng.getrandbits(64))
    observed, above = differences.sum(), 0
    for _ in range(FLIPS):
        flipped = random.integers(0, 2, len(differences), dtype=np.int8) * 2 - 1
        above += int((flipped * differences).sum() >= observed)
    return EvenDrawTest(len(differences), float(differences.mean()), (above + 1) / (FLIPS + 1))


def without_twins(texts: Sequence[str]) -> list[str]:
    """Return for each text the first one of which it is a near-duplicate, or itself.

    Two texts are near-duplicates if they share `ALIKE` of all their different words.
    """
    first: dict[str, str] = {}
    kinds: list[tuple[str, frozenset[str]]] = []
    for text in texts:
        if text not in first:
            said = frozenset(words(text))
            first[text] = next((known for known, other in kinds if _twins(said, other)), text)
            if first[text] == text:
                kinds.append((text, said))
    return [first[text] for text in texts]


def _twins(a: frozenset[str], b: frozenset[str]) -> bool:
    if min(len(a), len(b)) < ALIKE * max(len(a), len(b)):
        return False
    return len(a & b) >= ALIKE * len(a | b)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else nan
