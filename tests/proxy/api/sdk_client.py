"""Run by an interpreter with one version of the openai package: what a user of it would do.

`python sdk_client.py BASE_URL`; prints one JSON object of what each way of asking returned.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import openai

ASK: Any = [{"role": "user", "content": "How many are 3 and 4?"}]
BALLOTS = {"input_time": {"return_ballots": True, "seed": 5}}


def kind(call: Callable[[], Any]) -> list[Any]:
    """Return the error that `call` raises: its class and status."""
    try:
        call()
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code]
    except openai.APIError as error:
        return [type(error).__name__, None]
    return ["nothing", None]


def read(stream: Any) -> dict[str, Any]:
    text, usage, told, finish = "", None, None, None
    for chunk in stream:
        usage = chunk.usage or usage
        told = (chunk.model_extra or {}).get("input_time", told)
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    total = usage.total_tokens if usage else None
    return {"text": text, "total": total, "told": told is not None, "finish": finish}


def main(base_url: str) -> dict[str, Any]:
    client = openai.OpenAI(base_url=base_url, api_key="none", max_retries=2)
    create: Any = client.chat.completions.create
    found: dict[str, Any] = {"version": openai.__version__}
    answer = create(model="s", messages=ASK)
    found["member"] = answer.choices[0].message.content
    answer = create(model="vote3", messages=ASK, extra_body=BALLOTS)
    found["ballots"] = len(answer.model_extra["input_time"]["ballots"])
    found["stream"] = read(create(model="t", messages=ASK, stream=True))
    usage = {"include_usage": True}
    found["panel stream"] = read(
        create(model="vote3", messages=ASK, stream=True, stream_options=usage)
    )
    raw: Any = client.chat.completions.with_raw_response
    response = raw.create(model="s", messages=ASK)
    found["header"] = response.headers["x-input-time-strategy"]
    found["raw"] = response.parse().choices[0].message.content
    found["models"] = [model.id for model in client.models.list()][:2]
    hasty: Any = client.with_options(timeout=0.3, max_retries=0).chat.completions
    found["timeout"] = kind(lambda: hasty.create(model="slow", messages=ASK))
    found["retried"] = create(model="flaky", messages=ASK).choices[0].message.content
    found["bad"] = kind(lambda: create(model="s", messages=[]))
    found["unknown"] = kind(lambda: create(model="gpt", messages=ASK))
    found["broken"] = kind(lambda: read(create(model="cut", messages=ASK, stream=True)))
    found["paid"] = kind(lambda: create(model="vote0", messages=ASK))
    completion: Any = client.completions.create(model="t", prompt="3 and 4?")
    found["completion"] = completion.choices[0].text
    found["responses"] = [respond(client, model) for model in ("t", "vote3")]
    found["async"] = asyncio.run(asynchronous(base_url))
    return found


def respond(client: openai.OpenAI, model: str) -> list[Any]:
    """Ask the Responses API, whole, as a stream, and going on."""
    create: Any = client.responses.create
    whole = create(model=model, input="How many are 3 and 4?")
    with client.responses.stream(model=model, input="How many are 3 and 4?") as stream:
        last = [event.type for event in stream][-1]
    later = create(model=model, input="And 5?", previous_response_id=whole.id)
    told = whole.model_extra["input_time"]["strategy"]
    return [whole.output_text, last, later.output_text, told, whole.usage.total_tokens]


async def asynchronous(base_url: str) -> list[Any]:
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none") as client:
        create: Any = client.chat.completions.create
        answers = await asyncio.gather(*(create(model="s", messages=ASK) for _ in range(4)))
        text = ""
        async for chunk in await create(model="t", messages=ASK, stream=True):
            text += chunk.choices[0].delta.content or "" if chunk.choices else ""
        return [*(answer.choices[0].message.content for answer in answers), text]


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
