"""What kind of answer a request wants: fixed from the request, before anything is asked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from ..suggest import unknown

KindName: TypeAlias = Literal["math", "choice", "label", "json", "text", "tool"]

KINDS: tuple[str, ...] = ("auto", *get_args(KindName))
"""What `answers` may be in a configuration and on the command line."""

_OPTION = re.compile(
    r"(?:^|(?<=\n))[ \t]*(?:[-*][ \t]+)?(?:\(([A-Ja-j])\)|\*\*([A-J])[.):]?\*\*[.):]?"
    r"|([A-Ja-j])[).]|([A-J]):)[ \t]+(?=\S)"
    r"|(?<=[\s,;?:.])(?:\(([A-Ja-j])\)|([A-Ja-j])\))[ \t]*(?=\S)"
)
"""A letter before an option; within a line it needs a bracket (`A. B. Smith`)."""


MOST_STARTS = 10
"""Letters A of a question, the last ones, at which its options may begin."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How replies are read and compared.

    `options` are the lettered options of a multiple choice: letter and text. `keys` are the keys of
    a JSON answer that count; if empty, all do.
    """

    name: KindName = "math"
    options: tuple[tuple[str, str], ...] = ()
    keys: tuple[str, ...] = ()


MATH = Kind()


def kind_of(body: Mapping[str, Any], answers: str = "auto", keys: Sequence[str] = ()) -> Kind:
    """Return the kind of the answers to a chat request; `answers` is what is configured.

    With `auto`: a JSON `response_format` makes it `json`, `tools` that may be called `tool`,
    lettered options in the last user message `choice`; everything else is `math`.

    Raises:
        ValueError: there is no kind `answers`.
    """
    if answers not in KINDS:
        raise ValueError(unknown("kind of answers", answers, KINDS))
    name = _of_request(body) if answers == "auto" else answers
    options = lettered(_last_question(body)) if name in ("math", "choice") else ()
    if answers == "auto" and name == "math" and options:
        name = "choice"
    known: KindName = next(kind for kind in get_args(KindName) if kind == name)
    return Kind(known, options if known == "choice" else (), tuple(keys) if known == "json" else ())


def _of_request(body: Mapping[str, Any]) -> str:
    wanted = body.get("response_format")
    if isinstance(wanted, Mapping) and wanted.get("type") in ("json_schema", "json_object"):
        return "json"
    if body.get("tools") and body.get("tool_choice") != "none":
        return "tool"
    return "math"


def _last_question(body: Mapping[str, Any]) -> str:
    """Return the text of the last user message."""
    messages = body.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, Mapping) and message.get("role") == "user":
            return text_of(message)
    return ""


def text_of(message: Mapping[str, Any]) -> str:
    """Return the text of a message, whose content may be a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def lettered(question: str) -> tuple[tuple[str, str], ...]:
    """Return the options of a question, from A on without a gap; fewer than two are none.

    Each stands on its own line, or all follow one another in a line: `(A) 3 (B) 4`.
    """
    best: tuple[tuple[str, str], ...] = ()
    marks = list(_OPTION.finditer(question[-20_000:]))
    starts = [n for n, mark in enumerate(marks) if _mark(mark) == "A"]
    for start in starts[-MOST_STARTS:]:
        found = _run(marks, start, question[-20_000:])
        best = found if len(found) >= max(2, len(best)) else best
    return best


def _run(marks: list[re.Match[str]], start: int, text: str) -> tuple[tuple[str, str], ...]:
    """Return the options whose letters follow one another from `start` on."""
    run = [marks[start]]
    for mark in marks[start + 1 :]:
        if _mark(mark) == chr(ord("A") + len(run)) and _style(mark) == _style(run[0]):
            run.append(mark)
    ends = [mark.start() for mark in run[1:]] + [len(text)]
    options = []
    for mark, end in zip(run, ends, strict=True):
        said = text[mark.end() : end].strip()
        options.append((_mark(mark), said.split("\n")[0].strip().rstrip(",;")))
    return tuple(options) if all(said for _, said in options) else ()


def _mark(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group).upper()


def _style(match: re.Match[str]) -> tuple[bool, ...]:
    return tuple(group is not None for group in match.groups())
