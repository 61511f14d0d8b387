"""A panel votes on what models really reply: words, letters, JSON and tool calls."""

import json
from typing import Any

import httpx
import openai
import pytest
from starlette.responses import JSONResponse, Response, StreamingResponse

from tests.conftest import MEMBERS, Proxy, command
from tests.proxy.asking import ASK, CHAT
from tests.scripted import Body, Engine, Script, chunk, completion, says, speaks


def vote(proxy: httpx.Client, question: str = "q", **more: Any) -> tuple[Any, Any]:
    """Return the message that won, and `input_time`."""
    messages = [{"role": "user", "content": question}]
    answer = proxy.post(CHAT, json={"model": "vote3", "messages": messages, **more})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    decided = body["input_time"]["decided"]
    assert answer.headers["x-input-time-decided"] == str(decided).lower()
    return body["choices"][0]["message"], body["input_time"]


def script(engine: Engine, *texts: str) -> None:
    for name, text in zip("sur", texts, strict=True):
        engine.scripts[name] = says(text)


BARE = [
    (("Osaka", "Tokyo", "Tokyo."), "Tokyo", 2),
    (("41", "42", "The answer is 42."), "42", 2),
    (("No", "yes", "**Yes**."), "yes", 2),
    (("<think>a</think>\n\n7", "<think>b</think>\n8", "8"), "<think>b</think>\n8", 2),
]


@pytest.mark.parametrize(("texts", "winner", "votes"), BARE)
def test_bare_replies_are_votes(
    proxy: httpx.Client, engine: Engine, texts: tuple[str, ...], winner: str, votes: int
) -> None:
    script(engine, *texts)
    message, told = vote(proxy)
    assert message["content"] == winner
    assert (told["votes"][0]["votes"], told["decided"], told["abstained"]) == (votes, True, 0)


UNDECIDED = [
    ("Hello! How can I help?", "Hi! I have 3 tips:\n\n1. Sleep 8 hours.", "Good morning to you."),
    ("```sql\nSELECT 1\n```", "```sql\nSELECT * FROM t LIMIT 10;\n```", "```sql\nSELECT 2\n```"),
]


@pytest.mark.parametrize("texts", UNDECIDED)
def test_where_no_vote_took_place_the_first_reply_stands(
    proxy: httpx.Client, engine: Engine, texts: tuple[str, ...]
) -> None:
    script(engine, *texts)
    message, told = vote(proxy)
    assert message["content"] == texts[0]
    assert (told["decided"], told["agreement"], told["votes"]) == (False, 0, [])


def test_a_tie_and_a_single_answer_are_not_decided(proxy: httpx.Client, engine: Engine) -> None:
    script(engine, "1", "2", "3")
    assert vote(proxy)[1]["decided"] is False
    script(engine, "Hello there, my friend!", "Hi, nice to meet you!", "3")
    message, told = vote(proxy)
    assert (message["content"], told["decided"]) == ("3", False)


OPTIONS = "Which is a prime?\nA) 4\nB) 7\nC) 9"


def test_a_letter_and_its_option_are_one_answer(proxy: httpx.Client, engine: Engine) -> None:
    script(engine, "A", "B", "The answer is 7.")
    message, told = vote(proxy, OPTIONS)
    assert (message["content"], told["votes"][0]["answer"]) == ("B", "B")
    assert told["decided"] is True


SCHEMA = {"type": "json_schema", "json_schema": {"name": "label", "schema": {"type": "object"}}}


def test_json_objects_are_votes(start: Proxy, engine: Engine) -> None:
    texts = [
        '{"label": "ham", "sure": 0.9}',
        '{"label":"spam","sure":1}',
        '{"sure":1.0,"label":"spam"}',
    ]
    script(engine, *texts)
    message, told = vote(start(), response_format=SCHEMA)
    assert (message["content"], told["decided"]) == (texts[1], True)
    script(engine, '{"label": "ham"}', '{"label":"spam","sure":1}', '{"label":"spam","sure":2}')
    keyed = start(MEMBERS + 'json_keys = ["label"]\n')
    assert vote(keyed, response_format=SCHEMA)[1]["votes"][0]["votes"] == 2


def test_a_configured_kind_holds(start: Proxy, engine: Engine) -> None:
    script(engine, "Sentiment: negative", "positive", "Positive.")
    message, told = vote(start(MEMBERS + 'answers = "label"\n'))
    assert (message["content"], told["decided"]) == ("positive", True)
    script(engine, "a b", "A b", " a b\n")
    assert vote(start(MEMBERS + 'answers = "text"\n'))[0]["content"] == "a b"


