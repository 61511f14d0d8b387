"""Anthropic's Messages API: what becomes of each block and field, and the order of the events."""

from collections.abc import Iterator
from typing import Any, get_type_hints

import anthropic
import httpx
import pytest
from anthropic.types import Message, message_create_params
from starlette.responses import JSONResponse

from proxy.doors import messages
from tests.conftest import MEMBERS, Proxy
from tests.proxy.asking import wait_until
from tests.proxy.doors.shapes import ADD, CALLS, MESSAGES, calling, events_of, replies
from tests.scripted import CHUNKS, Engine, Script, fails, says, says_after, speaks, streams

ASK: list[Any] = [{"role": "user", "content": "3+4?"}]
ADD_TOOL = {"name": "add", "description": "Adds.", "input_schema": ADD}


def post(proxy: httpx.Client, **fields: Any) -> httpx.Response:
    sent = {"model": "n", "messages": ASK, "max_tokens": 50, **fields}
    return proxy.post(MESSAGES, json=sent)


def ask(proxy: httpx.Client, **fields: Any) -> Any:
    answer = post(proxy, **fields)
    assert answer.status_code == 200, answer.text
    Message.model_validate(answer.json(), strict=False)
    return answer.json()


def stream(proxy: httpx.Client, **fields: Any) -> list[tuple[str, Any]]:
    events = events_of(post(proxy, stream=True, **fields).text)
    assert [name for name, _ in events] == [body["type"] for _, body in events]
    return [pair for pair in events if pair[0] != "ping"]


def refused(proxy: httpx.Client, **fields: Any) -> str:
    answer = post(proxy, **fields)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"
    return str(answer.json()["error"]["message"])


# Answers -----------------------------------------------------------------------------------------


