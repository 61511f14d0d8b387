"""OpenAI's JSON on one side, our values on the other. Every 400 is decided here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from its import seeds
from its.manifest import StrategyName
from its.types import Ballot, Call, Failure, Message, Placement, Verdict

from .errors import BadRequest
from .personas import Asked, Override

ROLES_WITHOUT_CONTENT = frozenset({"assistant"})
"""An assistant turn may hold tool calls only; everybody else has to say something."""


class Extras(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The request's `input_time` field. A missing value means the member's own."""

    strategy: StrategyName | None = None
    persona: str | None = None
    seed: int | None = None
    placement: Placement | None = None
    samples: int | None = None
    return_ballots: bool = False


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A chat completion request. `body` is all of it but `input_time`."""

    model: str
    messages: Sequence[Message]
    stream: bool
    body: Mapping[str, Any]
    extras: Extras
    has_extras: bool


def parse(raw: bytes) -> ChatRequest:
    """Read a chat completion request.

    Raises:
        BadRequest: it is no JSON object, or a field that the proxy reads has the wrong shape.
    """
    body = _object(raw)
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequest("`model` must name a model; see /v1/models", param="model")
    messages = _messages(body.get("messages"))
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise BadRequest("`stream` must be true or false", param="stream")
    seed = body.get("seed")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool)):
        raise BadRequest("`seed` must be an integer", param="seed")
    extras = _extras(body.pop("input_time", None))
    return ChatRequest(
        model=model,
        messages=messages,
        stream=bool(stream),
        body=body,
        extras=extras or Extras(),
        has_extras=extras is not None,
    )


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body is not JSON that can be carried exactly: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body


def _messages(messages: Any) -> list[Message]:
    if not isinstance(messages, list) or not messages:
        raise BadRequest("`messages` must be a list with at least one message", param="messages")
    for index, message in enumerate(messages):
        _check_message(message, f"messages[{index}]")
    return messages


def _check_message(message: Any, at: str) -> None:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise BadRequest(f"`{at}` must be an object with a `role`", param=at)
    content = message.get("content")
    if isinstance(content, str):
        return
    if isinstance(content, list):
        for number, part in enumerate(content):
            _check_part(part, f"{at}.content[{number}]")
    elif content is not None or message["role"] not in ROLES_WITHOUT_CONTENT:
        raise BadRequest(f"`{at}.content` must be text or a list of parts", param=f"{at}.content")


def _check_part(part: Any, at: str) -> None:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise BadRequest(f"`{at}` must be an object with a `type`", param=at)
    if part["type"] == "text" and not isinstance(part.get("text"), str):
        raise BadRequest(f"`{at}.text` must be text", param=f"{at}.text")


def _extras(value: Any) -> Extras | None:
    if value is None:
        return None
    try:
        extras = msgspec.convert(value, Extras)
    except msgspec.ValidationError as error:
        reason, _, at = str(error).partition(" - at `$")
        param = "input_time" + at.rstrip("`")
        raise BadRequest(f"`{param}`: {reason}", param=param) from error
    if extras.samples is not None and not 1 <= extras.samples <= 64:
        raise BadRequest("`input_time.samples` must be 1 to 64", param="input_time.samples")
    return extras


def check_for_member(request: ChatRequest) -> None:
    """Refuse what only a panel can do."""
    if request.extras.samples not in (None, 1):
        raise BadRequest(
            "`input_time.samples` needs a panel; this model is a single member",
            param="input_time.samples",
        )


def check_for_panel(request: ChatRequest, members: int) -> None:
    """Refuse what has no meaning when several answers become one."""
    if request.body.get("n") not in (None, 1):
        raise BadRequest("`n` above 1 has no meaning on a panel: it gives one verdict", param="n")
    for field in ("tools", "functions"):
        if request.body.get(field) and members > 1:
            raise BadRequest(
                f"`{field}` cannot be voted over; ask one of the panel's members", param=field
            )


def member_body(request: ChatRequest, asked: Asked) -> bytes:
    """Return what the engine receives: the request as it came, with the composed messages."""
    return msgspec.json.encode(
        {**request.body, "model": asked.member.model, "messages": asked.messages}
    )


def panel_body(request: ChatRequest, asked: Asked, call: Call, question: str) -> bytes:
    """Return one call of a panel: not streamed, and with a sampling seed of its own."""
    body = {**request.body, "model": asked.member.model, "messages": asked.messages}
    body.pop("stream_options", None)
    body["stream"] = False
    if isinstance(seed := request.body.get("seed"), int):
        body["seed"] = seeds.derive("sampling", seed, call.member, call.sample, question)
    return msgspec.json.encode(body)


def wants_usage(request: ChatRequest) -> bool:
    """Tell whether a stream ends with a usage chunk."""
    options = request.body.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))


def describe(asked: Asked) -> dict[str, Any]:
    """Return the `input_time` object of a member's response."""
    context = asked.context
    return {
        "strategy": asked.strategy,
        "persona": context.persona if context else None,
        "domain": context.domain if context else None,
        "source": context.source if context else None,
        "placement": asked.layout.placement if context else None,
        "seed": asked.seed,
        "co_design": asked.co_design.value,
    }


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a panel's calls ended, whatever the verdict."""

    verdict: Verdict
    asked: Mapping[str, Asked]
    failures: Sequence[Failure]
    late: Sequence[Call]
    cancelled: Sequence[Call]
    undecided: int
    method: str
    planned: int

    @property
    def votes(self) -> int:
        return len(self.verdict.tally[0].ballots) if self.verdict.tally else 0


