"""Sentences that have nothing to do with the question.

After the title of the paper's sixth version, "Adding Noise and Irrelevance" (arXiv 2508.13654v6).
The templates of `heldout` are never in `train`, so a checkpoint that was trained with noise can be
tested with noise that it has not seen.
"""

import re
import tomllib
from functools import cache
from importlib.resources import files
from random import Random
from typing import Annotated, Literal, TypeAlias

import msgspec

from ..overlap import Asked
from ..words import LONGEST_READ
from .fetch import of_bank
from .strategy import Options, Pick, Shelf, Strategy

NoiseKind: TypeAlias = Literal["numbers", "facts", "question"]
NoiseSplit: TypeAlias = Literal["train", "heldout"]

MOST = 12
"""Sentences at most: no kind has fewer templates in a half."""

_SLOT = re.compile(r"\{(\d+)-(\d+)\}")


class Noise(Options, frozen=True, forbid_unknown_fields=True):
    """`kind`: statements with numbers, facts without, or other questions; how many sentences; and
    which half of the templates."""

    kind: NoiseKind = "numbers"
    sentences: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 3
    split: NoiseSplit = "train"


class _Half(msgspec.Struct, frozen=True):
    numbers: tuple[str, ...]
    facts: tuple[str, ...]
    question: tuple[str, ...]


def pick(question: str, shelf: Shelf, rng: Random, options: Noise) -> Pick:
    """So many templates, drawn without repetition and filled with numbers."""
    templates = list(getattr(load()[options.split], options.kind))
    asked = Asked.of(question[:LONGEST_READ])
    filled = [_fill(each, rng) for each in rng.sample(templates, len(templates))]
    sentences = [each for each in filled if not asked.same(each)][: options.sentences]
    if not sentences:
        return of_bank(question, shelf, rng, "noise")
    return Pick(" ".join(sentences), "noise", "template")


@cache
def load() -> dict[str, _Half]:
    """Return the templates of each half; `{2-90}` stands for a number from 2 to 90."""
    raw = (files(__package__) / "noise.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(raw), dict[str, _Half])


def _fill(template: str, rng: Random) -> str:
    return _SLOT.sub(lambda slot: f"{rng.randint(int(slot[1]), int(slot[2])):,}", template)


STRATEGY = Strategy("noise", "noise", pick, Noise)
