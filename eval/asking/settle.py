"""What a run asks with where its command leaves it open: as the server says of the model.

A checkpoint behind the proxy is asked as it was trained, and as its makers recommend: the card of a
member in `/v1/models` has its manifest, and says whether the proxy brings the instruction. A model
that an engine serves under a known name is asked as `its.sampling` has it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from its.sampling import recommended

from ..errors import EvalError

if TYPE_CHECKING:
    from .ask_all import RunSpec, Sampling

DEFAULTS = {"temperature": 0.0, "top_p": None, "max_tokens": None, "thinking": None}
"""Where nobody says anything: the likeliest token, and the server's own limits."""

FEW_PROBLEMS, FEW_SAMPLES = 60, 8
"""A set of so few problems is asked so often each: one run of 30 says too little."""

PROMPT_ROOM = 2048
"""Tokens of a model's context that are left to the prompt."""

COMMAND, MANIFEST, MAKERS, HARNESS = "command", "manifest", "makers", "harness"
"""Who said a value."""

TEMPLATE_KWARGS, THINKING = "chat_template_kwargs", "enable_thinking"

_EXTRA = {
    "temperature": "temperature", "top_p": "top_p", "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
}  # fmt: skip
"""Fields of `--extra-body` that have an option, by the option's name."""

_REFUSED = {"model": "--model", "messages": "a task", "n": "--samples"}
"""Fields that would make another request of it, and what to use instead."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What every question is asked with; `said_by` has who said it, by name.

    `instruction` is what the harness adds. It is empty where the proxy adds the checkpoint's own,
    or none because the checkpoint was trained with none. `seed` is the one of `--extra-body`,
    "none" if it says that none is sent, else "derived": one for each sample.
    """

    samples: int
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    thinking: bool | None
    instruction: str
    seed: int | str
    said_by: Mapping[str, str]

    def spec(self, spec: "RunSpec") -> "RunSpec":
        """Return `spec` with nothing left open."""
        extra = dict(spec.sampling.extra)
        given = extra.get(TEMPLATE_KWARGS) or {}
        if self.thinking is not None and isinstance(given, Mapping) and THINKING not in given:
            extra[TEMPLATE_KWARGS] = {**given, THINKING: self.thinking}
        sampling = replace(
            spec.sampling, samples=self.samples, temperature=self.temperature, top_p=self.top_p,
            max_tokens=None if "max_completion_tokens" in extra else self.max_tokens, extra=extra,
        )  # fmt: skip
        return replace(
            spec, sampling=sampling, task=replace(spec.task, instruction=self.instruction)
        )

    def record(self) -> dict[str, Any]:
        """Return it as `run.json` has it; the samples stand in its settings."""
        return {name: value for name, value in asdict(self).items() if name != "samples"}

    def told(self) -> str:
        """Return it in a line, for people."""
        names = ("temperature", "top_p", "max_tokens", "thinking", "samples")
        values = {name: value for name in names if (value := getattr(self, name)) is not None}
        each = [f"{name} {value} ({self.said_by[name]})" for name, value in values.items()]
        said = repr(self.instruction) if self.instruction else "none"
        if self.said_by["instruction"] == MANIFEST:
            said = "as the checkpoint was trained, by the proxy"
        seed = "" if self.seed == "derived" else f"; seed {self.seed} for every sample"
        return f"asked with {', '.join(each)}; instruction: {said}{seed}"

    def warning(self, problems: int) -> str | None:
        """Return what these settings cannot tell of a set of so many problems."""
        greedy = self.temperature == 0
        if self.samples > 1 and (greedy or isinstance(self.seed, int)):
            why = "temperature 0" if greedy else "one seed for all samples"
            return f"Warning: {why} makes the samples of a problem alike; more of them say no more."
        if self.samples > 1 or problems > FEW_PROBLEMS:
            return None
        how = "temperature 0 and one sample" if greedy else "one sample"
        return (
            f"Warning: {how} for each of {problems} problems. Reasoning models are measured at"
            f" their makers' temperature with at least {FEW_SAMPLES} samples: greedy answers tend"
            " to repeat themselves, and one run of 30 problems is uncertain by about 17 points"
            " either way. Give --temperature and --samples."
        )


def settle(spec: "RunSpec", listed: Mapping[str, Any]) -> Settled:
    """Return what is asked with; `listed` is the model's card, empty where it has none.

    Raises:
        EvalError: the members of a panel differ in it, so that the command has to say it; or the
            command says it twice.
    """
    card = listed.get("input_time")
    members: Sequence[Mapping[str, Any]] = []
    if isinstance(card, Mapping):
        members = card.get("members") or [card]
    given = _given(spec.sampling)
    found: dict[str, Any] = {}
    said_by: dict[str, str] = {}
    for name, default in DEFAULTS.items():
        value, by = given.get(name), COMMAND
        if name not in given:
            said = _makers(spec, name, listed, members) if spec.recommended else None
            value, by = said or (default, HARNESS)
        found[name], said_by[name] = value, by
    found["samples"], said_by["samples"] = _samples(spec, found["temperature"])
    found["instruction"], said_by["instruction"] = _instruction(spec, members)
    seed = spec.sampling.extra.get("seed", "derived")
    return Settled(**found, seed="none" if seed is None else seed, said_by=said_by)


def _given(sampling: "Sampling") -> dict[str, Any]:
    """Return what the command says of sampling: by its options, or by fields of `--extra-body`.

    Raises:
        EvalError: it says a thing twice, or a field would make another request of it.
    """
    for field, instead in _REFUSED.items():
        if field in sampling.extra and not (field == "n" and sampling.extra[field] in (1, None)):
            raise EvalError(f"--extra-body: {field} cannot be set here, use {instead}")
    names = ("temperature", "top_p", "max_tokens")
    found = {name: value for name in names if (value := getattr(sampling, name)) is not None}
    for field, name in _EXTRA.items():
        if field in sampling.extra:
            value, option = sampling.extra[field], f"--{name.replace('_', '-')}"
            if found.get(name, value) != value:
                raise EvalError(f"--extra-body: {field} is {value}, and {option} {found[name]}")
            found[name] = value
    return found


def _samples(spec: "RunSpec", temperature: float | None) -> tuple[int, str]:
    if spec.sampling.samples is not None:
        return spec.sampling.samples, COMMAND
    few = len(spec.task.problems) <= FEW_PROBLEMS and temperature != 0
    return (FEW_SAMPLES if few else 1), HARNESS


def _makers(
    spec: "RunSpec", name: str, listed: Mapping[str, Any], members: Sequence[Mapping[str, Any]]
) -> tuple[Any, str] | None:
    """Return what the makers recommend, and who says so: the manifest, or our table."""
    if members:
        value = _recommended(members, name)
        return None if value is None else (value, MANIFEST)
    known = (recommended(str(each)) for each in (listed.get("root"), spec.sampling.model) if each)
    value = next((value for test in known if (value := getattr(test, name)) is not None), None)
    context = listed.get("max_model_len")
    if name == "max_tokens" and value is not None and isinstance(context, int):
        # An engine with less context refuses every call; its own limit is what it can do.
        value = value if value + PROMPT_ROOM <= context else None
    # Whether it thinks is the business of the chat template, unless a manifest says otherwise.
    return None if value is None or name == "thinking" else (value, MAKERS)


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
