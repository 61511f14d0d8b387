"""From model text to an `Answer`, or `None`: what cannot be read abstains, nothing is guessed.

Finders are tried in the order of their trust: a box, a stated answer, a conclusion. Each works on
the end of the text, so that the cost does not grow with the length of the reasoning before it.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

from ...types import Answer
from .boxes import boxed
from .tidy import tidy, unwrap

Kind: TypeAlias = Literal["math", "choice"]

TAIL = 4_000
"""Characters at the end of a text in which an answer without a box is looked for."""

LONGEST_AFTERWORD = 60
"""Characters that may follow a stated answer on its line; with more it is an explanation."""

_END_OF_THINKING = re.compile(r"</(?:think|thinking|thought|reasoning)>|<\|end_of_thought\|>")
_END_OF_TURN = re.compile(r"<\|(?:im_start|im_end|endoftext|end_of_text|eot_id)\|>|<｜end")
_START_OF_THINKING = re.compile(r"\s*<(?:think|thinking|thought|reasoning)>")
_STATED = re.compile(
    r"(?:final answer|the answer|my answer|correct answer|answer|result is|####|^A(?=:))"
    r"(?:\s*(?:is|are|would be|should be))?(?:\s+(?:therefore|thus|then))?"
    r"\s*(?:[:=]|(?<=is)|(?<=are)|(?<=be)|(?<=therefore)|(?<=thus)|(?<=then)|(?<=####))"
    r"(?=[\s*]*([^\n]+))",
    re.IGNORECASE | re.MULTILINE,
)
_BARE_AMOUNT = re.compile(r"[*$\s]*[-+−]?[\d.,/]+\s?%?[*$\s.]*")
_LAST_STAR = re.compile(r"(?<=\S)\*(?=[\s.,;:!]*$)")
_AFTERWORD = re.compile(
    r"(?<=[\w)}$*])(?:(?:,\s*|\s+)(?:since|because|as|not)\b.*"
    r"|\s+\((?:(?:since|because|as)\b[^()]*|[A-Za-z]{3,}(?:\s[A-Za-z]+)*)\)[\s.]*)$"
)
_FINAL = re.compile(r"final answer is:?([^\n]+)", re.IGNORECASE)
_HEADING = re.compile(
    r"^[ #*]*(?:final )?answer[ #*:]*\n{1,3}([^\n]+)$", re.IGNORECASE | re.MULTILINE
)
_DISPLAY = re.compile(r"\\\[((?:(?!\\\[).)*?)\\\]|\$\$((?:(?!\$\$).)*)\$\$", re.DOTALL)
# A dollar opens a formula as Pandoc reads it: no space after it, none before the closing one, no
# digit behind that; "$5 and $7" are prices.
_INLINE = re.compile(
    r"\\\(((?:(?!\\\().)+?)\\\)"
    r"|(?<![\\\d])\$(?=\S)((?:\\.|[^$\n\\])+?)(?<=\S)\$(?!\d)"
    r"|(?<![\\\d])\$\s((?:\\.|[^$\n\\])+?)\s\$(?!\d)"
)
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
_SENTENCE_END = re.compile(
    r"(?<=[.!?])(?:\$\$|\\\])?\s+(?=[A-Z*\[<])|(?<=[.!?][$)])\s+(?=[A-Z*\[])"
)
_CONCLUDES = re.compile(
    r"^\W*(?:therefore|thus|so|hence|consequently|in conclusion|finally|this means|we conclude)\b",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r":\s*$|^\s*(?:note|check|verification|step|final answer|answer)\b", re.IGNORECASE
)
_AMOUNT = r"[-+−]?\s?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+|,\d{1,2}(?!\d))?(?:\s?/\s?\d+)?\s?%?"
_NUMBER = re.compile(rf"(?<![\w.]){_AMOUNT}(?:(?=[ckm]?[mgls][²³]?\b)|(?![\w/]|[.,]\d))")
_MONEY = re.compile(rf"\\?[$€£]\s?({_AMOUNT})")
_SAID_TO_BE = re.compile(
    r"(?:\b(?:is|are|was|be|equals?|total of|to|of|has|have|had|needs?)\b|=)"
    rf"\s*\\?[$€£]?\s?({_AMOUNT})"
)
_STEP = re.compile(r"\W*(?:step\b|\d+[.)])", re.IGNORECASE)
_ASIDE = re.compile(r"\W*(?:note|check|verification|feel free|let me know)\b", re.IGNORECASE)
_SAID_LETTER = re.compile(
    r"\b(?i:answer(?:\s+is)?)[\s:*$]*(?:(?i:option|choice)\s*)?(?:\\[a-z]+\{)*\(?([A-J])\b(?!')"
)
_LETTER = re.compile(r"\b(?i:option|choice)\s*(?:is)?:?\s*\(?([A-J])\)?\b|\(([A-J])\)")
_KEYS = ("final_answer", "answer", "result")
_DECODER = json.JSONDecoder()


def read(
    text: str,
    *,
    kind: Kind = "math",
    finish_reason: str | None = None,
    thinking: bool | None = None,
) -> Answer | None:
    """Return the final answer that `text` states, or `None`.

    The last box after the end of thinking counts, else an answer that is stated ("the answer is",
    "####"), else what the last paragraph concludes. `thinking` says that the chat template opens
    `<think>` itself, so that text before `</think>` is no answer. Text cut at
    `finish_reason="length"` states an answer only in a box. `kind="choice"` also finds the letter
    of a multiple choice.
    """
    said = _after_thinking(_END_OF_TURN.split(text, maxsplit=1)[0], bool(thinking))
    found = _stated_after_box(said) or boxed(said)
    if found is None and finish_reason != "length":
        found = _unboxed(said[-TAIL:], kind)
    return parse(found) if found is not None else None


_INTEGER = re.compile(r"([+-]?)((?!0,)\d{1,3}(?:,\d{3}){1,133}|\d{1,400})(?:\.0*)?")


def parse(raw: str) -> Answer | None:
    """Return the answer that `raw` is, without looking for it in a text; `None` if it is empty."""
    integer = _INTEGER.fullmatch(raw) or _INTEGER.fullmatch(raw := tidy(raw))
    if integer:
        value = int(integer[1] + integer[2].replace(",", ""))
        several = integer[2].count(",") > 1  # 100,200,300 may also be a list
        return Answer(raw if several else str(value), value)
    return Answer(raw) if raw else None


def _after_thinking(text: str, opened: bool) -> str:
    ends = list(_END_OF_THINKING.finditer(text))
    if ends:
        return text[ends[-1].end() :]
    return "" if opened or _START_OF_THINKING.match(text) else text


def _stated_after_box(text: str) -> str | None:
    """Return a "final answer is ..." behind the last box: boxes before it held steps."""
    found = list(_FINAL.finditer(text, max(0, len(text) - TAIL)))
    if not found or r"\boxed" not in text or r"\boxed" in text[found[-1].start() :]:
        return None
    formula = _INLINE.search(_SENTENCE_END.split(found[-1][1].strip())[0])
    return _content(formula) if formula else None


def _unboxed(text: str, kind: Kind) -> str | None:
    # A formula on lines of its own belongs to the line that it follows.
    text = _DISPLAY.sub(lambda display: " ".join(display[0].split()), text)
    finders: tuple[Callable[[str], str | None], ...] = (_json, _stated, _heading, _concluded)
    if kind == "choice":
        finders = (_json, _letter, *finders[1:])
    for find in finders:
        found = find(text)
        if found is not None and parse(found) is not None:
            return found
    return None


def _json(text: str) -> str | None:
    """Read `{"answer": 42}`, also in a code fence."""
    found = None
    if any(f'"{key}"' in text for key in _KEYS):
        for body in _objects(text):
            for key in _KEYS:
                if isinstance(body.get(key), str | int | float):
                    found = str(body[key])
                    break
    return found


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the outermost JSON objects of a text."""
    start = text.find("{")
    while start >= 0:
        try:
            body, end = _DECODER.raw_decode(text, start)
            yield body
        except (json.JSONDecodeError, RecursionError):
            end = start + 1
        start = text.find("{", end)


