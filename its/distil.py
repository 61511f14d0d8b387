"""Notes that a model distils from a solved problem: procedures, or concepts.

Procedures say how problems of a kind are solved (Reasoning Memory); concepts are shorter ideas that
several kinds share (*ArcMemo*, arXiv 2509.04439). The model sees question and solution; neither may
stand in the note, so that it can help with other questions.
"""

import hashlib
import re
from typing import Literal, TypeAlias

from .overlap import Asked
from .types import Message

NoteKind: TypeAlias = Literal["procedures", "concepts"]

LONGEST_SHOWN = 8_000
"""Characters of a question and of its solution that a model is shown."""

LONGEST = {"procedures": 1_200, "concepts": 400}
"""Characters of one note."""

MOST_CONCEPTS = 3
_SHORTEST = 15

_SYSTEM = (
    "You write notes for a mathematician's notebook from solved problems. A note helps with other"
    " problems of the same kind. It never names the people, things or numbers of the problem, and"
    " never its result."
)
_ASKS: dict[NoteKind, str] = {
    "procedures": 'Write one procedure, as a single paragraph that begins with "To" or "How to" and'
    " says in general words what to do, step after step.",
    "concepts": f"List one to {MOST_CONCEPTS} concepts that the solution rests on, one a line, each"
    ' beginning with "- ": a name, a colon, and one sentence on when and how to use it.',
}
_REFUSED = re.compile(
    r"\\boxed|\banswer\b|\bas an ai\b|\bi cannot\b|\bi can't\b|<\|?/?[a-z]", re.IGNORECASE
)
_TAG = re.compile(r"<\s*/?\s*(?:question|solution)\s*>?", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.)])\s+")
_NUMBER = re.compile(r"\d{2,}(?:[.,]\d+)*")


def messages(kind: NoteKind, question: str, solution: str) -> list[Message]:
    """Return the chat that asks for notes of `kind`."""
    shown = [_TAG.sub(" ", text)[:LONGEST_SHOWN] for text in (question, solution)]
    text = (
        f"<question>\n{shown[0]}\n</question>\n<solution>\n{shown[1]}\n</solution>\n\n{_ASKS[kind]}"
    )
    return [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": text}]


def sha256(kind: NoteKind) -> str:
    """Return the hash of the prompt: a changed one makes other notes."""
    return hashlib.sha256(f"{_SYSTEM}\0{_ASKS[kind]}".encode()).hexdigest()


def read(kind: NoteKind, said: str, question: str) -> list[str]:
    """Return the notes in what a model said; those that break a rule are left out.

    A note may not hold the question or a near-duplicate of it, a number of two digits or more that
    the question has, a box, or a refusal.
    """
    _, closed, after = said.rpartition("</think>")
    spoken = (after if closed else said.partition("<think>")[0]).strip()
    if kind == "procedures":
        steps = [_BULLET.sub("", line) for line in spoken.splitlines()]  # they stand in a list
        found = [" ".join(" ".join(steps).split())]
    else:
        lines = [line for line in spoken.splitlines() if _BULLET.match(line)]
        found = [" ".join(_BULLET.sub("", line).split()) for line in lines][:MOST_CONCEPTS]
    asked = Asked.of(question)
    return [note for note in dict.fromkeys(found) if _kept(kind, note, question, asked)]


def _kept(kind: NoteKind, note: str, question: str, asked: Asked) -> bool:
    if not _SHORTEST <= len(note) <= LONGEST[kind] or _REFUSED.search(note) or asked.same(note):
        return False
    return not set(_NUMBER.findall(note)) & set(_NUMBER.findall(question))


KINDS: dict[str, NoteKind] = {"procedures": "procedures", "concepts": "concepts"}
