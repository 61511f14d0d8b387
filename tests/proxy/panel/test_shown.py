"""The call that will be the answer is streamed as it comes, through OpenAI's SDK."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest
from starlette.responses import JSONResponse, Response, StreamingResponse

from its.methods import prompts
from tests.conftest import Proxy
from tests.proxy.asking import CHAT, wait_until
from tests.proxy.panel.methods import ASK, CASES, boxed, last
from tests.scripted import Body, Engine, Script, chunk, completion, fails, usage

WORDS = ["The ", "answer ", "is ", boxed(3)]


class Paced:
    """A member that writes its answer word by word, each when the test says so.

    It drafts and distils at once; `breaks` ends the stream after the first word.
    """

    def __init__(self, *, breaks: bool = False, prefix: str = "") -> None:
        self.go = asyncio.Event()
        self.breaks, self.prefix = breaks, prefix
        self.loop: asyncio.AbstractEventLoop | None = None

    def __call__(self, body: Body) -> Response:
        asked = last(body)
        written = prompts.SYNTHESIZE in asked or prompts.AGAIN in asked
        if not (written or body["messages"][-1]["role"] == "assistant"):
            return JSONResponse(completion("NOTED" if prompts.NOTES in asked else boxed(1)))
        if not body.get("stream"):
            return JSONResponse(completion("".join(WORDS)))
        return StreamingResponse(self._events(), media_type="text/event-stream")

    async def _events(self) -> AsyncIterator[bytes]:
        self.loop = asyncio.get_running_loop()
        for number, word in enumerate([self.prefix + WORDS[0], *WORDS[1:]]):
            yield chunk(delta={"content": word}, usage=usage(10, number + 1))
            if number == 0 and self.breaks:
                raise ConnectionError("the engine died")
            if number == 0:
                await self.go.wait()
        yield chunk(finish_reason="stop")
        yield b"data: [DONE]\n\n"

    def release(self) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.go.set)


def sdk(proxy: httpx.Client) -> Any:
    return openai.OpenAI(base_url=f"{proxy.base_url}/v1", api_key="none", max_retries=0)


def scripted(engine: Engine, name: str, writer: Script) -> None:
    case = CASES[name]
    engine.scripts.update(case.scripts)
    engine.scripts["n" if name in ("synthesize", "layers") else "s"] = writer


@pytest.mark.parametrize("name", ["synthesize", "refine", "layers"])
def test_the_last_call_is_streamed_live(start: Proxy, engine: Engine, name: str) -> None:
    """The first word is there while the engine has not written the second one."""
    paced = Paced()
    scripted(engine, name, paced)
    client = sdk(start(CASES[name].config(name)))
    asked = {"model": "p", "messages": ASK, "stream": True}
    stream = client.chat.completions.create(**asked, stream_options={"include_usage": True})
    said, roles, ends = [], [], []
    for event in stream:
        for choice in event.choices:
            said += [choice.delta.content] if choice.delta.content else []
            roles += [choice.delta.role] if choice.delta.role else []
            if said == WORDS[:1] and not paced.go.is_set():
                paced.release()
            ends += [(choice.finish_reason, event.input_time)] if choice.finish_reason else []
    assert (said, roles) == (WORDS, ["assistant"])
    [(reason, told)] = ends
    assert (reason, told["decided"]) == ("stop", None)
    assert event.usage.completion_tokens == sum(call["tokens"] for call in told["calls"])


@pytest.mark.parametrize("name", ["synthesize", "refine"])
def test_whole_and_streamed_answers_are_the_same(start: Proxy, engine: Engine, name: str) -> None:
    paced = Paced()
    scripted(engine, name, paced)
    proxy = start(CASES[name].config(name))
    whole = proxy.post(CHAT, json={"model": "p", "messages": ASK}).json()
    assert whole["choices"][0]["message"]["content"] == "".join(WORDS)
    wait_until(lambda: engine.running == 0)


def test_what_breaks_after_its_first_word_is_an_error(start: Proxy, engine: Engine) -> None:
    scripted(engine, "synthesize", Paced(breaks=True))
    proxy = start(CASES["synthesize"].config("synthesize"))
    text = proxy.post(CHAT, json={"model": "p", "messages": ASK, "stream": True}).text
    assert WORDS[0] in text
    assert "event: error" in text
    assert '"should_retry":false' in text
    assert "[DONE]" not in text
    assert boxed(1) not in text, "no other answer follows the broken one"


def test_what_fails_before_its_first_word_leaves_the_drafts(start: Proxy, engine: Engine) -> None:
    scripted(engine, "synthesize", fails(500))
    proxy = start(CASES["synthesize"].config("synthesize"))
    text = proxy.post(CHAT, json={"model": "p", "messages": ASK, "stream": True}).text
    assert json.dumps(boxed(1))[1:-1] in text
    assert text.endswith("data: [DONE]\n\n")


def test_the_deadline_after_the_first_word_is_an_error(start: Proxy, engine: Engine) -> None:
    scripted(engine, "synthesize", Paced())
    proxy = start(CASES["synthesize"].config("synthesize", "deadline_s = 1.0"))
    began = time.monotonic()
    text = proxy.post(CHAT, json={"model": "p", "messages": ASK, "stream": True}).text
    assert time.monotonic() - began < 10
    assert "event: error" in text
    assert '"code":"deadline"' in text
    wait_until(lambda: engine.running == 0)


def test_a_budget_spent_after_the_first_word_is_told_as_it_is(start: Proxy, engine: Engine) -> None:
    """Each draft has 15 tokens, and the writer has 11 with its first word."""
    scripted(engine, "synthesize", Paced())
    proxy = start(CASES["synthesize"].config("synthesize", "max_tokens_total = 55"))
    text = proxy.post(CHAT, json={"model": "p", "messages": ASK, "stream": True}).text
    assert WORDS[0] in text
    assert '"code":"budget_spent"' in text
    assert "cut its answer off" in text
    assert "no answer yet" not in text
    wait_until(lambda: engine.running == 0)


@pytest.mark.parametrize("echoes", [False, True])
def test_thoughts_are_shown_once_and_apart(start: Proxy, engine: Engine, echoes: bool) -> None:
    thought = "<think>\nsix times seven\n</think>\n\n"
    case = CASES["thinking_budget"]
    paced = Paced(prefix=thought if echoes else "")

    def script(body: Body) -> Response:
        prefix = body["messages"][-1]["content"]
        return paced(body) if "</think>" in prefix else case.scripts["n"](body)

    engine.scripts["n"] = script
    client = sdk(start(case.config("thinking_budget")))
    said: list[str] = []
    thoughts: list[str] = []
    for event in client.chat.completions.create(model="p", messages=ASK, stream=True):
        for choice in event.choices:
            told = choice.delta.model_dump()
            thoughts += [told["reasoning_content"]] if told.get("reasoning_content") else []
            said += [told["content"]] if told.get("content") else []
            if said and not paced.go.is_set():
                paced.release()
    assert (thoughts, "".join(said)) == (["six times seven"], "".join(WORDS))


def test_a_leaders_reasoning_comes_before(start: Proxy, engine: Engine) -> None:
    case = CASES["synthesize"]
    engine.scripts.update(case.scripts)
    thinks = [
        chunk(delta={"reasoning_content": "hm"}),
        chunk(delta={"content": boxed(1)}),
        chunk(finish_reason="stop"),
    ]
    engine.scripts["s"] = lambda _: StreamingResponse(iter(thinks), media_type="text/event-stream")
    writes = [
        chunk(delta={"reasoning_content": "again"}),
        chunk(delta={"content": boxed(3)}),
        chunk(finish_reason="stop"),
    ]
    engine.scripts["n"] = lambda _: StreamingResponse(iter(writes), media_type="text/event-stream")
    proxy = start(case.config("synthesize", 'stream_mode = "leader"'))
    text = proxy.post(CHAT, json={"model": "p", "messages": ASK, "stream": True}).text
    assert text.index('"hm"') < text.index(json.dumps(boxed(3)))
    assert "again" not in text, "one message has one reasoning"
