"""Contexts written by a model at run time: stored, shared, written once, never missing."""

import asyncio
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from its.personas.bank import load as load_bank
from proxy.api.app import create_app
from proxy.config.load import load
from proxy.config.settings import StoreSettings
from proxy.contexts.careful import CarefulStore
from proxy.contexts.store import StoredPersona, open_store
from proxy.contexts.writer import LEASE_SECONDS
from proxy.state import Service
from tests.conftest import MEMBERS, Proxy, command, require_or_skip
from tests.proxy.asking import ASK, wait_until
from tests.proxy.asking import serving as command_serving
from tests.scripted import Body, Engine, Waiting, completion, fails, page, says, serving

CHAT = "/v1/chat/completions"
WRITES = """
[personas]
store = "sqlite:personas.db"
[personas.generate]
engine = "e"
model = "writer"
deadline_s = 5
extra = { top_p = 0.9 }
"""
SOURCE = "x-input-time-persona-source"
BANK = {persona.text for persona in load_bank().personas}


def a_person(body: Body) -> str:
    """Write a person of the domain that is asked for, another one for each seed."""
    asked = body["messages"][-1]["content"]
    for start in ("works in ", "life is ", "field of "):
        if start in asked:
            domain = asked.partition(start)[2].partition(" and would")[0].partition(".")[0]
    letters = "".join(chr(97 + int(digit)) for digit in str(body["seed"]))
    return f"You live for {domain} by the sea, and your neighbours call you {letters}."


def writer(body: Body) -> Response:
    return JSONResponse(completion(a_person(body)))


def ask(proxy: httpx.Client, model: str = "u", question: Any = "How many?", **more: Any) -> Any:
    body = {"model": model, "messages": [{"role": "user", "content": question}], **more}
    answer = proxy.post(CHAT, json=body)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.fixture
def writing(engine: Engine, start: Proxy) -> httpx.Client:
    for model in "nsur":
        engine.scripts[model] = says("7")
    engine.scripts["writer"] = writer
    return start(MEMBERS + WRITES)


@pytest.mark.parametrize("model", ["s", "u", "r"])
def test_a_persona_is_written_once_and_kept(
    model: str, writing: httpx.Client, engine: Engine, start: Proxy
) -> None:
    first = ask(writing, model).json()["input_time"]
    [asked] = engine.bodies("writer")
    assert first["source"] == "generate"
    assert first["persona"] == a_person(asked)
    assert first["persona_usage"] == {
        "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
    }  # fmt: skip
    assert (asked["max_tokens"], asked["temperature"], asked["top_p"]) == (120, 0.8, 0.9)
    [sent] = engine.bodies(model)
    assert sent["messages"][0]["content"] == f"{first['persona']}\n\nHow many?"

    again = ask(writing, model)
    assert again.headers[SOURCE] == "generate"
    assert again.json()["input_time"] == {**first, "persona_usage": None}
    another_proxy = start(MEMBERS + WRITES)
    assert ask(another_proxy, model).json()["input_time"] == {**first, "persona_usage": None}
    assert len(engine.bodies("writer")) == 1


def test_what_decides_the_text_decides_the_key(writing: httpx.Client, engine: Engine) -> None:
    for question, seed in (("A?", 0), ("B?", 0), ("A?", 1), ("A?", 0)):
        ask(writing, question=question, input_time={"seed": seed})
    assert len(engine.bodies("writer")) == 3


def test_a_panel_has_its_personas_written_at_once_and_pays_for_them(
    writing: httpx.Client, engine: Engine
) -> None:
    engine.scripts["writer"] = lambda body: Waiting(0.3, writer(body))
    answer = ask(writing, "vote3", input_time={"return_ballots": True}).json()
    assert len(engine.bodies("writer")) == 3
    assert engine.most_running == 3
    assert answer["usage"]["total_tokens"] == 3 * 15 + 3 * 15
    ballots = answer["input_time"]["ballots"]
    assert {ballot["source"] for ballot in ballots} == {"generate"}
    assert all(ballot["persona_usage"]["total_tokens"] == 15 for ballot in ballots)
    again = ask(writing, "vote3").json()
    assert again["usage"]["total_tokens"] == 3 * 15


