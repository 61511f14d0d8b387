"""What a persona written by a model may not be. Each rule was earned by a real model's output."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from ..words import LONGEST_READ, words
from .bank import Domain
from .prompts import Prompt

SHORTEST, LONGEST = 8, 60
"""Words of a persona."""

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
_FORMULA = re.compile(r"[=\\^_+<>≤≥×÷√]|\$|\w\s*/\s*\w*\d|\d\s*[-*]\s*\d")
_DIGIT = re.compile(r"\d")
_NEGATION = re.compile(
    r"\b(not|never|nothing|without any|no (?:interest|idea|knowledge))\b|n't\b", re.I
)
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
_NUMBER = re.compile(
    r"\b(two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    r"|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
    r"|hundred|thousand|million|half|third|quarter|double|triple|twice|dozen)s?\b", re.I
)  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)")


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
    if prompt.sees_the_question:
        return _against_question(text, question[:LONGEST_READ])
    return _off(text, domain)


def _against_question(text: str, question: str) -> str | None:
    if _WORKING.search(text):
        return "work on the question"
    if _shares_a_run(text, [question], RUN):
        return "run of the question"
    if len(set(words(text)) & set(words(question))) > MOST_SHARED:
        return "paraphrase of the question"
    if _names(text) & _names(question):
        return "name of the question"
    if numbers(text) & numbers(question):
        return "number of the question"
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


def _length(text: str) -> int:
    return len(_WORD.findall(text))


RULES: dict[str, Callable[[str], object]] = {
    "empty": lambda text: not text,
    "disclaimer": _DISCLAIMER.search,
    "answer": _ANSWER.search,
    "formula": _FORMULA.search,
    "digit": _DIGIT.search,
    "echo of the prompt": _ECHO.search,
    "no second person": lambda text: not re.match(r"You(?:r|'re|'ve)?\b", text),
    "first person": _FIRST.search,
    "third person": _THIRD.search,
    "negation": _NEGATION.search,
    "too short": lambda text: _length(text) < SHORTEST,
    "too long": lambda text: _length(text) > LONGEST or _sentences(text) > SENTENCES,
    "unfinished": lambda text: not _SENTENCE_END.search(text[-1:]),
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


def numbers(text: str) -> set[str]:
    return {word.lower() for word in _NUMBER.findall(text)}


_COMMON = frozenset(
    "you your the a an and if in on of for to let find how what when where who why each every all"  # noqa: SIM905
    " suppose given there two three it its this that as at by from with is are".split()
)
"""Words that begin a sentence so often that they name nobody."""
