"""Every door leads to the same chats: contexts, guards, keys, limits, panels, and errors."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from its.manifest import SCHEMA
from proxy.api.doors import DOORS
from proxy.base.guards import CODE, GUARDS
from proxy.doors import messages, responses
from proxy.doors.translation import CHATS_ONLY, table
from tests.conftest import MEMBERS, ROOT, Proxy
from tests.proxy.asking import ASK, CHAT, wait_until
from tests.proxy.doors.shapes import (
    ASKED,
    COMPLETIONS,
    MESSAGES,
    QUESTION,
    RESPONSES,
    Held,
    events_of,
    replies,
)  # fmt: skip
from tests.scripted import CHUNKS, Engine, fails, says, says_after, speaks, streams_then_breaks

COMPOSE = "/v1/input_time/compose"
COUNT = "/v1/messages/count_tokens"
MANIFEST = {"schema": SCHEMA, "base_model": "b", "train": {"strategy": "random"}}
CHECKED = MEMBERS.replace('model = "r"\n', 'model = "r"\nmanifest = "input_time.json"\n')
BOTH = (RESPONSES, MESSAGES)


def ask(proxy: httpx.Client, path: str, model: str = "r", **fields: Any) -> httpx.Response:
    return proxy.post(path, json={"model": model, **ASKED[path], **fields})


def text_of(path: str, body: Any) -> str:
    """Return the text of a whole answer."""
    if path == RESPONSES:
        return "".join(part["text"] for part in body["output"][-1]["content"])
    if path == MESSAGES:
        return "".join(block["text"] for block in body["content"])
    return str(body["choices"][0]["text"])


def message_of(path: str, answer: httpx.Response) -> str:
    """Return the message of an error, whose envelope must be the API's own."""
    body = answer.json()
    if path.startswith("/v1/messages"):
        assert set(body) == {"type", "error", "request_id"}
        assert body["type"] == "error"
        assert set(body["error"]) == {"type", "message"}
        assert body["request_id"] == answer.headers["x-request-id"]
    else:
        assert set(body) == {"error"}
        assert set(body["error"]) == {"message", "type", "param", "code"}
    return str(body["error"]["message"])


# Answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", BOTH)
@pytest.mark.parametrize("model", ["n", "r", "vote3"])
def test_a_member_and_a_panel_answer(
    proxy: httpx.Client, engine: Engine, path: str, model: str
) -> None:
    for name in "nsur":
        engine.scripts[name] = speaks("so ", r"\boxed{7}")
    answer = ask(proxy, path, model)
    assert answer.status_code == 200, answer.text
    assert text_of(path, answer.json()) == r"so \boxed{7}"
    assert answer.json()["model"] == model
    assert int(answer.headers["content-length"]) == len(answer.content)
    streamed = ask(proxy, path, model, stream=True)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert "[DONE]" not in streamed.text
    said = [body for name, body in events_of(streamed.text) if name.endswith("delta")]
    deltas = [body["delta"] for body in said]
    texts = [each if isinstance(each, str) else each.get("text", "") for each in deltas]
    assert "".join(texts) == r"so \boxed{7}"
    assert {received.path for received in engine.received} == {CHAT}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("given", [QUESTION, [QUESTION]])
def test_a_panel_completes_one_prompt(
    proxy: httpx.Client, engine: Engine, given: Any, stream: bool
) -> None:
    for name in "sur":
        engine.scripts[name] = says(r"so \boxed{7}")
    usage = {"stream_options": {"include_usage": True}} if stream else {}
    answer = ask(proxy, COMPLETIONS, "vote3", prompt=given, stream=stream, **usage)
    assert answer.status_code == 200, answer.text
    if not stream:
        body = answer.json()
        assert body["object"] == "text_completion"
        assert body["choices"] == [
            {"text": r"so \boxed{7}", "index": 0, "logprobs": None, "finish_reason": "stop"}
        ]
        assert body["usage"]["total_tokens"] == 45
        assert body["input_time"]["method"] == "majority"
        return
    *chunks, end, counted, done = [line[6:] for line in answer.text.split("\n\n") if line]
    assert done == "[DONE]"
    said = [json.loads(each)["choices"][0]["text"] for each in chunks]
    assert "".join(said) == r"so \boxed{7}"
    assert json.loads(end)["choices"][0]["finish_reason"] == "stop"
    assert json.loads(end)["input_time"]["decided"] is True
    assert json.loads(counted)["usage"]["total_tokens"] == 45
    assert [body["messages"][-1]["content"][-len(QUESTION) :] for body in engine.bodies("s")] == [
        QUESTION
    ]


