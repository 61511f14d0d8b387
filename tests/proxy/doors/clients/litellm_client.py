"""Run by an interpreter with litellm: what a user of it would do.

`python litellm_client.py BASE_URL MODEL...`; prints what came back for each model, as JSON.
"""

import json
import sys
from typing import Any

import litellm

ASK: Any = [{"role": "user", "content": "3+4?"}]
NUMBER = {"type": "integer"}
SUM = {"type": "object", "properties": {"a": NUMBER, "b": NUMBER}}
ADD = {"type": "function", "function": {"name": "add", "parameters": SUM}}


def main(base_url: str, *models: str) -> dict[str, Any]:
    return {model: asked(base_url, model) for model in models}


def asked(base_url: str, model: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    doors: dict[str, Any] = {
        "chat": {"model": f"openai/{model}", "api_base": f"{base_url}/v1"},
        "messages": {"model": f"anthropic/{model}", "api_base": base_url},
    }
    for door, where in doors.items():
        sent: dict[str, Any] = {**where, "api_key": "none", "max_tokens": 50, "num_retries": 0}
        call = litellm.completion(messages=ASK, tools=[ADD], **sent).choices[0].message
        [used] = call.tool_calls
        result = {"role": "tool", "tool_call_id": used.id, "content": "7"}
        talk = [*ASK, call.model_dump(), result]
        answer = litellm.completion(messages=talk, tools=[ADD], **sent).choices[0].message
        chunks = litellm.completion(messages=talk, tools=[ADD], stream=True, **sent)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        found[door] = [used.function.name, json.loads(used.function.arguments)]
        found[door] += [answer.content, text, refused(where, "gpt"), refused(where, "slow")]
    talk = [*ASK, {"role": "assistant", "content": "7"}, *ASK]
    response = litellm.responses(input=talk, api_key="none", **doors["chat"])
    found["responses"] = [response.output[-1].type, response.status]
    return found


def refused(where: dict[str, Any], model: str) -> str:
    """Return the error for a model that there is not, or that takes too long."""
    provider = where["model"].partition("/")[0]
    sent = {**where, "model": f"{provider}/{model}", "api_key": "none", "num_retries": 0}
    try:
        litellm.completion(messages=ASK, timeout=1.0, max_retries=0, **sent)
    except Exception as error:
        return type(error).__name__
    return "nothing"


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
