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
from proxy.engines.responses import MOST_KNOWN, KnownResponses
from tests.conftest import MEMBERS, ROOT, Proxy
from tests.proxy.asking import ASK, CHAT
from tests.scripted import Body, Engine, says, streams

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
    "input": [{"type": "item_reference", "id": "1"}, {"role": "user", "content": "?"}],
}
CHATS = (CHAT, COMPOSE)


def bare(path: str) -> dict[str, Any]:
    """Return a request that every member takes."""
    if path in CHATS or path.endswith("/tokenize"):
        return {"messages": ASK}
    if path.endswith("/responses"):
        return {"input": "3 and 4?"}
    return {"prompt": "3 and 4?", "tokens": [1], "query": "q"}


def kind(path: str) -> str:
    last = path.rpartition("/")[2]
    return "chat" if path in CHATS else last if last in GUARDED_KINDS else "other"


GUARDED_KINDS = {"completions", "responses", "tokenize"}
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
                if name != "input":  # its other items get their context
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


ODD: list[Any] = ["", "x", False, True, 0, {}, {"id": "c"}, []]


@pytest.mark.parametrize("path", ["/v1/responses", "/responses"])
@pytest.mark.parametrize("name", ["conversation", "previous_response_id", "prompt"])
def test_earlier_turns_of_any_shape_are_refused(
    checked: httpx.Client, engine: Engine, path: str, name: str
) -> None:
    for value in ODD:
        sent = {"model": "r", "input": "3 and 4?", name: value}
        answer = checked.post(path, json=sent)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, name), value
    assert engine.received == []
    answer = checked.post(path, json={"model": "r", "input": "3?", name: None}).json()
    assert answer["body"]["input"] != "3?", "null is as good as absent: a context was added"


HIDDEN: list[Any] = [
    {"id": "msg_1"},
    {"id": "msg_1", "type": None},
    {"type": "item_reference", "id": "msg_1", "role": "user"},
    {"type": "message", "content": "x"},
    {"type": "compaction", "encrypted_content": "x"},
    {"type": "function_call_output", "call_id": "c", "output": "o", "role": "user", "content": "x"},
    {"type": "reasoning", "summary": [], "role": "user", "content": "x"},
    {"type": ["message"], "role": "user", "content": "x"},
]
SEEN: list[Any] = [
    {"type": "message", "role": "assistant", "content": "x"},
    {"role": "system", "content": "x"},
    {"type": "reasoning", "id": "rs_1", "summary": []},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "o"},
]


def test_no_item_hides_text_or_takes_the_context(checked: httpx.Client, engine: Engine) -> None:
    question = {"role": "user", "content": "3 and 4?"}
    for item in HIDDEN:
        for items in ([item, question], [question, item]):
            answer = checked.post("/v1/responses", json={"model": "r", "input": items})
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input"), items
    assert engine.received == []
    for item in SEEN:
        sent = {"model": "r", "input": [item, question]}
        asked = checked.post("/v1/responses", json=sent).json()["body"]["input"]
        assert asked[0] == item
        assert asked[1]["content"] != "3 and 4?"


BLANK = ["", " ", "\n\t", "\u200b", "..."]


@pytest.mark.parametrize("path", [CHAT, COMPOSE, "/v1/completions", "/v1/responses", "/tokenize"])
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


@pytest.mark.parametrize("path", [CHAT, "/v1/completions", "/v1/responses", "/tokenize"])
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


# Responses that go on with one of ours -------------------------------------------------------


def go_on(proxy: httpx.Client, earlier: str, **more: Any) -> httpx.Response:
    sent = {"model": "r", "input": "And 5?", "previous_response_id": earlier, **more}
    return proxy.post("/v1/responses", json=sent)


