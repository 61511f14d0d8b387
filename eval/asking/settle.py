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

COMMAND, TASK, MANIFEST, MAKERS, HARNESS = "command", "task", "manifest", "makers", "harness"
"""Who said a value."""

TEMPLATE_KWARGS, THINKING = "chat_template_kwargs", "enable_thinking"

OPTIONS = {
    "temperature": "--temperature",
    "top_p": "--top-p",
    "max_tokens": "--max-tokens",
    "thinking": '--extra-body \'{"chat_template_kwargs": {"enable_thinking": true}}\'',
}
"""The options by which the command says each value."""

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
    or none because the checkpoint was trained with none. `in_place` is what the proxy is told to
    add in place of the checkpoint's own (`input_time.instruction`); `None`: nothing. `seed` is the
    one of `--extra-body`, "none" if it says that none is sent, else "derived": one for each sample.
    """

    samples: int
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    thinking: bool | None
    instruction: str
    in_place: str | None
    seed: int | str
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
        if self.in_place is not None:
            said = f"{self.in_place!r} ({COMMAND}), in place of the checkpoint's own"
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
    left = [name for name in DEFAULTS if name not in given]
    makers = _makers(spec, left, listed, members) if spec.recommended else {}
    found: dict[str, Any] = {
        **DEFAULTS,
        **{name: value for name, (value, _) in makers.items()},
        **given,
    }
    said_by = {**dict.fromkeys(DEFAULTS, HARNESS), **{name: by for name, (_, by) in makers.items()}}
    said_by |= dict.fromkeys(given, COMMAND)
    found["samples"], said_by["samples"] = _samples(spec, found["temperature"])
    instruction, said_by["instruction"] = _instruction(spec, members)
    in_place = None
    if said_by["instruction"] == COMMAND and any(each.get("instruction") for each in members):
        instruction, in_place = "", instruction  # added to the question, it would stand beside it
    seed = spec.sampling.extra.get("seed", "derived")
    return Settled(
        **found, instruction=instruction, in_place=in_place,
        seed="none" if seed is None else seed, said_by=said_by,
    )  # fmt: skip


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
    kwargs = sampling.extra.get(TEMPLATE_KWARGS)
    if isinstance(kwargs, Mapping) and kwargs.get(THINKING) is not None:
        found["thinking"] = kwargs[THINKING]
    return found


def _samples(spec: "RunSpec", temperature: float | None) -> tuple[int, str]:
    if spec.sampling.samples is not None:
        return spec.sampling.samples, COMMAND
    if spec.task.samples is not None:
        return spec.task.samples, TASK
    few = len(spec.task.problems) <= FEW_PROBLEMS and temperature != 0
    return (FEW_SAMPLES if few else 1), HARNESS


def _makers(
    spec: "RunSpec",
    names: Sequence[str],
    listed: Mapping[str, Any],
    members: Sequence[Mapping[str, Any]],
) -> dict[str, tuple[Any, str]]:
    """Return what the makers recommend of `names`, and who says so: the manifest, or our table."""
    if members:
        found = _recommended(members, names)
        return {name: (value, MANIFEST) for name, value in found.items() if value is not None}
    # Whether it thinks is the business of the chat template, unless a manifest says otherwise.
    known = [recommended(str(each)) for each in (listed.get("root"), spec.sampling.model) if each]
    table = {
        name: next((value for test in known if (value := getattr(test, name)) is not None), None)
        for name in names
        if name != "thinking"
    }
    context, most = listed.get("max_model_len"), table.get("max_tokens")
    if most is not None and isinstance(context, int) and most + PROMPT_ROOM > context:
        # An engine with less context refuses every call; its own limit is what it can do.
        table["max_tokens"] = None
    return {name: (value, MAKERS) for name, value in table.items() if value is not None}


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