@pytest.mark.parametrize(
    "script",
    [
        says("As an AI language model, I cannot describe people."),
        says(None),
        fails(500),
        fails(429),
        page,
        lambda body: Waiting(30, writer(body)),
        lambda body: JSONResponse({"choices": []}),
    ],
    ids=["refuses", "silent", "500", "429", "html", "slow", "empty"],
)
def test_where_no_persona_is_written_the_bank_serves_and_goes_on_serving(
    script: Any, engine: Engine, start: Proxy
) -> None:
    engine.scripts.update(u=says("7"), writer=script)
    config = MEMBERS + WRITES.replace("deadline_s = 5", "deadline_s = 0.5")
    first = ask(start(config)).json()["input_time"]
    assert first["source"] == "bank"
    assert first["persona"] in BANK
    engine.scripts["writer"] = writer
    calls = len(engine.bodies("writer"))
    later = ask(start(config)).json()["input_time"]
    assert (later["source"], later["persona"]) == ("bank", first["persona"])
    assert len(engine.bodies("writer")) == calls, "a chat's persona never flips"


def test_a_dead_persona_engine_costs_no_request(engine: Engine, start: Proxy) -> None:
    engine.scripts["u"] = says("7")
    dead = '[engines.dead]\nbase_url = "http://127.0.0.1:9/v1"\n'
    config = dead + MEMBERS + WRITES.replace('engine = "e"', 'engine = "dead"')
    assert ask(start(config)).json()["input_time"]["source"] == "bank"


def test_a_member_may_write_its_own_personas(engine: Engine, start: Proxy) -> None:
    def speaks(body: Body) -> Response:
        return writer(body) if body["messages"][0]["role"] == "system" else says("7")(body)

    engine.scripts["u"] = speaks
    config = MEMBERS + '[personas.generate]\nengine = "self"\n'
    assert ask(start(config)).json()["input_time"]["source"] == "generate"
    assert [len(body["messages"]) for body in engine.bodies("u")] == [6, 1]


def test_many_who_ask_at_once_have_it_written_once(writing: httpx.Client, engine: Engine) -> None:
    engine.scripts["writer"] = lambda body: Waiting(0.4, writer(body))
    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(ask, writing) for _ in range(8)]
        told = [each.result().json()["input_time"] for each in running]
    assert len(engine.bodies("writer")) == 1
    assert len({each["persona"] for each in told}) == 1


def test_only_one_of_those_who_wait_pays(writing: httpx.Client, engine: Engine) -> None:
    engine.scripts["writer"] = lambda body: Waiting(0.4, writer(body))
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(ask, writing) for _ in range(4)]
        paid = [f.result().json()["input_time"]["persona_usage"] for f in running]
    assert len(engine.bodies("writer")) == 1
    assert sum(usage is not None for usage in paid) == 1


def test_writing_survives_the_client_that_began_it(writing: httpx.Client, engine: Engine) -> None:
    engine.scripts["writer"] = lambda body: Waiting(0.6, writer(body))
    body = {"model": "u", "messages": [{"role": "user", "content": "How many?"}]}
    with pytest.raises(httpx.ReadTimeout):
        writing.post(CHAT, json=body, timeout=0.2)
    assert ask(writing).json()["input_time"]["source"] == "generate"
    assert len(engine.bodies("writer")) == 1
    assert engine.left == 0


def test_the_second_turn_of_a_chat_has_the_same_persona(
    writing: httpx.Client, engine: Engine
) -> None:
    first = ask(writing).json()["input_time"]["persona"]
    turns = [
        {"role": "user", "content": "How many?"},
        {"role": "assistant", "content": "7"},
        {"role": "user", "content": "And then?"},
    ]
    second = writing.post(CHAT, json={"model": "u", "messages": turns}).json()
    assert second["input_time"]["persona"] == first
    one, two = engine.bodies("u")
    assert two["messages"][:1] == one["messages"]
    assert two["messages"][1:] == turns[1:]


