"""The other endpoints: an allow-list; what carries a question is composed, the rest untouched."""

import json
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from starlette.responses import JSONResponse

from its.personas.bank import load as load_bank
from proxy.api.endpoints import ENDPOINTS
from tests.conftest import MEMBERS, Proxy
from tests.proxy.asking import ASK, CHAT
from tests.scripted import Engine, page, streams

PASSED_ON = [path for path in ENDPOINTS if path != CHAT]
PERSONAS = {persona.text for persona in load_bank().personas}


def echo(body: Any) -> JSONResponse:
    return JSONResponse({"engine": True, "body": body})


def ask(proxy: httpx.Client, path: str, model: str = "r", **fields: Any) -> httpx.Response:
    return proxy.post(path, json={"model": model, **fields})


def test_a_prompt_is_a_question(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["r"] = echo
    answer = ask(proxy, "/v1/completions", prompt="3 and 4?", echo=True).json()
    persona, _, question = answer["body"]["prompt"].partition("\n\n")
    assert question == "3 and 4?"
    assert persona == answer["input_time"]["persona"]
    assert answer["body"]["echo"] is True
    chat = proxy.post(
        "/v1/input_time/compose",
        json={"model": "r", "messages": [{"role": "user", "content": "3 and 4?"}]},
    ).json()
    assert chat["input_time"]["persona"] == persona, "the same question, the same context"
    assert engine.received[0].path == "/v1/completions"


def test_each_prompt_of_a_list_has_its_own_context(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["r"] = echo
    prompts = [f"What is {n} and 4?" for n in range(8)]
    answer = ask(proxy, "/v1/completions", prompt=prompts).json()
    composed = [text.partition("\n\n") for text in answer["body"]["prompt"]]
    assert [question for _, _, question in composed] == prompts
    told = [context["persona"] for context in answer["input_time"]["prompts"]]
    assert told == [persona for persona, _, _ in composed]
    assert len(set(told)) > 1


@pytest.mark.parametrize("prompt", [[1, 2, 3], [[1, 2], [3]]])
def test_token_ids_are_untouched_and_marked(
    proxy: httpx.Client, engine: Engine, prompt: Any
) -> None:
    engine.scripts["r"] = echo
    answer = ask(proxy, "/v1/completions", prompt=prompt).json()
    assert answer["body"]["prompt"] == prompt
    assert answer["input_time"]["strategy"] == "tokens"


def test_too_many_prompts_are_400(start: Proxy, engine: Engine) -> None:
    proxy = start("[server]\nmax_messages = 3\n" + MEMBERS)
    engine.scripts["r"] = echo
    assert ask(proxy, "/v1/completions", prompt=["?"] * 3).status_code == 200
    answer = ask(proxy, "/v1/completions", prompt=["?"] * 4)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "prompt")


@pytest.mark.parametrize("door", ["input_ids", "lora_path", "custom_logit_processor"])
@pytest.mark.parametrize("path", PASSED_ON)
def test_no_endpoint_is_a_way_around_co_design(
    start: Proxy, engine: Engine, tmp_path: Path, path: str, door: str
) -> None:
    manifest = {"schema": 2, "base_model": "b", "train": {"strategy": "random"}}
    (tmp_path / "input_time.json").write_text(json.dumps(manifest), "utf-8")
    proxy = start(MEMBERS.replace('model = "r"\n', 'model = "r"\nmanifest = "input_time.json"\n'))
    engine.scripts["r"] = echo
    bare: dict[str, Any] = {"input": "?", "tokens": [1], "prompt": "?"}
    assert ask(proxy, path, **bare).status_code == 200
    answer = ask(proxy, path, **bare, **{door: "code"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "field_not_allowed")
    assert len(engine.received) == 1


@pytest.mark.parametrize("prompt", [None, [], 3, {"a": 1}])
def test_no_prompt_is_400(proxy: httpx.Client, engine: Engine, prompt: Any) -> None:
    answer = ask(proxy, "/v1/completions", prompt=prompt)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "prompt")


@pytest.mark.parametrize("path", ["/tokenize", "/v1/tokenize"])
def test_tokenize_sees_what_a_chat_would(proxy: httpx.Client, engine: Engine, path: str) -> None:
    engine.scripts["r"] = echo
    answer = ask(proxy, path, messages=ASK).json()
    composed = proxy.post("/v1/input_time/compose", json={"model": "r", "messages": ASK}).json()
    assert answer["body"]["messages"] == composed["messages"]
    assert engine.received[0].path == path
    assert ask(proxy, path, prompt="bare").json()["body"] == {"model": "r", "prompt": "bare"}


@pytest.mark.parametrize("root", ["", "/v1"])
@pytest.mark.parametrize("name", ["embeddings", "rerank", "score", "detokenize"])
def test_what_asks_nothing_is_untouched(
    proxy: httpx.Client, engine: Engine, root: str, name: str
) -> None:
    engine.scripts["r"] = lambda body: JSONResponse([body, 1.5])
    sent = {"model": "r", "input": "Who?", "query": "q", "tokens": [1, 2]}
    answer = proxy.post(f"{root}/{name}", json=sent)
    assert answer.json() == [sent, 1.5]
    assert engine.received[0].path == f"{root}/{name}"


def test_everything_else_is_404(proxy: httpx.Client, engine: Engine) -> None:
    for path in ("/generate", "/v1/files", "/chat/completions", "/completions", "/flush_cache"):
        assert proxy.post(path, json={"model": "r"}).status_code == 404, path
    for path in PASSED_ON:
        assert proxy.get(path).status_code == 405, path
        assert ask(proxy, path, model="gpt").status_code == 404, path
    assert engine.received == []


def test_a_panel_answers_no_other_endpoint(proxy: httpx.Client, engine: Engine) -> None:
    for path in ("/v1/embeddings", "/rerank", "/tokenize"):
        answer = ask(proxy, path, model="vote3", input="x")
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
    assert engine.received == []


def test_completions_streams_are_relayed(proxy: httpx.Client, engine: Engine) -> None:
    done = [b'data: {"choices":[{"text":"7","finish_reason":"stop"}]}\n\n', b"data: [DONE]\n\n"]
    engine.scripts["r"] = streams(done)
    answer = ask(proxy, "/v1/completions", prompt="3?", stream=True)
    assert answer.content == b"".join(done)
    assert answer.headers["x-input-time-strategy"] == "random"


def test_the_sdk_reads_streams_that_tell_their_context(proxy: httpx.Client, engine: Engine) -> None:
    client = openai.OpenAI(base_url=f"{proxy.base_url}/v1", api_key="none")
    told: Any = {"extra_body": {"input_time": {}}, "model": "r"}
    said = [b'data: {"id":"1","choices":[{"index":0,"text":"%s"}]}\n\n' % t for t in (b"4", b"2")]
    engine.scripts["r"] = streams([*said, b"data: [DONE]\n\n"])
    chunks = list(client.completions.create(prompt="3?", stream=True, **told))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "42"
    assert chunks[0].model_extra["input_time"]["strategy"] == "random"


def test_an_engine_that_sends_no_json_is_502(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["r"] = page
    answer = ask(proxy, "/v1/embeddings", input="x")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_protocol")


def test_a_literal_done_in_the_text_is_no_end(proxy: httpx.Client, engine: Engine) -> None:
    piece = {"choices": [{"index": 0, "delta": {"content": "\ndata: [DONE]"}}]}
    engine.scripts["n"] = streams([b"data: " + json.dumps(piece).encode() + b"\n\n"])
    sent = {"model": "n", "messages": ASK, "stream": True}
    content = proxy.post("/v1/chat/completions", json=sent).content
    assert content.split(b"\n\n")[1].startswith(b"event: error")


def test_a_stream_that_breaks_in_a_line_ends_it_first(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = streams([b'data: {"choices": [{"delta"'])
    sent = {"model": "n", "messages": ASK, "stream": True}
    content = proxy.post("/v1/chat/completions", json=sent).content
    assert b'{"delta"\n\nevent: error\n' in content


def test_an_empty_object_is_spliced(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["r"] = lambda _: JSONResponse({})
    assert list(ask(proxy, "/tokenize", messages=ASK).json()) == ["input_time"]
