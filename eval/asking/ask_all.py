"""Ask a model every problem, a bounded number at a time, and keep every answer as it comes."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from its import answers
from its.answers.algebra.workers import Workers
from its.types import Answer

from ..errors import EvalError
from ..figures.figures import Prices
from ..figures.sources import MOST_MIXED
from ..grading.samples import graded
from ..grading.scorers import scorer_for
from ..samples import EvalSample, RunFolder
from ..tasks.load import Task
from .call import SeedRefused, ask
from .ledger import Ledger, RunLimits
from .patience import PATIENCE, Patience, ServerAway
from .reply import CallError, ChatReply
from .request import body_of, unanswered
from .server import ServedModels


class Stopped(Exception):
    """The run ends before all was asked; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """What is asked of the model. `seed` is the run's; every sample gets one of its own.

    `strategy` overrides how the proxy chooses contexts; `persona_per_sample` draws one for each
    sample of a problem instead of one for all. `extra` is added to each request as it is.
    `answers` is the kind of the answers, `thinking` whether the chat template opens `<think>`
    itself; if `None`, what the server says of the model. So it is with `samples` (of a problem),
    `temperature`, `top_p`, `max_tokens` and `instruction`, which stands after each question (see
    `settle`). `logprobs` asks
    for log-probabilities, with so many of the likeliest tokens at each place.
    """

    model: str
    samples: int | None = 1
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
    """A run as it was asked for. `timeout` is the seconds of one call.

    A call is repeated up to `retries` times when its answer breaks off; a server that is away or
    busy is waited for `patience` seconds.
    `max_mixed` is the share of contexts that may be from another source than most.
    `recommended`: ask as the model's makers recommend, where `sampling` leaves it open.
    `fresh` throws away what the folder holds; `stop_on_error` ends at the first failed call.
    `accept_failed`: calls that failed before count as wrong, and are not asked again.
    `other_server` goes on with another server than before; `unlisted` asks a model that the server
    does not list.
    """

    task: Task
    base_url: str
    sampling: Sampling
    folder: Path
    concurrency: int = 8
    timeout: float = 3600.0
    retries: int = 3
    patience: float = PATIENCE
    stop_on_error: bool = False
    fresh: bool = False
    prices: Prices | None = None
    limits: RunLimits = field(default_factory=RunLimits)
    max_mixed: float = MOST_MIXED
    recommended: bool = False
    accept_failed: bool = False
    other_server: bool = False
    unlisted: bool = False


async def ask_all(
    spec: RunSpec,
    server: ServedModels,
    folder: RunFolder,
    graders: Workers,
    on_sample: Callable[[EvalSample], None],
    patience: Patience,
) -> None:
    """Ask what `folder` does not hold yet. Samples that failed before are asked again.

    Raises:
        Stopped: it makes no sense to go on, or a limit is reached; see the message.
        OSError: an answer could not be written down.
    """
    scorer, before = scorer_for(spec.task), folder.outcomes()
    done = {key for key, sample in before.items() if sample.error is None or spec.accept_failed}
    todo = iter(
        (problem, index)
        for index in range(spec.sampling.samples or 1)
        for problem in spec.task.problems
        if (problem.id, index) not in done
    )
    ledger = Ledger(spec.limits, before.values())
    asking = _Asking(spec, server, patience)
    part = folder.part()

    async def worker() -> None:
        while not ledger.used_up() and (each := next(todo, None)):
            answered = await asking.answer(unanswered(spec, *each, part))
            # In a thread: a hard comparison takes seconds, and other calls must go on meanwhile.
            sample = await asyncio.to_thread(graded, answered, graders, scorer)
            folder.append(sample)
            ledger.add(sample)
            on_sample(sample)
            if sample.error and spec.stop_on_error:
                raise Stopped(f"stopped at the first failed call: {sample.id}: {sample.error}")
            if failing := ledger.failing():
                raise Stopped(failing)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(spec.concurrency):
                group.create_task(worker())
    except* (Stopped, OSError, ServerAway, EvalError) as failed:
        first = failed.exceptions[0]
        raise (Stopped(str(first)) if isinstance(first, ServerAway) else first) from None
    if next(todo, None) and (limit := ledger.used_up()):
        raise Stopped(limit)


class _Asking:
    """How each sample is asked; remembers what the server turned out not to take."""

    def __init__(self, spec: RunSpec, server: ServedModels, patience: Patience) -> None:
        self._spec, self._server, self._patience = spec, server, patience
        self._without_seed = False

    async def answer(self, begun: EvalSample) -> EvalSample:
        """Return the sample with its answer, or with the error that came instead."""
        started = time.monotonic()
        sampling = self._spec.sampling
        body = body_of(self._server.input_time(sampling.model), sampling, begun)
        try:
            reply, body = await self._asked(body)
        except CallError as error:
            seconds = round(time.monotonic() - started, 3)
            return replace(_as_asked(begun, body), seconds=seconds, error=str(error))
        answer = self._read(reply, body)
        return _answered(_as_asked(begun, body), reply, time.monotonic() - started, answer)

    async def _asked(self, body: dict[str, Any]) -> tuple[ChatReply, dict[str, Any]]:
        """Return the reply, and the request that it answers: some engines refuse `seed`."""
        bare = {name: value for name, value in body.items() if name != "seed"}
        if self._without_seed:
            return await self._ask(bare), bare
        try:
            return await self._ask(body), body
        except SeedRefused as refused:
            try:
                reply = await self._ask(bare)
            except CallError:
                raise refused from None  # the message named the seed by chance
            self._without_seed = True
            return reply, bare

    async def _ask(self, body: Mapping[str, Any]) -> ChatReply:
        spec = self._spec
        return await ask(
            self._server.client, body,
            timeout=spec.timeout, retries=spec.retries, patience=self._patience,
        )  # fmt: skip

    def _read(self, reply: ChatReply, body: Mapping[str, Any]) -> Answer | None:
        sampling = self._spec.sampling
        wanted = self._spec.task.answers if sampling.answers == "auto" else sampling.answers
        thinking = sampling.thinking
        if thinking is None:
            thinking = self._server.opens_think(sampling.model, reply.input_time.get("winner"))
        return answers.read(
            reply.message,
            kind=answers.kind_of(body, wanted),
            finish_reason=reply.finish_reason,
            thinking=thinking,
        )


def _as_asked(begun: EvalSample, body: Mapping[str, Any]) -> EvalSample:
    return replace(begun, seed=body.get("seed"), temperature=body.get("temperature"))


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
        prompt_tokens=reply.prompt_tokens,
        seconds=round(seconds, 3),
        logprobs=msgspec.structs.asdict(reply.logprobs) if reply.logprobs else None,
        input_time=reply.input_time,
    )
