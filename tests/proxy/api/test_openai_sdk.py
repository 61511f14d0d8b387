"""The openai package is the client that users bring: nothing of its own may break."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

from its.personas import bank
from tests.scripted import CHUNKS, Engine, fails, says, streams

ASK: list[ChatCompletionMessageParam] = [{"role": "user", "content": "How many are 3 and 4?"}]


def told(answer: ChatCompletion) -> dict[str, Any]:
    """Return what the proxy says it did."""
    found: dict[str, Any] = (answer.model_extra or {})["input_time"]
    return found


@pytest.fixture
def client(proxy: httpx.Client) -> Iterator[openai.OpenAI]:
    base_url = str(proxy.base_url) + "/v1"
    with openai.OpenAI(base_url=base_url, api_key="none", max_retries=2) as client:
        yield client


def test_a_member(client: openai.OpenAI, engine: Engine) -> None:
    engine.scripts["s"] = says("7")
    answer = client.chat.completions.create(model="s", messages=ASK)
    assert answer.choices[0].message.content == "7"
    assert told(answer)["strategy"] == "similar"
    personas = {persona.text for persona in bank.load().personas}
    assert told(answer)["persona"] in personas


def test_a_members_stream(client: openai.OpenAI, engine: Engine) -> None:
    engine.scripts["s"] = streams(CHUNKS)
    with client.chat.completions.stream(
        model="s",
        messages=ASK,
        extra_body={"input_time": {}},
    ) as stream:
        final = stream.get_final_completion()
    assert final.id == "engine-1"
    assert final.choices[0].message.content == "42"
    assert final.choices[0].message.role == "assistant"
    assert told(final)["strategy"] == "similar"


def test_a_panel(client: openai.OpenAI, engine: Engine) -> None:
    for model, text in {"s": r"\boxed{1}", "u": r"\boxed{2}", "r": r"\boxed{2}"}.items():
        engine.scripts[model] = says(text)
    extra = {"input_time": {"return_ballots": True, "seed": 5}}
    answer = client.chat.completions.create(model="vote3", messages=ASK, extra_body=extra)
    assert answer.model == "vote3"
    assert told(answer)["winner"] == "u"
    assert [ballot["answer"] for ballot in told(answer)["ballots"]] == ["1", "2", "2"]


def test_a_panels_stream(client: openai.OpenAI, engine: Engine) -> None:
    for model in ("s", "u", "r"):
        engine.scripts[model] = says(r"so \boxed{2}")
    with client.chat.completions.stream(
        model="vote3",
        messages=ASK,
        stream_options={"include_usage": True},
    ) as stream:
        seen = [event.chunk for event in stream if event.type == "chunk"]
        final = stream.get_final_completion()
    assert final.choices[0].message.content == r"so \boxed{2}"
    assert final.choices[0].message.role == "assistant"
    assert final.choices[0].finish_reason == "stop"
    assert final.usage is not None
    assert final.usage.total_tokens == 45
    [verdict] = [chunk.model_extra for chunk in seen if (chunk.model_extra or {}).get("input_time")]
    assert verdict is not None
    assert verdict["input_time"]["agreement"] == 1


def test_models(client: openai.OpenAI) -> None:
    cards = {card.id: card.model_extra or {} for card in client.models.list()}
    assert list(cards) == ["n", "s", "u", "r", "vote3"]
    assert cards["s"]["input_time"]["strategy"] == "similar"
    assert cards["vote3"]["input_time"]["kind"] == "panel"
    assert client.models.retrieve("vote3").id == "vote3"


def test_an_unknown_model(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-17", messages=ASK)
    assert caught.value.code == "model_not_found"


def test_a_paid_failure_is_not_repeated(client: openai.OpenAI, engine: Engine) -> None:
    engine.scripts["s"] = says(r"\boxed{1}")
    engine.scripts["u"] = engine.scripts["r"] = fails(500)
    with pytest.raises(openai.InternalServerError, match="needs 2 of 3"):
        client.chat.completions.create(model="vote3", messages=ASK)
    assert len(engine.received) == 3


def test_asynchronous(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = says("7")

    async def ask() -> str | None:
        base_url = str(proxy.base_url) + "/v1"
        async with openai.AsyncOpenAI(base_url=base_url, api_key="none") as client:
            answers = await asyncio.gather(
                *(client.chat.completions.create(model="n", messages=ASK) for _ in range(20))
            )
        assert len(answers) == 20
        content: str | None = answers[0].choices[0].message.content
        return content

    assert asyncio.run(ask()) == "7"