def _letter(text: str) -> str | None:
    """Read the letter that is said to be the answer; else the last that is named at all."""
    for pattern in (_SAID_LETTER, _LETTER):
        if found := list(pattern.finditer(text)):
            return next(group for group in found[-1].groups() if group)
    alone = re.fullmatch(r"\W*([A-J])\W*", text.strip())
    return alone[1] if alone else None


def _stated(text: str) -> str | None:
    """Read "the answer is ...", "Answer: ..." and "#### ..."; the last one counts."""
    found = [match for match in _STATED.finditer(text) if _states(match, text)]
    return _statement(found[-1][1]) if found else None


def _states(match: re.Match[str], text: str) -> bool:
    """Tell a statement from a heading of Markdown, and from the result of a step."""
    cue, after = match[0].lower(), text[match.end(1) :]
    if cue.startswith("####"):  # GSM8K's last line
        return bool(_BARE_AMOUNT.fullmatch(match[1].strip())) or not after.strip()
    return not (cue.startswith("result") and "\n\n" in after.strip())


def _heading(text: str) -> str | None:
    """Read the line below a heading "Answer"."""
    found = list(_HEADING.finditer(text))
    return _statement(found[-1][1]) if found else None


def _statement(line: str) -> str | None:
    """Return the answer in a line's first sentence, unless the line goes on to explain it."""
    first, *more = _SENTENCE_END.split(_whole_emphasis(line.strip()))
    if is_prose(first) and sum(map(len, more)) > LONGEST_AFTERWORD:
        return None
    return _gist(first.strip())


