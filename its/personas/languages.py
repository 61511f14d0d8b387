"""Personas in other languages: our own, forty of each."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import msgspec

from ..suggest import unknown

CODES = ("de", "es", "fr", "it")
"""German, Spanish, French, Italian (ISO 639-1)."""


class Foreigner(msgspec.Struct, frozen=True):
    """A persona in another language; `domain` is one of the bank's, in English."""

    persona: str
    domain: str


@cache
def load(code: str) -> Sequence[Foreigner]:
    """Return the personas of one language."""
    raw = (files(__package__) / "languages" / f"{code}.jsonl").read_bytes()
    return tuple(msgspec.json.decode(line, type=Foreigner) for line in raw.splitlines())


def unknown_code(code: str) -> str:
    """Return the message for a language that has no personas."""
    return unknown("language", code, CODES)
