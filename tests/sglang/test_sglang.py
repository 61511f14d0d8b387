"""What the proxy promises, kept with the real SGLang, directly and behind its router."""

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from its import manifest
from its.strategies import STRATEGIES
from sft.checkpoints.parity import compare_all
from tests import trained
from tests.conftest import command
from tests.sglang.conftest import MODEL, proxied

SUM: Any = [{"role": "user", "content": "What is 2 + 3?"}]
TALE: Any = [{"role": "user", "content": "Tell a very long story about a lighthouse."}]
LONG = 2000
"""Tokens; at some 10 a second far longer than a test waits."""

IDLE_SECONDS = 2.0
LACKS = {"seed"}
"""It gives the same answer to one seed only with deterministic inference, which needs a GPU."""


@pytest.fixture
def client(served: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=served, api_key="none", max_retries=0, timeout=120) as client:
        yield client


@pytest.fixture
def direct(sglang: str, tmp_path: Path) -> Iterator[str]:
    """A proxy without a router between: what the router drops."""
    with proxied(sglang, tmp_path) as url:
        yield url


def busy(sglang: str) -> int:
    """Return how many requests the engine works on."""
    loads = httpx.get(f"{sglang}/v1/loads", timeout=30, trust_env=False).json()["loads"]
    return sum(load["num_running_reqs"] + load["num_waiting_reqs"] for load in loads)


def until(sglang: str, working: bool, seconds: float) -> float:
    """Wait until the engine works, or is idle; return the seconds that took."""
    began = time.monotonic()
    while (busy(sglang) > 0) != working:
        assert time.monotonic() < began + seconds, f"after {seconds} s: {busy(sglang)} at work"
        time.sleep(0.05)
    return time.monotonic() - began


def test_members_answer_each_with_its_context(client: openai.OpenAI) -> None:
    for member, strategy in (("n", "none"), ("s", "similar"), ("u", "unsimilar"), ("r", "random")):
        asked = client.chat.completions.with_raw_response.create(
            model=member, messages=SUM, max_tokens=16, temperature=0
        )
        assert asked.headers["x-input-time-strategy"] == strategy
        answer = asked.parse()
        assert answer.choices[0].message.content
        assert answer.usage is not None
        assert answer.usage.completion_tokens <= 16
        assert answer.model == MODEL


def test_a_panel_votes(client: openai.OpenAI) -> None:
    more = {"input_time": {"return_ballots": True}}
    body = client.chat.completions.create(
        model="vote3", messages=SUM, max_tokens=32, temperature=0, extra_body=more
    ).model_dump()
    verdict = body["input_time"]
    assert [ballot["member"] for ballot in verdict["ballots"]] == ["s", "u", "r"]
    assert body["usage"]["completion_tokens"] == sum(
        ballot["usage"]["completion_tokens"] for ballot in verdict["ballots"]
    )
    assert body["model"] == "vote3"


def test_a_stream_has_the_text_and_its_usage(client: openai.OpenAI) -> None:
    asked: Any = {"model": "s", "messages": SUM, "max_tokens": 24, "temperature": 0}
    whole = client.chat.completions.create(**asked)
    chunks = list(
        client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage is not None
    assert whole.usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_a_stream_of_a_panel(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="vote3", messages=SUM, max_tokens=24, temperature=0, stream=True
        )
    )
    ends = [c for c in chunks if c.choices and c.choices[0].finish_reason]
    assert len(ends) == 1
    assert ends[0].model_dump()["input_time"]["method"] == "majority"


def test_conformance(served: str, engine: str, sglang: str) -> None:
    """The engine by itself, and a member through the proxy, have all but the seed."""
    # The router does not know that path, and may not pass on all of `stream_options`.
    lost = set() if engine == sglang else {"tokenize", "stream_counts"}
    for url, model, lacks in (
        (f"{engine}/v1", MODEL, LACKS | lost | {"unknown_model"}),
        (served, "n", LACKS | lost),
    ):
        ended = command("proxy", "conformance", "--base-url", url, "--model", model, "--json")
        rows = [json.loads(line) for line in ended.stdout.splitlines()]
        missing = {row["name"]: row["remark"] for row in rows if not row["passed"]}
        assert set(missing) <= lacks, missing
        assert ended.returncode == 0


def test_what_a_member_may_ask_of_sglang(client: openai.OpenAI) -> None:
    said = client.chat.completions.create(
        model="r", messages=SUM, max_tokens=8, logprobs=True, top_logprobs=2,
        extra_body={"regex": "[ab]{4}", "top_k": 5, "separate_reasoning": True},
    )  # fmt: skip
    text = said.choices[0].message.content
    assert text
    assert set(text) <= {"a", "b"}
    found = said.choices[0].logprobs
    assert found is not None
    assert found.content
    assert len(found.content[0].top_logprobs) == 2


def test_an_unknown_model_is_nobody(client: openai.OpenAI, engine: str) -> None:
    with pytest.raises(openai.NotFoundError, match="nobody"):
        client.chat.completions.create(model="nobody", messages=SUM)


def test_bad_requests_keep_their_status(client: openai.OpenAI) -> None:
    for field in ({"temperature": "hot"}, {"max_tokens": -4}):
        with pytest.raises(openai.BadRequestError) as error:
            client.chat.completions.create(model="n", messages=SUM, extra_body=field)
        assert isinstance(error.value.body, dict)
        assert error.value.body["message"]
    assert client.chat.completions.create(model="n", messages=SUM, max_tokens=1).choices


