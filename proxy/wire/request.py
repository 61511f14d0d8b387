"""OpenAI's JSON on one side, our values on the other. Every 400 is decided here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from its import prompts
from its.manifest import CoDesign, StrategyName
from its.types import Message, Placement

from ..base.errors import UNREADABLE, BadRequest
from ..base.guards import ANSWERING, EndpointKind
from ..base.prompt import NO_OVERRIDE, MemberPrompt, Override
from ..config.settings import Limits, Member, Panel
from . import fields
from .contract import goes_around

ROLES_WITHOUT_CONTENT = frozenset({"assistant"})
"""An assistant turn may hold tool calls only; everybody else has to say something."""

TEXT = re.compile(r"\w")

MOST_ECHOED = 100
"""Characters of a client's own text that an error repeats."""


class Extras(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The request's `input_time` field. A missing value means the member's own."""

    strategy: StrategyName | None = None
    persona: str | None = None
    seed: int | None = None
    placement: Placement | None = None
    instruction: str | None = None
    samples: int | None = None
    return_ballots: bool = False
    options: dict[str, Any] | None = None


NO_EXTRAS = Extras()


@dataclass(slots=True)
class Request:
    """A request for any endpoint that asks a model. `body` is all of it but `input_time`."""

    model: str
    stream: bool
    body: Mapping[str, Any]
    extras: Extras
    has_extras: bool

    @property
    def override(self) -> Override:
        """What the request changes about its contexts."""
        extras = self.extras
        if not self.has_extras:
            return NO_OVERRIDE
        return Override(
            extras.strategy, extras.persona, extras.seed, extras.placement, extras.instruction
        )

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with a usage chunk."""
        options = self.body.get("stream_options")
        return isinstance(options, dict) and bool(options.get("include_usage"))


@dataclass(slots=True)
class ChatRequest(Request):
    """A chat completion request."""

    messages: Sequence[Message]

    @property
    def question(self) -> str | None:
        """The opening question; `None` where there is no user message."""
        return prompts.question(self.messages)

    @property
    def goes_on(self) -> bool:
        """Whether the chat goes on after its opening question."""
        return prompts.goes_on(self.messages)


def parse(raw: bytes, limits: Limits) -> ChatRequest:
    """Read a chat completion request.

    Raises:
        BadRequest: it is no JSON object, or a field that the proxy reads has the wrong shape.
    """
    return as_chat(parse_any(raw, limits), limits)


def as_chat(request: Request, limits: Limits) -> ChatRequest:
    """Return a request whose body is a chat's.

    Raises:
        BadRequest: a field that the proxy reads has the wrong shape.
    """
    seed = request.body.get("seed")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool)):
        raise BadRequest("`seed` must be an integer", param="seed")
    messages = check_messages(request.body.get("messages"), limits)
    return ChatRequest(
        request.model, request.stream, request.body, request.extras, request.has_extras, messages
    )


def parse_any(raw: bytes, limits: Limits) -> Request:
    """Read what every endpoint's request has: a JSON object, a model, perhaps `input_time`.

    Raises:
        BadRequest: one of them is not as it should be.
    """
    body = _object(raw, limits.depth)
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequest("`model` must name a model; see /v1/models", param="model")
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise BadRequest("`stream` must be true or false", param="stream")
    if "input_time" not in body:
        return Request(model, bool(stream), body, NO_EXTRAS, False)
    extras = _extras(body.pop("input_time"))
    return Request(model, bool(stream), body, extras or NO_EXTRAS, extras is not None)


def _object(raw: bytes, depth: int) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(raw)
    except UNREADABLE as error:
        raise BadRequest(f"the body is not JSON that can be carried exactly: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    # Braces are counted first, as most bodies have few and walking one costs more than reading it.
    if raw.count(b"{") + raw.count(b"[") > depth and _deeper_than(body, depth):
        raise BadRequest(f"the body is nested deeper than {depth} levels")
    return body


def _deeper_than(value: Any, depth: int) -> bool:
    level: list[Any] = [value]
    for _ in range(depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def check_messages(messages: Any, limits: Limits, name: str = "messages") -> list[Message]:
    """Return `messages` once they are known to be messages.

    Raises:
        BadRequest: they are not, or there are too many.
    """
    if not isinstance(messages, list) or not messages:
        raise BadRequest(f"`{name}` must be a list with at least one message", param=name)
    if len(messages) > limits.messages:
        raise BadRequest(f"`{name}` has more than {limits.messages} messages", param=name)
    for index, message in enumerate(messages):
        _check_message(message, f"{name}[{index}]")
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
        param = "input_time" + at.rstrip("`")[:MOST_ECHOED]
        # The reason ends with the client's own word, of any length.
        raise BadRequest(f"`{param}`: {reason[:MOST_ECHOED]}", param=param) from error
    if extras.persona is not None and not TEXT.search(extras.persona):
        # A blank context is none, and would be reported as one.
        raise BadRequest("`input_time.persona` must hold text", param="input_time.persona")
    if extras.samples is not None and extras.samples < 1:
        raise BadRequest("`input_time.samples` must be at least 1", param="input_time.samples")
    return extras


def check_for_member(request: Request, member: Member, endpoint: EndpointKind) -> None:
    """Refuse what only a panel can do, and a question to a model that only scores answers.

    Raises:
        BadRequest: the request asks for several samples, or sets options of a method; or the member
            is a reward model, and the endpoint is for answers.
    """
    if member.scores and endpoint in ANSWERING:
        raise BadRequest(
            f"The model {member.name!r} is a reward model: it scores answers and writes none. Ask"
            " another model; a panel names this one as its `scorer`.",
            param="model",
        )
    if request.extras.options:
        raise BadRequest(
            "`input_time.options` needs a panel; this model is a single member",
            param="input_time.options",
        )
    if request.extras.samples not in (None, 1):
        raise BadRequest(
            "`input_time.samples` needs a panel; this model is a single member",
            param="input_time.samples",
        )


def check_guarded(
    request: Request, asked: MemberPrompt, endpoint: EndpointKind = "chat"
) -> MemberPrompt:
    """Refuse guarded fields and another system text; what the member allows shows in the co-design.

    Raises:
        BadRequest: a field is used that the member does not take, or its system text is another.
    """
    bypassed = goes_around(request.body, asked.member, endpoint)
    return replace(asked, co_design=CoDesign.MISMATCH) if bypassed else asked


def check_for_panel(request: Request, panel: Panel) -> None:
    """Refuse what has no meaning when several answers become one (the rows of `fields.CHAT`).

    Raises:
        BadRequest: such a field has a value that means something, or the request asks for more
            samples or calls than the panel allows.
    """
    _check_samples(request.extras.samples, panel)
    fields.check_for_panel(request.body, panel)


def _check_samples(samples: int | None, panel: Panel) -> None:
    if samples is None:
        return
    members, at = len(panel.members), "input_time.samples"
    most = min(panel.max_samples, panel.max_calls // members)
    if samples > panel.max_samples:
        limit = f"panels.{panel.name}.max_samples is {panel.max_samples}"
    elif samples * members > panel.max_calls:
        limit = (
            f"{samples} of each of its {members} members are {samples * members} calls, and"
            f" panels.{panel.name}.max_calls is {panel.max_calls}"
        )
    else:
        return
    raise BadRequest(
        f"`{at}` is too large for the panel {panel.name!r}: {limit}. Ask for at most {most}",
        param=at,
    )
