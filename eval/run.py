"""Ask a model every problem, a bounded number at a time, and keep every answer as it comes."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import openai

from its import answers, seeds
from its.answers.workers import Workers

from .problem import Problem
from .samples import RunFolder, Sample
from .tasks import Task

CALL_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Sampling:
    """What is asked of the model. `seed` is the run's; every sample gets one of its own."""

    model: str
    samples: int
    temperature: float
    max_tokens: int | None
    seed: int


@dataclass(frozen=True, slots=True)
class Server:
    """An OpenAI-compatible server; `card` is what it says of the model under `input_time`."""

    client: openai.AsyncOpenAI
    card: Mapping[str, Any] | None


async def connect(base_url: str, api_key: str, model: str) -> Server:
    """Open `base_url` and look up `model`.

    Raises:
        openai.OpenAIError: the server cannot be reached, or refuses.
    """
    # The harness repeats no call behind its own back: a repeated panel is paid three times.
    client = openai.AsyncOpenAI(
        base_url=base_url, api_key=api_key, max_retries=0, timeout=CALL_SECONDS
    )
    try:
        cards = [card async for card in client.models.list()]
    except openai.OpenAIError:
        await client.close()
        raise
    card = next((card for card in cards if card.id == model), None)
    return Server(client, (card.model_extra or {}).get("input_time") if card else None)


async def run(
    task: Task,
    server: Server,
    sampling: Sampling,
    folder: RunFolder,
    *,
    concurrency: int,
    graders: Workers,
    on_sample: Callable[[Sample], None],
) -> None:
    """Ask what `folder` does not hold yet. Samples that failed before are asked again."""
    done = {key for key, sample in folder.latest().items() if sample.error is None}
    todo = iter(
        (problem, index)
        for index in range(sampling.samples)
        for problem in task.problems
        if (problem.id, index) not in done
    )

    async def worker() -> None:
        for problem, index in todo:
            asked = await _ask(server, sampling, problem, index, task.instruction)
            sample = await asyncio.to_thread(graded, asked, graders)
            folder.append(sample)
            on_sample(sample)

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(worker())


async def _ask(
    server: Server, sampling: Sampling, problem: Problem, index: int, instruction: str
) -> Sample:
    prompt = f"{problem.problem}\n\n{instruction}"
    # One seed for all samples would make them all alike.
    seed = seeds.derive("sample", sampling.seed, problem.id, index)
    asked = Sample(problem.id, index, seed, problem.answer, prompt)
    started = time.monotonic()
    try:
        raw = await server.client.chat.completions.with_raw_response.create(
            model=sampling.model,
            messages=[{"role": "user", "content": prompt}],
            temperature=sampling.temperature,
            seed=seed,
            max_tokens=sampling.max_tokens if sampling.max_tokens else openai.omit,
            extra_body=_extra_body(server, sampling),
        )
        body = json.loads(raw.text)
        return _answered(asked, body, time.monotonic() - started)
    except (openai.OpenAIError, ValueError, LookupError, TypeError) as error:
        return replace(asked, seconds=time.monotonic() - started, error=_reason(error))


def _extra_body(server: Server, sampling: Sampling) -> dict[str, Any]:
    """Fix the contexts by the run's seed and ask for ballots, where the server knows of them."""
    if server.card is None:
        return {}
    panel = server.card.get("kind") == "panel"
    return {"input_time": {"seed": sampling.seed, **({"return_ballots": True} if panel else {})}}


def _answered(asked: Sample, body: Mapping[str, Any], seconds: float) -> Sample:
    choice = body["choices"][0]
    text = choice["message"].get("content") or ""
    finish_reason = choice.get("finish_reason")
    answer = answers.read(text, finish_reason=finish_reason)
    return replace(
        asked,
        text=text,
        answer=answer.text if answer else None,
        finish_reason=finish_reason,
        tokens=(body.get("usage") or {}).get("completion_tokens") or 0,
        seconds=round(seconds, 3),
        input_time=body.get("input_time") or {},
    )


def graded(sample: Sample, graders: Workers) -> Sample:
    """Return `sample` with its answer held against the gold answer; no answer is not correct."""
    given, wanted = answers.parse(sample.answer or ""), answers.parse(sample.gold)
    if given is None or wanted is None:
        return replace(sample, correct=False)
    outcome = answers.compare(wanted, given, graders.judge())
    return replace(sample, correct=outcome is answers.Comparison.EQUAL)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]
