"""What the proxy relies on of an engine, asked of a real one: `its-proxy conformance`.

A check is a function that returns a remark, or raises `Missing`. Required ones carry members and
panels; the others are passed on where an engine has them.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from . import effects
from .probe import SECONDS, SUM, TALE, EngineProbe, Missing, must, read_json

LEFT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How one check ended."""

    name: str
    required: bool
    passed: bool
    remark: str
    seconds: float


def models(engine: EngineProbe) -> str:
    """The model is listed."""
    names = [card["id"] for card in read_json(engine.client.get(f"{engine.url}/models"))["data"]]
    must(engine.model in names, f"lists {', '.join(names) or 'none'}")
    return f"{len(names)} listed"


def chat(engine: EngineProbe) -> str:
    """A chat has text, a finish_reason and usage."""
    body = engine.chat()
    choice = body["choices"][0]
    must(bool(choice["message"]["content"]), "no content")
    must(
        choice["finish_reason"] in {"stop", "length"}, f"finish_reason {choice['finish_reason']!r}"
    )
    must(body["usage"]["completion_tokens"] > 0, "no usage")
    return f"said {choice['message']['content'].strip()[:30]!r}"


def stream(engine: EngineProbe) -> str:
    """A stream ends with a finish_reason."""
    events = list(engine.events())
    choices = _choices(events)
    reasons = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
    must(len(reasons) == 1, f"finish_reasons {reasons}")
    must(any((choice.get("delta") or {}).get("content") for choice in choices), "no content")
    return f"{len(events)} events" if events[-1] == "[DONE]" else f"{len(events)} events, no [DONE]"


def stream_usage(engine: EngineProbe) -> str:
    """`stream_options.include_usage` gives the usage of a stream."""
    used = _usages(engine.events(stream_options={"include_usage": True}))
    must(bool(used), "no usage in the stream")
    return f"{used[-1]['completion_tokens']} tokens"


def stream_counts(engine: EngineProbe) -> str:
    """`stream_options.continuous_usage_stats` gives it in every chunk (SGLang, vLLM)."""
    asks = {"include_usage": True, "continuous_usage_stats": True}
    events = list(engine.events(stream_options=asks))
    used = _usages(event for event in events if event != "[DONE]" and event.get("choices"))
    must(bool(used), "no usage beside the text")
    return f"{len(used)} chunks"


def length(engine: EngineProbe) -> str:
    """`max_tokens` ends an answer with finish_reason `length`."""
    body = engine.chat(messages=TALE, max_tokens=4)
    reason, tokens = body["choices"][0]["finish_reason"], body["usage"]["completion_tokens"]
    must((reason, tokens) == ("length", 4), f"finish_reason {reason!r} after {tokens} tokens")
    return ""


def stop(engine: EngineProbe) -> str:
    """`stop` ends an answer, and is no part of it."""
    body = engine.chat(messages=TALE, stop=[" "])
    text, reason = (
        body["choices"][0]["message"]["content"] or "",
        body["choices"][0]["finish_reason"],
    )
    must(" " not in text.strip() and reason == "stop", f"{text[:30]!r}, {reason!r}")
    return ""


def unknown_field(engine: EngineProbe) -> str:
    """A field that the engine does not know is no error."""
    engine.chat(its_unknown_field={"a": 1})
    return ""


def bad_request(engine: EngineProbe) -> str:
    """Nonsense is a 4xx, and the engine lives on."""
    answer = engine.post("chat/completions", messages="nonsense")
    must(400 <= answer.status_code < 500, f"answered {answer.status_code}")
    engine.chat(max_tokens=1)
    return f"{answer.status_code}"


def leaves(engine: EngineProbe) -> str:
    """A client that leaves frees its place: the next answer comes at once."""
    before = time.monotonic()
    engine.chat(max_tokens=1)
    usual = time.monotonic() - before
    for _ in range(4):
        for number, _event in enumerate(engine.events(messages=TALE, max_tokens=4096)):
            if number == 1:
                break  # leaving the `with` closes the connection
    before = time.monotonic()
    engine.chat(max_tokens=1)
    took = time.monotonic() - before
    must(took < usual + LEFT_SECONDS, f"the next answer took {took:.1f} s, not {usual:.1f}")
    return f"{took:.1f} s after four that left"


