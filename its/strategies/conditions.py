"""The question's own key conditions, listed beside it.

After *Sticker-TTS* (arXiv 2509.05007), which has a model extract key conditions before it answers:
a model extracts them by the prompt `conditions`. Without one, the question's sentences are split
into what is given and what is asked.
"""

import re
from random import Random
from typing import Annotated

from msgspec import Meta

from ..personas.conditions import LONGEST, TITLE
from ..words import LONGEST_READ
from .fetch import of_bank
from .strategy import Options, Pick, Shelf, Strategy

# A sentence ends at a stop or a line's end. A stop after a capital letter or a title ends none:
# "A. B.", "Mr. Sim"; after a digit only one before a capital letter does.
_END = re.compile(
    r"(?<=[^\sA-Z\d][.!?])(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)\s+"
    r"|(?<=\d[.!?])\s+(?=[A-Z])|(?<=[.?!]\$)\s+|\n+"
)
DRAWING = re.compile(r"\[asy\].*?(?:\[/asy\]|$)", re.DOTALL)
_VERBS = r"(?:find|compute|calculate|determine|evaluate|solve|prove|show|express|simplify|what|how"
_ASKS = re.compile(
    rf"\?\s*$|^{_VERBS}|which|who|when|where|why|give|enter|write|please)\b", re.IGNORECASE
)
_CLAUSE = re.compile(
    r"(?:^|,?\s+)(?:such that|where|given that|provided that|if|when)\s+", re.IGNORECASE
)
_REST = re.compile(
    rf",\s*(?:(?:then|in|at|by|to|of|for)\s+)?{_VERBS})\b.*$", re.IGNORECASE | re.DOTALL
)
_HAS_WORDS = re.compile(r"[^\W_]")


class Conditions(Options, frozen=True, forbid_unknown_fields=True):
    """`most`: conditions that are listed."""

    most: Annotated[int, Meta(ge=1, le=30)] = 8


def pick(question: str, shelf: Shelf, rng: Random, options: Conditions) -> Pick:
    """The sentences that give something, or else the clauses of the one that asks."""
    found = extract(question, options.most)
    if not found:
        return of_bank(question, shelf, rng, "conditions")
    text = "\n".join([TITLE, *(f"- {condition}" for condition in found)])
    return Pick(text, "conditions", "question", prompt="conditions")


def extract(question: str, most: int) -> list[str]:
    """Return up to `most` conditions, word for word as the question has them."""
    text = DRAWING.sub(" ", question[:LONGEST_READ])
    sentences = [" ".join(part.split()) for part in _END.split(text)]
    sentences = [sentence for sentence in sentences if _HAS_WORDS.search(sentence)]
    given = [part for sentence in sentences for part in _given(sentence)]
    found = dict.fromkeys(condition.strip(" .?;,") for condition in given or sentences)
    return [condition for condition in found if 0 < len(condition) <= LONGEST][:most]


def _given(sentence: str) -> list[str]:
    """Return what a sentence gives; one that asks may hold conditions too ("... such that ...")."""
    if not _ASKS.search(sentence):
        return [sentence]
    clauses = [_REST.sub("", clause) for clause in _CLAUSE.split(sentence)[1:]]
    before = _REST.sub("", sentence)
    return clauses or [before] * (before != sentence)


STRATEGY = Strategy("conditions", "conditions", pick, Conditions, prompts=("conditions",))
