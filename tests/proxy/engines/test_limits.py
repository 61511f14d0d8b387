"""How much at once: slots, queues, keys, retries."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from prometheus_client import Gauge

from proxy.config.load import load
from proxy.engines.limits import Full, Retries, Slots
from proxy.state import Service
from tests.conftest import MEMBERS, Proxy
from tests.proxy.asking import ASK, CHAT, wait_until
from tests.scripted import Engine, fails, says, says_after

LIMITED = MEMBERS.replace("[members.n]", "max_concurrency = 2\nmax_queue = 3\n[members.n]")


def ask(proxy: httpx.Client, model: str = "n", **headers: str) -> httpx.Response:
    return proxy.post(CHAT, json={"model": model, "messages": ASK}, headers=headers)


def test_a_full_queue_is_429(start: Proxy, engine: Engine) -> None:
    proxy = start(LIMITED)
    engine.scripts["n"] = says_after(0.5, "7")
    with ThreadPoolExecutor(9) as pool:
        answers = list(pool.map(lambda _: ask(proxy), range(9)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] * 5 + [429] * 4
    assert engine.most_running == 2
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["error"]["code"] == "engine_busy"
    assert "x-should-retry" not in refused.headers, "nothing was paid"


def test_who_leaves_the_queue_frees_the_place(start: Proxy, engine: Engine) -> None:
    proxy = start(LIMITED)
    engine.scripts["n"] = says_after(1.5, "7")

    def impatient(_: int) -> None:
        with pytest.raises(httpx.ReadTimeout):
            proxy.post(CHAT, json={"model": "n", "messages": ASK}, timeout=0.3)

    with ThreadPoolExecutor(5) as pool:
        held = [pool.submit(ask, proxy) for _ in range(2)]
        wait_until(lambda: engine.running == 2)
        list(pool.map(impatient, range(3)))
        assert [future.result().status_code for future in held] == [200, 200]
    engine.scripts["n"] = says("7")
    assert len(engine.received) == 2, "who waited was never sent"
    assert ask(proxy).status_code == 200


def test_a_panel_that_meets_a_full_engine_keeps_its_429(start: Proxy, engine: Engine) -> None:
    proxy = start(LIMITED.replace("max_queue = 3", "max_queue = 0"))
    engine.scripts["n"] = says_after(0.6, "7")
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(ask, proxy) for _ in range(2)]
        wait_until(lambda: engine.running == 2)
        answer = ask(proxy, "vote3")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert [future.result().status_code for future in held] == [200, 200]


KEY = """
[keys.k]
secret = "env:ITS_TEST_KEY"
max_concurrency = 1
"""
BEARER = {"authorization": "Bearer secret"}


@pytest.fixture
def keyed(start: Proxy, monkeypatch: pytest.MonkeyPatch) -> httpx.Client:
    """A client of a proxy with a key that may have one call running, and eight waiting."""
    monkeypatch.setenv("ITS_TEST_KEY", "secret")
    return start(MEMBERS + KEY)


def test_a_key_is_held_to_its_concurrency(keyed: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = says_after(0.3, "7")
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: ask(keyed, **BEARER), range(12)))
    assert sorted(a.status_code for a in answers) == [200] * 9 + [429] * 3
    assert engine.most_running == 1
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"]["code"] == "key_busy"
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert refused.headers["retry-after"] == "1"


@pytest.mark.parametrize("stream", [False, True])
def test_a_requests_calls_count_for_its_key_and_wait_for_one_another(
    keyed: httpx.Client, engine: Engine, stream: bool
) -> None:
    for model in ("s", "u", "r"):
        engine.scripts[model] = says_after(0.02, r"\boxed{1}")
    body = {"model": "vote3", "messages": ASK, "stream": stream, "input_time": {"samples": 8}}
    answer = keyed.post(CHAT, json=body, headers=BEARER)
    assert answer.status_code == 200
    assert '"agreement":1.0' in answer.text
    assert len(engine.received) == 24
    assert engine.most_running == 1


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/embeddings", "/tokenize"])
def test_every_endpoint_that_calls_an_engine_counts(
    keyed: httpx.Client, engine: Engine, path: str
) -> None:
    engine.scripts["n"] = says_after(0.1, "7")
    body = {"model": "n", "prompt": "2+2?", "input": "2+2?"}
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: keyed.post(path, json=body, headers=BEARER), range(3)))
    assert [answer.status_code for answer in answers] == [200] * 3
    assert engine.most_running == 1


def test_a_requests_own_calls_never_fill_the_queue(start: Proxy, engine: Engine) -> None:
    proxy = start(LIMITED)
    for model in ("s", "u", "r"):
        engine.scripts[model] = says_after(0.02, r"\boxed{1}")
    body = {"model": "vote3", "messages": ASK, "input_time": {"samples": 10}}
    answer = proxy.post(CHAT, json=body)
    assert answer.json()["input_time"]["failed"] == 0
    assert len(engine.received) == 30
    assert engine.most_running == 2


def test_requests_take_turns_at_an_engine(start: Proxy, engine: Engine) -> None:
    proxy = start(LIMITED)
    for model in ("s", "u", "r", "n"):
        engine.scripts[model] = says_after(0.1, r"\boxed{1}")
    body = {"model": "vote3", "messages": ASK, "input_time": {"samples": 10}}
    with ThreadPoolExecutor(2) as pool:
        voting = pool.submit(proxy.post, CHAT, json=body)
        wait_until(lambda: engine.running == 2)
        assert ask(proxy).status_code == 200
        assert not voting.done()
        order = [received.body["model"] for received in engine.received]
        assert order.index("n") <= 5, "it waited for one slot, not for thirty calls"
        assert voting.result().status_code == 200


RETRIED = [
    (fails(503), 3),
    (fails(502), 3),
    (fails(504), 3),
    (fails(429, retry_after="0.01"), 3),
    (fails(429, retry_after="60"), 1),
    (fails(429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"), 3),
    (fails(500), 1),
    (fails(400), 1),
    (fails(401), 1),
    (fails(422), 1),
    (says(""), 1),
]


@pytest.mark.parametrize(("script", "calls"), RETRIED)
def test_only_what_may_fare_better_is_tried_again(
    proxy: httpx.Client, engine: Engine, script: object, calls: int
) -> None:
    engine.scripts["n"] = script  # type: ignore[assignment]
    ask(proxy)
    assert len(engine.received) == calls


@pytest.mark.parametrize("stream", [False, True])
def test_a_second_attempt_that_works_is_an_answer(
    proxy: httpx.Client, engine: Engine, stream: bool
) -> None:
    attempts = iter([fails(503, retry_after="0"), says("7")])
    engine.scripts["n"] = lambda body: next(attempts)(body)
    assert ask(proxy).json()["choices"][0]["message"]["content"] == "7"


async def counted(slots: Slots, seconds: float, most: list[int], running: list[int]) -> None:
    await slots.take(Retries(0, 0))
    running[0] += 1
    most[0] = max(most[0], running[0])
    try:
        await asyncio.sleep(seconds)
    finally:
        running[0] -= 1
        slots.give()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_slots_survive_every_way_of_leaving() -> None:
    slots = Slots("test", 2, 50, Gauge("its_test_slots", "x", registry=None))
    most, running = [0], [0]
    tasks = [asyncio.create_task(counted(slots, 0.01, most, running)) for _ in range(50)]
    await asyncio.sleep(0.005)
    for task in tasks[::3]:
        task.cancel()
    await asyncio.sleep(0.015)
    for task in tasks[1::7]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert most == [2]
    for _ in range(2):
        await slots.take(Retries(0, 0))
    waiting = [asyncio.create_task(counted(slots, 0, most, running)) for _ in range(50)]
    await asyncio.sleep(0)
    with pytest.raises(Full):
        await slots.take(Retries(0, 0))
    for _ in range(2):
        slots.give()
    await asyncio.gather(*waiting)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_budget_is_never_exceeded() -> None:
    retries = Retries(3, 0.05)
    started = time.monotonic()
    assert await retries.wait(0.02)
    assert await retries.wait(0.02)
    assert not await retries.wait(0.02), "the seconds are used up"
    assert await retries.wait(0.0)
    assert not await retries.wait(0.0), "the number is used up"
    assert time.monotonic() - started >= 0.04


async def taken(slots: Slots, request: Retries, name: str, order: list[str]) -> None:
    await slots.take(request)
    order.append(name)
    await asyncio.sleep(0)
    slots.give()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_free_slot_goes_to_the_next_request_not_to_the_next_call() -> None:
    slots = Slots("test", 1, 3, Gauge("its_test_turns", "x", registry=None))
    first, second, third, fourth = (Retries(0, 0) for _ in range(4))
    await slots.take(first)
    order: list[str] = []
    calls = [(first, "a")] * 4 + [(second, "b")] * 2 + [(third, "c")]
    waiting = [asyncio.create_task(taken(slots, who, name, order)) for who, name in calls]
    await asyncio.sleep(0)
    with pytest.raises(Full, match="test has 1 calls running"):
        await slots.take(fourth)
    slots.give()
    await asyncio.gather(*waiting)
    assert "".join(order) == "abcabaa"
    await slots.take(fourth)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_who_was_let_in_once_is_not_turned_away_later() -> None:
    """A method's second round, or a second attempt, comes after calls that were paid for."""
    slots = Slots("test", 1, 0, Gauge("its_test_let_in", "x", registry=None))
    first, second = Retries(1, 1), Retries(1, 1)
    await slots.take(first)
    slots.give()
    await slots.take(second)
    again = asyncio.create_task(slots.take(first))
    await asyncio.sleep(0)
    assert not again.done()
    with pytest.raises(Full):
        await slots.take(Retries(1, 1))
    slots.give()
    await again


def test_a_reload_keeps_the_slots_of_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITS_TEST_KEY", "secret")
    file = tmp_path / "panels.toml"
    text = MEMBERS.replace("{engine}", "http://127.0.0.1:1") + KEY

    async def slots() -> list[Slots]:
        file.write_text(text)
        service = Service(load(file))
        found = [service.now.keys["k"]]
        for changed in (text + "# a comment", text.replace("concurrency = 1", "concurrency = 2")):
            file.write_text(changed)
            await service.reload(load(file))
            found.append(service.now.keys["k"])
        await service.close()
        return found

    same, also, other = asyncio.run(slots())
    assert same is also
    assert other is not same
