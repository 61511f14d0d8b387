"""Asks one engine for one model, for the checks of `conformance` and `effects`."""

import json
from collections.abc import Iterator
from typing import Any

import httpx

from its.sse import Event, Reader

SECONDS = 300.0
FEW = 24
"""Tokens that most checks ask for: slow engines are engines too."""

SUM = [{"role": "user", "content": "What is 2 + 3? Answer with the number only."}]
TALE = [{"role": "user", "content": "Tell a very long story about a lighthouse."}]


class Missing(Exception):
    """The engine does not do what the check asks; the message says what it did."""


class EngineProbe:
    """Asks the engine at a base URL (up to /v1) for one model."""

    def __init__(self, client: httpx.Client, url: str, model: str) -> None:
        self.client, self.url, self.model = client, url.rstrip("/"), model
        self.root = self.url.removesuffix("/v1")

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.client.post(f"{self.url}/{path}", json={"model": self.model, **body})

    def chat(self, **body: Any) -> Any:
        """Return a chat completion.

        Raises:
            Missing: it was not a 200 with JSON.
        """
        answer = self.post("chat/completions", **{"messages": SUM, "max_tokens": FEW, **body})
        return read_json(answer)

    def events(self, **body: Any) -> Iterator[Any]:
        """Yield the events of a streamed chat; the last one should be the text `[DONE]`."""
        asked = {"model": self.model, "messages": SUM, "max_tokens": FEW, **body, "stream": True}
        with self.client.stream("POST", f"{self.url}/chat/completions", json=asked) as answer:
            if answer.status_code != 200:
                answer.read()
                raise Missing(f"answered {answer.status_code}: {answer.text[:100]}")
            reader = Reader()
            for piece in answer.iter_bytes():
                yield from map(_event, reader.feed(piece))
            yield from map(_event, reader.close())


def _event(event: Event) -> Any:
    return "[DONE]" if event.data == b"[DONE]" else json.loads(event.data)


def read_json(answer: httpx.Response) -> Any:
    must(answer.status_code == 200, f"answered {answer.status_code}: {answer.text[:100]}")
    return answer.json()


def must(holds: bool, told: str) -> None:
    if not holds:
        raise Missing(told)
