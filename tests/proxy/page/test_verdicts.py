"""`/verdicts`: what is kept of requests, for whom, and how little it needs."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.config.checks import ConfigError
from proxy.config.load import load
from proxy.page import live, store
from tests.conftest import MEMBERS, Proxy
from tests.proxy.asking import ASK, CHAT
from tests.scripted import Engine, chunk, fails, says, speaks, streams_then_breaks

KEYS = """
[keys.ann]
secret = "env:ANN"
metrics = true
[keys.bob]
secret = "env:BOB"
models = ["n"]
"""
ANN, BOB = {"authorization": "Bearer ann-secret"}, {"authorization": "Bearer bob-secret"}


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANN", "ann-secret")
    monkeypatch.setenv("BOB", "bob-secret")


def ask(proxy: httpx.Client, model: str = "vote3", **rest: Any) -> httpx.Response:
    headers = rest.pop("headers", {})
    body = {"model": model, "messages": ASK, **rest}
    return proxy.post(CHAT, json=body, headers=headers)


def seen(proxy: httpx.Client, answer: httpx.Response, **headers: str) -> Any:
    found = proxy.get(f"/verdicts/{answer.headers['x-request-id']}", headers=headers)
    assert found.status_code == 200, found.text
    return found.json()


def vote(engine: Engine, s: str = "7", u: str = "7.0", r: str = "8") -> None:
    for name, text in (("s", s), ("u", u), ("r", r)):
        engine.scripts[name] = says(f"It is \\boxed{{{text}}}")


def with_server(lines: str, rest: str = "") -> str:
    return f"[server]\n{lines}\n{MEMBERS}{rest}"


def test_a_verdict_is_found_by_its_request_id(proxy: httpx.Client, engine: Engine) -> None:
    vote(engine)
    answer = ask(proxy)
    found = seen(proxy, answer)
    assert found["input_time"] == answer.json()["input_time"]
    assert found["texts"] is True
    assert [cluster["answer"] for cluster in found["clusters"]] == ["7", "8"]
    calls = {call["member"]: call for call in found["calls"]}
    assert calls["u"]["content"] == "It is \\boxed{7.0}"
    prompt = found["prompts"][calls["s"]["prompt"]][0]["content"]
    assert prompt == engine.bodies("s")[0]["messages"][0]["content"]
    assert calls["s"]["persona"] in prompt
    assert (
        0 <= calls["s"]["start"] <= calls["s"]["sent"][0] <= calls["s"]["end"] <= found["seconds"]
    )


def test_a_streamed_verdict_is_kept_too(proxy: httpx.Client, engine: Engine) -> None:
    for name in "sur":
        engine.scripts[name] = speaks("\\boxed{", "7}")
    answer = ask(proxy, stream=True)
    told = next(json.loads(line[6:]) for line in answer.text.splitlines() if "input_time" in line)
    assert seen(proxy, answer)["input_time"] == told["input_time"]


def test_a_member_s_request_is_kept(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["s"] = says("Seven.")
    answer = ask(proxy, "s")
    found = seen(proxy, answer)
    assert (found["kind"], found["calls"][0]["content"]) == ("member", "Seven.")
    assert found["input_time"] == answer.json()["input_time"]
    assert found["prompts"][0] == engine.bodies("s")[0]["messages"]


def test_a_failure_says_what_failed(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts |= {"s": fails(500), "u": fails(500), "r": says("\\boxed{1}")}
    answer = ask(proxy)
    assert answer.status_code == 502
    found = seen(proxy, answer)
    assert (found["failed"], found["status"], found["error"]) == (True, 502, "engine_status")
    assert "answered 500" in found["message"]
    assert {call["member"]: call["outcome"] for call in found["calls"]}["s"] == "failed"
    assert found["input_time"] is None


def test_a_cancelled_call_keeps_what_it_had_said(start: Proxy, engine: Engine) -> None:
    engine.scripts |= {"s": speaks("\\boxed{7}"), "u": speaks("\\boxed{7}")}
    engine.scripts["r"] = speaks("I am ", "slow", hangs=True)
    proxy = start(MEMBERS.replace("early_stop = false", "early_stop = true"))
    calls = {call["member"]: call for call in seen(proxy, ask(proxy))["calls"]}
    assert calls["r"]["outcome"] == "cancelled"
    assert calls["r"]["content"] in ("", "I am ", "I am slow")


def test_the_list_is_newest_first(proxy: httpx.Client, engine: Engine) -> None:
    vote(engine)
    engine.scripts["n"] = fails(500)
    ask(proxy), ask(proxy, "n")
    listed = proxy.get("/verdicts").json()
    assert [row["model"] for row in listed["data"]] == ["n", "vote3"]
    assert listed["data"][0]["failed"] is True
    row = listed["data"][1]
    assert (row["answer"], row["votes"], row["decided"]) == ("7", [2, 1], True)
    assert row["question"] == ASK[0]["content"]


def test_looking_is_neither_kept_nor_counted(proxy: httpx.Client) -> None:
    assert proxy.get("/verdicts").json()["data"] == []
    assert proxy.get("/verdicts").json()["data"] == []
    assert "its_requests_total{" not in proxy.get("/metrics").text


def test_an_unknown_id_is_a_404_that_says_how_many_are_kept(proxy: httpx.Client) -> None:
    found = proxy.get("/verdicts/nope")
    assert found.status_code == 404
    assert "The last 200 are" in found.json()["error"]["message"]


def test_only_so_many_are_kept(start: Proxy, engine: Engine) -> None:
    engine.scripts["n"] = says("x")
    proxy = start(with_server("keep_verdicts = 2"))
    ids = [ask(proxy, "n").headers["x-request-id"] for _ in range(3)]
    assert [row["id"] for row in proxy.get("/verdicts").json()["data"]] == [ids[2], ids[1]]


def test_with_keys_nothing_is_kept_unless_it_is_asked_for(start: Proxy, engine: Engine) -> None:
    vote(engine)
    proxy = start(MEMBERS + KEYS)
    answer = ask(proxy, headers=ANN)
    found = proxy.get(f"/verdicts/{answer.headers['x-request-id']}", headers=ANN)
    assert found.status_code == 404
    assert "server.keep_verdicts" in found.json()["error"]["message"]
    assert proxy.get("/verdicts", headers=ANN).json()["data"] == []


def test_with_keys_no_text_is_kept_and_the_answer_says_why(start: Proxy, engine: Engine) -> None:
    vote(engine, "SECRET-ONE", "SECRET-ONE", "SECRET-TWO")
    proxy = start(with_server("keep_verdicts = 10", KEYS))
    answer = ask(proxy, headers=ANN)
    kept = proxy.get(f"/verdicts/{answer.headers['x-request-id']}", headers=ANN)
    found = kept.json()
    assert found["texts"] is False
    assert "server.keep_texts" in found["why_no_texts"]
    persona = answer.json()["input_time"]["persona"]
    for secret in ("SECRET", "How many", persona[:40]):
        assert secret not in kept.text
    told = answer.json()["input_time"]
    assert found["input_time"].keys() == told.keys()
    same = told.keys() - {"persona", "domain", "votes", "account"}
    assert {name: found["input_time"][name] for name in same} == {name: told[name] for name in same}
    votes = [{**each, "answer": None} for each in told["votes"]]
    assert found["input_time"]["votes"] == votes


def test_a_key_sees_its_own_requests_only(start: Proxy, engine: Engine) -> None:
    engine.scripts["n"] = says("x")
    proxy = start(with_server("keep_verdicts = 10\nkeep_texts = true", KEYS))
    answer = ask(proxy, "n", headers={**ANN, "x-request-id": "same"})
    ask(proxy, "n", headers={**BOB, "x-request-id": "same"}, temperature=1)
    assert answer.status_code == 200
    assert len(proxy.get("/verdicts", headers=BOB).json()["data"]) == 1
    mine = ask(proxy, "n", headers={**ANN, "x-request-id": "mine"})
    assert mine.status_code == 200
    for path in ("", "/events", "/equality", "/what_if"):
        if path != "/events":  # it waits for a request that may still come
            assert proxy.get(f"/verdicts/mine{path}", headers=BOB).status_code == 404
        assert proxy.get(f"/verdicts/mine{path}").status_code == 401
    assert proxy.get("/verdicts/mine", headers=ANN).status_code == 200
    assert proxy.get("/verdicts").status_code == 401
    assert proxy.get("/engines").status_code == 401
    assert proxy.post("/page/math", json={"formulas": []}).status_code == 401


def test_a_key_sees_the_engines_behind_its_models(start: Proxy) -> None:
    proxy = start(MEMBERS + KEYS)
    (mine,) = proxy.get("/engines", headers=ANN).json()["data"]
    (yours,) = proxy.get("/engines", headers=BOB).json()["data"]
    assert mine["panels"] == ["vote3"]
    assert (mine["ready"], mine["slots"], mine["errors"]) == (True, 256, {})
    assert [member["name"] for member in yours["members"]] == ["n"]
    assert yours["panels"] == []
    assert yours["numbers"] is False  # it has no metrics = true


def test_engines_count_calls_and_errors(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = fails(500)
    ask(proxy, "n")
    (row,) = proxy.get("/engines").json()["data"]
    assert (row["calls"], row["errors"], row["running"]) == (1, {"status": 1}, 0)


def test_kept_texts_are_bounded(
    start: Proxy, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_TEXT", 100_000)
    engine.scripts["n"] = says("y" * 30_000)
    proxy = start()
    for _ in range(4):
        ask(proxy, "n")
    rows = proxy.get("/verdicts").json()["data"]
    texts = [proxy.get(f"/verdicts/{row['id']}").json() for row in rows]
    assert [each["texts"] for each in texts] == [True, True, True, False]
    assert "MB" in texts[-1]["why_no_texts"]


PANEL = '[panels.many]\nmembers = ["s", "u", "r"]\nsamples = 64\nearly_stop = false\n'


@pytest.mark.parametrize("model", ["vote3", "many"])
def test_200_verdicts_without_texts_need_less_than_5_mb(
    start: Proxy, engine: Engine, model: str
) -> None:
    vote(engine)
    proxy = start(with_server("keep_verdicts = 200\nkeep_texts = false", PANEL))
    for _ in range(3):
        ask(proxy, model)
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    ask(proxy, model), ask(proxy, model), ask(proxy, model), ask(proxy, model)
    proxy.get("/health")  # by then the last request has come to its end
    filters = [tracemalloc.Filter(True, "*/proxy/page/*")]
    after = tracemalloc.take_snapshot().filter_traces(filters)
    tracemalloc.stop()
    grown = sum(
        each.size_diff for each in after.compare_to(before.filter_traces(filters), "lineno")
    )
    assert 0 < grown / 4 < 5_000_000 / 200


@pytest.mark.parametrize(("line", "why"), [
    ("keep_verdicts = -1", "server.keep_verdicts: must be 0 to 10000"),
    ("keep_verdicts = 20000", "server.keep_verdicts: must be 0 to 10000"),
    ('page = "no"', "server.page"),
])  # fmt: skip
def test_wrong_keys_are_refused(tmp_path: Path, line: str, why: str) -> None:
    file = tmp_path / "panels.toml"
    file.write_text(with_server(line).replace("{engine}", "http://127.0.0.1:1"))
    with pytest.raises(ConfigError, match=why):
        load(file)


def test_a_broken_stream_of_a_member_is_kept_as_failed(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = streams_then_breaks([chunk(delta={"content": "4"})])
    answer = ask(proxy, "n", stream=True)
    found = seen(proxy, answer)
    assert (found["failed"], found["streamed"], found["error"]) == (True, True, "engine_broken")


def test_who_looks_sees_every_call_of_a_fast_panel(
    proxy: httpx.Client, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    vote(engine)
    monkeypatch.setattr(live, "STEP_SECONDS", 2.0)  # it ends between two looks
    with proxy.stream("GET", "/verdicts/fast/events") as looking:
        lines = looking.iter_lines()
        assert next(lines) == "event: waiting"
        assert ask(proxy, headers={"x-request-id": "fast"}).status_code == 200
        names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    assert (names[0], names[-1]) == ("begun", "verdict")
    assert [names.count(each) for each in ("call", "asked", "end")] == [3, 3, 3]


def test_head_of_events_holds_no_connection(proxy: httpx.Client) -> None:
    answer = proxy.head("/verdicts/x/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert proxy.get("/health", timeout=5).status_code == 200  # on the same connection
