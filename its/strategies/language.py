"""A persona in another language than the question.

After *When Life Gives You Samples* (arXiv 2506.20544), which varies the language of the prompt to
make samples differ. The personas are ours, forty of each language.
"""

from random import Random

from ..personas import languages
from .strategy import Options, Pick, Shelf, Strategy


class Language(Options, frozen=True, forbid_unknown_fields=True):
    """`languages`: the codes (ISO 639-1) of the languages that are drawn from."""

    languages: tuple[str, ...] = languages.CODES

    def __post_init__(self) -> None:
        for code in self.languages:
            if code not in languages.CODES:
                raise ValueError(languages.unknown_code(code))
        if not self.languages:
            raise ValueError(f"needs a language of: {', '.join(languages.CODES)}")


def pick(question: str, shelf: Shelf, rng: Random, options: Language) -> Pick:
    """A language is drawn, then a person who is described in it."""
    chosen = rng.choice(languages.load(rng.choice(options.languages)))
    return Pick(chosen.persona, "language", "languages", chosen.domain)


STRATEGY = Strategy("language", "language", pick, Language)
