"""The server that is asked: where its API is, which models it lists, and what it says of itself."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import openai

from its.urls import without_secret

from ..errors import EvalError
from ..lines import loads
from .call import AWAY_STATUS, told
from .causes import cause
from .patience import PATIENCE, Patience, ServerAway

CONNECT_SECONDS, LIST_SECONDS, FACT_SECONDS = 30.0, 60.0, 5.0
POLL_SECONDS = 2.0

_ENDPOINTS = re.compile(r"/(chat/completions|completions|models|responses)/*$")
_VERSIONED = re.compile(r"/v\d+\w*$")
_FACTS = {
    "sglang": ("get_server_info", "server_info", "get_model_info", "model_info"),
    "vllm": ("version",),
    "llamacpp": ("props",),
    "library": ("api/version",),  # Ollama
    "input-time-scaling": ("version",),
}
"""Where a server says what it is, beside /v1, by who owns the model as its card has it."""

_SECRET = re.compile(r"password|passwd|secret|credential|(^|_)(keys?|token)(_?file)?$|keyfile")
_MOST_TEXT, _MOST_FACTS = 300, 400


@dataclass(frozen=True, slots=True)
class ServedModels:
    """An OpenAI-compatible server.

    `cards` is what its `/models` says, by the model's name; empty where it cannot be listed.
    `facts` is what the engine says of itself: version, dtype, flags. `notes` are for people.
    """

    client: openai.AsyncOpenAI
    url: str
    cards: Mapping[str, Mapping[str, Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def input_time(self, model: str) -> Mapping[str, Any] | None:
        """Return what a proxy of ours says of `model`; `None` from any other server."""
        card = self.cards.get(model, {}).get("input_time")
        return card if isinstance(card, Mapping) else None

    def opens_think(self, model: str, winner: str | None) -> bool:
        """Tell whether the template of `model` opens `<think>`; of a panel, that of the winner."""
        card = self.input_time(model) or {}
        members = card.get("members") or [card]
        won = [member for member in members if member.get("member") == winner] or members
        return all(member.get("thinking") for member in won)


async def connect(
    base_url: str, api_key: str, say: Callable[[str], None] = lambda _: None
) -> ServedModels:
    """Find the API at `base_url`, or at /v1 below it, and look up its models.

    A server that is busy or starts is waited for, and `say` is told. One that does not list its
    models is fine, as long as it takes chats.

    Raises:
        EvalError: the server cannot be reached, or is no OpenAI-compatible server.
    """
    client = _client(base_url, api_key)
    try:
        found = await _found(client, _places(base_url), say)
        facts = await _facts(found)
    except BaseException as error:
        await client.close()
        if isinstance(error, openai.OpenAIError | ServerAway):
            message = f"cannot ask {without_secret(base_url)}: {told(error)}"
            raise EvalError(message, 1) from error
        raise
    return ServedModels(found.client, found.url, found.cards, facts, found.notes)


def _client(base_url: str, api_key: str) -> openai.AsyncOpenAI:
    # No limit on reading: a reasoning model may think for an hour before its first byte, and
    # `--timeout` bounds the call as a whole.
    timeout = openai.Timeout(None, connect=CONNECT_SECONDS)
    try:
        # Made apart: a client that fails in its constructor prints a traceback when it is deleted.
        http = openai.DefaultAsyncHttpxClient(timeout=timeout)
        return openai.AsyncOpenAI(
            base_url=base_url, api_key=api_key, max_retries=0, timeout=timeout, http_client=http
        )
    except ImportError as error:
        message = "the environment names a SOCKS proxy (ALL_PROXY, ...): pip install socksio"
        raise EvalError(f"{message}, or unset it") from error
    except (ValueError, OSError) as error:
        hint = "see HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR"
        message = f"cannot open a connection: {without_secret(str(error))}; {hint}"
        raise EvalError(message) from error


def _places(base_url: str) -> list[str]:
    """Return where the API may be: as given, without an endpoint's path, and at /v1 below it."""
    url = _ENDPOINTS.sub("", base_url.rstrip("/")).rstrip("/")
    return [url] if _VERSIONED.search(url) else [url, f"{url}/v1"]


