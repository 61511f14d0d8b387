"""Fields that could bring a question past its context. One table serves every endpoint.

A member with a manifest is a checkpoint that was trained in a known way: its question must arrive
with a context as its manifest says. The fields below could replace the composed text, cut it, put
other turns before it, or change the weights. On such a member they are a 400, unless it says
`allow_mismatch`; on others they are forwarded, and `co_design` stays `unverified`.

Not in the table, because the context stays where it is: `continue_final_message` and
`add_generation_prompt` (about the last turn), `suffix`, `echo`, `best_of`, `tools`, `documents`,
`extra_key`, `cache_salt`, `routed_dp_rank`, and every sampling parameter.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

from ..config.settings import Member
from .errors import BadRequest

EndpointKind: TypeAlias = Literal["chat", "completions", "tokenize", "other"]
Uses: TypeAlias = Callable[[Any], bool]

TEMPLATE_KWARGS = frozenset({
    "chat_template", "conversation", "messages", "max_length", "tokenize", "tokenizer_kwargs",
    "truncation",
})  # fmt: skip
"""Arguments of `apply_chat_template` among the variables of a template: engines pass both on."""


def _is_set(value: Any) -> bool:
    return value is not None


def _is_not_text(prompt: Any) -> bool:
    return isinstance(prompt, list) and not all(isinstance(text, str) for text in prompt)


def _names_template(kwargs: Any) -> bool:
    return isinstance(kwargs, dict) and not TEMPLATE_KWARGS.isdisjoint(kwargs)


def _truncates(value: Any) -> bool:
    return value not in (None, False, "disabled")


class Guard(NamedTuple):
    """Why a field is guarded, which values of it, and on which endpoints (`()`: on all)."""

    why: str
    uses: Uses = _is_set
    only: tuple[EndpointKind, ...] = ()


_TOKENS = "stands for other tokens than the composed text"
_WEIGHTS = "asks other weights than the manifest describes"
_EARLIER = "puts earlier turns before the question, and they may have no context"
_CACHE = "takes the prompt's state from elsewhere"
_CUT = "may cut the context off"
ANSWERING: tuple[EndpointKind, ...] = ("chat", "completions")
_ASKING: tuple[EndpointKind, ...] = (*ANSWERING, "tokenize")

GUARDS: Mapping[str, Guard] = {
    "input_ids": Guard(_TOKENS),
    "input_embeds": Guard(_TOKENS),
    "prompt_embeds": Guard(_TOKENS),
    "prompt_token_ids": Guard(_TOKENS),
    "prompt": Guard(
        "holds token ids, which cannot carry a context", _is_not_text, ("completions",)
    ),
    "lora_path": Guard(_WEIGHTS),
    "lora_id": Guard(_WEIGHTS),
    "lora": Guard(_WEIGHTS),
    "adapters": Guard(_WEIGHTS),
    "chat_template": Guard("replaces the template that the checkpoint was trained with"),
    "chat_template_kwargs": Guard("names the template or its input", _names_template),
    "truncate_prompt_tokens": Guard(_CUT, _is_set, _ASKING),
    "truncation": Guard(_CUT, _truncates, _ASKING),
    "session_id": Guard(_EARLIER),
    "session_params": Guard(_EARLIER),
    "conversation": Guard(_EARLIER, only=ANSWERING),
    "previous_response_id": Guard(_EARLIER, only=ANSWERING),
    "previous_input_messages": Guard(_EARLIER, only=ANSWERING),
    "bootstrap_host": Guard(_CACHE),
    "bootstrap_port": Guard(_CACHE),
    "bootstrap_room": Guard(_CACHE),
    "kv_transfer_params": Guard(_CACHE),
}
CODE = ("custom_logit_processor", "logits_processors")
"""The client's own code, run by the engine: refused on every member without `allow_fields`."""


def check_fields(body: Mapping[str, Any], member: Member, endpoint: EndpointKind) -> bool:
    """Refuse guarded fields that the member does not take; tell whether one goes around a context.

    Raises:
        BadRequest: a field is used that the member does not take.
    """
    for name in CODE:
        if body.get(name) is not None and name not in member.allow_fields:
            told = (
                f"runs the client's code; its operator can allow it with allow_fields = [{name!r}]"
            )
            raise _refused(member, name, told)
    if member.manifest is None:
        return False
    used = [
        (name, guard)
        for name, guard in _TABLES[endpoint].items()
        if name in body and guard.uses(body[name])
    ]
    if used and not member.allow_mismatch:
        name, guard = used[0]
        raise _refused(member, name, f"{guard.why}; {_REMEDIES.get(name, _REMEDY)}")
    return bool(used)


_REMEDY = "the member is asked as its manifest says, unless it has allow_mismatch = true"
_REMEDIES = {
    "prompt": "send text, or a list of texts",
    "conversation": "send the whole conversation in `messages`",
    "previous_response_id": "use /v1/responses, or send the whole conversation in `messages`",
}


def _refused(member: Member, name: str, why: str) -> BadRequest:
    return BadRequest(
        f"the model {member.name!r} does not take `{name}`: it {why}",
        param=name,
        code="field_not_allowed",
    )


def _table(endpoint: EndpointKind) -> Mapping[str, Guard]:
    return {
        name: guard for name, guard in GUARDS.items() if not guard.only or endpoint in guard.only
    }


_ENDPOINTS: tuple[EndpointKind, ...] = (*_ASKING, "other")
_TABLES: Mapping[EndpointKind, Mapping[str, Guard]] = {each: _table(each) for each in _ENDPOINTS}


def table() -> str:
    """Return the guarded fields as Markdown."""
    rows = [f"| `{name}` | {_where(guard)} | {guard.why} |" for name, guard in GUARDS.items()]
    return "\n".join(["| field | endpoints | it |", "|---|---|---|", *rows]) + "\n"


def _where(guard: Guard) -> str:
    if guard.only == _ASKING:
        return "all that carry a question"
    return ", ".join(guard.only) or "all"