def test_only_what_is_kept_is_used_where_nothing_may_be_written(
    writing: httpx.Client, engine: Engine, start: Proxy
) -> None:
    kept = ask(writing, question="Kept?").json()["input_time"]["persona"]
    order = WRITES.replace("[personas]", '[personas]\norder = ["store", "bank"]')
    reads = start(MEMBERS + order)
    assert ask(reads, question="Kept?").json()["input_time"]["persona"] == kept
    assert ask(reads, question="Not kept?").json()["input_time"]["source"] == "bank"
    assert len(engine.bodies("writer")) == 1


def test_a_store_is_backed_up_while_it_is_used_and_put_back(
    writing: httpx.Client, engine: Engine, start: Proxy, tmp_path: Path
) -> None:
    kept = ask(writing, question="Kept?").json()["input_time"]["persona"]
    file, copy = tmp_path / "personas.db", tmp_path / "copy.db"
    with closing(sqlite3.connect(file)) as db, closing(sqlite3.connect(copy)) as out:
        db.backup(out)  # what the shell's .backup does
    reads = start(MEMBERS + WRITES.replace("personas.db", "copy.db"))
    answer = ask(reads, question="Kept?").json()["input_time"]
    assert answer["persona"] == kept
    assert len(engine.bodies("writer")) == 1


