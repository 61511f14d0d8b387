"""The prompts by which a model writes a context: our own, one file for each kind.

A file's hash is part of every stored persona's key and of a checkpoint's manifest: a changed
prompt is another prompt.
"""

import hashlib
import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from random import Random
from typing import Literal

import msgspec

from ...types import Message
from ..numbers import NUMBER_WORDS

LONGEST_SHOWN = 4000
"""Characters of a question that a writer is shown."""

LOOKED_AT = 16 * LONGEST_SHOWN
"""Characters of a question in which those are looked for."""

# An opening looks no further than the next one: many without an end would take a square of time.
_FORMULA = re.compile(
    r"\$\$.+?\$\$|\\\[(?:(?!\\\[).)+?\\\]|\\\((?:(?!\\\().)+?\\\)"
    r"|\[asy\](?:(?!\[asy\]).)+?\[/asy\]"
    r"|\$(?![^$]*[a-z]{3} [a-z]{2})[^$]+\$",  # two words in a row are prose between two prices
    re.DOTALL,
)
_TAG = re.compile(r"<\s*/?\s*question\s*>?", re.IGNORECASE)
_OPENINGS = ("$$", r"\[", r"\(", "[asy]")
_NUMBER = re.compile(r"[$€£]?\d[\d.,:/\u2044]*(?<![.,:/])(?:\s?%|[a-z]+)?")
_SIGNS = re.compile(
    r"[=^_+<>≤≥×÷√\\{}|~`@]|#{2}|\[/?[A-Z_]+\]|\w\(\w|[A-Za-z][*/-]\d|\d[*/-][A-Za-z]\b|://"
)
"""Marks a word that is a formula without dollars, a tag, or a mark of a chat template.

So nothing in a question can close the tag that it stands in, or begin another turn of the chat."""


class Example(msgspec.Struct, frozen=True):
    """A person, or a list of conditions, as we would write them."""

    persona: str
    domain: str = ""
    detail: str = ""
    place: str = ""
    question: str = ""


class Prompt(msgspec.Struct, frozen=True):
    """What a model is asked for, and two answers that we would like.

    `kind` decides how a text is tidied and which rules it is held to.
    """

    version: int
    system: str
    ask: str
    examples: Sequence[Example]
    details: Sequence[str] = ()
    places: Sequence[str] = ()
    kind: Literal["persona", "conditions"] = "persona"
    sha256: str = ""

    @property
    def sees_the_question(self) -> bool:
        return "{{question}}" in self.ask

    def vary(self, rng: Random) -> Mapping[str, str]:
        """Draw what one person is to have: a `detail` and a `place`, where the prompt has some."""
        lists = {"detail": self.details, "place": self.places}
        return {name: rng.choice(values) for name, values in lists.items() if values}

    def messages(self, question: str, domain: str, drawn: Mapping[str, str]) -> list[Message]:
        """Return the chat that asks for a person of `domain` with what `vary` has `drawn`."""
        chat: list[Message] = [{"role": "system", "content": self.system.strip()}]
        for example in self.examples:
            theirs = {"detail": example.detail, "place": example.place}
            asked = self._asked(example.question, example.domain, theirs)
            chat += [asked, {"role": "assistant", "content": example.persona.strip()}]
        return [*chat, self._asked(question, domain, drawn)]

    def _asked(self, question: str, domain: str, drawn: Mapping[str, str]) -> Message:
        text = self.ask.strip().replace("{{domain}}", domain)
        for name, value in drawn.items():
            text = text.replace("{{" + name + "}}", value)
        shown = redact(question) if self.kind == "persona" else question[:LONGEST_SHOWN]
        shown = _TAG.sub(" ", shown)  # a question must not end its own tag
        # Last: a question may itself hold what looks like a place to fill.
        return {"role": "user", "content": text.replace("{{question}}", shown)}


@cache
def load(name: str) -> Prompt:
    """Read the prompt `name`: the name of its file."""
    raw = (files(__package__) / f"{name}.toml").read_bytes()
    prompt = msgspec.convert(tomllib.loads(raw.decode()), Prompt)
    return msgspec.structs.replace(prompt, sha256=hashlib.sha256(raw).hexdigest())


def redact(question: str) -> str:
    """Return `question` without formulas, tags and numbers, of which number words are some too.

    What a writer cannot see, it cannot copy. Who would need a question shows without them.
    """
    plain = _printable(question[:LOOKED_AT])
    words = _FORMULA.sub(" … ", plain)
    if len(question) > LOOKED_AT:  # the last opening of a kind may end behind what is looked at
        last = [at for opening in _OPENINGS if (at := words.rfind(opening)) >= 0]
        words = words[: min(last, default=None)]
    shown = " ".join("…" if _SIGNS.search(word) else word for word in words.split())
    return NUMBER_WORDS.sub("some", _NUMBER.sub("some", shown))[:LONGEST_SHOWN]


def _printable(text: str) -> str:
    """Return `text` in its plainest characters, without those that are not seen."""
    # Not the other way round: some invisible characters become visible ones of another meaning.
    seen = "".join(c if c.isspace() or unicodedata.category(c)[0] != "C" else " " for c in text)
    return unicodedata.normalize("NFKC", seen)
