"""When two questions are the same one: the measure that decontamination uses, for a pair.

The 13-gram rule is that of GPT-3 (*Language Models are Few-Shot Learners*, arXiv 2005.14165,
appendix C). A question that is too short for it counts where all its words, five or more, stand in
the other one in a row; a shorter one, such as "What is 2+2?", must be the whole of the other.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

GRAM = 13
SHORTEST = 5
"""Words of a question that is looked for inside of others; shorter ones are compared whole."""

SURELY = 20
"""Characters, spaces aside, that one text does not share with another by chance. They find copies
in scripts that put no spaces between words."""

_WORD = re.compile(r"\w+")


def normal(text: str) -> list[str]:
    """Return the words of `text`: case, punctuation and forms of one character do not count."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


def grams(words: Sequence[str], length: int = GRAM) -> list[str]:
    """Return every run of `length` words."""
    return [" ".join(words[i : i + length]) for i in range(len(words) - length + 1)]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, prepared to be compared with many texts."""

    words: Sequence[str]
    bare: str
    grams: frozenset[str]
    runs: dict[int, frozenset[str]] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, question: str) -> "Asked":
        """Prepare `question`."""
        words = normal(question)
        return cls(words, "".join(words), frozenset(grams(words)))

    def same(self, other: str) -> bool:
        """Tell whether `other` holds this question or is a near-duplicate of it."""
        words = normal(other)
        bare = "".join(words)
        if not bare or not self.bare:
            return False
        if bare == self.bare or _within(*sorted((bare, self.bare), key=len)):
            return True
        length = min(len(words), len(self.words), GRAM)
        if length < SHORTEST:
            return False
        return not self._runs(length).isdisjoint(grams(words, length))

    def _runs(self, length: int) -> frozenset[str]:
        if length == GRAM:
            return self.grams
        if length not in self.runs:
            self.runs[length] = frozenset(grams(self.words, length))
        return self.runs[length]


def _within(shorter: str, longer: str) -> bool:
    return len(shorter) >= SURELY and shorter in longer