@pytest.mark.parametrize(
    "wrong",
    [{"prompt": ["a", "b"]}, {"prompt": [1, 2]}, {"prompt": None}, {"suffix": "x"}, {"n": 2},
     {"echo": True}, {"logprobs": 3}, {"best_of": 2}, {"messages": ASK}],
    ids=str,
)  # fmt: skip
def test_what_a_panel_cannot_complete_is_400(
    proxy: httpx.Client, engine: Engine, wrong: dict[str, Any]
) -> None:
    answer = ask(proxy, COMPLETIONS, "vote3", **wrong)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(wrong)))
    assert not engine.received


@pytest.mark.parametrize("path", BOTH)
@pytest.mark.parametrize("model", ["r", "lead"])
def test_the_first_word_is_shown_before_the_second_is_said(
    start: Proxy, engine: Engine, path: str, model: str
) -> None:
    leads = '[panels.lead]\nmembers = ["r", "u", "s"]\nstream_mode = "leader"\n'
    proxy = start(MEMBERS + leads)
    kind = "content" if model == "r" else "reasoning_content"
    held = Held({kind: "first"}, {"content": "second"})
    engine.scripts["r"] = held
    engine.scripts["u"] = engine.scripts["s"] = says("second")
    sent = {"model": model, **ASKED[path], "stream": True}
    with proxy.stream("POST", path, json=sent) as answer:
        pieces, seen = answer.iter_text(), ""
        while "first" not in seen:
            seen += next(pieces)
        assert "second" not in seen
        held.release()
        rest = "".join(pieces)
    assert "second" in rest
    assert events_of(seen + rest)[-1][0] in ("response.completed", "message_stop")


@pytest.mark.parametrize("path", [*BOTH, COMPLETIONS])
@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_ends_its_calls(
    proxy: httpx.Client, engine: Engine, path: str, stream: bool
) -> None:
    for name in "sur":
        engine.scripts[name] = says_after(30, "7")
    sent = {"model": "vote3", **ASKED[path], "stream": stream}
    with pytest.raises(httpx.ReadTimeout):
        proxy.post(path, json=sent, timeout=0.5)
    wait_until(lambda: engine.left == 3)


# Co-design ---------------------------------------------------------------------------------------


@pytest.fixture
def checked(start: Proxy, engine: Engine, tmp_path: Path) -> httpx.Client:
    """A proxy whose member r has a manifest."""
    (tmp_path / "input_time.json").write_text(json.dumps(MANIFEST), "utf-8")
    for name in "nsur":
        engine.scripts[name] = says(r"\boxed{7}")
    return start(CHECKED)


def test_every_door_adds_the_context_that_a_chat_gets(
    checked: httpx.Client, engine: Engine
) -> None:
    composed = checked.post(COMPOSE, json={"model": "r", "messages": ASK}).json()
    for path in BOTH:
        told = ask(checked, path).json()["input_time"]
        assert told == composed["input_time"]
        assert told["co_design"] == "verified"
        assert engine.received.pop().body["messages"] == composed["messages"]
        panel = ask(checked, path, "vote3", input_time={"return_ballots": True}).json()
        assert panel["input_time"]["ballots"][-1]["persona"] == told["persona"]
    ask(checked, COMPLETIONS, "vote3")
    assert engine.bodies("r")[-1]["messages"] == composed["messages"]