def render_panel(
    outcome: Outcome, request: ChatRequest, request_id: str, input_time: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the panel's chat completion: the winner's choice verbatim, everybody's usage."""
    winner = outcome.verdict.winner.completion
    return {
        "id": f"chatcmpl-{request_id}",
        "object": "chat.completion",
        "created": winner.body.get("created"),
        "model": request.model,
        "choices": [{**winner.choice, "index": 0}],
        "usage": total_usage(outcome.verdict.ballots),
        "input_time": input_time,
    }


def describe_panel(outcome: Outcome, extras: Extras) -> dict[str, Any]:
    """Return the `input_time` object of a panel's response."""
    verdict = outcome.verdict
    winner = verdict.winner.completion.call
    described = {
        **describe(outcome.asked[winner.member]),
        "method": outcome.method,
        "votes": [
            {"answer": c.answer.text, "votes": len(c.ballots), "members": _members(c.ballots)}
            for c in verdict.tally
        ],
        "abstained": sum(ballot.answer is None for ballot in verdict.ballots),
        "failed": len(outcome.failures),
        "late": len(outcome.late),
        "cancelled": len(outcome.cancelled),
        "undecided": outcome.undecided,
        "agreement": round(verdict.agreement, 4),
        "winner": winner.member,
    }
    if extras.return_ballots:
        described["ballots"] = _ballots(outcome)
    return described


def _members(ballots: Sequence[Ballot]) -> list[str]:
    return [ballot.completion.call.member for ballot in ballots]


def _ballots(outcome: Outcome) -> list[dict[str, Any]]:
    """Return one row for each planned call, cast ballots first."""

    def row(call: Call, result: str, **more: Any) -> dict[str, Any]:
        head = {"member": call.member, "sample": call.sample, "outcome": result}
        return {**head, **describe(outcome.asked[call.member]), **more}

    cast = [
        row(
            ballot.completion.call,
            "voted" if ballot.answer else "abstained",
            answer=ballot.answer.text if ballot.answer else None,
            content=ballot.completion.text,
            finish_reason=ballot.completion.finish_reason,
            usage=ballot.completion.usage,
            seconds=round(ballot.completion.seconds, 3),
        )
        for ballot in outcome.verdict.ballots
    ]
    failed = [
        row(f.call, "failed", error=f.kind, seconds=round(f.seconds, 3)) for f in outcome.failures
    ]
    late = [row(call, "late") for call in outcome.late]
    return cast + failed + late + [row(call, "cancelled") for call in outcome.cancelled]


def total_usage(ballots: Sequence[Ballot]) -> dict[str, int]:
    """Sum the tokens of every completion that arrived."""
    return {
        field: sum(int(ballot.completion.usage.get(field) or 0) for ballot in ballots)
        for field in ("prompt_tokens", "completion_tokens", "total_tokens")
    }


def override(extras: Extras) -> Override:
    """Return what the request changes about its contexts."""
    return Override(extras.strategy, extras.persona, extras.seed, extras.placement)
