"""What a persona written by a model may not be. Each rule was earned by a real model's output."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from ..words import LONGEST_READ, words
from .bank import Domain
from .numbers import NUMBER_WORDS
from .prompts import Prompt

SHORTEST, LONGEST = 8, 60
"""Words of a persona."""

LONGEST_CHARACTERS, LONGEST_WORD = 600, 40
MARKS = 4
"""Words for each mark of punctuation, at least, in addition to a few marks."""

SENTENCES = 2
RUN = 8
"""Words in a row that a persona may not share with the question."""

ECHO = 5
"""Words in a row that it may not share with the prompt and its examples, which it should leave."""

MOST_SHARED = 3
"""Words that carry meaning which it may share with the question: more is a paraphrase."""

MOST_OFTEN = 2
"""Times that a persona may use a word that carries meaning; small models fall into loops."""

STEM = 5

_DISCLAIMER = re.compile(
    r"\b(as an ai|language model|i cannot|i can't|i'm sorry|i am sorry|unable to|assistant)\b", re.I
)
_ECHO = re.compile(
    r"\{\{|\}\}|<\|?/?[a-z]|\bsketch\b|\bpersona\b|\bthe question\b|\bthis question\b|"
    r"\bbeginning with\b|\bone sentence\b", re.I
)  # fmt: skip
_ANSWER = re.compile(r"\\boxed|\banswer (is|was|to)\b|\bsolution (is|to)\b|\bequals\b", re.I)
# Latin letters and ordinary punctuation. All else is no part of a description in English: control
# characters, text that runs from right to left, homoglyphs, signs of numbers, and whatever marks
# tags, turns of a chat, code or formulas.
_STRANGE = re.compile(
    r"[^ A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u017f\u0218-\u021b\u1e00-\u1eff"
    r".,;:!?'\"()\-\u2010-\u2015\u2018-\u201e\u2026]"
)
_MARK = re.compile(r"[^\w\s]")
_MARKS_IN_A_ROW = re.compile(r"([!?,;:])\1|[^\w\s]{4,}")
_LINK = re.compile(r"\b(?:https?|www)\b|\w\.\w{2,}", re.I)
_INSULT = re.compile(
    r"\b(?:idiot\w*|moron\w*|imbecile\w*|cretin\w*|stupid\w*|dumb(?:o|er|est|ass\w*)?|fool(?:s|ish\w*)?"
    r"|losers?|worthless|useless|pathetic|incompetent|clueless|brainless|despicable|disgusting\w*"
    r"|hideous|ugly|scum\w*|liars?|cowards?|bastards?|bitch\w*|cunts?|dick(?:s|heads?)|pricks?"
    r"|arse(?:s|hole\w*)?|ass(?:es|hole\w*)?|(?:bull)?shit\w*|\w*fuck\w*|damn\w*|crap(?:s|py)?|piss\w*"
    r"|whores?|sluts?|wankers?|twats?|retard\w*|nazis?|hatred|hateful"
    r"|murder\w*|suicid\w*|rap(?:e[sd]?|ists?)|porn\w*|sex(?:y|ual\w*)?|nigg\w+|fag(?:s|got\w*)"
    r"|kikes?|chinks?|trann(?:y|ies)|subhuman\w*)\b", re.I
)  # fmt: skip
_INSTRUCTION = re.compile(
    r"\b(?:ignor|disregard|forget|overlook|skip|obey|override)\w*\b[^.!?]*\b(?:follow\w*|above|below|prior"
    r"|previous\w*|earlier|instruct\w*|prompts?|questions?|everything|rest|tasks?|rules?|comes|next|said)\b"
    r"|\b(?:reply|respond|answer)(?:s|ing)?\b(?: \w+)? (?:with|only|that|always|using)\b"
    r"|\bfrom now on\b|\b(?:system|user|assistant|human|instructions?|response|input|output)\s*:"
    r"|\byou (?:must|should|shall|have to|are to|will now|are now)\b|\bstep by step\b"
    r"|\b(?:following|next|above|below|previous) (?:question|task|prompt|text|message)", re.I
)  # fmt: skip
_FORMULA = re.compile(r"[=\\^_+<>≤≥×÷√]|\$|\w\s*/\s*\w*\d|\d\s*[-*]\s*\d")
_DIGIT = re.compile(r"\d")
_NEGATION = re.compile(
    r"\b(not|never|nothing|without any|no (?:interest|idea|knowledge))\b|n't\b", re.I
)
_YOU = re.compile(r"\byou(?:r|rs|rself)?\b", re.I)
_FINISHED = re.compile(r"[.!?][\"'\u2019\u201d)]*$")
_FIRST = re.compile(r"\b(I|I'm|I've|my|me|mine|myself|we|our|us)\b")
_THIRD = re.compile(r"\b(he|she|him|his|her|hers|himself|herself)\b", re.I)
_MATHEMATICS = re.compile(
    r"mathemat|\bmaths?\b|equation|algebra|geometr|calculus|theorem|arithmetic|\bsolv(?:e|es|ing) ",
    re.I,
)
_WORKING = re.compile(
    r"\b(?:calculat|comput(?:e|es|ing)\b|determin|figur\w+ out|work\w* out"
    r"|solv\w+ (?:the|a|an|this|it|for)\b"
    r"|find(?:s|ing)? (?:the|all|how|out)\b|how (?:many|much|long|far|old)\b)",
    re.I,
)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"[.!?][\"'\u2019\u201d)]*(?=\s|$)")


def fault(text: str, question: str, prompt: Prompt, domain: Domain) -> str | None:
    """Return the first rule that `text` breaks, as a word or two; `None` if it is a persona.

    `question` is what the context will stand beside, whether or not the model saw it; its first
    `LONGEST_READ` characters are compared.
    """
    for name, breaks in RULES.items():
        if breaks(text):
            return name
    examples = [example.persona for example in prompt.examples]
    if _shares_a_run(text, [*examples, prompt.ask], ECHO):
        return "echo of the prompt"
    against = _against_question(text, question[:LONGEST_READ]) if prompt.sees_the_question else None
    return against or _off(text, domain)


def _against_question(text: str, question: str) -> str | None:
    if _WORKING.search(text):
        return "work on the question"
    if _shares_a_run(text, [question], RUN):
        return "run of the question"
    if len(set(words(text)) & set(words(question))) > MOST_SHARED:
        return "paraphrase of the question"
    if _names(text) & _names(question):
        return "name of the question"
    return None


def _off(text: str, domain: Domain) -> str | None:
    if not domain.quantitative and _MATHEMATICS.search(text):
        return "mathematics"
    known = words(f"{domain.name} {domain.keywords}")
    return None if _stems(words(text)) & _stems(known) else "off its domain"


def _stems(of: Sequence[str]) -> set[str]:
    """Cut words short enough that `gardener` and `gardening` are one."""
    return {word[:STEM] for word in of}


def _repeats(text: str) -> bool:
    often = Counter(words(text)).values()
    return max(often, default=0) > MOST_OFTEN


def _sentences(text: str) -> int:
    return len(_SENTENCE_END.findall(text))


def _addressed(text: str) -> bool:
    """Tell whether every sentence speaks of its reader, the first one from its first word."""
    said = [each for each in _SENTENCE_END.split(text) if _WORD.search(each)]
    return bool(re.match(r"You(?:r|'re|'ve|\u2019re|\u2019ve)?\b", text)) and all(
        _YOU.search(each) for each in said
    )


def _over_marked(text: str) -> bool:
    return (
        bool(_MARKS_IN_A_ROW.search(text)) or len(_MARK.findall(text)) > 4 + _length(text) / MARKS
    )


def _one_sided(text: str) -> bool:
    """Tell whether a quotation or a bracket has no end."""
    pairs = (("(", ")"), ("\u201c", "\u201d"))
    return text.count('"') % 2 == 1 or any(text.count(a) != text.count(b) for a, b in pairs)


def _too_long(text: str) -> bool:
    if len(text) > LONGEST_CHARACTERS:  # before all else: the other rules take time with the text
        return True
    longest = max(map(len, _WORD.findall(text)), default=0)
    return longest > LONGEST_WORD or _length(text) > LONGEST or _sentences(text) > SENTENCES


def _length(text: str) -> int:
    return len(_WORD.findall(text))


RULES: dict[str, Callable[[str], object]] = {
    "empty": lambda text: not text,
    "too long": _too_long,
    "disclaimer": _DISCLAIMER.search,
    "answer": _ANSWER.search,
    "formula": _FORMULA.search,
    "digit": _DIGIT.search,
    "strange character": _STRANGE.search,
    "link": _LINK.search,
    "punctuation": _over_marked,
    "number word": NUMBER_WORDS.search,
    "insult": _INSULT.search,
    "instruction": _INSTRUCTION.search,
    "echo of the prompt": _ECHO.search,
    "no second person": lambda text: not _addressed(text),
    "first person": _FIRST.search,
    "third person": _THIRD.search,
    "negation": _NEGATION.search,
    "too short": lambda text: _length(text) < SHORTEST,
    "unfinished": lambda text: not _FINISHED.search(text) or _one_sided(text),
    "repetition": _repeats,
}


def _shares_a_run(text: str, others: Sequence[str], length: int) -> bool:
    runs = set(_runs(text, length))
    return any(not runs.isdisjoint(_runs(other, length)) for other in others)


def _runs(text: str, length: int) -> Iterator[tuple[str, ...]]:
    said = [word.lower() for word in _WORD.findall(text)]
    return zip(*(said[i:] for i in range(length)), strict=False)


def _names(text: str) -> set[str]:
    """Return capitalised words that are nowhere written small: people, places, marks."""
    said = _WORD.findall(text)
    small = {word for word in said if word[0].islower()}
    return {w for w in said if w[0].isupper() and len(w) > 1 and w.lower() not in small | _COMMON}


_COMMON = frozenset(
    "you your the a an and if in on of for to let find how what when where who why each every all"  # noqa: SIM905
    " suppose given there two three it its this that as at by from with is are".split()
)
"""Words that begin a sentence so often that they name nobody."""