def test_the_events_of_a_text_come_in_anthropics_order(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = speaks("so ", "7")
    events = stream(proxy)
    assert [name for name, _ in events] == [
        "message_start", "content_block_start", "content_block_delta", "content_block_delta",
        "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip
    started = events[0][1]["message"]
    assert (started["content"], started["stop_reason"]) == ([], None)
    assert events[1][1]["content_block"] == {"type": "text", "text": ""}
    assert [body["delta"]["text"] for _, body in events[2:4]] == ["so ", "7"]
    ended = events[-2][1]
    assert ended["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert (ended["usage"]["input_tokens"], ended["usage"]["output_tokens"]) == (10, 2)
    whole = ask(proxy)
    assert whole["content"] == [{"type": "text", "text": "so 7"}]
    assert "ping" in post(proxy, stream=True).text


THINKS = ({"reasoning_content": "3 plus "}, {"reasoning": "4"}, {"content": "7"})


def test_thinking_has_a_block_of_its_own(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = replies(*THINKS)
    events = stream(proxy)
    assert [(name, body["index"]) for name, body in events[1:-2]] == [
        ("content_block_start", 0), ("content_block_delta", 0), ("content_block_delta", 0),
        ("content_block_delta", 0), ("content_block_stop", 0),
        ("content_block_start", 1), ("content_block_delta", 1), ("content_block_stop", 1),
    ]  # fmt: skip
    deltas = [body["delta"] for name, body in events if name == "content_block_delta"]
    assert [each["type"] for each in deltas] == [
        "thinking_delta", "thinking_delta", "signature_delta", "text_delta",
    ]  # fmt: skip
    hidden = stream(proxy, thinking={"type": "disabled"})
    assert [body["index"] for _, body in hidden[1:-2]] == [0, 0, 0]
    engine.scripts["n"] = replies({"reasoning_content": "3 plus 4"}, {"content": "7"})
    thought, said = ask(proxy, thinking={"type": "enabled", "budget_tokens": 1024})["content"]
    assert (thought["type"], thought["thinking"], said["text"]) == ("thinking", "3 plus 4", "7")
    assert [each["type"] for each in ask(proxy, thinking={"type": "disabled"})["content"]] == [
        "text"
    ]
    switches = [body.get("chat_template_kwargs") for body in engine.bodies("n")]
    assert switches == [
        None, {"enable_thinking": False, "thinking": False},
        {"enable_thinking": True, "thinking": True}, {"enable_thinking": False, "thinking": False},
    ]  # fmt: skip


def test_tools_are_blocks(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = calling(*CALLS)
    answer = ask(proxy, tools=[ADD_TOOL, {"name": "now", "type": "custom", "input_schema": {}}])
    assert answer["stop_reason"] == "tool_use"
    assert answer["content"] == [
        {"type": "tool_use", "id": "call_1", "name": "add", "input": {"a": 3, "b": 4}},
        {"type": "tool_use", "id": "call_2", "name": "now", "input": {}},
    ]
    assert engine.bodies("n")[0]["tools"][0] == {
        "type": "function",
        "function": {"name": "add", "description": "Adds.", "parameters": ADD},
    }
    events = stream(proxy, tools=[ADD_TOOL])
    deltas = [body["delta"] for name, body in events if name == "content_block_delta"]
    assert "".join(delta["partial_json"] for delta in deltas) == '{"a": 3, "b": 4}{}'
    started = [body["content_block"] for name, body in events if name == "content_block_start"]
    assert [(each["name"], each["input"]) for each in started] == [("add", {}), ("now", {})]
    assert events[-2][1]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("choice", "sent"),
    [({"type": "auto"}, "auto"), ({"type": "any"}, "required"), ({"type": "none"}, "none"),
     ({"type": "tool", "name": "add"}, {"type": "function", "function": {"name": "add"}})],
    ids=str,
)  # fmt: skip
def test_the_choice_of_tools(
    proxy: httpx.Client, engine: Engine, choice: dict[str, Any], sent: Any
) -> None:
    engine.scripts["n"] = says("7")
    ask(proxy, tools=[ADD_TOOL], tool_choice={**choice, "disable_parallel_tool_use": True})
    body = engine.bodies("n")[0]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == (sent, False)


def test_arguments_that_are_no_object_stay_readable(proxy: httpx.Client, engine: Engine) -> None:
    for said in ('{"a": 3', "[1]", "7"):
        call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": said}}
        engine.scripts["n"] = calling(call)
        assert ask(proxy)["content"][0]["input"] == {"INVALID_JSON": said}


ENDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"finish": "stop"}, {"stop_reason": "end_turn"}),
    ({"finish": "length"}, {"stop_reason": "max_tokens"}),
    ({"finish": "content_filter"}, {"stop_reason": "refusal"}),
    ({"finish": "stop", "matched_stop": 151643}, {"stop_reason": "end_turn"}),
    ({"finish": "stop", "matched_stop": "END"},
     {"stop_reason": "stop_sequence", "stop_sequence": "END"}),
    ({"finish": "stop", "stop_reason": "END"},
     {"stop_reason": "stop_sequence", "stop_sequence": "END"}),
]  # fmt: skip


@pytest.mark.parametrize(("ended", "told"), ENDS, ids=str)
def test_how_it_ended_is_its_stop_reason(
    proxy: httpx.Client, engine: Engine, ended: dict[str, Any], told: dict[str, Any]
) -> None:
    engine.scripts["n"] = replies({"content": "7"}, **ended)
    expected = {"stop_sequence": None, **told}
    answer = ask(proxy, stop_sequences=["END"])
    assert {name: answer[name] for name in expected} == expected
    assert stream(proxy, stop_sequences=["END"])[-2][1]["delta"] == expected
    assert engine.bodies("n")[0]["stop"] == ["END"]


def test_cached_tokens_are_counted_apart(proxy: httpx.Client, engine: Engine) -> None:
    used = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 8}}  # fmt: skip

    def cached(body: Any) -> JSONResponse:
        choice = {"index": 0, "message": {"role": "assistant", "content": "7"},
                  "finish_reason": "stop"}  # fmt: skip
        return JSONResponse({"id": "1", "choices": [choice], "usage": used})

    engine.scripts["n"] = cached
    counted = ask(proxy)["usage"]
    assert (counted["input_tokens"], counted["cache_read_input_tokens"]) == (2, 8)


# Requests ----------------------------------------------------------------------------------------