async def _found(
    client: openai.AsyncOpenAI, places: list[str], say: Callable[[str], None]
) -> ServedModels:
    """Return the first place that lists models, else the first that takes chats."""
    reasons = []
    for url in places:
        here = client.with_options(base_url=url)
        cards = await _cards(here, say)
        if not isinstance(cards, str):
            return ServedModels(here, url, cards, notes=_moved(places, url))
        reasons.append(cards)
    # Where the list is forbidden there is something; where it is not found there may be nothing.
    found = sorted(zip(places, reasons, strict=True), key=lambda each: each[1].startswith("404"))
    for url, reason in found:
        here = client.with_options(base_url=url)
        if await _takes_chats(here):
            note = f"models cannot be listed ({reason}): going on without what /models says"
            return ServedModels(here, url, {}, notes=(*_moved(places, url), note))
    shown = [
        f"{without_secret(url)}: {reason}" for url, reason in zip(places, reasons, strict=True)
    ]
    raise EvalError(f"no OpenAI-compatible server: {'; '.join(shown)}", 1)


def _moved(places: list[str], url: str) -> tuple[str, ...]:
    if url == places[0]:
        return ()
    return (f"the API is at {without_secret(url)}: --base-url should end so",)


async def _cards(
    client: openai.AsyncOpenAI, say: Callable[[str], None]
) -> dict[str, dict[str, Any]] | str:
    """Return the cards by name, or why there are none.

    Raises:
        openai.APIConnectionError: the server cannot be reached.
    """
    try:
        listed = client.models.with_raw_response
        answer = await _waited_for(lambda: listed.list(timeout=LIST_SECONDS), say)
    except openai.APIStatusError as error:
        return told(error)
    except UnicodeEncodeError as error:
        raise EvalError("the API key has characters that no HTTP header can carry") from error
    try:
        rows = loads(answer.content)["data"]
        return {row["id"]: row for row in rows if isinstance(row, dict) and "id" in row}
    except (ValueError, LookupError, TypeError):
        return "its /models is no list of models"


async def _waited_for(
    look: Callable[[], Awaitable[Any]], say: Callable[[str], None], seconds: float = PATIENCE
) -> Any:
    """Return what `look` gives; look again while the server is busy or starts."""
    patience, said = Patience(seconds), False
    with patience.call() as waiting:
        while True:
            try:
                return await look()
            except openai.APIStatusError as error:
                if error.status_code not in AWAY_STATUS or waiting.seconds_left() <= 0:
                    raise
                if not said:
                    say(f"the server is not ready ({told(error)}): waiting {seconds:.0f} s")
                said = True
                await asyncio.sleep(POLL_SECONDS)


async def _takes_chats(client: openai.AsyncOpenAI) -> bool:
    """Tell whether there is an endpoint for chats; an empty request costs nothing."""
    try:
        found = await client.post(
            "/chat/completions", cast_to=object, body={}, options={"timeout": LIST_SECONDS}
        )
    except openai.APIStatusError as error:
        return error.status_code not in {404, 405, 501}
    except openai.OpenAIError:
        return False
    return isinstance(found, dict)


async def _facts(server: ServedModels) -> dict[str, Any]:
    """Return what the engine says of itself, without secrets; most servers say nothing."""
    root = _VERSIONED.sub("", server.url)
    owners = {str(card.get("owned_by")).lower() for card in server.cards.values()}
    paths = [path for owner in sorted(owners) for path in _FACTS.get(owner, ())]

    async def ask(path: str) -> Any:
        try:
            return await server.client.get(
                f"{root}/{path}", cast_to=object, options={"timeout": FACT_SECONDS}
            )
        except Exception:  # whatever it is: facts are welcome, not needed
            return None

    found: dict[str, Any] = {}
    for said in await asyncio.gather(*map(ask, paths)):
        if isinstance(said, dict):
            found |= {key: value for key, value in said.items() if _is_fact(key, value)}
    return dict(sorted(found.items())[:_MOST_FACTS])


def _is_fact(key: str, value: object) -> bool:
    """Tell whether a field is a setting: no secret, and neither nested nor a long text."""
    if _SECRET.search(key.lower()) or value is None:
        return False
    values = value if isinstance(value, list) else [value]
    return len(values) <= 50 and all(
        isinstance(each, str | int | float) and len(str(each)) <= _MOST_TEXT for each in values
    )


async def compose(server: ServedModels, body: Mapping[str, Any]) -> None:
    """Have the proxy check a request that it would be asked with; no model is asked.

    Raises:
        EvalError: it refuses, as for a strategy that does not exist.
    """
    try:
        await server.client.post(
            "/input_time/compose", cast_to=object, body=dict(body),
            options={"timeout": LIST_SECONDS},
        )  # fmt: skip
    except openai.APIStatusError as error:
        if error.status_code in {400, 403, 422}:
            raise EvalError(f"{server.url} refuses: {told(error)}") from error
    except openai.OpenAIError as error:
        raise EvalError(f"cannot ask {server.url}: {cause(error)}", 1) from error
