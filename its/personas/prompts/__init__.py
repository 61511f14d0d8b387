"""The prompts by which a model writes a context: our own, one file for each kind.

A file's hash is part of every stored persona's key and of a checkpoint's manifest: a changed
prompt is another prompt.
"""

import hashlib
import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from ...types import Message

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
_NUMBER = re.compile(r"[$€£]?\d[\d.,:/]*(?<![.,:/])(?:\s?%)?")


class Example(msgspec.Struct, frozen=True):
    """A person, or a list of conditions, as we would write them."""

    persona: str
    domain: str = ""
    detail: str = ""
    question: str = ""


class Prompt(msgspec.Struct, frozen=True):
    """What a model is asked for, and two answers that we would like.

    `kind` decides how a text is tidied and which rules it is held to.
    """

    version: int
    system: str
    ask: str
    details: Sequence[str]
    examples: Sequence[Example]
    kind: Literal["persona", "conditions"] = "persona"
    sha256: str = ""

    @property
    def sees_the_question(self) -> bool:
        return "{{question}}" in self.ask

    def messages(self, question: str, domain: str, detail: str) -> list[Message]:
        """Return the chat that asks for a person of `domain`, examples first."""
        chat: list[Message] = [{"role": "system", "content": self.system.strip()}]
        for example in self.examples:
            asked = self._asked(example.question, example.domain, example.detail)
            chat += [asked, {"role": "assistant", "content": example.persona.strip()}]
        return [*chat, self._asked(question, domain, detail)]

    def _asked(self, question: str, domain: str, detail: str) -> Message:
        text = self.ask.strip().replace("{{domain}}", domain).replace("{{detail}}", detail)
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
    """Return `question` without formulas and numbers: what a writer cannot see, it cannot copy.

    Who would need a question shows without them.
    """
    words = _FORMULA.sub("…", question[:LOOKED_AT])
    if len(question) > LOOKED_AT:  # the last opening of a kind may end behind what is looked at
        last = [at for opening in _OPENINGS if (at := words.rfind(opening)) >= 0]
        words = words[: min(last, default=None)]
    return " ".join(_NUMBER.sub("some", words).split())[:LONGEST_SHOWN]
