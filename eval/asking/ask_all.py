"""Ask a model every problem, a bounded number at a time, and keep every answer as it comes."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai

from its import answers, seeds
from its.answers.algebra.workers import Workers
from its.types import Answer

from ..figures.figures import Prices
from ..figures.sources import MOST_MIXED
from ..grading.samples import graded
from ..samples import EvalSample, RunFolder
from ..tasks.load import Task
from ..tasks.problem import Problem
from .call import CallError, ChatReply, ask


class Stopped(Exception):
    """A call failed, and the run was to stop then; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """What is asked of the model. `seed` is the run's; every sample gets one of its own.

    `strategy` overrides how the proxy chooses contexts; `persona_per_sample` draws one for each
    sample of a problem instead of one for all. `extra` is added to each request as it is.
    `answers` is the kind of the answers, `thinking` whether the chat template opens `<think>`
    itself; if `None`, what the server says of the model. So it is with `temperature`, `top_p`,
    `max_tokens` and `instruction`, which stands after each question (see `settle`). `logprobs` asks
    for log-probabilities, with so many of the likeliest tokens at each place.
    """

    model: str
    samples: int = 1
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int = 0
    system: str | None = None
    strategy: str | None = None
    persona_per_sample: bool = False
    answers: str = "auto"
    thinking: bool | None = None
    instruction: str | None = None
    logprobs: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunSpec:
    """A run as it was asked for. `timeout` is the seconds of one call, `retries` its repetitions.

    `max_mixed` is the share of contexts that may be from another source than most.
    `recommended`: ask as the model's makers recommend, where `sampling` leaves it open.
    `fresh` throws away what the folder holds; `stop_on_error` ends at the first failed call.
    """

    task: Task
    base_url: str
    sampling: Sampling
    folder: Path
    concurrency: int = 8
    timeout: float = 3600.0
    retries: int = 3
    stop_on_error: bool = False
    fresh: bool = False
    prices: Prices | None = None
    max_mixed: float = MOST_MIXED
    recommended: bool = False


@dataclass(frozen=True, slots=True)
class ServedModels:
    """An OpenAI-compatible server; `cards` is what its `/models` says, by the model's name."""

    client: openai.AsyncOpenAI
    cards: Mapping[str, Mapping[str, Any]]

    def input_time(self, model: str) -> Mapping[str, Any] | None:
        """Return what a proxy of ours says of `model`; `None` from any other server."""
        return self.cards.get(model, {}).get("input_time")

    def opens_think(self, model: str, winner: str | None) -> bool:
        """Tell whether the template of `model` opens `<think>`; of a panel, that of the winner."""
        card = self.input_time(model) or {}
        members = card.get("members") or [card]
        won = [member for member in members if member.get("member") == winner] or members
        return all(member.get("thinking") for member in won)


async def connect(base_url: str, api_key: str) -> ServedModels:
    """Open `base_url` and look up its models; `/v1` is added where only that answers.

    Raises:
        openai.OpenAIError: the server cannot be reached, refuses, or speaks something else.
    """
    try:
        return await _look_up(base_url, api_key)
    except (openai.NotFoundError, _NoModels):
        if urlsplit(base_url).path.rstrip("/"):
            raise
        with suppress(openai.OpenAIError):
            return await _look_up(f"{base_url.rstrip('/')}/v1", api_key)
        raise


class _NoModels(openai.OpenAIError):
    """A server answers, but not with its models."""


async def _look_up(base_url: str, api_key: str) -> ServedModels:
    client = openai.AsyncOpenAI(base_url=base_url, api_key=api_key, max_retries=0)
    try:
        cards = {card.id: card.model_dump() async for card in client.models.list()}
    except openai.OpenAIError:
        await client.close()
        raise
    except (AttributeError, TypeError, ValueError) as error:  # the SDK takes any 200 as a list
        await client.close()
        said = "its /models is no list of models; does the address end in /v1?"
        raise _NoModels(said) from error
    return ServedModels(client, cards)