def test_the_context_stands_in_the_first_user_message_of_a_longer_talk(
    checked: httpx.Client, engine: Engine
) -> None:
    turns = [("user", QUESTION), ("assistant", "7"), ("user", "And 5?")]
    talk = [{"role": role, "content": content} for role, content in turns]
    ask(checked, RESPONSES, input=talk, instructions="Be brief.")
    ask(checked, MESSAGES, messages=talk, system="Be brief.")
    first, second = [received.body["messages"] for received in engine.received]
    assert first == second
    assert first[0] == {"role": "system", "content": "Be brief."}
    assert first[1]["content"].endswith(f"\n\n{QUESTION}")
    assert first[2:] == talk[1:]


VALUES: dict[str, Any] = {"chat_template_kwargs": {"chat_template": "x"}}


@pytest.mark.parametrize("path", [*BOTH, COMPLETIONS, COUNT])
def test_guarded_fields_are_refused_at_every_door(
    checked: httpx.Client, engine: Engine, path: str
) -> None:
    kind = "tokenize" if path == COUNT else "chat"
    names = [name for name, guard in GUARDS.items() if not guard.only or kind in guard.only]
    own = {"prompt", *(responses.FIELDS if path == RESPONSES else ())}
    model = "vote3" if path == COMPLETIONS else "r"
    bare = ASKED[MESSAGES if path == COUNT else path]
    for name in {*names, *CODE} - own:
        sent = {"model": model, **bare, name: VALUES.get(name, "x")}
        answer = checked.post(path, json=sent)
        assert answer.status_code == 400, (name, answer.text)
        assert f"`{name}`" in message_of(path, answer)
    assert not engine.received


@pytest.mark.parametrize("path", BOTH)
@pytest.mark.parametrize("override", [{"strategy": "none"}, {"persona": " "}, {"samples": 2}])
def test_an_override_is_held_to_the_same_rules(
    checked: httpx.Client, engine: Engine, path: str, override: dict[str, Any]
) -> None:
    answer = ask(checked, path, input_time=override)
    assert answer.status_code == 400
    message_of(path, answer)
    assert not engine.received


@pytest.mark.parametrize("path", BOTH)
def test_a_members_stream_tells_its_context_if_asked(
    checked: httpx.Client, engine: Engine, path: str
) -> None:
    engine.scripts["r"] = speaks("7")
    told = ask(checked, path, stream=True, input_time={"seed": 5}).text
    first = events_of(told)[0][1]
    body = first["response"] if path == RESPONSES else first["message"]
    assert body["input_time"]["seed"] == 5
    assert "input_time" not in ask(checked, path, stream=True).text


@pytest.mark.parametrize("path", BOTH)
def test_unknown_fields_are_forwarded(proxy: httpx.Client, engine: Engine, path: str) -> None:
    engine.scripts["n"] = says("7")
    ask(proxy, path, "n", temperature=0.3, top_p=0.9, top_k=5, min_p=0.1, seed=3, rid="x")
    body = engine.bodies("n")[0]
    assert [body[name] for name in ("temperature", "top_p", "top_k", "min_p", "seed", "rid")] == [
        0.3, 0.9, 5, 0.1, 3, "x",
    ]  # fmt: skip
    assert {"input", "max_output_tokens", "store", "metadata", "stream"}.isdisjoint(body)


@pytest.mark.parametrize("path", BOTH)
def test_fields_of_chats_are_refused(proxy: httpx.Client, engine: Engine, path: str) -> None:
    own = responses.FIELDS if path == RESPONSES else messages.FIELDS
    for name in CHATS_ONLY - own.keys():
        answer = ask(proxy, path, "n", **{name: ["x"]})
        assert answer.status_code == 400, name
        assert f"`{name}`" in message_of(path, answer)
    assert not engine.received


def test_the_page_has_the_fields() -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    assert table(responses.FIELDS) in page
    assert table(messages.FIELDS) in page


# Errors ------------------------------------------------------------------------------------------


BAD: list[tuple[int, dict[str, Any]]] = [
    (404, {"model": "gpt"}),
    (400, {"model": ""}),
    (400, {"stream": "yes"}),
    (400, {"seed": "x"}),
    (400, {"input_time": {"nope": 1}}),
]


