"""Random faults for a while: every response is the expected answer or a correct error, and
nothing grows. `make test-long` does it for a minute, `ITS_SOAK=600` for ten; `ITS_PLOTS=DIR` draws
what was sampled.
"""

import asyncio
import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, Response, StreamingResponse

from tests.conftest import MEMBERS, longer
from tests.proxy.asking import series, serving, wait_until
from tests.scripted import NO_TLS, Body, Engine, Waiting, chunk, completion, fails, page, usage

SECONDS = float(os.environ.get("ITS_SOAK") or longer(5, 60))
PATIENCE = 60.0
"""Seconds more on a loaded machine, until all kinds of outcomes were seen."""
CLIENTS = 64
CONFIG = (
    "[server]\nretry_seconds = 0.5\nlog = { level = 'error' }\n"
    + MEMBERS.replace("[members.n]", "max_concurrency = 48\nmax_queue = 64\n[members.n]")
    + '[panels.early]\nmembers = ["s", "u", "r"]\ndeadline_s = 2\n'
)
MODELS = ["n", "r", "vote3", "early"]
ERRORS = {429, 502, 503, 504}


def expected(number: int) -> str:
    return rf"So it is \boxed{{{number * number}}}."


class Faulty:
    """An engine that is right, or fails in one of many ways; never is it wrong."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def __call__(self, body: Body) -> Response:
        question = body["messages"][-1]["content"]
        found = re.search(r"square of (\d+)", question)
        assert found
        text = expected(int(found[1]))
        faults = {
            "right": 60,
            "slow": 10,
            "hangs": 2,
            "cut": 5,
            "dies": 3,
            "empty": 3,
            "abort": 2,
            "page": 3,
            "garbage": 2,
            "500": 3,
            "503": 4,
            "429": 3,
        }
        [fault] = self._random.choices(list(faults), list(faults.values()))
        return self._answer(fault, text, bool(body.get("stream")))

    def _answer(self, fault: str, text: str, streamed: bool) -> Response:
        match fault:
            case "500" | "503" | "429":
                return fails(int(fault), retry_after="0.05")({})
            case "page":
                return page({})
            case "garbage":
                return Response(b'{"choices": [', media_type="application/json")
            case "hangs" | "slow":
                seconds = 30 if fault == "hangs" else self._random.uniform(0.05, 0.5)
                return Waiting(seconds, self._answer("right", text, streamed))
            case "dies":
                return StreamingResponse(_dying(), headers={"content-length": "1000"})
        if streamed:
            return StreamingResponse(self._stream(fault, text), media_type="text/event-stream")
        reason = "abort" if fault == "abort" else "stop"
        content = "" if fault == "empty" else text
        return JSONResponse(completion(content, finish_reason=reason))

    async def _stream(self, fault: str, text: str) -> AsyncIterator[bytes]:
        words = [] if fault == "empty" else re.split(r"(?<= )", text)
        for number, word in enumerate(words, 1):
            yield chunk(delta={"content": word}, usage=usage(9, number))
            await asyncio.sleep(0.002)
            if fault == "cut" and number == 2:
                return
        yield chunk(finish_reason="abort" if fault == "abort" else "stop")
        yield b"data: [DONE]\n\n"


async def _dying() -> AsyncIterator[bytes]:
    yield b'{"choices": ['
    raise ConnectionError("the engine died")


@dataclass
class Seen:
    """What the clients saw, and what was sampled meanwhile."""

    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    samples: list[dict[str, float]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def goes_on(self) -> bool:
        """Whether the soak does: for its time, and then until every kind of outcome was seen."""
        seconds = time.monotonic() - self.began
        return seconds < SECONDS or (seconds < SECONDS + PATIENCE and not self.enough())

    def enough(self) -> bool:
        rare = min(self.outcomes[kind] for kind in ("error", "broken stream", "left"))
        return self.outcomes["right"] >= 2 * CLIENTS and rare > 0


async def client(number: int, url: str, seen: Seen) -> None:
    rng = random.Random(number)
    async with httpx.AsyncClient(base_url=url, trust_env=False, verify=NO_TLS, timeout=60) as http:
        while seen.goes_on():
            value = rng.randrange(10**6)
            streamed, model = rng.random() < 0.5, rng.choice(MODELS)
            question = {"role": "user", "content": f"What is the square of {value}?"}
            sent = {"model": model, "messages": [question], "stream": streamed}
            patience = 0.15 if rng.random() < 0.15 else 4.0
            try:
                async with asyncio.timeout(patience):
                    answer = await http.post("/chat/completions", json=sent)
            except TimeoutError:
                seen.outcomes["left"] += 1
                continue
            outcome = judge(answer, streamed, model, expected(value))
            seen.outcomes[outcome] += 1
            if outcome == "wrong":
                seen.wrong.append(f"{model} {streamed} {answer.status_code} {answer.text[-400:]}")


def judge(answer: httpx.Response, streamed: bool, model: str, wanted: str) -> str:
    if answer.status_code != 200:
        shaped = set(answer.json()["error"]) == {"message", "type", "param", "code"}
        return "error" if answer.status_code in ERRORS and shaped else "wrong"
    if not streamed:
        choice = answer.json()["choices"][0]
        # A single member is a transparent door: what its engine says of itself goes through.
        bad = choice["finish_reason"] == "abort" or not choice["message"]["content"]
        passed = model in {"n", "r"} and bad
        return "right" if choice["message"]["content"] == wanted or passed else "wrong"
    if "event: error" in answer.text:
        return "wrong" if "[DONE]" in answer.text else "broken stream"
    if not answer.text.endswith("data: [DONE]\n\n"):
        return "wrong"
    chunks = [json.loads(line[6:]) for line in answer.text.splitlines() if line[:7] == "data: {"]
    choices = [choice for found in chunks for choice in found["choices"]]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    finish = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    passed = model in {"n", "r"} and (finish == ["abort"] or not text)
    return "right" if text == wanted or passed else "wrong"


async def sample(url: str, seen: Seen) -> None:
    async with httpx.AsyncClient(base_url=url, trust_env=False, verify=NO_TLS, timeout=60) as http:
        while seen.goes_on():
            await asyncio.sleep(min(5.0, SECONDS / 6))
            text = (await http.get("/metrics")).text
            seen.samples.append(numbers(text))


def numbers(text: str) -> dict[str, float]:
    wanted = {
        "its_tasks": "tasks",
        "process_open_fds": "file descriptors",
        "process_resident_memory_bytes": "RSS",
        "its_in_flight": "in flight",
    }
    rows = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(rows[key]) for key, name in wanted.items()}


async def soak(url: str) -> Seen:
    seen = Seen()
    root = url.removesuffix("/v1")
    clients = [client(number, url, seen) for number in range(CLIENTS)]
    await asyncio.gather(sample(root, seen), *clients)
    return seen


@pytest.mark.long
def test_faults_are_survived(engine: Engine, engine_url: str, tmp_path: Path) -> None:
    for seed, name in enumerate("nsur"):
        engine.scripts[name] = Faulty(seed)
    config = tmp_path / "panels.toml"
    config.write_text(CONFIG.replace("{engine}", engine_url), "utf-8")
    with serving(config) as (process, url):
        seen = asyncio.run(soak(url))
        assert seen.wrong == []
        assert seen.enough(), seen.outcomes
        wait_until(lambda: engine.running == 0)
        root = httpx.Client(base_url=url.removesuffix("/v1"), trust_env=False, verify=NO_TLS)
        with root:
            wait_until(lambda: series(root)["its_in_flight"] == 1)
            # The pools close what is idle when they are used; one request each is enough.
            time.sleep(5)
            engine.scripts["n"] = Faulty.__call__.__get__(Right(0))
            for _ in range(3):
                ask = {"role": "user", "content": "What is the square of 2?"}
                root.post("/v1/chat/completions", json={"model": "n", "messages": [ask]})
            end = numbers(root.get("/metrics").text)
        draw(seen.samples)
        process.terminate()
        _, said = process.communicate(timeout=15)
    print(seen.outcomes, end)
    assert "Traceback" not in said
    assert end["tasks"] < 12
    assert end["file descriptors"] < 40
    if SECONDS >= 60:
        does_not_grow(seen.samples)


def does_not_grow(samples: list[dict[str, float]]) -> None:
    """Compare the last third with the first: a few samples would show the start, not a trend."""
    third = len(samples) // 3
    early, late = samples[:third], samples[-third:]
    for what in ("tasks", "file descriptors"):
        assert most(late, what) < 1.5 * most(early, what) + 20, what
    assert most(late, "RSS") < most(early, "RSS") + 20e6


class Right(Faulty):
    """No faults any more."""

    def _answer(self, fault: str, text: str, streamed: bool) -> Response:
        return super()._answer("right", text, streamed)


def most(samples: list[dict[str, float]], what: str) -> float:
    return max(sample[what] for sample in samples)


def draw(samples: list[dict[str, Any]]) -> None:
    folder = os.environ.get("ITS_PLOTS")
    if not folder:
        return
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    names = list(samples[0])
    figure, axes = pyplot.subplots(len(names), 1, figsize=(7, 7), sharex=True)
    seconds = [(i + 1) * min(5.0, SECONDS / 6) for i in range(len(samples))]
    for axis, name in zip(axes, names, strict=True):
        scale = 1e6 if name == "RSS" else 1
        axis.plot(seconds, [sample[name] / scale for sample in samples], marker="o", ms=3)
        axis.set_ylabel(f"{name} (MB)" if name == "RSS" else name)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[0].set_title(f"{CLIENTS} clients, random engine faults")
    axes[-1].set_xlabel("seconds")
    figure.tight_layout()
    figure.savefig(Path(folder) / "soak.png", dpi=120)