async def ask_all(
    spec: RunSpec,
    server: ServedModels,
    folder: RunFolder,
    graders: Workers,
    on_sample: Callable[[EvalSample], None],
) -> None:
    """Ask what `folder` does not hold yet. Samples that failed before are asked again.

    Raises:
        Stopped: a call failed, and `stop_on_error` was wanted.
        OSError: an answer could not be written down.
    """
    done = {key for key, sample in folder.samples().items() if sample.error is None}
    todo = iter(
        (problem, index)
        for index in range(spec.sampling.samples)
        for problem in spec.task.problems
        if (problem.id, index) not in done
    )

    async def worker() -> None:
        for problem, index in todo:
            begun = _unanswered(spec, problem, index)
            answered = await _answer(spec, server, begun)
            # In a thread: a hard comparison takes seconds, and other calls must go on meanwhile.
            sample = await asyncio.to_thread(graded, answered, graders)
            folder.append(sample)
            on_sample(sample)
            if sample.error and spec.stop_on_error:
                raise Stopped(f"{sample.id}: {sample.error}")

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(spec.concurrency):
                group.create_task(worker())
    except* (Stopped, OSError) as failed:
        raise failed.exceptions[0] from None


def _unanswered(spec: RunSpec, problem: Problem, index: int) -> EvalSample:
    """Return the sample before anything is asked."""
    instruction = spec.task.instruction
    prompt = f"{problem.problem}\n\n{instruction}" if instruction else problem.problem
    # One seed for all samples would make them all alike.
    seed = seeds.derive("sample", spec.sampling.seed, problem.id, index)
    return EvalSample(problem.id, index, seed, problem.answer, prompt)


async def _answer(spec: RunSpec, server: ServedModels, begun: EvalSample) -> EvalSample:
    started = time.monotonic()
    sampling = spec.sampling
    body = _body(server, sampling, begun)
    begun = replace(begun, seed=body["seed"], temperature=body["temperature"])
    try:
        reply = await ask(server.client, body, timeout=spec.timeout, retries=spec.retries)
    except CallError as error:
        return replace(begun, seconds=time.monotonic() - started, error=str(error))
    wanted = "choice" if spec.task.choice and sampling.answers == "auto" else sampling.answers
    thinking = sampling.thinking
    if thinking is None:
        thinking = server.opens_think(sampling.model, reply.input_time.get("winner"))
    answer = answers.read(
        reply.message,
        kind=answers.kind_of(body, wanted),
        finish_reason=reply.finish_reason,
        thinking=thinking,
    )
    return _answered(begun, reply, time.monotonic() - started, answer)


def _body(server: ServedModels, sampling: Sampling, begun: EvalSample) -> dict[str, Any]:
    """Return the request; contexts are fixed by the run's seed, ballots asked for, where known."""
    chat = [{"role": "user", "content": begun.prompt}]
    if sampling.system:
        chat.insert(0, {"role": "system", "content": sampling.system})
    body: dict[str, Any] = {
        "model": sampling.model, "messages": chat, "temperature": sampling.temperature,
        "seed": begun.seed, **sampling.extra,
    }  # fmt: skip
    if sampling.top_p is not None:
        body["top_p"] = sampling.top_p
    if sampling.max_tokens is not None:
        body["max_tokens"] = sampling.max_tokens
    if sampling.logprobs is not None:
        body["logprobs"] = True
        if sampling.logprobs:
            body["top_logprobs"] = sampling.logprobs
    known = server.input_time(sampling.model)
    if known is not None or sampling.strategy:
        extras: dict[str, Any] = {"seed": _context_seed(sampling, begun)}
        if sampling.strategy:
            extras["strategy"] = sampling.strategy
        if known and known.get("kind") == "panel":
            extras["return_ballots"] = True
        body["input_time"] = {**extras, **(body.get("input_time") or {})}
    return body


def _context_seed(sampling: Sampling, begun: EvalSample) -> int:
    if not sampling.persona_per_sample:
        return sampling.seed
    return seeds.derive("context", sampling.seed, begun.sample)


def _answered(
    begun: EvalSample, reply: ChatReply, seconds: float, answer: Answer | None
) -> EvalSample:
    return replace(
        begun,
        text=reply.text,
        reasoning=reply.reasoning or None,
        answer=answer.text if answer else None,
        answer_kind=answer.kind if answer else "math",
        finish_reason=reply.finish_reason,
        tokens=reply.tokens,
        thinking_tokens=reply.thinking_tokens,
        prompt_tokens=int(reply.usage.get("prompt_tokens") or 0),
        seconds=round(seconds, 3),
        logprobs=asdict(reply.logprobs) if reply.logprobs else None,
        input_time=reply.input_time,
    )
