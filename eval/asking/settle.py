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

OPTIONS = {
    "temperature": "--temperature",
    "top_p": "--top-p",
    "max_tokens": "--max-tokens",
    "thinking": '--extra-body \'{"chat_template_kwargs": {"enable_thinking": true}}\'',
}
"""The options by which the command says each value."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What every question is asked with; `said_by` has who said it, by name.

    `instruction` is what the harness adds. It is empty where the proxy adds the checkpoint's own,
    or none because the checkpoint was trained with none. `in_place` is what the proxy is told to
    add in place of the checkpoint's own (`input_time.instruction`); `None`: nothing.
    """

    temperature: float
    top_p: float | None
    max_tokens: int | None
    thinking: bool | None
    instruction: str
    in_place: str | None
    said_by: Mapping[str, str]

    def spec(self, spec: "RunSpec") -> "RunSpec":
        """Return `spec` with nothing left open."""
        extra = dict(spec.sampling.extra)
        given = extra.get(TEMPLATE_KWARGS) or {}
        if self.thinking is not None and isinstance(given, Mapping) and THINKING not in given:
            extra[TEMPLATE_KWARGS] = {**given, THINKING: self.thinking}
        if self.in_place is not None:
            told = extra.get("input_time") or {}
            extra["input_time"] = {**told, "instruction": self.in_place}
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
        if self.in_place is not None:
            said = f"{self.in_place!r} ({COMMAND}), in place of the checkpoint's own"
        return f"asked with {', '.join(each)}; instruction: {said}"


def settle(spec: "RunSpec", card: Mapping[str, Any] | None) -> Settled:
    """Return what is asked with; `card` is what a proxy of ours says of the model, if it is one.

    Raises:
        EvalError: the members of a panel differ in it, so that the command has to say it.
    """
    members: Sequence[Mapping[str, Any]] = []
    if card is not None:
        members = card.get("members") or [card]
    found, said_by = _sampling(spec, members)
    instruction, said_by["instruction"] = _instruction(spec, members)
    in_place = None
    if said_by["instruction"] == COMMAND and any(each.get("instruction") for each in members):
        instruction, in_place = "", instruction  # added to the question, it would stand beside it
    return Settled(**found, instruction=instruction, in_place=in_place, said_by=said_by)


def _sampling(
    spec: "RunSpec", members: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values by name, and who said each: the command, else the members' manifests."""
    given = spec.sampling
    said: dict[str, Any] = {name: getattr(given, name) for name in OPTIONS if name != "thinking"}
    kwargs = given.extra.get(TEMPLATE_KWARGS)
    said["thinking"] = kwargs.get(THINKING) if isinstance(kwargs, Mapping) else None
    left = [name for name, value in said.items() if value is None]
    recommended = _recommended(members, left) if spec.recommended else {}
    found: dict[str, Any] = {**dict.fromkeys(OPTIONS), "temperature": TEMPERATURE}
    said_by = dict.fromkeys(OPTIONS, HARNESS)
    for by, values in ((MANIFEST, recommended), (COMMAND, said)):
        known = {name: value for name, value in values.items() if value is not None}
        found |= known
        said_by |= dict.fromkeys(known, by)
    return found, said_by


def _recommended(members: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Return what the members' manifests recommend for `names`; `None` where they say nothing.

    Raises:
        EvalError: the members of a panel recommend different values, or some of them none. All of
            them are asked with the same, and nobody recommends it for all.
    """
    tests = {str(each.get("member")): (each.get("manifest") or {}).get("test") for each in members}
    found, differ = dict[str, Any](), dict[str, str]()
    for name in names:
        said = {who: (test or {}).get(name) for who, test in tests.items()}
        found[name] = next(iter(said.values()), None)
        if any(value != found[name] for value in said.values()):
            each = (f"{who} {'nothing' if value is None else value}" for who, value in said.items())
            differ[name] = ", ".join(each)
    if differ:
        each_ = "; ".join(f"{name}: {values}" for name, values in differ.items())
        options = ", ".join(OPTIONS[name] for name in differ)
        raise EvalError(
            f"the panel's members recommend different sampling ({each_}), and all are asked with"
            f" the same. Give {options}"
        )
    return found


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
