"""A small client of a running proxy: its models, a composed prompt, and one streamed question."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from its.sse import Reader
from its.suggest import unknown

SECONDS = 3600.0
CONNECT_SECONDS = 5.0


class AskError(Exception):
    """The proxy cannot be asked, or refuses; the message is one line with the remedy."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What came next of an answer: text, and in the end `input_time` and the usage."""

    text: str = ""
    thought: str = ""
    input_time: Any = None
    tokens: int | None = None


class Asker:
    """Asks the proxy at `base_url` (up to /v1)."""

    def __init__(self, base_url: str, key: str | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        headers = {"authorization": f"Bearer {key}"} if key else {}
        timeout = httpx.Timeout(SECONDS, connect=CONNECT_SECONDS)
        self._client = httpx.Client(timeout=timeout, trust_env=False, headers=headers)

    def __enter__(self) -> "Asker":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def models(self) -> list[Any]:
        """Return the cards of the models that the key may use.

        Raises:
            AskError: no proxy answers, or it refuses.
        """
        try:
            return list(self._json(self._client.get(f"{self.base_url}/models"))["data"])
        except (httpx.HTTPError, KeyError, TypeError) as error:
            raise self._unreachable(error) from error

    def card(self, name: str | None) -> Any:
        """Return the card of the model `name`; without a name the first panel's, else the first.

        Raises:
            AskError: there is no such model; the message has the nearest name and all of them.
        """
        cards = {card["id"]: card for card in self.models()}
        if not cards:
            raise AskError(f"{self.base_url} serves no model")
        if name is None:
            kinds = {id: card.get("input_time", {}).get("kind") for id, card in cards.items()}
            return cards[next((id for id in cards if kinds[id] == "panel"), next(iter(cards)))]
        if name not in cards:
            raise AskError(unknown("model", name, cards))
        return cards[name]

    def compose(self, model: str, messages: list[Any]) -> Any:
        """Return what the engine would be asked.

        Raises:
            AskError: the proxy refuses.
        """
        body = {"model": model, "messages": messages}
        return self._json(self._client.post(f"{self.base_url}/input_time/compose", json=body))

    def ask(self, model: str, messages: list[Any], **fields: Any) -> Iterator[Piece]:
        """Yield a streamed answer as it comes.

        Raises:
            AskError: the proxy refuses, or the stream breaks.
        """
        body = {
            "model": model, "messages": messages, "stream": True,
            "stream_options": {"include_usage": True}, **fields,
        }  # fmt: skip
        try:
            with self._client.stream(
                "POST", f"{self.base_url}/chat/completions", json=body
            ) as answer:
                if answer.status_code != 200:
                    answer.read()
                    self._json(answer)
                reader = Reader()
                for data in answer.iter_bytes():
                    yield from (_piece(event.data) for event in reader.feed(data))
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _json(self, answer: httpx.Response) -> Any:
        try:
            body = answer.json()
        except ValueError:
            body = answer.text[:200]
        if answer.status_code == 200 and isinstance(body, dict):
            return body
        raise AskError(_reason(body) or f"{self.base_url} answered {answer.status_code}: {body}")

    def _unreachable(self, error: Exception) -> AskError:
        return AskError(
            f"no proxy answers at {self.base_url} ({error}). Start one with its-proxy serve, or"
            " give --config FILE"
        )


def _piece(data: bytes) -> Piece:
    if data == b"[DONE]":
        return Piece()
    event = json.loads(data)
    if told := _reason(event):
        raise AskError(told)
    choices = event.get("choices") or [{}]
    delta = choices[0].get("delta") or {}
    used = (event.get("usage") or {}).get("completion_tokens")
    thought = delta.get("reasoning_content") or delta.get("reasoning") or ""
    return Piece(delta.get("content") or "", thought, event.get("input_time"), used)


def _reason(body: Any) -> str | None:
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("message")) if isinstance(error, dict) else None
