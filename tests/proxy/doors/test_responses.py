"""OpenAI's Responses API: what becomes of each item and field, and the order of the events."""

import json
from collections.abc import Iterator
from typing import Any, get_type_hints

import httpx
import openai
import pytest
from openai.types.responses import response_create_params
from openai.types.responses.response import Response

from proxy.doors import responses
from proxy.doors.kept import Kept
from tests.conftest import MEMBERS, Proxy
from tests.proxy.doors.shapes import ADD, CALLS, RESPONSES, calling, events_of, replies
from tests.scripted import CHUNKS, Engine, says, speaks, streams

ADD_TOOL = {"type": "function", "name": "add", "description": "Adds.", "parameters": ADD,
            "strict": True}  # fmt: skip


def ask(proxy: httpx.Client, model: str = "n", **fields: Any) -> Any:
    answer = proxy.post(RESPONSES, json={"model": model, "input": "3+4?", **fields})
    assert answer.status_code == 200, answer.text
    Response.model_validate(answer.json(), strict=False)
    return answer.json()


def stream(proxy: httpx.Client, model: str = "n", **fields: Any) -> list[tuple[str, Any]]:
    sent = {"model": model, "input": "3+4?", "stream": True, **fields}
    events = events_of(proxy.post(RESPONSES, json=sent).text)
    assert [name for name, _ in events] == [body["type"] for _, body in events]
    assert [body["sequence_number"] for _, body in events] == list(range(len(events)))
    return events


def refused(proxy: httpx.Client, **fields: Any) -> Any:
    answer = proxy.post(RESPONSES, json={"model": "n", "input": "3+4?", **fields})
    assert answer.status_code == 400, answer.text
    return answer.json()["error"]


# Answers -----------------------------------------------------------------------------------------


TEXT_EVENTS = [
    "response.created", "response.in_progress", "response.output_item.added",
    "response.content_part.added", "response.output_text.delta", "response.output_text.delta",
    "response.output_text.done", "response.content_part.done", "response.output_item.done",
    "response.completed",
]  # fmt: skip


