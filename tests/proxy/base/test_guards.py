"""No field brings a question past the context that its checkpoint was trained with."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from its.manifest import SCHEMA
from proxy.api.endpoints import ENDPOINTS
from proxy.base import guards
from proxy.base.guards import CODE, GUARDS
from tests.conftest import MEMBERS, ROOT, Proxy
from tests.proxy.asking import ASK, CHAT
from tests.scripted import Body, Engine, says

COMPOSE = "/v1/input_time/compose"
MANIFEST = {"schema": SCHEMA, "base_model": "b", "train": {"strategy": "random"}}
CHECKED = (
    MEMBERS.replace('model = "r"\n', 'model = "r"\nmanifest = "input_time.json"\n')
    + """
[members.a]
engine = "e"
model = "a"
manifest = "input_time.json"
allow_mismatch = true
"""
)


def echo(body: Body) -> Response:
    return JSONResponse({"id": "resp_1", "body": body, "choices": [{}]})


@pytest.fixture
def checked(start: Proxy, engine: Engine, tmp_path: Path) -> httpx.Client:
    """A proxy whose members r and a have a manifest; a allows a mismatch, n has no manifest."""
    (tmp_path / "input_time.json").write_text(json.dumps(MANIFEST), "utf-8")
    for name in "ran":
        engine.scripts[name] = echo
    return start(CHECKED)


VALUES: dict[str, Any] = {
    "prompt": [1, 2],
    "chat_template_kwargs": {"chat_template": "{{ messages[-1].content }}"},
    "truncation": "auto",
}
CHATS = (CHAT, COMPOSE)


def bare(path: str) -> dict[str, Any]:
    """Return a request that every member takes."""
    if path in CHATS or path.endswith("/tokenize"):
        return {"messages": ASK}
    return {"prompt": "3 and 4?", "tokens": [1], "query": "q"}


def kind(path: str) -> str:
    last = path.rpartition("/")[2]
    return "chat" if path in CHATS else last if last in GUARDED_KINDS else "other"


GUARDED_KINDS = {"completions", "tokenize"}
CASES = [
    (path, name)
    for path in (COMPOSE, *ENDPOINTS)
    for name, guard in GUARDS.items()
    if not guard.only or kind(path) in guard.only
]


def test_one_table_holds_on_every_endpoint(checked: httpx.Client, engine: Engine) -> None:
    for path, name in CASES:
        value = VALUES.get(name, "x")
        sent = {**bare(path), name: value}
        answer = checked.post(path, json={"model": "r", **sent})
        error = answer.json()["error"]
        told = (answer.status_code, error["code"], error["param"])
        assert told == (400, "field_not_allowed", name), (path, answer.text)
        assert not engine.received, (path, name)
        for model, co_design in (("a", "mismatch"), ("n", "unverified")):
            answer = checked.post(path, json={"model": model, **sent})
            assert answer.status_code == 200, (path, name, answer.text)
            if told_of := answer.json().get("input_time"):
                assert told_of["co_design"] == co_design, (path, name)
            for received in engine.received:
                assert received.body[name] == value, (path, name)
            engine.received.clear()


ODD_PROMPTS: list[Any] = [
    [1, 2], [[1, 2], [3]], [["3 and 4?"]], ["3 and 4?", 5], ["3 and 4?", None], [None], [{}],
    [True], [1.5],
]  # fmt: skip


@pytest.mark.parametrize("prompt", ODD_PROMPTS, ids=str)
def test_a_prompt_that_is_no_text_carries_no_context(
    checked: httpx.Client, engine: Engine, prompt: Any
) -> None:
    sent = {"model": "r", "prompt": prompt}
    error = checked.post("/v1/completions", json=sent).json()["error"]
    assert (error["code"], error["param"]) == ("field_not_allowed", "prompt")
    assert "send text" in error["message"]
    assert engine.received == []
    answer = checked.post("/v1/completions", json={**sent, "model": "n"}).json()
    assert answer["body"]["prompt"] == prompt
    assert answer["input_time"] == {"strategy": "tokens", "co_design": "unverified"}


BLANK = ["", " ", "\n\t", "\u200b", "..."]


@pytest.mark.parametrize("path", [CHAT, COMPOSE, "/v1/completions", "/tokenize"])
def test_a_blank_persona_is_no_context(checked: httpx.Client, engine: Engine, path: str) -> None:
    for persona in BLANK:
        sent = {"model": "r", **bare(path), "input_time": {"persona": persona}}
        error = checked.post(path, json=sent).json()["error"]
        assert error["param"] == "input_time.persona", persona
    assert engine.received == []


HARMLESS: dict[str, Any] = {
    "suffix": "x", "echo": True, "best_of": 2, "continue_final_message": True,
    "add_generation_prompt": False, "chat_template_kwargs": {"enable_thinking": False},
    "truncation": "disabled", "input_ids": None, "cache_salt": "x",
}  # fmt: skip


@pytest.mark.parametrize("path", [CHAT, "/v1/completions", "/tokenize"])
def test_what_leaves_the_context_in_place_passes(
    checked: httpx.Client, engine: Engine, path: str
) -> None:
    for name, value in HARMLESS.items():
        answer = checked.post(path, json={"model": "r", **bare(path), name: value})
        assert answer.status_code == 200, (name, answer.text)
        assert answer.json()["input_time"]["co_design"] == "verified"
        assert engine.received.pop().body[name] == value


@pytest.mark.parametrize("path", [COMPOSE, *ENDPOINTS])
def test_a_clients_code_is_refused_without_a_manifest_too(checked: httpx.Client, path: str) -> None:
    for name in CODE:
        answer = checked.post(path, json={"model": "n", **bare(path), name: "code"})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)


def test_a_panel_holds_them_for_every_member(checked: httpx.Client, engine: Engine) -> None:
    engine.scripts.update(s=says("1"), u=says("1"))
    for name in ("input_ids", "chat_template", "session_params"):
        answer = checked.post(CHAT, json={"model": "vote3", "messages": ASK, name: "x"})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
    assert engine.received == []


def test_the_page_has_the_guarded_fields() -> None:
    assert guards.table() in (ROOT / "docs" / "api.md").read_text("utf-8")