@pytest.mark.parametrize("path", [*BOTH, COUNT])
def test_every_refusal_has_the_shape_of_its_api(
    proxy: httpx.Client, engine: Engine, path: str
) -> None:
    bare = ASKED[MESSAGES if path == COUNT else path]
    for status, wrong in BAD:
        answer = proxy.post(path, json={"model": "n", **bare, **wrong})
        assert answer.status_code == status, (wrong, answer.text)
        message_of(path, answer)
    for raw in (b"", b"{", b"[]", b'"x"', b"\xff"):
        answer = proxy.post(path, content=raw, headers={"content-type": "application/json"})
        assert answer.status_code == 400
        message_of(path, answer)
    for answer, status in (
        (proxy.get(path), 405),
        (proxy.post(path, content=b"{}", headers={"content-type": "text/plain"}), 415),
        (proxy.post(f"{path}/nope", json={}), 404),
        (proxy.post(path, json={}, headers={"host": "evil.example"}), 403),
    ):
        assert answer.status_code == status
        message_of(path, answer)
    assert not engine.received


@pytest.mark.parametrize("path", BOTH)
@pytest.mark.parametrize("model", ["n", "vote3"])
@pytest.mark.parametrize("stream", [False, True])
def test_an_engines_refusal_keeps_its_status(
    proxy: httpx.Client, engine: Engine, path: str, model: str, stream: bool
) -> None:
    full = {"error": {"message": "too long", "code": "context_length_exceeded"}}
    for name in "nsur":
        engine.scripts[name] = fails(400, full)
    answer = ask(proxy, path, model, stream=stream)
    assert answer.status_code == 400
    assert "too long" in message_of(path, answer)


ENDS = {RESPONSES: ["error", "response.failed"], MESSAGES: ["error"]}


@pytest.mark.parametrize("path", BOTH)
def test_a_stream_that_breaks_ends_with_the_error_of_its_api(
    proxy: httpx.Client, engine: Engine, path: str
) -> None:
    engine.scripts["n"] = streams_then_breaks(CHUNKS[:1])
    events = events_of(ask(proxy, path, "n", stream=True).text)
    names = [name for name, _ in events]
    assert names[-len(ENDS[path]) :] == ENDS[path]
    told = next(body for name, body in events if name == "error")
    assert "closed the connection" in told["error"]["message"]
    assert "response.completed" not in names
    assert "message_stop" not in names


@pytest.mark.parametrize("path", BOTH)
def test_a_panel_that_fails_later_says_so_in_its_stream(
    start: Proxy, engine: Engine, path: str
) -> None:
    proxy = start(MEMBERS.replace("early_stop = false", "early_stop = false\ndeadline_s = 1.3"))
    for name in "sur":
        engine.scripts[name] = says_after(20, "7")
    events = events_of(ask(proxy, path, "vote3", stream=True).text)
    assert [name for name, _ in events][-len(ENDS[path]) :] == ENDS[path]


@pytest.mark.parametrize("path", BOTH)
def test_a_request_that_runs_out_of_time_ends_in_its_own_shape(
    start: Proxy, engine: Engine, path: str
) -> None:
    proxy = start("[server]\nmax_seconds = 1\n" + MEMBERS)
    engine.scripts["n"] = speaks("3", hangs=True)
    events = events_of(ask(proxy, path, "n", stream=True).text)
    assert [name for name, _ in events][-len(ENDS[path]) :] == ENDS[path]
    engine.scripts["n"] = says_after(20, "7")
    answer = ask(proxy, path, "n")
    assert answer.status_code == 504
    assert "server.max_seconds" in message_of(path, answer)