async def leave(sglang: str, served: str, body: dict[str, Any]) -> None:
    """Ask, and close the connection as soon as the engine works on the answer."""
    async with httpx.AsyncClient(timeout=120, trust_env=False) as client:
        asked = asyncio.create_task(client.post(f"{served}/chat/completions", json=body))
        await asyncio.to_thread(until, sglang, working=True, seconds=90)
        assert not asked.done(), "the answer ended"
        asked.cancel()
        with suppress(asyncio.CancelledError):
            await asked


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("model", ["s", "vote3"])
def test_who_leaves_stops_the_engine(served: str, sglang: str, model: str, streams: bool) -> None:
    until(sglang, working=False, seconds=30)
    body = {"model": model, "messages": TALE, "max_tokens": LONG, "ignore_eos": True}
    asyncio.run(leave(sglang, served, {**body, "stream": streams}))
    took = until(sglang, working=False, seconds=IDLE_SECONDS)
    print(f"{model}, {'stream' if streams else 'whole'}: idle after {took:.2f} s")


def abort(sglang: str, direct: str, model: str, rid: str) -> Any:
    """Return the answer to a request of which the engine aborts the call `rid`."""
    until(sglang, working=False, seconds=30)
    body = {"model": model, "messages": TALE, "max_tokens": 100, "ignore_eos": True,
            "rid": "its-test", "input_time": {"return_ballots": True}}  # fmt: skip
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(
            httpx.post, f"{direct}/chat/completions", json=body, timeout=120, trust_env=False
        )
        while not asked.done():  # on a busy machine the call may not have reached the engine yet
            httpx.post(f"{sglang}/abort_request", json={"rid": rid}, timeout=30, trust_env=False)
            time.sleep(0.2)
        answer = asked.result()
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_aborted_answer_says_so(sglang: str, direct: str) -> None:
    assert abort(sglang, direct, "n", "its-test")["choices"][0]["finish_reason"] == "abort"


def test_an_aborted_call_is_no_ballot(sglang: str, direct: str) -> None:
    verdict = abort(sglang, direct, "vote3", "its-test-s-0")["input_time"]
    assert verdict["failed"] == 1
    failed = next(ballot for ballot in verdict["ballots"] if ballot["member"] == "s")
    assert failed["error"] == "aborted", failed


def test_a_second_turn_is_cached(direct: str) -> None:
    turns: list[Any] = [{"role": "user", "content": "Remember the lighthouse. " * 20}]
    with openai.OpenAI(base_url=direct, api_key="none", max_retries=0, timeout=120) as client:
        asked = client.chat.completions.create(model="s", messages=turns, max_tokens=24)
        turns += [
            {"role": "assistant", "content": asked.choices[0].message.content},
            {"role": "user", "content": "What was it?"},
        ]
        again = client.chat.completions.create(model="s", messages=turns, max_tokens=8)
    assert again.usage is not None
    assert again.usage.prompt_tokens_details is not None
    assert asked.usage is not None
    cached = again.usage.prompt_tokens_details.cached_tokens
    assert cached is not None
    assert cached >= asked.usage.prompt_tokens - 1


def test_parity_with_training(direct: str, checkpoint: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    lines = ({"problem": f"What is {n} + {n}?"} for n in range(5))
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    made = command("sft", "compose", rows, "--strategy", "similar")
    assert made.returncode == 0, made.stderr
    data = tmp_path / "train.jsonl"
    data.write_text(made.stdout)
    where = ("--tokenizer", checkpoint, "--proxy", direct, "--model", "s")
    ended = command("sft", "parity", "--data", data, *where)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "5 of 5 rows: the same tokens" in ended.stdout


def test_parity_of_every_strategy_with_system_text_and_instruction(
    sglang: str, checkpoint: Path, tmp_path: Path
) -> None:
    """4 rows of each of the 12 strategies; all four placements occur."""
    more = trained.write_all(tmp_path)
    with proxied(sglang, tmp_path, more) as url:
        for strategy in STRATEGIES:
            data = tmp_path / strategy / "train.jsonl"
            assert compare_all(data, str(checkpoint), url, f"m-{strategy}", 0, 0, None), strategy
    print(f"{len(STRATEGIES)} strategies, {len(trained.ROWS)} rows each: the same tokens")


def test_responses_take_the_system_text(sglang: str, tmp_path: Path) -> None:
    """The engine counts the tokens of a chat's system message and of `instructions` alike."""
    more = trained.write_all(tmp_path)
    with (
        proxied(sglang, tmp_path, more) as url,
        openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=120) as client,
    ):
        asked: Any = {"model": "m-none", "temperature": 0}
        chat = client.chat.completions.create(**asked, messages=SUM, max_tokens=4)
        said = client.responses.create(**asked, input=SUM[0]["content"], max_output_tokens=4)
    assert chat.usage is not None
    assert said.usage is not None
    assert said.usage.input_tokens == chat.usage.prompt_tokens


def test_a_configuration_from_it(sglang: str, checkpoint: Path, tmp_path: Path) -> None:
    known = manifest.Manifest(manifest.SCHEMA, "base", manifest.Train("similar"))
    manifest.write(known, checkpoint / manifest.NAME)
    out = tmp_path / "panels.toml"
    made = command("proxy", "init", "--engine", f"{sglang}/v1", "--out", out)
    assert made.returncode == 0, made.stderr
    explained = command("proxy", "check", "--config", out, "--explain")
    assert "co-design verified" in explained.stdout + explained.stderr