def test_blocks_become_messages(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = says("7")
    source = {"type": "base64", "media_type": "image/png", "data": "AA=="}
    plain = {"type": "text", "media_type": "text/plain", "data": "Sums."}
    ask(
        proxy,
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "Use tools."}],
        messages=[
            {"role": "user", "content": [
                {"type": "text", "text": "3+4?"}, {"type": "image", "source": source},
                {"type": "document", "source": plain, "title": "Notes"}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "add them", "signature": "x"},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 3}},
                {"type": "tool_use", "id": "c2", "name": "now", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "7"},
                {"type": "tool_result", "tool_use_id": "c2", "is_error": True,
                 "content": [{"type": "text", "text": "no clock"}]},
                {"type": "text", "text": "Well?"}]},
            {"role": "assistant", "content": "7"},
            {"role": "user", "content": [{"type": "text", "text": "And 5?"}]},
        ],
    )  # fmt: skip
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    calls = [
        {"id": each, "type": "function", "function": {"name": name, "arguments": arguments}}
        for each, name, arguments in (("c1", "add", '{"a":3}'), ("c2", "now", "{}"))
    ]
    notes = {"type": "text", "text": "Notes\nSums."}
    assert engine.bodies("n")[0]["messages"] == [
        {"role": "system", "content": "Be brief.\nUse tools."},
        {"role": "user", "content": [{"type": "text", "text": "3+4?"}, image, notes]},
        {"role": "assistant", "content": "Let me see.", "reasoning_content": "add them",
         "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "7"},
        {"role": "tool", "tool_call_id": "c2", "content": "Error: no clock"},
        {"role": "user", "content": "Well?"},
        {"role": "assistant", "content": "7"},
        {"role": "user", "content": "And 5?"},
    ]  # fmt: skip


def test_a_last_message_of_the_assistant_is_continued(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = says(" 7")
    ask(proxy, messages=[*ASK, {"role": "assistant", "content": "It is"}])
    body = engine.bodies("n")[0]
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)


WRONG: list[dict[str, Any]] = [
    {"messages": []}, {"messages": None}, {"messages": "x"}, {"messages": ["x"]},
    {"messages": [{"role": "tool", "content": "x"}]}, {"messages": [{"role": "user"}]},
    {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
    {"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "1"}]}]},
    {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file"}}]}]},
    {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
    {"messages": [{"role": "assistant", "content": [{"type": "server_tool_use"}]}]},
    {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "name": "f"}]}]},
    {"max_tokens": None}, {"max_tokens": 0}, {"max_tokens": True}, {"max_tokens": "9"},
    {"system": 3}, {"system": [{"type": "text"}]}, {"stop_sequences": "x"},
    {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, {"tools": [{}]},
    {"tools": "x"}, {"tools": [ADD_TOOL], "tool_choice": {"type": "x"}}, {"thinking": "x"},
    {"tools": [ADD_TOOL], "tool_choice": {"type": []}},
    {"container": "c"}, {"mcp_servers": [{}]}, {"context_management": {"edits": []}},
    {"output_config": {"format": {"type": "x"}}}, {"metadata": "x"},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_what_is_wrong_is_400_and_named(
    proxy: httpx.Client, engine: Engine, wrong: dict[str, Any]
) -> None:
    name = list(wrong)[-1]
    assert name in refused(proxy, **wrong)
    assert not engine.received


def test_each_field_has_its_meaning_in_the_chat(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = says("{}")
    schema = {"type": "object"}
    ask(
        proxy, temperature=0.5, top_p=0.9, top_k=5, metadata={"user_id": "me"},
        service_tier="auto", cache_control={"type": "ephemeral"},
        output_config={"effort": "low", "format": {"type": "json_schema", "schema": schema}},
    )  # fmt: skip
    [body] = engine.bodies("n")
    assert body == {
        "model": "n", "messages": ASK, "max_tokens": 50, "temperature": 0.5, "top_p": 0.9,
        "top_k": 5, "user": "me", "reasoning_effort": "low",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "output", "schema": schema, "strict": True},
        },
    }  # fmt: skip


def test_every_field_of_the_sdk_is_known_or_forwarded() -> None:
    """A field that the SDK adds later must be looked at: it may mean what a chat has not."""
    sdk = get_type_hints(message_create_params.MessageCreateParamsBase).keys()
    new = sdk - messages.FIELDS.keys() - {"temperature", "top_p", "top_k"}
    assert not new


# The SDK -----------------------------------------------------------------------------------------


@pytest.fixture
def client(proxy: httpx.Client) -> Iterator[anthropic.Anthropic]:
    base_url = str(proxy.base_url)
    with anthropic.Anthropic(base_url=base_url, api_key="none", max_retries=2) as client:
        yield client


@pytest.mark.parametrize("model", ["n", "vote3"])
def test_the_sdk_reads_whole_answers_and_streams(
    client: anthropic.Anthropic, engine: Engine, model: str
) -> None:
    for name in "nsur":
        engine.scripts[name] = replies({"reasoning_content": "3 plus 4"}, {"content": "7"})
    sent: Any = {"model": model, "max_tokens": 50, "messages": ASK}
    answer = client.messages.create(**sent)
    assert [block.type for block in answer.content] == ["thinking", "text"]
    told: Any = answer.model_extra
    assert told["input_time"]["strategy"] == ("none" if model == "n" else "similar")
    with client.messages.stream(**sent) as events:
        assert "".join(events.text_stream) == "7"
        final = events.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "text"]
    assert final.usage.input_tokens == (10 if model == "n" else 30)
    assert final.stop_reason == "end_turn"


def test_the_sdk_runs_a_tool(client: anthropic.Anthropic, engine: Engine) -> None:
    def first_calls(body: Any) -> Any:
        script: Script = says("7") if body["messages"][-1]["role"] == "tool" else calling(CALLS[0])
        return script(body)

    for name in "sur":
        engine.scripts[name] = first_calls
    talk, sent = [*ASK], {"model": "vote3", "max_tokens": 50, "tools": [ADD_TOOL]}
    create: Any = client.messages.create
    asked = create(messages=talk, **sent)
    [call] = asked.content
    assert call.input == {"a": 3, "b": 4}
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "7"}
    talk += [{"role": "assistant", "content": asked.content}, {"role": "user", "content": [result]}]
    assert create(messages=talk, **sent).content[0].text == "7"