# Tools --------------------------------------------------------------------------------------

TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


def calls(*made: tuple[str, str], numbered: bool = True) -> Script:
    """Return an engine's script that makes calls: name, and arguments as JSON."""
    tools = [
        {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, (name, arguments) in enumerate(made)
    ]

    def answer(body: Body) -> Response:
        if not body.get("stream"):
            message = {"role": "assistant", "content": None, "tool_calls": tools}
            return JSONResponse(completion(None, message=message, finish_reason="tool_calls"))
        pieces = []
        for n, tool in enumerate(tools):
            number = {"index": n} if numbered else {"index": None}
            function: dict[str, Any] = tool["function"]  # type: ignore[assignment]
            begun = {**tool, **number, "function": {**function, "arguments": ""}}
            pieces.append(chunk(delta={"tool_calls": [begun]}))
            for part in (function["arguments"][:4], function["arguments"][4:]):
                pieces.append(
                    chunk(delta={"tool_calls": [{**number, "function": {"arguments": part}}]})
                )
        pieces += [chunk(finish_reason="tool_calls"), b"data: [DONE]\n\n"]
        return StreamingResponse(iter(pieces), media_type="text/event-stream")

    return answer


PARIS = ("weather", '{"city": "Paris", "days": 2}')
SAME = ("weather", '{"days":2.0,"city":"Paris"}')
ROME = ("weather", '{"city": "Rome"}')


@pytest.mark.parametrize("early", ["", "early_stop = true\n"])
@pytest.mark.parametrize("numbered", [True, False])
def test_members_vote_on_tool_calls(
    start: Proxy, engine: Engine, early: str, numbered: bool
) -> None:
    proxy = start(MEMBERS.replace("early_stop = false\n", early or "early_stop = false\n"))
    engine.scripts["s"] = calls(ROME, numbered=numbered)
    engine.scripts["u"] = calls(PARIS, ROME, numbered=numbered)
    engine.scripts["r"] = calls(ROME, SAME, numbered=numbered)
    message, told = vote(proxy, tools=TOOLS)
    made = [(call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in message["tool_calls"]]  # fmt: skip
    assert sorted(made, key=str) == [("weather", {"city": "Paris", "days": 2}),
                                     ("weather", {"city": "Rome"})]  # fmt: skip
    assert (told["decided"], told["votes"][0]["votes"]) == (True, 2)
    assert all("index" not in call for call in message["tool_calls"])


def test_a_reply_without_a_call_is_a_text(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["s"] = calls(ROME)
    engine.scripts["u"] = engine.scripts["r"] = says("I need the city.")
    message, told = vote(proxy, tools=TOOLS)
    assert (message["content"], told["decided"]) == ("I need the city.", True)


def test_the_sdk_reads_a_streamed_call(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["s"] = calls(ROME)
    engine.scripts["u"] = engine.scripts["r"] = calls(PARIS)
    client: Any = openai.OpenAI(base_url=f"{proxy.base_url}/v1", api_key="none", max_retries=0)
    stream = client.chat.completions.create(model="vote3", messages=ASK, tools=TOOLS, stream=True)
    pieces = [choice.delta for event in stream for choice in event.choices]
    (call,) = [call for delta in pieces for call in delta.tool_calls or ()]
    assert (call.index, call.function.name, call.function.arguments) == (0, *PARIS)


# Configuration ------------------------------------------------------------------------------

WRONG = [
    ('answers = "maths"', "panels.vote3.answers", "math"),
    ('answers = "math"\njson_keys = ["a"]', "panels.vote3.json_keys", "json"),
]


@pytest.mark.parametrize(("line", "key", "remedy"), WRONG)
def test_a_wrong_kind_is_told(tmp_path: Any, line: str, key: str, remedy: str) -> None:
    file = tmp_path / "panels.toml"
    text = MEMBERS.replace("{engine}", "http://127.0.0.1:9")
    file.write_text(f"{text}{line}\n", "utf-8")
    ended = command("proxy", "check", "--config", file)
    assert ended.returncode == 2
    assert key in ended.stderr
    assert remedy in ended.stderr


def test_words_of_a_stream_are_votes(start: Proxy, engine: Engine) -> None:
    proxy = start(MEMBERS.replace("early_stop = false\n", ""))
    engine.scripts["s"] = speaks("Ky", "oto")
    engine.scripts["u"] = engine.scripts["r"] = speaks("To", "kyo")
    assert vote(proxy)[0]["content"] == "Tokyo"
