"""What a run asks with where its command leaves it open: as the server says of the model.

A checkpoint behind the proxy is asked as it was trained, and as its makers recommend: the card of a
member in `/v1/models` has its manifest, and says whether the proxy brings the instruction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import EvalError

if TYPE_CHECKING:
    from .ask_all import RunSpec

TEMPERATURE = 0.0
"""Where neither the command nor the manifest says one: the likeliest token."""

COMMAND, MANIFEST, HARNESS = "command", "manifest", "harness"
"""Who said a value."""

TEMPLATE_KWARGS, THINKING = "chat_template_kwargs", "enable_thinking"


@dataclass(frozen=True, slots=True)
class Settled:
    """What every question is asked with; `said_by` has who said it, by name.

    `instruction` is what the harness adds. It is empty where the proxy adds the checkpoint's own,
    or none because the checkpoint was trained with none.
    """

    temperature: float
    top_p: float | None
    max_tokens: int | None
    thinking: bool | None
    instruction: str
    said_by: Mapping[str, str]

    def spec(self, spec: "RunSpec") -> "RunSpec":
        """Return `spec` with nothing left open."""
        extra = dict(spec.sampling.extra)
        given = extra.get(TEMPLATE_KWARGS) or {}
        if self.thinking is not None and isinstance(given, Mapping) and THINKING not in given:
            extra[TEMPLATE_KWARGS] = {**given, THINKING: self.thinking}
        sampling = replace(
            spec.sampling, temperature=self.temperature, top_p=self.top_p,
            max_tokens=self.max_tokens, extra=extra,
        )  # fmt: skip
        return replace(
            spec, sampling=sampling, task=replace(spec.task, instruction=self.instruction)
        )

    def record(self) -> dict[str, Any]:
        """Return it as `run.json` has it."""
        return asdict(self)

    def told(self) -> str:
        """Return it in a line, for people."""
        values = {
            name: value
            for name in ("temperature", "top_p", "max_tokens", "thinking")
            if (value := getattr(self, name)) is not None
        }
        each = [f"{name} {value} ({self.said_by[name]})" for name, value in values.items()]
        said = repr(self.instruction) if self.instruction else "none"
        if self.said_by["instruction"] == MANIFEST:
            said = "as the checkpoint was trained, by the proxy"
        return f"asked with {', '.join(each)}; instruction: {said}"


def settle(spec: "RunSpec", card: Mapping[str, Any] | None) -> Settled:
    """Return what is asked with; `card` is what a proxy of ours says of the model, if it is one.

    Raises:
        EvalError: the members of a panel differ in it, so that the command has to say it.
    """
    members: Sequence[Mapping[str, Any]] = []
    if card is not None:
        members = card.get("members") or [card]
    given = spec.sampling
    found: dict[str, Any] = {}
    said_by: dict[str, str] = {}
    defaults = {"temperature": TEMPERATURE, "top_p": None, "max_tokens": None, "thinking": None}
    for name, default in defaults.items():
        value, by = getattr(given, name) if name != "thinking" else None, COMMAND
        if value is None and spec.recommended:
            value, by = _recommended(members, name), MANIFEST
        if value is None:
            value, by = default, HARNESS
        found[name], said_by[name] = value, by
    instruction, said_by["instruction"] = _instruction(spec, members)
    return Settled(**found, instruction=instruction, said_by=said_by)


def _recommended(members: Sequence[Mapping[str, Any]], name: str) -> Any:
    """Return the value that the members' manifests recommend; those that say nothing do not count.

    Raises:
        EvalError: they recommend different ones.
    """
    tests = {str(each.get("member")): (each.get("manifest") or {}).get("test") for each in members}
    said = {who: test[name] for who, test in tests.items() if test and test.get(name) is not None}
    if len(set(said.values())) > 1:
        each = ", ".join(f"{who} {value}" for who, value in said.items())
        option = f"--{name.replace('_', '-')}"
        if name == "thinking":
            option = '--extra-body \'{"chat_template_kwargs": {"enable_thinking": true}}\''
        raise EvalError(f"the panel's members recommend different {name}: {each}. Give {option}")
    return next(iter(said.values()), None)


def _instruction(spec: "RunSpec", members: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    if spec.sampling.instruction is not None:
        return spec.sampling.instruction, COMMAND
    own = {str(each.get("member")): bool(each.get("own_instruction")) for each in members}
    if len(set(own.values())) > 1:
        bring = ", ".join(name for name, brings in own.items() if brings)
        raise EvalError(
            f"of the panel's members, only {bring} were trained in a known way (they have a"
            " manifest) and bring their own instruction. Give --instruction TEXT, or '' for none"
        )
    return ("", MANIFEST) if any(own.values()) else (spec.task.instruction, HARNESS)
