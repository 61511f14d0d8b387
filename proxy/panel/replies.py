"""What a call returned, as its method gets it: text, answer, log-probabilities."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from its import answers
from its.answers import Kind
from its.answers.reading.thinking import spoken
from its.methods.confidence import measure
from its.methods.seam import Call, Logprobs, Reply
from its.types import Answer, Message

from ..base.outcome import CompletedCall, Row
from ..config.settings import Member
from .live import REASONING

READ = frozenset({"answer", "write"})
"""Roles whose replies are read for an answer; a method reads its judges itself."""


@dataclass(frozen=True, slots=True)
class ReplyReader:
    """Reads the replies of one request, whose answers are of `kind`."""

    kind: Kind

    def reply(
        self, row: Row, completed: CompletedCall, member: Member, *, late: bool = False
    ) -> Reply:
        """Return a reply. To read its answer may take long; one that is `late` abstains."""
        call, choice = row.call, completed.choice
        message, raw = continued(call, completed.message, member)
        finish = choice.get("finish_reason")
        reason = finish if isinstance(finish, str) else None
        used = row.spent.usage
        content = message.get("content")
        said = content if isinstance(content, str) else ""
        opened = member.thinking and call.thoughts is None
        text = said if _is_plain(said, opened) else spoken(said, opened=opened)
        return Reply(
            call,
            message=message,
            text=text.strip(),
            raw=raw,
            answer=None if late else self._answer(call, message, reason, opened),
            finish_reason=reason,
            stop=stop_of(choice),
            prompt_tokens=_count(used.get("prompt_tokens")),
            completion_tokens=_count(used.get("completion_tokens")),
            seconds=row.seconds,
            logprobs=logprobs_of(choice) if call.params.get("logprobs") else None,
        )

    def _answer(
        self, call: Call, message: Message, reason: str | None, thinking: bool
    ) -> Answer | None:
        if call.role not in READ:
            return None
        return answers.read(message, kind=self.kind, finish_reason=reason, thinking=thinking)


def _is_plain(text: str, opened: bool) -> bool:
    """Tell at once that a text holds no mark of thinking or of a turn's end: most do not."""
    return not opened and "<" not in text and "[" not in text and "◁" not in text


def continued(call: Call, message: Message, member: Member) -> tuple[Message, str]:
    """Return the whole message, and all that the assistant wrote in it, thinking included.

    The message that counts begins with the prefix, or has its thoughts beside its content. Most
    engines return what they added to the prefix only; llama.cpp returns all.
    """
    content = message.get("content")
    said = content if isinstance(content, str) else ""
    if not call.prefix and REASONING[0] not in message and REASONING[1] not in message:
        return message, said
    reasoning = next((message[n] for n in REASONING if isinstance(message.get(n), str)), "")
    thought = f"{reasoning}\n</think>\n\n" if reasoning and said else reasoning
    if not call.prefix:
        opening = "<think>\n" if reasoning and not member.thinking else ""
        return message, opening + thought + said
    raw = thought + said
    raw = raw if raw.startswith(call.prefix) else call.prefix + raw
    kept = {name: value for name, value in message.items() if name not in REASONING}
    if call.thoughts is None:
        return {**kept, "content": raw}, raw
    told = {REASONING[0]: call.thoughts} if call.thoughts else {}
    return {**kept, **told, "content": raw.removeprefix(call.prefix) or None}, raw


def stop_of(choice: Mapping[str, Any]) -> str | None:
    """Return the stop sequence that ended a reply, `""` where the model did, `None`: unknown.

    SGLang says `matched_stop`, vLLM `stop_reason`: a text, a token's id, or null for the end.
    """
    if choice.get("finish_reason") != "stop":
        return None
    for name in ("matched_stop", "stop_reason"):
        if name in choice:
            return choice[name] if isinstance(choice[name], str) else ""
    return None


def logprobs_of(choice: Mapping[str, Any]) -> Logprobs | None:
    """Return what the log-probabilities of a choice say; `None` if it has none that are usable."""
    logprobs = choice.get("logprobs")
    places = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(places, list):
        return None
    chosen: list[float] = []
    top: list[Sequence[float]] = []
    for place in places:
        if isinstance(place, dict) and (value := _number(place.get("logprob"))) is not None:
            chosen.append(value)
            top.append(_top(place.get("top_logprobs")))
    return measure(chosen, top)


def _top(places: Any) -> list[float]:
    if not isinstance(places, list):
        return []
    values = [_number(place.get("logprob")) for place in places if isinstance(place, dict)]
    return [value for value in values if value is not None]


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer of hundreds of digits
        return None
    return None if math.isnan(number) else number


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