def _whole_emphasis(line: str) -> str:
    """Return `line` without a mark of emphasis whose other one stands outside of it."""
    if line.count("**") % 2:
        line = line.replace("**", "")
    return _LAST_STAR.sub("", line) if line.count("*") % 2 else line


def _gist(sentence: str) -> str | None:
    """Return the answer within a sentence: its formula, what is bold, or its amount."""
    sentence = _AFTERWORD.sub("", sentence)
    _, said, after = sentence.rpartition(" is ")
    if said:
        return _gist(after)
    for pattern in (_BOLD, _INLINE):
        if spans := list(pattern.finditer(sentence)):
            return _joined(sentence, spans)
    return _amount(sentence, cued=True) if is_prose(sentence) else sentence


def _joined(sentence: str, spans: list[re.Match[str]]) -> str:
    """Return the last span, with those before it that only commas and "and" part from it."""
    held = [_content(spans[-1])]
    for earlier, later in zip(spans[-2::-1], spans[:0:-1], strict=True):
        if not re.fullmatch(
            r"\s*(?:,|;|and|or|,\s*and)\s*", sentence[earlier.end() : later.start()]
        ):
            break
        held.insert(0, _content(earlier))
    return ", ".join(held)


def _content(span: re.Match[str]) -> str:
    return next(group for group in span.groups() if group is not None)


def _concluded(text: str) -> str | None:
    """Read the last sentence: what is bold in it, its last formula, or its number.

    A text of one paragraph concludes nothing, unless it says so ("Therefore ...").
    """
    blocks = [block for block in text.split("\n\n") if block.strip()][-3:]
    paragraphs = [part for block in blocks for part in re.split(r"\n(?=[-*#\d])", block)]
    for paragraph in reversed(paragraphs[-3:]):
        if _ASIDE.match(paragraph):
            continue
        sentences = [part for part in _SENTENCE_END.split(paragraph.strip()) if part.strip()]
        concluding = [part for part in sentences if _CONCLUDES.match(part)]
        alone = len(paragraphs) == 1
        for sentence in (*sentences[-1:], *concluding[-1:]):
            cued = sentence in concluding or not (alone or _STEP.match(sentence))
            if (found := _of_sentence(sentence, cued)) is not None:
                return found
    return None


def _of_sentence(sentence: str, cued: bool) -> str | None:
    for pattern in (_BOLD, _DISPLAY, _INLINE):
        spans = [span for span in pattern.finditer(sentence) if not _LABEL.search(_content(span))]
        if spans:
            found = _joined(sentence, spans)
            return _amount(found, cued=True) if is_prose(found) else found
    return _amount(sentence, cued)


def _amount(sentence: str, cued: bool) -> str | None:
    """Return the number that a sentence is about: what something is, the only one, a price.

    Only a sentence that is `cued` to be the conclusion has its number read without an "is".
    """
    _, *values = re.split(r"\b(?:is|are)\b:?|=", sentence)
    said = values[-1].strip(" .*:") if values else ""
    if re.search(r"\d|[¼-¾√π]", said) and not is_prose(said):
        return said
    if not cued:
        return None
    sentence = re.sub(r"\([^()]*\)", "", sentence)
    amounts = [re.sub(r"\s", "", found[0]) for found in _NUMBER.finditer(sentence)]
    if len(set(amounts)) == 1:
        return amounts[0]
    for pattern in (_SAID_TO_BE, _MONEY):
        if found := pattern.findall(sentence):
            return str(found[-1])
    return amounts[-1] if amounts else None


# An answer by itself ------------------------------------------------------------------------

_COMMAND = re.compile(
    r"\\(?:begin|end)\s*\{[^{}]*\}|\\(?:text\w*|mbox|mathrm|operatorname)\s*\{[^{}]*\}|\\[A-Za-z]+"
)
_PROSE_WORD = re.compile(r"(?<![A-Za-z])[A-Za-z]{2,}(?![A-Za-z])")
FEWEST_PROSE_WORDS = 3


def is_prose(text: str) -> bool:
    """Tell whether `text` is a sentence rather than an answer by itself."""
    outside = _INLINE.sub(" ", _DISPLAY.sub(" ", text))
    return len(_PROSE_WORD.findall(_COMMAND.sub(" ", outside))) >= FEWEST_PROSE_WORDS


def read_or_parse(text: str) -> Answer | None:
    """Return the answer that `text` is or states: for gold answers and rows of test suites."""
    bare = unwrap(text)
    if not re.search(r"\\\(|\\\[|(?<!\\)\$|\\boxed", bare) and not is_prose(bare):
        return parse(text)
    if (found := read(text)) is None and is_prose(bare):
        amount = _amount(bare, cued=True)
        found = parse(amount) if amount else None
    return found or parse(text)
