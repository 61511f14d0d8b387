"""Key conditions that a model lists: tidied, and held to what the question says."""

import re

from .numbers import NUMBER_WORDS

TITLE = "Key conditions:"
LONGEST = 600
"""Characters of one condition."""

MOST = 12
"""Conditions of a list; more is a solution."""

_BULLET = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.)])\s+")
_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
_ONE = re.compile(r"\bone\b")
"""`NUMBER_WORDS` begins with two."""
_SOLVES = re.compile(
    r"\\boxed|\banswer\b|\bsolution\b|\btherefore\b|\bthus\b|\bhence\b|\bso we\b"
    r"|<\|?/?[a-z]|\bas an ai\b|\bi cannot\b|\bi can't\b",
    re.IGNORECASE,
)


def tidy(text: str) -> str:
    """Return the list in what a model said, one condition a line under our title; else ""."""
    _, closed, after = text.rpartition("</think>")
    spoken = after if closed else text.partition("<think>")[0]
    lines = [line for line in spoken.splitlines() if _BULLET.match(line)]
    found = [" ".join(_BULLET.sub("", line).split()) for line in lines]
    return "\n".join([TITLE, *(f"- {line}" for line in found if line)]) if any(found) else ""


def fault(text: str, question: str) -> str | None:
    """Return the first rule that `text` breaks; `None` if it may stand beside `question`."""
    conditions = text.splitlines()[1:]
    if not conditions:
        return "no list"
    if len(conditions) > MOST or max(map(len, conditions)) > LONGEST:
        return "too long"
    if _SOLVES.search(text):
        return "work on the question"
    if numbers(text) - numbers(question):
        return "number of its own"
    return None


def numbers(text: str) -> set[str]:
    """Return every number in `text`: digits (without commas), number words, and other signs of
    numbers such as "½". A dash is part of none."""
    digits = {found.replace(",", "") for found in _DIGITS.findall(text)}
    words = {word.lower() for word in NUMBER_WORDS.findall(text)} | set(_ONE.findall(text.lower()))
    words -= {"percent"}  # "50 percent" is no other number than "50%"
    signs = {sign for sign in text if sign.isnumeric() and not sign.isdecimal()}
    return digits | words | signs