def test_the_sdk_knows_the_errors(
    proxy: httpx.Client, client: anthropic.Anthropic, engine: Engine
) -> None:
    create: Any = client.messages.create
    sent: Any = {"max_tokens": 50, "messages": ASK}
    with pytest.raises(anthropic.NotFoundError, match="not_found_error"):
        create(model="gpt", **sent)
    with pytest.raises(anthropic.BadRequestError, match="invalid_request_error"):
        create(model="n", **sent, container="c")
    engine.scripts["s"] = engine.scripts["u"] = engine.scripts["r"] = says("")
    with pytest.raises(anthropic.InternalServerError, match="needs 2 of 3"):
        create(model="vote3", **sent)
    assert len(engine.received) == 3, "what was paid is not asked again"
    engine.scripts["n"] = fails(429, retry_after="0")
    with pytest.raises(anthropic.RateLimitError):
        client.with_options(max_retries=0).messages.create(model="n", **sent)
    broken = b'event: error\ndata: {"error": {"message": "out of memory"}}\n\n'
    engine.scripts["n"] = streams([CHUNKS[0], broken])
    with pytest.raises(anthropic.APIStatusError, match="out of memory"):
        list(create(model="n", stream=True, **sent))
    twice = client.with_options(base_url=f"{proxy.base_url}/v1")
    with pytest.raises(anthropic.NotFoundError, match="Set base_url to"):
        twice.messages.create(model="n", **sent)


def test_the_sdk_leaves_and_the_calls_end(client: anthropic.Anthropic, engine: Engine) -> None:
    for name in "sur":
        engine.scripts[name] = says_after(30, "7")
    hasty: Any = client.with_options(timeout=0.5, max_retries=0).messages
    with pytest.raises(anthropic.APITimeoutError):
        hasty.create(model="vote3", max_tokens=50, messages=ASK)
    wait_until(lambda: engine.left == 3)


def test_the_sdk_sends_its_key(
    start: Proxy, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ITS_TEST_KEY", "secret")
    proxy = start('[keys.me]\nsecret = "env:ITS_TEST_KEY"\n' + MEMBERS)
    engine.scripts["n"] = says("7")
    base_url = str(proxy.base_url)
    sent: Any = {"model": "n", "max_tokens": 50, "messages": ASK}
    keys: list[Any] = [{"api_key": "secret"}, {"auth_token": "secret"}]
    for key in keys:
        with anthropic.Anthropic(base_url=base_url, **key) as client:
            assert client.messages.create(**sent).stop_reason == "end_turn"
    with (
        anthropic.Anthropic(base_url=base_url, api_key="other") as client,
        pytest.raises(anthropic.AuthenticationError, match="x-api-key"),
    ):
        client.messages.create(**sent)


def test_tokens_are_counted_by_the_engine(client: anthropic.Anthropic, engine: Engine) -> None:
    engine.scripts["r"] = lambda body: JSONResponse({"tokens": [1, 2, 3], "count": 3})
    counted = client.messages.count_tokens(model="r", messages=ASK, system="Be brief.")
    assert counted.input_tokens == 3
    [received] = engine.received
    assert received.path == "/tokenize"
    assert received.body["messages"][1]["content"].endswith("\n\n3+4?"), "with its context"
    with pytest.raises(anthropic.BadRequestError, match="one of them: s, u, r"):
        client.messages.count_tokens(model="vote3", messages=ASK)