@pytest.mark.parametrize("harm", ["corrupt", "locked", "folder", "missing folder"])
def test_a_broken_store_fails_no_request(
    harm: str, engine: Engine, start: Proxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine.scripts.update(u=says("7"), writer=writer)
    file, config = tmp_path / "personas.db", MEMBERS + WRITES
    with ExitStack() as stack:
        if harm == "corrupt":
            file.write_bytes(b"no database at all" * 1000)
        elif harm == "locked":
            db = stack.enter_context(sqlite3.connect(file))
            db.execute("BEGIN EXCLUSIVE")
        elif harm == "folder":
            file.mkdir()
        else:
            config = config.replace("sqlite:", "sqlite:not/there/")
        proxy = start(config)
        began = time.monotonic()
        for number in range(5):
            asked = ask(proxy, question=f"Number {number}?").json()["input_time"]
            assert asked["source"] == "generate"
        assert time.monotonic() - began < 5
    warnings = [r.message for r in caplog.records if "persona store" in r.message.lower()]
    assert len(warnings) == 1, "one warning, then the store is left out for a while"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """Run a real Redis on a free port; yield its address."""
    if shutil.which("redis-server") is None:
        require_or_skip("no redis-server: apt install redis-server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    args = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path))
    server = subprocess.Popen(["redis-server", *args], stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(10)


@pytest.mark.parametrize("kind", ["redis", "sqlite"])
def test_two_proxies_that_share_a_store_write_each_persona_once(
    kind: str,
    engine: Engine,
    engine_url: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On a busy machine a store may need longer; it would rest, and each proxy write for itself.
    monkeypatch.setattr("proxy.contexts.store.REDIS_SECONDS", 20.0)
    monkeypatch.setattr("proxy.contexts.store.BUSY_SECONDS", 20.0)
    engine.scripts.update(u=says("7"), writer=lambda body: Waiting(0.1, writer(body)))
    config = (MEMBERS + WRITES).replace("{engine}", engine_url)
    if kind == "redis":
        config = config.replace("sqlite:personas.db", request.getfixturevalue("redis"))
    file = tmp_path / "panels.toml"
    file.write_text(config)
    with ExitStack() as stack:
        addresses = [stack.enter_context(serving(create_app(load(file)))) for _ in range(2)]
        proxies = [stack.enter_context(httpx.Client(base_url=a, timeout=30)) for a in addresses]
        pool = stack.enter_context(ThreadPoolExecutor(16))
        asked = {
            (i, question): pool.submit(ask, proxy, question=f"Question {question}?")
            for question in range(12)
            for i, proxy in enumerate(proxies)
        }
        told = {key: f.result().json()["input_time"]["persona"] for key, f in asked.items()}
    assert len(engine.bodies("writer")) == 12
    assert all(told[0, question] == told[1, question] for question in range(12))


def test_a_proxy_that_ends_leaves_no_lease(engine: Engine, engine_url: str, tmp_path: Path) -> None:
    engine.scripts.update(u=says("7"), writer=lambda body: Waiting(60, writer(body)))
    file = tmp_path / "panels.toml"
    file.write_text((MEMBERS + WRITES).replace("{engine}", engine_url))
    with ExitStack() as stack:
        address = stack.enter_context(serving(create_app(load(file))))
        client = stack.enter_context(httpx.Client(base_url=address))
        with pytest.raises(httpx.ReadTimeout):
            client.post(CHAT, json={"model": "u", "messages": ASK}, timeout=0.5)
        wait_until(lambda: len(engine.bodies("writer")) == 1)
    with closing(sqlite3.connect(tmp_path / "personas.db")) as db:
        assert db.execute("SELECT count(*) FROM leases").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM personas").fetchone() == (0,)


def kept(file: Path) -> list[tuple[str, float | None]]:
    """Return the source of each persona that is kept, and for how many seconds."""
    query = "SELECT json_extract(body, '$.source'), until - unixepoch() FROM personas"
    with closing(sqlite3.connect(file)) as db:
        return db.execute(query).fetchall()


def test_a_reload_waits_for_what_is_written(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts.update(u=says("7"), writer=lambda body: Waiting(2, writer(body)))
    file = tmp_path / "panels.toml"
    good = (MEMBERS + WRITES).replace("{engine}", engine_url)
    file.write_text(good)
    with (
        command_serving(file) as (process, url),
        httpx.Client(base_url=url.removesuffix("/v1"), trust_env=False) as client,
    ):
        with pytest.raises(httpx.ReadTimeout):
            client.post(CHAT, json={"model": "u", "messages": ASK}, timeout=0.5)
        wait_until(lambda: len(engine.bodies("writer")) == 1)
        changed = good.replace("[members.n]", "max_concurrency = 5\n[members.new]", 1)
        file.write_text(changed.replace("personas.db", "new.db"))
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: "new" in client.get("/v1/models").text)
        wait_until(lambda: kept(tmp_path / "personas.db"))
    assert kept(tmp_path / "personas.db") == [("generate", None)]


class Later:
    """A clock that a test sets forward."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.seconds


def test_the_bank_stands_in_for_as_long_as_the_writer_has_been_failing(
    engine: Engine, start: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Later()
    monkeypatch.setattr("proxy.contexts.writer.time", clock)
    engine.scripts.update(u=says("7"), writer=fails(500))
    proxy = start(MEMBERS + WRITES)
    for seconds in (0, 600, 7200):
        clock.seconds = seconds
        ask(proxy, question=f"Failed after {seconds}?")
    engine.scripts["writer"] = says("I cannot.")
    ask(proxy, question="Refused?")
    engine.scripts["writer"] = fails(500)
    ask(proxy, question="Failed again?")
    bounds = [(40, 61), (590, 620), (3500, 3601), (86_000, 86_401), (40, 61)]
    found = kept(tmp_path / "personas.db")
    for (source, left), (least, most) in zip(found, bounds, strict=True):
        assert source == "bank"
        assert left is not None
        assert least <= left <= most


def test_waiting_for_a_turn_is_not_failing(engine: Engine, start: Proxy, tmp_path: Path) -> None:
    """Sixteen questions at once, one slot: each waits for longer than a writing may take."""
    engine.scripts.update(u=says("7"), writer=lambda body: Waiting(0.2, writer(body)))
    config = WRITES.replace("deadline_s = 5", "deadline_s = 1.5\nmax_concurrency = 2")
    proxy = start(MEMBERS + config)
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(ask, proxy, question=f"How many of {n}?") for n in range(16)]
        sources = {each.result().headers[SOURCE] for each in asked}
    assert sources == {"generate"}
    assert len(kept(tmp_path / "personas.db")) == 16


def test_waiting_for_the_engine_is_not_failing(engine: Engine, start: Proxy) -> None:
    """The writer's engine answers questions too: its slots are taken for longer than a writing."""
    engine.scripts.update(u=says("7"), n=lambda body: Waiting(3, says("7")(body)), writer=writer)
    config = MEMBERS.replace("[members.n]", "max_concurrency = 1\n[members.n]", 1)
    proxy = start(config + WRITES.replace("deadline_s = 5", "deadline_s = 1"))
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(ask, proxy, "n")
        wait_until(lambda: engine.bodies("n"))
        assert ask(proxy).headers[SOURCE] == "generate"
        slow.result()


def test_what_was_never_asked_for_is_forgotten_at_once(
    engine: Engine, start: Proxy, tmp_path: Path
) -> None:
    engine.scripts.update(u=says("7"), writer=lambda body: Waiting(2, writer(body)))
    proxy = start(MEMBERS + WRITES + "max_wait_s = 0.3\nmax_concurrency = 1\n")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, proxy, question="First?")
        wait_until(lambda: engine.bodies("writer"))
        assert ask(proxy, question="Second?").headers[SOURCE] == "bank"
        first.result()
    engine.scripts["writer"] = writer
    assert ask(proxy, question="Second?").headers[SOURCE] == "generate"
    assert [source for source, _ in kept(tmp_path / "personas.db")] == ["generate"] * 2
    assert 'its_persona_faults_total{fault="busy"} 1.0' in proxy.get("/metrics").text


def test_a_writer_that_is_killed_is_followed_at_once(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts.update(u=says("7"), writer=lambda body: Waiting(30, writer(body)))
    file = tmp_path / "panels.toml"
    file.write_text((MEMBERS + WRITES).replace("{engine}", engine_url))
    with (
        command_serving(file) as (process, url),
        httpx.Client(base_url=url.removesuffix("/v1"), trust_env=False) as client,
    ):
        with pytest.raises(httpx.ReadTimeout):
            client.post(CHAT, json={"model": "u", "messages": ASK}, timeout=0.5)
        wait_until(lambda: engine.bodies("writer"))
        process.kill()
        process.wait(10)
    with closing(sqlite3.connect(tmp_path / "personas.db")) as db:
        [(until,)] = db.execute("SELECT until FROM leases")
    assert until <= time.time() + LEASE_SECONDS
    engine.scripts["writer"] = writer
    with ExitStack() as stack:
        address = stack.enter_context(serving(create_app(load(file))))
        proxy = stack.enter_context(httpx.Client(base_url=address, timeout=30))
        answer = proxy.post(CHAT, json={"model": "u", "messages": ASK})
    assert answer.headers[SOURCE] == "generate"


@pytest.mark.parametrize("kind", ["redis", "sqlite"])
def test_a_lease_lasts_as_long_as_its_writer_writes(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("redis") if kind == "redis" else f"sqlite:{tmp_path / 'p.db'}"
    settings = StoreSettings(url, 1000)

    async def main() -> None:
        one, other = open_store(settings), open_store(settings)
        assert await one.lease("key", 0.2)
        await one.renew("key", 60)
        await asyncio.sleep(0.3)
        assert not await other.lease("key", 60)
        await other.renew("key", 0.01)  # it is not its own
        await asyncio.sleep(0.1)
        assert not await other.lease("key", 60)
        await one.release("key")
        assert await other.lease("key", 60)
        await one.close()
        await other.close()

    asyncio.run(main())


def test_a_long_writing_is_not_done_twice(
    engine: Engine, start: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.contexts.writer.LEASE_SECONDS", 1.0)
    engine.scripts.update(u=says("7"), writer=lambda body: Waiting(2.5, writer(body)))
    proxies = [start(MEMBERS + WRITES), start(MEMBERS + WRITES)]
    with ThreadPoolExecutor(2) as pool:
        told = [each.json()["input_time"]["persona"] for each in pool.map(ask, proxies)]
    assert len(engine.bodies("writer")) == 1
    assert told[0] == told[1]


def test_what_is_written_while_the_store_rests_is_kept_later(
    engine: Engine, start: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.contexts.careful.REST_SECONDS", 1.0)
    engine.scripts.update(u=says("7"), writer=writer)
    proxy, other = start(MEMBERS + WRITES), start(MEMBERS + WRITES)
    with closing(sqlite3.connect(tmp_path / "personas.db", isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        first = ask(proxy, question="Meanwhile?").json()["input_time"]
        same = ask(proxy, question="Meanwhile?").json()["input_time"]
        db.execute("ROLLBACK")
    assert first["source"] == "generate"
    assert same["persona"] == first["persona"], "it does not change while the store is away"
    assert kept(tmp_path / "personas.db") == []
    time.sleep(1.1)
    assert ask(proxy, question="Meanwhile?").json()["input_time"]["persona"] == first["persona"]
    assert ask(other, question="Meanwhile?").json()["input_time"]["persona"] == first["persona"]
    assert kept(tmp_path / "personas.db") == [("generate", None)]
    assert len(engine.bodies("writer")) == 1


def test_what_two_proxies_wrote_while_the_store_was_away_becomes_one(
    engine: Engine, start: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.contexts.careful.REST_SECONDS", 0.5)
    texts = iter(("lane", "road", "path", "yard"))

    def written(body: Body) -> Response:
        said = a_person(body).rpartition(" ")[0] + f" {next(texts)} of old."
        return JSONResponse(completion(said))

    engine.scripts.update(u=says("7"), writer=written)
    proxies = [start(MEMBERS + WRITES), start(MEMBERS + WRITES)]
    with closing(sqlite3.connect(tmp_path / "personas.db", isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        apart = [ask(proxy).json()["input_time"]["persona"] for proxy in proxies]
        db.execute("ROLLBACK")
    assert len(set(apart)) == 2
    time.sleep(0.6)
    together = [ask(proxy).json()["input_time"]["persona"] for proxy in proxies]
    assert together == [apart[0], apart[0]]


def test_what_waits_for_the_store_is_kept_when_the_proxy_ends(tmp_path: Path) -> None:
    file = tmp_path / "p.db"
    stored = StoredPersona("You cook.", "generate", "cooking")

    async def main() -> None:
        store = CarefulStore(open_store(StoreSettings(f"sqlite:{file}", 10)))
        await store.open()
        with closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute("BEGIN EXCLUSIVE")
            assert await store.keep("key", stored, None) == stored
            assert await store.get("key") == stored
            db.execute("ROLLBACK")
        assert kept(file) == []
        await store.close()

    asyncio.run(main())
    assert kept(file) == [("generate", None)]


@pytest.mark.parametrize("suffixes", [("",), ("", "-wal", "-shm")])
def test_a_store_whose_file_is_deleted_is_made_anew(
    suffixes: tuple[str, ...], writing: httpx.Client, engine: Engine, start: Proxy, tmp_path: Path
) -> None:
    ask(writing, question="Before?")
    for suffix in suffixes:
        (tmp_path / f"personas.db{suffix}").unlink(missing_ok=True)
    after = ask(writing, question="After?").json()["input_time"]["persona"]
    assert kept(tmp_path / "personas.db") == [("generate", None)]
    another = start(MEMBERS + WRITES)
    assert ask(another, question="After?").json()["input_time"]["persona"] == after


def test_without_a_store_a_long_question_keeps_its_persona(engine: Engine, start: Proxy) -> None:
    engine.scripts.update(u=says("7"), writer=writer)
    proxy = start(MEMBERS + WRITES.replace('store = "sqlite:personas.db"', ""))
    long = "How many apples? " + "some words of a long story. " * 40_000
    first, second = (ask(proxy, question=long).json()["input_time"] for _ in range(2))
    assert first["persona"] == second["persona"]
    assert len(engine.bodies("writer")) == 1


@pytest.mark.parametrize("model", ["s", "u"])
@pytest.mark.parametrize(
    "content",
    [[{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}], "", " \n"],
)
def test_no_model_writes_for_a_question_without_words(
    content: Any, model: str, writing: httpx.Client, engine: Engine
) -> None:
    answer = ask(writing, model, content)
    assert answer.headers[SOURCE] == "bank"
    assert engine.bodies("writer") == []


@pytest.mark.parametrize("harm", ["corrupt", "folder", "missing folder", "redis"])
def test_a_store_is_opened_by_check_and_at_start(
    harm: str, tmp_path: Path, engine_url: str
) -> None:
    config, file = (MEMBERS + WRITES).replace("{engine}", engine_url), tmp_path / "personas.db"
    if harm == "corrupt":
        file.write_bytes(b"no database at all" * 1000)
    elif harm == "folder":
        file.mkdir()
    elif harm == "missing folder":
        config = config.replace("sqlite:", "sqlite:not/there/")
    else:
        config = config.replace("sqlite:personas.db", "redis://127.0.0.1:9/0")
    panels = tmp_path / "panels.toml"
    panels.write_text(config)
    checked = command("proxy", "check", "--config", panels)
    assert checked.returncode == 1
    assert f"{panels}: personas.store: " in checked.stderr
    assert "Traceback" not in checked.stderr
    with command_serving(panels) as (process, _):
        process.kill()
        _, said = process.communicate(timeout=10)
    assert "The persona store is not used for" in said


def test_check_makes_no_store(tmp_path: Path, engine_url: str) -> None:
    panels = tmp_path / "panels.toml"
    panels.write_text((MEMBERS + WRITES).replace("{engine}", engine_url))
    assert command("proxy", "check", "--config", panels).returncode == 0
    assert list(tmp_path.iterdir()) == [panels]


def test_a_reload_and_a_stop_do_not_cross(engine_url: str, tmp_path: Path) -> None:
    file, text = tmp_path / "panels.toml", (MEMBERS + WRITES).replace("{engine}", engine_url)

    def settings(store: str) -> Any:
        file.write_text(text.replace("personas.db", store))
        return load(file)

    async def both() -> None:
        service = Service(settings("a.db"))
        await service.open()
        await asyncio.gather(service.close(), service.reload(settings("b.db")))
        await service.close()

    asyncio.run(both())


def test_a_redis_that_dies_fails_no_request(
    engine: Engine, start: Proxy, redis: str, tmp_path: Path
) -> None:
    engine.scripts.update(u=says("7"), writer=writer)
    proxy = start(MEMBERS + WRITES.replace("sqlite:personas.db", redis))
    assert ask(proxy, question="Before?").json()["input_time"]["source"] == "generate"
    port = redis.rpartition(":")[2].partition("/")[0]
    subprocess.run(["redis-cli", "-p", port, "shutdown", "nosave"], check=False, timeout=10)
    assert ask(proxy, question="After?").json()["input_time"]["source"] == "generate"


def test_metrics_count_sources_and_faults(writing: httpx.Client, engine: Engine) -> None:
    engine.scripts["writer"] = says("I cannot.")
    ask(writing)
    ask(writing)
    text = writing.get("/metrics").text
    assert 'its_persona_faults_total{fault="disclaimer"} 3.0' in text
    assert 'its_persona_memory_total{result="hit"} 1.0' in text
    assert 'its_personas_total{source="bank"} 1.0' in text, "the bank served, and that is counted"


MIXED = (
    MEMBERS + '[members.m]\nengine = "e"\nmodel = "m"\nstrategy = "mixed"\n'
    "strategy_options = { mix = { random = 1 } }\n"
)


def test_a_mixed_member_says_what_was_drawn(engine: Engine, start: Proxy) -> None:
    engine.scripts["m"] = says("7")
    told = ask(start(MIXED), "m").json()["input_time"]
    assert (told["strategy"], told["drawn"], told["source"]) == ("mixed", "random", "bank")


def test_nothing_is_drawn_where_the_client_gives_the_persona(engine: Engine, start: Proxy) -> None:
    engine.scripts["m"] = says("7")
    extras = {"input_time": {"persona": "You are a sailor."}}
    told = ask(start(MIXED), "m", **extras).json()["input_time"]
    assert (told["strategy"], told["source"]) == ("mixed", "client")
    assert "drawn" not in told


def test_a_retrieving_member_is_given_its_notes(
    engine: Engine, start: Proxy, tmp_path: Path
) -> None:
    (tmp_path / "notes.jsonl").write_text(
        '{"text": "Draw the triangle first."}\n{"text": "Count lamps in pairs."}\n'
    )
    engine.scripts.update(m=says("7"), u=says("7"))
    config = (
        MIXED.replace('"mixed"', '"retrieved"').replace("mix = { random = 1 }", "each = 1")
        + '[personas]\nnotes = "notes.jsonl"\n'
    )
    told = ask(start(config), "m", "How many lamps?").json()["input_time"]
    assert (told["persona"], told["source"]) == ("Count lamps in pairs.", "notes")
    overridden = ask(start(config), "u", "A triangle?", input_time={"strategy": "retrieved"})
    assert overridden.json()["input_time"]["persona"] == "Draw the triangle first."


def test_without_notes_there_is_nothing_to_retrieve(proxy: httpx.Client) -> None:
    body = {"model": "u", "messages": [{"role": "user", "content": "?"}],
            "input_time": {"strategy": "retrieved"}}  # fmt: skip
    refused = proxy.post(CHAT, json=body)
    assert refused.status_code == 400
    assert "personas.notes" in refused.json()["error"]["message"]


def slow_writer(body: Body) -> Response:
    return Waiting(30, writer(body))


DEADLINE = "deadline_s = 1\nquorum = 2\n"


def test_a_member_whose_context_is_not_written_by_the_deadline_is_late(
    engine: Engine, start: Proxy
) -> None:
    """The others are asked at once, and vote."""
    engine.scripts.update({**dict.fromkeys("nsur", says(r"\boxed{7}")), "writer": slow_writer})
    panel = MEMBERS.replace('["s", "u", "r"]', '["s", "n"]').replace("early_stop = false", "")
    proxy = start(panel + DEADLINE.replace("quorum = 2", "quorum = 1") + WRITES)
    body = {"model": "vote3", "messages": ASK, "input_time": {"return_ballots": True}}
    answer = proxy.post(CHAT, json=body)
    assert answer.status_code == 200
    found = answer.json()["input_time"]
    assert (found["winner"], found["late"]) == ("n", 1)
    late = next(ballot for ballot in found["ballots"] if ballot["outcome"] == "late")
    assert (late["member"], late["persona"]) == ("s", None)
    assert engine.bodies("s") == [], "never asked without its context"


def test_a_panel_whose_contexts_are_not_written_by_the_deadline_is_a_504(
    engine: Engine, start: Proxy
) -> None:
    engine.scripts.update({**dict.fromkeys("nsur", says(r"\boxed{7}")), "writer": slow_writer})
    proxy = start(MEMBERS + DEADLINE + WRITES)
    answer = proxy.post(CHAT, json={"model": "vote3", "messages": ASK})
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "no_quorum"
    assert not [received for received in engine.received if received.body["model"] != "writer"]


def test_a_refused_request_has_no_persona_written(engine: Engine, start: Proxy) -> None:
    engine.scripts.update({**dict.fromkeys("nsur", says(r"\boxed{7}")), "writer": writer})
    proxy = start(MEMBERS.replace('["s", "u", "r"]', '["s", "u", "n"]') + WRITES)
    extras = {"strategy": "none", "persona": "You are nobody."}
    answer = proxy.post(CHAT, json={"model": "vote3", "messages": ASK, "input_time": extras})
    assert answer.status_code == 400
    assert engine.bodies("writer") == []


def test_what_is_remembered_is_bounded_in_bytes(
    start: Proxy, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.scripts["u"] = says("7")
    monkeypatch.setattr("proxy.contexts.chats.MEMORY", 100_000)
    proxy = start()
    for number in range(300):  # each takes about 700 bytes, however long its question is
        ask(proxy, question=f"{number} " + "x" * 10_000)
    ask(proxy, question="299 " + "x" * 10_000)
    text = proxy.get("/metrics").text
    assert 'its_persona_memory_total{result="hit"} 1.0' in text
    ask(proxy, question="0 " + "x" * 10_000)
    text = proxy.get("/metrics").text
    assert 'its_persona_memory_total{result="hit"} 1.0' in text, "the oldest is forgotten"


def test_where_too_many_personas_are_being_written_the_bank_serves(
    engine: Engine, start: Proxy
) -> None:
    engine.scripts.update({"u": says("7"), "writer": slow_writer})
    proxy = start(MEMBERS + WRITES + "max_concurrency = 1\nmax_wait_s = 4\n")
    with ThreadPoolExecutor(9) as pool:
        waiting = [pool.submit(ask, proxy, question=f"How many of {n}?") for n in range(9)]
        wait_until(lambda: "writer" in [r.body["model"] for r in engine.received])
        time.sleep(0.5)
        answer = ask(proxy, question="Not yet asked?")
        assert not any(future.done() for future in waiting), "it does not wait as they do"
        assert answer.headers[SOURCE] == "bank"
        for future in waiting:
            future.result()