@pytest.mark.parametrize("path", BOTH)
def test_an_engine_that_refuses_stream_options_is_asked_without(
    proxy: httpx.Client, engine: Engine, path: str
) -> None:
    def picky(body: Any) -> Any:
        if "stream_options" in body:
            return fails(400, {"message": "unknown field: stream_options"})(body)
        return speaks("7")(body)

    engine.scripts["n"] = picky
    for _ in range(2):
        assert "7" in ask(proxy, path, "n", stream=True).text
    asked = ["stream_options" in body for body in engine.bodies("n")]
    assert asked == [True, False, False], "the proxy remembers it"


# Keys --------------------------------------------------------------------------------------------


@pytest.fixture
def keyed(start: Proxy, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> httpx.Client:
    """A proxy with a key for the member n only."""
    monkeypatch.setenv("ITS_TEST_KEY", "secret")
    engine.scripts["n"] = says("7")
    return start('[keys.me]\nsecret = "env:ITS_TEST_KEY"\nmodels = ["n"]\n' + MEMBERS)


def test_a_key_comes_in_either_header(keyed: httpx.Client) -> None:
    for path in (*BOTH, CHAT):
        sent = {"model": "n", **ASKED.get(path, {"messages": ASK})}
        for headers, status in (
            ({"x-api-key": "secret"}, 200),
            ({"authorization": "Bearer secret"}, 200),
            ({"authorization": "Bearer secret", "x-api-key": "secret"}, 200),
            ({"authorization": "Bearer secret", "x-api-key": "other"}, 400),
            ({"authorization": "Basic secret"}, 401),
            ({"x-api-key": "other"}, 401),
            ({"x-api-key": ""}, 401),
            ({}, 401),
        ):
            answer = keyed.post(path, json=sent, headers=headers)
            assert answer.status_code == status, (path, headers, answer.text)
            if status != 200:
                message_of(path, answer)
        other = {**sent, "model": "s"}
        answer = keyed.post(path, json=other, headers={"x-api-key": "secret"})
        assert answer.status_code == 404, "a key sees its own models only"


@pytest.mark.parametrize("path", BOTH)
def test_a_keys_limits_hold_at_every_door(
    start: Proxy, engine: Engine, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("ITS_TEST_KEY", "secret")
    engine.scripts["n"] = says("7")
    limits = '[keys.me]\nsecret = "env:ITS_TEST_KEY"\ntokens_per_minute = 10\n'
    proxy = start(limits + MEMBERS)
    proxy.headers["x-api-key"] = "secret"
    assert proxy.post(CHAT, json={"model": "n", "messages": ASK}).status_code == 200
    answer = ask(proxy, path, "n")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "tokens_per_minute" in message_of(path, answer)


# Paths -------------------------------------------------------------------------------------------


def test_a_wrong_base_url_is_told_the_right_one(proxy: httpx.Client) -> None:
    here = str(proxy.base_url).rstrip("/")
    for path, right in (
        ("/chat/completions", f"{here}/v1."),
        ("/completions", f"{here}/v1."),
        ("/models", f"{here}/v1."),
        ("/messages", f"{here}."),
        ("/v1/v1/messages", f"{here}."),
        ("/v1/v1/chat/completions", f"{here}/v1."),
        ("/v1/nope", f"{here}/v1."),
    ):
        answer = proxy.post(path, json={})
        assert answer.status_code == 404
        told = message_of("/v1/messages" if "messages" in path else path, answer)
        assert f"set base_url to {right}" in told.replace("Set", "set"), told
    assert "slash" in proxy.post(f"{CHAT}/", json={}).json()["error"]["message"]


def test_models_with_a_slash_and_the_version(proxy: httpx.Client) -> None:
    assert proxy.get("/v1/models/").json() == proxy.get("/v1/models").json()
    assert set(proxy.get("/version").json()) == {"version"}


def test_the_description_has_every_door(proxy: httpx.Client) -> None:
    described = proxy.get("/openapi.json").json()["paths"]
    assert DOORS.keys() | {"/version"} <= described.keys()


def test_an_answer_that_is_empty_is_still_one(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = replies(finish="length")
    for path in BOTH:
        assert text_of(path, ask(proxy, path, "n").json()) == ""
        assert events_of(ask(proxy, path, "n", stream=True).text)
