"""From a model's reply to an `Answer`, or `None`: what cannot be read abstains, nothing is guessed.

Finders are tried in the order of their trust: a box, a stated answer, a text that as a whole is an
answer, a conclusion. Each works on the end of the text, so that the cost does not grow with the
length of the reasoning before it.
"""

import re
import unicodedata
from collections.abc import Callable

from ...types import Answer, AnswerKind, Message
from ..kinds import MATH, Kind, text_of
from . import choices, objects, stated
from .boxes import boxed
from .conclusion import amount, concluded
from .prose import DISPLAY, is_prose, without_code
from .thinking import spoken
from .tidy import tidy, unwrap
from .whole import alone_at_end, named, whole

TAIL = 4_000
"""Characters at the end of a text in which an answer without a box is looked for."""

LONGEST_LABEL = 200

_LABEL_CUE = re.compile(
    r"^[\s*_]*(?:label|category|class|classification|sentiment|intent|topic|output)[\s*_]*[:=][\s*_]*",
    re.IGNORECASE,
)
_WIDE = re.compile(r"\s{12,}")
_INTEGER = re.compile(r"([+-]?)((?!0,)\d{1,3}(?:,\d{3}){1,133}|\d{1,400})(?:\.0*)?")


def read(
    message: Message,
    *,
    kind: Kind = MATH,
    finish_reason: str | None = None,
    thinking: bool = False,
) -> Answer | None:
    """Return the final answer that a chat message gives, or `None`.

    The last box after the end of thinking counts, else an answer that is stated ("the answer is",
    "####"), else a text that as a whole is one, else what the last paragraph concludes. `thinking`
    says that the chat template opens `<think>` itself, so that text before `</think>` is no
    answer. A reply cut at `finish_reason="length"` gives an answer only in a box.
    """
    if kind.name == "tool" and (called := objects.calls(message)) is not None:
        return called
    said = spoken(text_of(message), opened=thinking)
    cut = finish_reason == "length"
    return _READERS[kind.name](said, kind, cut)


def parse(raw: str, kind: AnswerKind = "math") -> Answer | None:
    """Return the answer that `raw` is, without looking for it in a text; `None` if it is empty."""
    if kind != "math":
        return Answer(raw, kind=kind) if raw else None
    integer = _INTEGER.fullmatch(raw) or _INTEGER.fullmatch(raw := tidy(raw))
    if integer:
        value = int(integer[1] + integer[2].replace(",", ""))
        several = integer[2].count(",") > 1  # 100,200,300 may also be a list
        return Answer(raw if several else str(value), value)
    return Answer(raw) if raw else None


def read_or_parse(text: str, kind: AnswerKind = "math") -> Answer | None:
    """Return the answer that `text` is or states: for gold answers and rows of test suites.

    The gold answer of a tool call is the JSON of the call, `{"name": ..., "arguments": {...}}`, or
    a list of such.
    """
    if kind == "tool":
        return objects.gold_calls(text) or Answer(text.strip(), kind="text")
    if kind != "math":
        return _READERS[kind](text, Kind(kind), False)
    bare = unwrap(text)
    if not re.search(r"\\\(|\\\[|(?<!\\)\$|\\boxed", bare) and not is_prose(bare):
        return parse(text)
    if (found := read({"content": text})) is None and is_prose(bare):
        number = amount(bare, cued=True)
        found = parse(number) if number else None
    return found or parse(text)


def _math(said: str, _: Kind, cut: bool) -> Answer | None:
    found = stated.stated_after_box(said, TAIL) or boxed(said)
    if found is not None:
        return parse(_in_box(found))
    if cut:
        return None
    value = objects.whole(said)
    if value is not None and (inside := objects.stated(said)) is None:
        return objects.answer(value) if isinstance(value, dict) else parse(said)
    return parse(inside) if value is not None and inside else _first(said[-TAIL:], _FINDERS)


def _in_box(held: str) -> str:
    """Return what a box holds; of a sentence in it, the answer that it states."""
    return stated.stated(tidy(held)) or held if "answer" in held.lower() else held


def _choice(said: str, kind: Kind, cut: bool) -> Answer | None:
    options = dict(kind.options)
    found = stated.stated_after_box(said, TAIL) or boxed(said)
    if found is not None:
        return _letter_of(found, options)
    if cut:
        return None
    tail = said[-TAIL:]
    for find in (stated.tagged, objects.stated, stated.stated):
        if (held := find(tail)) is not None and (letter := choices.of_text(held, options)):
            return parse(letter)
    letter = choices.letter(tail, options)
    return parse(letter) if letter else _first(tail, _FINDERS_OF_CHOICE)


def _letter_of(held: str, options: dict[str, str]) -> Answer | None:
    found = parse(held)
    letter = choices.of_text(held, options) or (
        choices.of_text(found.text, options) if found else None
    )
    return parse(letter) if letter else found


def _json(said: str, kind: Kind, cut: bool) -> Answer | None:
    value = None if cut else objects.last(said)
    return None if value is None else objects.answer(value, kind.keys)


def _text(said: str, _: Kind, cut: bool) -> Answer | None:
    text = unicodedata.normalize("NFC", said).strip()
    return Answer(text, kind="text") if text and not cut else None


def _label(said: str, _: Kind, cut: bool) -> Answer | None:
    found = boxed(said)
    if found is None and not cut:
        tail = said[-TAIL:]
        found = (
            objects.only_text(said)
            or stated.tagged(tail)
            or stated.stated(tail)
            or tail.strip().rpartition("\n")[2]
        )
    found = _LABEL_CUE.sub("", found or "")
    label = " ".join(unicodedata.normalize("NFC", unwrap(found)).split())
    label = label.strip("*_`\"' ").rstrip(".!?;:, ").strip("*_`\"' ")
    return Answer(label, kind="label") if 0 < len(label) <= LONGEST_LABEL else None


_READERS: dict[str, Callable[[str, Kind, bool], Answer | None]] = {
    "math": _math,
    "choice": _choice,
    "json": _json,
    "text": _text,
    "label": _label,
    "tool": _text,  # a reply without a call
}


def _first(text: str, finders: tuple[Callable[[str], str | None], ...]) -> Answer | None:
    """Return the first answer that a finder finds and that can be parsed."""
    text = _WIDE.sub(_narrow, text)
    prose = without_code(text)
    # A formula on lines of its own belongs to the line that it follows.
    prose = DISPLAY.sub(lambda display: " ".join(display[0].split()), prose)
    for find in finders:
        found = find(text if find in _SEE_CODE else prose)
        if found is not None and (answer := parse(found)) is not None:
            return answer
    return None


def _narrow(wide: re.Match[str]) -> str:
    """Return white space that says as much: patterns that look for it are slow on pages of it."""
    return "\n\n" if wide[0].count("\n") > 1 else "\n" if "\n" in wide[0] else " " * 8


_SEE_CODE = (objects.stated, whole)
_FINDERS: tuple[Callable[[str], str | None], ...] = (
    *(stated.tagged, objects.stated, stated.stated, stated.heading, whole, choices.said_letter),
    *(alone_at_end, stated.concluded_in_chinese, concluded, named),
)
_FINDERS_OF_CHOICE = (stated.tagged, objects.stated, stated.stated, stated.heading, concluded)
