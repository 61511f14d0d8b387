"""What a request holds: one encoded body for each member, however many calls it makes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from its.methods import Call
from proxy.base.prompt import MemberPrompt
from proxy.engines import http1
from proxy.engines.connection import PIECE
from proxy.panel import bodies
from proxy.panel.bodies import PanelBodies
from tests.conftest import MEMBERS, Proxy
from tests.proxy.asking import ASK, CHAT
from tests.scripted import Engine, says

LONG = "x" * (5 * PIECE) + "{é}"


def ask(proxy: httpx.Client, samples: int | None = None, **more: Any) -> httpx.Response:
    extras = {"input_time": {"samples": samples}} if samples is not None else {}
    return proxy.post(CHAT, json={"model": "vote3", "messages": ASK, **extras, **more})


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Yield the members whose messages are encoded."""
    encoded: list[str] = []
    original = PanelBodies._encode

    def encode(self: PanelBodies, asked: MemberPrompt, call: Call) -> bytes:
        encoded.append(asked.member.name)
        return original(self, asked, call)

    with monkeypatch.context() as patch:
        patch.setattr(bodies.PanelBodies, "_encode", encode)
        yield encoded


def test_samples_share_what_is_encoded_once_for_their_member(
    proxy: httpx.Client, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.scripts.update(dict.fromkeys("sur", says(r"\boxed{1}")))
    messages = [{"role": "user", "content": LONG}]
    with counted(monkeypatch) as encoded:
        ask(proxy, 8, messages=messages, seed=3, rid="mine", top_k=4, stop=["a"])
    assert sorted(encoded) == ["r", "s", "u"]
    assert len(engine.received) == 24
    for model in "sur":
        sent = engine.bodies(model)
        assert all(body["messages"][0]["content"].endswith(LONG) for body in sent)
        assert len({body["seed"] for body in sent}) == 8
        first = "sur".index(model)
        names = {f"mine-answer-{first + 3 * n}" for n in range(8)}
        assert {body["rid"] for body in sent} == names
        assert {body["top_k"] for body in sent} == {4}
        assert {json.dumps(body["stop"]) for body in sent} == {'["a"]'}
        assert {body["stream"] for body in sent} == {False}
        assert all("stream_options" not in body for body in sent)


def test_a_body_is_made_when_its_call_has_a_slot(
    start: Proxy, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = start(MEMBERS.replace("[members.n]", "max_concurrency = 1\n[members.n]"))
    engine.scripts.update(dict.fromkeys("sur", says(r"\boxed{1}")))
    at_once: list[int] = []
    send = http1.Pool.send

    async def watched(self: Any, *given: Any) -> Any:
        at_once.append(len(encoded))
        return await send(self, *given)

    monkeypatch.setattr(http1.Pool, "send", watched)
    with counted(monkeypatch) as encoded:
        ask(proxy, 2)
    assert at_once == sorted(at_once)
    assert at_once[0] == 1, "the others had no slot yet, and no body"
    assert at_once[-1] == 3


WRITES = """
[panels.p]
members = ["s"]
method = "synthesize"
[panels.p.options]
writer = "n"
"""


def test_a_call_with_more_to_read_writes_no_more_than_fits(start: Proxy, engine: Engine) -> None:
    """Engines refuse a request whose prompt and longest answer exceed the context."""
    engine.scripts.update({"s": says("word " * 2000), "n": says("written")})
    proxy = start(MEMBERS.replace('model = "n"', 'model = "n"\ncontext_tokens = 4096') + WRITES)
    ask(proxy, model="p", max_tokens=4000)
    assert engine.bodies("s")[0]["max_tokens"] == 4000
    written = engine.bodies("n")[0]
    read = sum(len(message["content"]) for message in written["messages"]) // 4
    assert 2048 <= written["max_tokens"] < 4096 - read


def test_the_clients_last_turn_is_continued_only_where_it_is_the_last(
    start: Proxy, engine: Engine
) -> None:
    engine.scripts.update({"s": says("draft"), "n": says("written")})
    started = [*ASK, {"role": "assistant", "content": "They are"}]
    continues = {"continue_final_message": True, "add_generation_prompt": False}
    ask(start(MEMBERS + WRITES), model="p", messages=started, **continues)
    assert continues.items() <= engine.bodies("s")[0].items()
    assert not continues.keys() & engine.bodies("n")[0].keys()


LIMITED = MEMBERS + "max_samples = 6\nmax_calls = 15\n"
REFUSED = [(7, "max_samples is 6. Ask for at most 5"), (6, "max_calls is 15. Ask for at most 5")]


@pytest.mark.parametrize("path", [CHAT, "/v1/input_time/compose"])
@pytest.mark.parametrize(("samples", "told"), REFUSED)
def test_more_calls_than_a_panel_allows_are_refused(
    start: Proxy, engine: Engine, path: str, samples: int, told: str
) -> None:
    proxy = start(LIMITED)
    body = {"model": "vote3", "messages": ASK, "input_time": {"samples": samples}}
    answer = proxy.post(path, json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == "input_time.samples"
    assert told in error["message"]
    assert engine.received == []


def test_what_a_panel_allows_is_asked(start: Proxy, engine: Engine) -> None:
    engine.scripts.update(dict.fromkeys("sur", says(r"\boxed{1}")))
    assert ask(start(LIMITED), 5).status_code == 200
    assert len(engine.received) == 15


def test_a_panel_may_allow_more_than_the_default(start: Proxy, engine: Engine) -> None:
    engine.scripts.update(dict.fromkeys("sur", says(r"\boxed{1}")))
    proxy = start(MEMBERS + "max_samples = 70\nmax_calls = 210\n")
    assert ask(proxy, 70).status_code == 200
    assert len(engine.received) == 210