def test_the_events_of_a_text_come_in_openais_order(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = speaks("so ", "7")
    events = stream(proxy)
    assert [name for name, _ in events] == TEXT_EVENTS
    created, completed = events[0][1]["response"], events[-1][1]["response"]
    assert (created["status"], created["output"]) == ("in_progress", [])
    assert completed["id"] == created["id"]
    [item] = completed["output"]
    assert item == events[-2][1]["item"]
    assert item["content"][0] == {
        "type": "output_text", "text": "so 7", "annotations": [], "logprobs": [],
    }  # fmt: skip
    assert {body["item_id"] for _, body in events if "item_id" in body} == {item["id"]}
    assert completed["usage"]["total_tokens"] == 12
    assert [body["delta"] for name, body in events if name.endswith("delta")] == ["so ", "7"]


THINKS = ({"reasoning_content": "3 plus "}, {"reasoning_content": "4"}, {"content": "7"})


@pytest.mark.parametrize("wanted", [None, "auto"])
def test_reasoning_is_an_item_of_its_own(
    proxy: httpx.Client, engine: Engine, wanted: str | None
) -> None:
    engine.scripts["n"] = replies(*THINKS)
    asked: dict[str, Any] = {"reasoning": {"summary": wanted, "effort": "low"}}
    part, text = ("content_part", "reasoning_text")
    if wanted:
        part, text = ("reasoning_summary_part", "reasoning_summary_text")
    thought, said = ask(proxy, **asked)["output"]
    assert engine.bodies("n")[0]["reasoning_effort"] == "low"
    kind = "summary_text" if wanted else "reasoning_text"
    shown = [{"type": kind, "text": "3 plus 4"}]
    assert thought["summary" if wanted else "content"] == shown
    assert said["content"][0]["text"] == "7"
    events = stream(proxy, **asked)
    assert [name.removeprefix("response.") for name, _ in events[2:10]] == [
        "output_item.added", f"{part}.added", f"{text}.delta", f"{text}.delta", f"{text}.done",
        f"{part}.done", "output_item.done", "output_item.added",
    ]  # fmt: skip
    assert [body["output_index"] for _, body in events[2:-1]] == [0] * 7 + [1] * 6
    assert [item["type"] for item in events[-1][1]["response"]["output"]] == [
        "reasoning", "message",
    ]  # fmt: skip


def test_tool_calls_are_items(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = calling(*CALLS)
    answer = ask(proxy, tools=[ADD_TOOL], tool_choice={"type": "function", "name": "add"})
    assert answer["status"] == "completed"
    assert [(each["type"], each["call_id"], each["name"], each["arguments"])
            for each in answer["output"]] == [
        ("function_call", "call_1", "add", '{"a": 3, "b": 4}'),
        ("function_call", "call_2", "now", "{}"),
    ]  # fmt: skip
    body = engine.bodies("n")[0]
    assert body["tools"] == [
        {"type": "function", "function": {name: value for name, value in ADD_TOOL.items()
                                          if name != "type"}}
    ]  # fmt: skip
    assert body["tool_choice"] == {"type": "function", "function": {"name": "add"}}
    assert answer["tools"] == [ADD_TOOL], "they come back as the client wrote them"
    events = stream(proxy, tools=[ADD_TOOL])
    assert [name.removeprefix("response.") for name, _ in events[2:]] == [
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.delta",
        "function_call_arguments.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done",
        "output_item.done", "completed",
    ]  # fmt: skip
    streamed = events[-1][1]["response"]["output"]
    assert [each["arguments"] for each in streamed] == ['{"a": 3, "b": 4}', "{}"]


def test_a_panel_votes_on_calls(proxy: httpx.Client, engine: Engine) -> None:
    for name in "sur":
        engine.scripts[name] = calling(CALLS[0])
    [call] = ask(proxy, "vote3", tools=[ADD_TOOL])["output"]
    assert (call["type"], call["arguments"]) == ("function_call", '{"a": 3, "b": 4}')
    events = stream(proxy, "vote3", tools=[ADD_TOOL])
    assert events[-1][1]["response"]["input_time"]["votes"][0]["votes"] == 3


MIXED: list[dict[str, Any]] = [
    {"content": "first "}, {"reasoning_content": "hm"}, {"content": "then"},
    {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}]},
    {"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "[1"}}]},
    {"content": "late"},
    {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]},
    {"tool_calls": [{"index": 1, "function": {"arguments": "]"}}]},
]  # fmt: skip


def test_pieces_in_any_order_are_whole_items(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = replies(*MIXED, finish="tool_calls")
    events = stream(proxy)
    output = events[-1][1]["response"]["output"]
    assert [item["type"] for item in output] == [
        "message", "reasoning", "message", "function_call", "function_call", "message",
    ]  # fmt: skip
    assert [item["arguments"] for item in output[3:5]] == ["{}", "[1]"]
    said: dict[int, str] = {}
    for name, body in events:
        if name.endswith("delta"):
            said[body["output_index"]] = said.get(body["output_index"], "") + body["delta"]
    assert list(said.values()) == ["first ", "hm", "then", "{}", "[1]", "late"]
    opened = [body["output_index"] for name, body in events if name.endswith("item.added")]
    closed = [body["output_index"] for name, body in events if name.endswith("item.done")]
    assert opened == closed == list(range(6))


def test_calls_without_numbers_or_ids_are_told_apart(proxy: httpx.Client, engine: Engine) -> None:
    pieces = [{"id": "a", "function": {"name": "f", "arguments": "{"}},
              {"function": {"arguments": "}"}},
              {"id": "b", "function": {"name": "g", "arguments": {"x": 1}}}]  # fmt: skip
    engine.scripts["n"] = replies(*({"tool_calls": [piece]} for piece in pieces))
    output = stream(proxy)[-1][1]["response"]["output"]
    assert [(each["name"], each["arguments"]) for each in output] == [("f", "{}"), ("g", '{"x":1}')]
    nameless = [{"index": 0, "function": {"arguments": "{}"}}]
    engine.scripts["n"] = replies({"tool_calls": nameless})
    [call] = stream(proxy)[-1][1]["response"]["output"]
    assert call["call_id"]


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [("stop", "completed", None), ("tool_calls", "completed", None),
     ("length", "incomplete", "max_output_tokens"),
     ("content_filter", "incomplete", "content_filter"), ("abort", "failed", None)],
)  # fmt: skip
def test_how_it_ended_is_its_status(
    proxy: httpx.Client, engine: Engine, finish: str, status: str, reason: str | None
) -> None:
    engine.scripts["n"] = replies({"content": "7"}, finish=finish)
    answer = ask(proxy)
    assert answer["status"] == status
    assert (answer["incomplete_details"] or {}).get("reason") == reason
    assert bool(answer["error"]) is (status == "failed")
    name, body = stream(proxy)[-1]
    assert name == f"response.{status}"
    assert body["response"]["output"][0]["status"] == (
        "completed" if status == "completed" else "incomplete"
    )


def test_a_refusal_and_logprobs(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = replies({"refusal": "I can't."})
    assert ask(proxy)["output"][0]["content"] == [{"type": "refusal", "refusal": "I can't."}]
    assert "response.refusal.done" in [name for name, _ in stream(proxy)]
    token = {"token": "7", "logprob": -0.1, "bytes": [55], "top_logprobs": []}
    engine.scripts["n"] = says("7", logprobs={"content": [token]})
    answer = ask(proxy, include=["message.output_text.logprobs"], top_logprobs=2)
    assert answer["output"][0]["content"][0]["logprobs"] == [token]
    body = engine.bodies("n")[-1]
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)


def test_a_panel_that_abstains_says_nothing(start: Proxy, engine: Engine) -> None:
    proxy = start(MEMBERS + '[panels.vote3.options]\nthreshold = 0.9\nbelow = "abstain"\n')
    for name, text in zip("sur", "123", strict=True):
        engine.scripts[name] = says(rf"\boxed{{{text}}}")
    answer = ask(proxy, "vote3")
    assert answer["output"][0]["content"][0]["text"] == ""
    assert answer["input_time"]["withheld"] is True


# Requests ----------------------------------------------------------------------------------------


def test_items_become_messages(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = says("7")
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}
    ask(
        proxy,
        instructions="Be brief.",
        input=[
            {"role": "developer", "content": "Use tools."},
            {"role": "user", "content": [{"type": "input_text", "text": "3+4?"}, image]},
            {"type": "reasoning", "id": "rs_1", "summary": [],
             "content": [{"type": "reasoning_text", "text": "add them"}]},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": "Let me see.", "annotations": []}]},
            {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"},
            {"type": "function_call", "call_id": "c2", "name": "now", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "7"},
            {"type": "function_call_output", "call_id": "c2",
             "output": [{"type": "input_text", "text": "noon"}]},
            {"role": "assistant", "content": "7"},
            {"role": "user", "content": "And 5?"},
        ],
    )  # fmt: skip
    calls = [{"id": each, "type": "function", "function": {"name": name, "arguments": "{}"}}
             for each, name in (("c1", "add"), ("c2", "now"))]  # fmt: skip
    shown = {"type": "image_url", "image_url": {"url": image["image_url"], "detail": "low"}}
    assert engine.bodies("n")[0]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": "Use tools."},
        {"role": "user", "content": [{"type": "text", "text": "3+4?"}, shown]},
        {"role": "assistant", "reasoning_content": "add them", "content": "Let me see.",
         "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "7"},
        {"role": "tool", "tool_call_id": "c2", "content": "noon"},
        {"role": "assistant", "content": "7"},
        {"role": "user", "content": "And 5?"},
    ]  # fmt: skip


BAD_ITEMS: list[Any] = [
    {"type": "web_search_call", "id": "1"}, {"type": "compaction", "encrypted_content": "x"},
    {"type": ["message"], "role": "user", "content": "x"}, {"type": "message", "content": "x"},
    {"role": "tool", "content": "x"}, {"role": "user"}, {"role": "user", "content": 3},
    {"role": "user", "content": ["x"]}, {"role": "user", "content": [{"type": "input_text"}]},
    {"role": "user", "content": [{"type": "input_file", "file_id": "f"}]},
    {"type": "function_call", "call_id": "c", "name": "f"},
    {"type": "function_call_output", "output": "x"},
    {"type": "function_call_output", "call_id": "c", "output": "o", "role": "user"},
    {"type": "reasoning", "summary": [], "role": "user", "content": "x"},
    {"id": "msg_1"}, {"type": "item_reference", "id": "msg_1"}, {"type": "item_reference"},
    {"id": 3}, {}, {"role": [], "content": "x"}, {"type": "reasoning", "summary": 3},
    {"type": "reasoning", "content": "x"},
]  # fmt: skip


@pytest.mark.parametrize("item", BAD_ITEMS, ids=str)
def test_an_item_of_the_wrong_shape_is_400(proxy: httpx.Client, engine: Engine, item: Any) -> None:
    question = {"role": "user", "content": "3+4?"}
    for number, items in enumerate(([item, question], [question, item])):
        assert refused(proxy, input=items)["param"].startswith(f"input[{number}]")
    assert not engine.received


@pytest.mark.parametrize("given", [None, [], 3, {"a": 1}, ["x"], [None]], ids=str)
def test_no_input_is_400(proxy: httpx.Client, engine: Engine, given: Any) -> None:
    assert refused(proxy, input=given)["param"] == "input"
    assert not engine.received


REFUSED: list[dict[str, Any]] = [
    {"background": True}, {"conversation": "c"}, {"prompt": {"id": "p"}}, {"truncation": "auto"},
    {"context_management": [{"type": "compaction"}]}, {"previous_response_id": "resp_1"},
    {"previous_response_id": 3}, {"tools": [{"type": "web_search"}]}, {"tools": "x"},
    {"tool_choice": {"type": "mcp"}}, {"text": "x"}, {"text": {"format": "json"}},
    {"reasoning": "low"}, {"include": "x"}, {"n": 2}, {"instructions": 3},
    {"include": 3, "top_logprobs": 1},
]  # fmt: skip


@pytest.mark.parametrize("wrong", REFUSED, ids=str)
def test_what_the_proxy_does_not_do_is_400(
    proxy: httpx.Client, engine: Engine, wrong: dict[str, Any]
) -> None:
    name = next(iter(wrong))
    assert name in f"{refused(proxy, **wrong)['param']} {refused(proxy, **wrong)['message']}"
    assert not engine.received


def test_each_field_has_its_meaning_in_the_chat(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = says('{"x": 7}')
    schema = {"type": "json_schema", "name": "answer", "schema": {"type": "object"}, "strict": True}
    now = {"type": "function", "name": "now", "parameters": None}
    answer = ask(
        proxy, max_output_tokens=9, text={"format": schema, "verbosity": "low"},
        tools=[ADD_TOOL, now], parallel_tool_calls=False, metadata={"a": "b"}, user="me",
        tool_choice={"type": "allowed_tools", "mode": "required",
                     "tools": [{"type": "function", "name": "now"}]},
    )  # fmt: skip
    body = engine.bodies("n")[0]
    assert body["max_tokens"] == 9
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
    }
    assert body["tools"] == [{"type": "function", "function": {"name": "now"}}]
    assert (body["tool_choice"], body["verbosity"], body["user"]) == ("required", "low", "me")
    assert body["parallel_tool_calls"] is False
    assert answer["metadata"] == {"a": "b"}
    assert answer["text"]["format"] == schema
    assert {"text", "metadata", "max_output_tokens", "input", "include", "store"}.isdisjoint(body)


def test_every_field_of_the_sdk_is_known_or_forwarded() -> None:
    """A field that the SDK adds later must be looked at: it may mean what a chat has not."""
    sdk = get_type_hints(response_create_params.ResponseCreateParamsBase).keys()
    forwarded = {
        "parallel_tool_calls", "prompt_cache_key", "prompt_cache_retention", "safety_identifier",
        "service_tier", "temperature", "top_p", "user", "prompt_cache_options",
    }  # fmt: skip
    new = sdk - responses.FIELDS.keys() - forwarded
    assert new <= {"access_programs", "background_options", "image"}, new


# What is kept ------------------------------------------------------------------------------------


def test_a_response_may_be_continued(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["r"] = speaks("7")
    first = ask(proxy, "r")
    second = ask(proxy, "r", input="And 5?", previous_response_id=first["id"])
    assert second["previous_response_id"] == first["id"]
    third = ask(proxy, "r", input="And 6?", previous_response_id=second["id"])
    messages = engine.bodies("r")[-1]["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2 + ["user"]
    opening = engine.bodies("r")[0]["messages"][0]
    assert messages[0] == opening, "the first question has its context, as before"
    assert messages[-1]["content"] == "And 6?"
    assert third["input_time"]["persona"] == first["input_time"]["persona"]
    streamed = stream(proxy, "r", previous_response_id=third["id"])[-1][1]["response"]
    assert ask(proxy, "r", previous_response_id=streamed["id"])["status"] == "completed"


def test_an_item_may_be_referred_to(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = calling(CALLS[0])
    [call] = ask(proxy, tools=[ADD_TOOL])["output"]
    engine.scripts["n"] = says("7")
    output = {"type": "function_call_output", "call_id": "call_1", "output": "7"}
    for reference in ({"type": "item_reference", "id": call["id"]}, {"id": call["id"]}):
        ask(proxy, input=[{"role": "user", "content": "3+4?"}, reference, output])
        messages = engine.bodies("n")[-1]["messages"]
        assert messages[1]["tool_calls"][0]["function"]["arguments"] == '{"a": 3, "b": 4}'


def test_what_is_not_stored_is_not_known(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = says("7")
    answer = ask(proxy, store=False)
    error = refused(proxy, previous_response_id=answer["id"])
    assert error["code"] == "previous_response_not_found"
    reference = {"type": "item_reference", "id": answer["output"][0]["id"]}
    assert refused(proxy, input=[reference])["code"] == "item_not_found"
    engine.scripts["n"] = replies({"content": "7"}, finish="abort")
    failed = ask(proxy)
    assert refused(proxy, previous_response_id=failed["id"])


def test_reasoning_comes_back_from_clients_that_store_nothing(
    proxy: httpx.Client, engine: Engine
) -> None:
    engine.scripts["n"] = replies(*THINKS)
    asked: dict[str, Any] = {"store": False, "include": ["reasoning.encrypted_content"]}
    thought, said = ask(proxy, **asked)["output"]
    bare = {"type": "reasoning", "summary": [], "encrypted_content": thought["encrypted_content"]}
    question = {"role": "user", "content": "3+4?"}
    ask(proxy, input=[question, bare, said, question], **asked)
    assert engine.bodies("n")[-1]["messages"][1] == {
        "role": "assistant", "reasoning_content": "3 plus 4", "content": "7",
    }  # fmt: skip
    others = {**bare, "encrypted_content": "gAAAAA"}
    ask(proxy, input=[question, others, said, question], **asked)
    assert engine.bodies("n")[-1]["messages"][1] == {"role": "assistant", "content": "7"}


def test_another_keys_response_is_unknown(
    start: Proxy, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ""
    for name in ("ann", "bob"):
        monkeypatch.setenv(f"ITS_TEST_{name}", f"secret-{name}")
        keys += f'[keys.{name}]\nsecret = "env:ITS_TEST_{name}"\n'
    proxy = start(MEMBERS + keys)
    engine.scripts["n"] = says("7")
    proxy.headers["authorization"] = "Bearer secret-ann"
    answer = ask(proxy)
    reference = {"type": "item_reference", "id": answer["output"][0]["id"]}
    proxy.headers["authorization"] = "Bearer secret-bob"
    refused(proxy, previous_response_id=answer["id"])
    refused(proxy, input=[reference])
    proxy.headers["authorization"] = "Bearer secret-ann"
    ask(proxy, previous_response_id=answer["id"])


def test_what_is_kept_is_bounded() -> None:
    kept = Kept(most_bytes=20_000)
    earlier = None
    for number in range(100):
        output = [{"id": f"msg_{number}", "content": "x" * 500}]
        asked = [{"role": "user", "content": str(number)}]
        kept.keep("me", {"id": f"resp_{number}", "output": output}, asked, earlier)
        earlier = f"resp_{number}" if number % 5 else None
    assert kept._size <= 20_000
    assert kept.item("me", "msg_0") is None
    assert kept.conversation("me", "resp_0") is None
    assert kept.item("me", "msg_99") == {"id": "msg_99", "content": "x" * 500}
    whole = kept.conversation("me", "resp_99")
    assert whole is not None
    assert [item.get("content") for item in whole[-2:]] == ["99", "x" * 500]
    assert kept.conversation("you", "resp_99") is None


# The SDK -----------------------------------------------------------------------------------------


@pytest.fixture
def client(proxy: httpx.Client) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{proxy.base_url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_the_sdk_streams_and_parses(client: openai.OpenAI, engine: Engine) -> None:
    engine.scripts["n"] = replies(*THINKS)
    with client.responses.stream(model="n", input="3+4?") as events:
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        final = events.get_final_response()
    assert "".join(deltas) == final.output_text == "7"
    assert final.usage is not None
    assert final.usage.input_tokens == 10
    engine.scripts["n"] = says(json.dumps({"a": 3, "b": 4}))
    answer = client.responses.create(model="n", input="3+4?")
    assert answer.output_text == '{"a": 3, "b": 4}'
    told: Any = answer.model_extra
    assert told["input_time"]["strategy"] == "none"


def test_the_sdk_raises_where_a_stream_breaks(client: openai.OpenAI, engine: Engine) -> None:
    broken = b'event: error\ndata: {"error": {"message": "out of memory"}}\n\n'
    engine.scripts["n"] = streams([CHUNKS[0], broken])
    stream_: Any = client.responses.create(model="n", input="3+4?", stream=True)
    with pytest.raises(openai.APIError, match="out of memory"):
        list(stream_)


def test_a_few_bytes_recall_no_more_than_a_limit(
    proxy: httpx.Client, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.scripts["n"] = says("word " * 1000)
    answer = ask(proxy)
    monkeypatch.setattr("proxy.doors.responses.MOST_RECALLED", 20_000)
    monkeypatch.setattr("proxy.doors.kept.MOST_RECALLED", 20_000)
    reference = {"type": "item_reference", "id": answer["output"][0]["id"]}
    question = {"role": "user", "content": "Well?"}
    ask(proxy, input=[reference, question])
    before = len(engine.received)
    again = proxy.post("/v1/responses", json={"model": "n", "input": [*[reference] * 10, question]})
    assert again.status_code == 413
    assert "more than 20,000 bytes" in again.json()["error"]["message"]
    assert len(engine.received) == before