def test_a_response_of_this_proxy_may_be_continued(checked: httpx.Client, engine: Engine) -> None:
    assert go_on(checked, "resp_1").status_code == 400, "not made yet"
    assert checked.post("/v1/responses", json={"model": "r", "input": "3?"}).status_code == 200
    engine.scripts["r"] = lambda body: JSONResponse({"id": "resp_2", "body": body})
    answer = go_on(checked, "resp_1").json()
    assert answer["body"]["input"] == "And 5?"
    assert answer["input_time"] == {"strategy": "inherited", "co_design": "verified"}
    assert go_on(checked, "resp_2").status_code == 200, "nor is the chain's next one unknown"
    for other in ("resp_3", "", "resp_1 "):
        assert go_on(checked, other).status_code == 400
    assert go_on(checked, "resp_1", conversation="c").status_code == 400
    ablation = {"model": "a", "input": "?", "previous_response_id": "resp_1"}
    answer = checked.post("/v1/responses", json=ablation).json()
    assert answer["input_time"]["co_design"] == "mismatch", "it was made by another member"


def test_a_continued_response_may_break_the_rule_where_that_is_allowed(
    checked: httpx.Client, engine: Engine
) -> None:
    sent: dict[str, Any] = {"model": "a", "input": "3?"}
    answer = checked.post("/v1/responses", json=sent).json()
    assert answer["input_time"]["co_design"] == "verified"
    engine.scripts["a"] = lambda body: JSONResponse({"id": "resp_2", "body": body})
    sent["previous_response_id"] = "resp_1"
    told = checked.post("/v1/responses", json=sent).json()["input_time"]
    assert told == {"strategy": "inherited", "co_design": "verified"}
    engine.scripts["a"] = echo
    told = checked.post("/v1/responses", json={**sent, "chat_template": "x"}).json()["input_time"]
    assert told == {"strategy": "inherited", "co_design": "mismatch"}
    told = checked.post("/v1/responses", json=sent).json()["input_time"]
    assert told["co_design"] == "mismatch", "resp_1 is now the one that broke it"


def test_a_streamed_response_may_be_continued(checked: httpx.Client, engine: Engine) -> None:
    created = {"type": "response.created", "response": {"id": "resp_9"}}
    events = f"event: response.created\ndata: {json.dumps(created)}\n\n".encode()
    done = b'event: response.completed\ndata: {"type": "response.completed"}\n\n'
    whole = events + done
    engine.scripts["r"] = streams([whole[n : n + 7] for n in range(0, len(whole), 7)])
    sent = {"model": "r", "input": "3?", "stream": True}
    assert checked.post("/v1/responses", json=sent).content == whole
    engine.scripts["r"] = echo
    assert go_on(checked, "resp_9").status_code == 200


def test_another_keys_response_is_unknown(
    start: Proxy, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "input_time.json").write_text(json.dumps(MANIFEST), "utf-8")
    keys = ""
    for name in ("ann", "bob"):
        monkeypatch.setenv(f"ITS_TEST_{name}", f"secret-{name}")
        keys += f'[keys.{name}]\nsecret = "env:ITS_TEST_{name}"\n'
    proxy = start(CHECKED + keys)
    engine.scripts["r"] = echo
    statuses = []
    for name, earlier in (("ann", None), ("bob", "resp_1"), ("ann", "resp_1")):
        proxy.headers["authorization"] = f"Bearer secret-{name}"
        sent = {"model": "r", "input": "3?", "previous_response_id": earlier}
        statuses.append(proxy.post("/v1/responses", json=sent).status_code)
    assert statuses == [200, 400, 200]


def test_the_memory_of_responses_is_bounded() -> None:
    made: Any = KnownResponses()
    for number in range(MOST_KNOWN + 10):
        made.add(f"r{number}", "member", "", "verified")
    made.add("r" * 1000, "member", "", "verified")
    made.add(None, "member", "", "verified")
    assert made.find("r9", "member", "") is None
    assert made.find("r10", "member", "") == "verified"
    assert made.find("r10", "other", "") is None
    assert made.find(["r10"], "member", "") is None


def test_the_page_has_the_guarded_fields() -> None:
    assert guards.table() in (ROOT / "docs" / "api.md").read_text("utf-8")