def seed(engine: EngineProbe) -> str:
    """`seed` gives the same answer twice."""
    said = {
        engine.chat(messages=TALE, seed=7, temperature=1.0)["choices"][0]["message"]["content"]
        for _ in range(2)
    }
    must(len(said) == 1, "two answers to one seed")
    return ""


def several(engine: EngineProbe) -> str:
    """`n` gives several choices."""
    body = engine.chat(n=2, temperature=1.0)
    must(len(body["choices"]) == 2, f"{len(body['choices'])} choices")
    return ""


def json_schema(engine: EngineProbe) -> str:
    """`response_format` holds an answer to a JSON schema."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"],
              "additionalProperties": False}  # fmt: skip
    wanted = {"type": "json_schema", "json_schema": {"name": "sum", "schema": schema}}
    text = engine.chat(response_format=wanted)["choices"][0]["message"]["content"]
    try:
        must(isinstance(json.loads(text)["n"], int), f"said {text[:40]!r}")
    except (ValueError, LookupError, TypeError) as error:
        raise Missing(f"said {text[:40]!r}") from error
    return ""


def regex(engine: EngineProbe) -> str:
    """`regex` holds an answer to an expression (SGLang)."""
    text = engine.chat(regex="[ab]{3}")["choices"][0]["message"]["content"]
    must(set(text) <= {"a", "b"} and len(text) == 3, f"said {text[:40]!r}")
    return ""


def tokenize(engine: EngineProbe) -> str:
    """`/tokenize` takes a chat: parity of training and serving is checked with it."""
    answer = engine.client.post(
        f"{engine.root}/tokenize", json={"model": engine.model, "messages": SUM}
    )
    tokens = read_json(answer).get("tokens")
    must(isinstance(tokens, list) and len(tokens) > 5, f"{tokens!r}"[:60])
    return f"{len(tokens)} tokens"


def completions(engine: EngineProbe) -> str:
    """`/v1/completions` completes a bare prompt."""
    body = read_json(engine.post("completions", prompt="1, 2, 3,", max_tokens=4))
    must(bool(body["choices"][0]["text"]), "no text")
    return ""


def cached(engine: EngineProbe) -> str:
    """Usage says how much of a prompt was cached (SGLang: --enable-cache-report)."""
    long = [{"role": "user", "content": "Remember: " + "a lighthouse stands here. " * 40}]
    engine.chat(messages=long, max_tokens=1)
    details = engine.chat(messages=long, max_tokens=1)["usage"].get("prompt_tokens_details") or {}
    tokens = details.get("cached_tokens") or 0
    must(tokens > 0, "none")
    return f"{tokens} tokens"


def unknown_model(engine: EngineProbe) -> str:
    """A model that is not served is an error, not another model's answer."""
    answer = engine.post("chat/completions", messages=SUM, max_tokens=1, model="no-such-model")
    must(answer.status_code >= 400, f"answered {answer.status_code}")
    return f"{answer.status_code}"


Check = Callable[[EngineProbe], str]
REQUIRED: tuple[Check, ...] = (
    models, chat, stream, length, stop, unknown_field, bad_request, leaves,
)  # fmt: skip
OPTIONAL: tuple[Check, ...] = (
    stream_usage, stream_counts, seed, several, effects.logprobs, effects.prefix,
    effects.thinking_prefix, json_schema, regex, tokenize, completions, cached, unknown_model,
)  # fmt: skip


def run(url: str, model: str, api_key: str | None) -> Iterator[CheckResult]:
    """Yield the result of each check, as it ends."""
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    with httpx.Client(timeout=SECONDS, trust_env=False, headers=headers) as client:
        engine = EngineProbe(client, url, model)
        for check in (*REQUIRED, *OPTIONAL):
            began = time.monotonic()
            passed, remark = _ended(check, engine)
            took = time.monotonic() - began
            yield CheckResult(check.__name__, check in REQUIRED, passed, remark, took)


def _ended(check: Check, engine: EngineProbe) -> tuple[bool, str]:
    try:
        return True, check(engine)
    except Missing as error:
        return False, str(error)
    except (httpx.HTTPError, ValueError, LookupError, TypeError, AttributeError) as error:
        return False, f"{type(error).__name__}: {error}"[:120]


def _choices(events: list[Any]) -> list[Any]:
    return [
        choice for event in events if event != "[DONE]" for choice in event.get("choices") or ()
    ]


def _usages(events: Iterable[Any]) -> list[Any]:
    return [event["usage"] for event in events if event != "[DONE]" and event.get("usage")]
