"""The request of one sample: what is sent, and with which seeds."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from its import seeds

from ..samples import EvalSample
from ..tasks.problem import Problem

if TYPE_CHECKING:
    from .ask_all import RunSpec, Sampling


def unanswered(spec: "RunSpec", problem: Problem, index: int, part: int) -> EvalSample:
    """Return the sample before anything is asked."""
    instruction = spec.task.instruction
    prompt = f"{problem.problem}\n\n{instruction}" if instruction else problem.problem
    # One seed for all samples would make them all alike.
    seed = seeds.derive("sample", spec.sampling.seed, problem.id, index)
    return EvalSample(problem.id, index, seed, problem.answer, prompt, part=part)


def body_of(
    card: Mapping[str, Any] | None, sampling: "Sampling", begun: EvalSample
) -> dict[str, Any]:
    """Return the request; `card` is what a proxy of ours says of the model.

    Contexts are fixed by the run's seed, and ballots asked for, where there is such a proxy. A
    field of `sampling.extra` goes over ours; one that is `None` there is not sent.
    """
    chat = [{"role": "user", "content": begun.prompt}]
    if sampling.system:
        chat.insert(0, {"role": "system", "content": sampling.system})
    logprobs = sampling.logprobs
    body: dict[str, Any] = {
        "model": sampling.model, "messages": chat, "temperature": sampling.temperature,
        "top_p": sampling.top_p, "max_tokens": sampling.max_tokens, "seed": begun.seed,
        "logprobs": True if logprobs is not None else None, "top_logprobs": logprobs or None,
        "stream_options": {"include_usage": True}, **sampling.extra,
    }  # fmt: skip
    if card is not None or sampling.strategy:
        extras: dict[str, Any] = {"seed": _context_seed(sampling, begun)}
        if sampling.strategy:
            extras["strategy"] = sampling.strategy
        if card and card.get("kind") == "panel":
            extras["return_ballots"] = True
        body["input_time"] = {**extras, **(body.get("input_time") or {})}
    return {name: value for name, value in body.items() if value is not None}


def _context_seed(sampling: "Sampling", begun: EvalSample) -> int:
    if not sampling.persona_per_sample:
        return sampling.seed
    return seeds.derive("context", sampling.seed, begun.sample)
