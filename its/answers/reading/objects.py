"""Answers that are JSON: an object, the value of its answer, or calls of tools."""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from ...types import Answer
from .prose import FENCE

ANSWER_KEYS = ("final_answer", "answer", "result")
LONGEST = 100_000
"""Characters of a text in which an object is looked for."""

LARGEST_EXPONENT = 1_000
"""Of a number whose digits are written out."""

_DECODER = json.JSONDecoder(parse_float=Decimal)
_Unreadable = (ValueError, RecursionError, OverflowError)


def whole(text: str) -> Any:
    """Return the object or array that `text` is as a whole, also in a fence; else `None`."""
    fence = FENCE.fullmatch(text.strip())
    bare = (fence[1] if fence else text).strip()
    if bare[:1] not in ("{", "[") or len(bare) > LONGEST:
        return None
    try:
        found, end = _DECODER.raw_decode(bare)
    except _Unreadable:
        return None
    return found if end == len(bare) else None


def last(text: str) -> Any:
    """Return the object or array that `text` is, or the last object in it."""
    found = whole(text)
    if found is not None:
        return found
    bodies = list(objects(text[-LONGEST:]))
    return bodies[-1] if bodies else None


def objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the outermost JSON objects of a text."""
    start = text.find("{")
    tries = 0
    while start >= 0 and tries < 200:
        tries += 1
        try:
            body, end = _DECODER.raw_decode(text, start)
            yield body
        except _Unreadable:
            end = start + 1
        start = text.find("{", end)


def stated(text: str) -> str | None:
    """Read `{"answer": 42}`, also in a code fence."""
    found = None
    if any(f'"{key}"' in text for key in ANSWER_KEYS):
        for body in objects(text):
            found = _answer_of(body) or found
    return found


def only_text(text: str) -> str | None:
    """Return the one value of an object that `text` is, if that is text: `{"label": "spam"}`."""
    value = whole(text)
    alone = isinstance(value, dict) and len(value) == 1
    held = next(iter(value.values())) if alone else None
    return held if isinstance(held, str) else None


def _answer_of(body: Mapping[str, Any]) -> str | None:
    for key in ANSWER_KEYS:
        value = body.get(key)
        if isinstance(value, list) and value and all(map(_is_plain, value)):
            return ", ".join(map(str, value))
        if _is_plain(value):
            return str(value)
    return None


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | Decimal)


def answer(value: Any, keys: Sequence[str] = ()) -> Answer | None:
    """Return the answer that a JSON value is; of an object only `keys`, if there are any.

    A key may be a path: `address.city`.
    """
    if keys:
        picked = {key: found for key in keys if (found := _at(value, key)) is not _MISSING}
        if not picked:
            return None
        value = picked
    return Answer(canonical(value), kind="json")


class _Missing:
    """Not `None`, which is a value of JSON."""


_MISSING = _Missing()


def _at(value: Any, path: str) -> Any:
    if isinstance(value, Mapping) and path in value:
        return value[path]
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return _MISSING
        value = value[part]
    return value


def canonical(value: Any) -> str:
    """Return one spelling of a JSON value: keys sorted, numbers by value, text in NFC."""
    try:
        return _spelled(value)
    except _Unreadable:
        return repr(type(value))


def _spelled(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = sorted((_spelled(str(key)), _spelled(item)) for key, item in value.items())
        return "{" + ", ".join(f"{key}: {item}" for key, item in pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_spelled, value)) + "]"
    if isinstance(value, str):
        return json.dumps(unicodedata.normalize("NFC", value), ensure_ascii=False)
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return _by_value(value)


def _by_value(value: Any) -> str:
    number = Decimal(str(value))
    if not number.is_finite() or abs(number.adjusted()) > LARGEST_EXPONENT:
        return str(number)
    text = format(number, "f")
    text = re.sub(r"\.?0+$", "", text) if "." in text else text
    return "0" if text in ("-0", "") else text


def calls(message: Mapping[str, Any]) -> Answer | None:
    """Return the tool calls of a message as one answer; their order does not matter."""
    found = message.get("tool_calls")
    functions = [call.get("function") for call in found or () if isinstance(call, Mapping)]
    if isinstance(message.get("function_call"), Mapping):
        functions.append(message["function_call"])
    named = [one for one in functions if isinstance(one, Mapping) and one.get("name")]
    if not named:
        return None
    written = sorted(f"{one['name']}({_arguments(one.get('arguments'))})" for one in named)
    return Answer("; ".join(written), kind="tool")


def gold_calls(text: str) -> Answer | None:
    """Return the calls that a gold answer writes as JSON."""
    value = whole(text)
    listed = value if isinstance(value, list) else [value]
    return calls({"tool_calls": [{"function": call} for call in listed]})


def _arguments(raw: Any) -> str:
    """Return the arguments as JSON; what is none stands as it is."""
    if not isinstance(raw, str):
        return canonical(raw or {})
    if not raw.strip():
        return canonical({})
    try:
        return canonical(_DECODER.decode(raw))
    except _Unreadable:
        return raw
