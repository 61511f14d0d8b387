"""The page, and what it asks for: verdicts, running requests, engines, formulas."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from its.methods.options import OptionError, pairs

from ..base.errors import ApiError, BadRequest
from ..base.record import record_of
from ..base.told import Told
from ..config.settings import Client, Panel
from ..grading import Grading, OutOfTime
from ..page import files, formulas, lists, live, what_if
from ..page.equality import answers_of, equality
from ..page.store import NOT_KEPT, KeptVerdict, RequestKey
from ..state import Generation

MOST_LISTED = 500
DECIDE_SECONDS = 5.0
"""How long comparing may take for somebody who looks."""

MOST_BODY = 200_000
T = TypeVar("T")


def routes() -> list[Route]:
    """Return the page's routes. An id may hold a slash, so the longer paths come first."""
    one = "/verdicts/{id:path}"
    return [
        Route("/", file),
        Route("/page/math", math, methods=["POST"]),
        Route("/page/{name}", file),
        Route("/engines", engine_states),
        Route("/verdicts", verdicts),
        Route(f"{one}/events", events),
        Route(f"{one}/equality", equalities),
        Route(f"{one}/what_if", alternatives, methods=["GET", "POST"]),
        Route(one, verdict),
    ]


def _generation(request: Request) -> Generation:
    generation: Generation = request.state.generation
    return generation


def _file(request: Request) -> Response | None:
    name = files.wanted(request.scope, _generation(request).settings)
    if name is None:
        return None
    record_of(request.scope).quiet = True
    found = files.files()[name]
    headers = {**files.HEADERS, "etag": found.etag, "vary": "accept"}
    if request.headers.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=headers)
    return Response(found.body, media_type=found.media_type, headers=headers)


async def file(request: Request) -> Response:
    """Send one of the page's own files."""
    found = _file(request)
    if found is None:
        path = request.url.path[:100]
        raise ApiError(f"No such path: {path}. The API is under /v1.", 404, code="not_found")
    return found


def _json(request: Request, told: Any) -> Response:
    """Return what only the page asks for: not logged, as it would fill the log, and not stored."""
    record_of(request.scope).quiet = True
    body = msgspec.json.encode(told, enc_hook=str)
    headers = {"cache-control": "no-store", "vary": "accept", "x-content-type-options": "nosniff"}
    return Response(body, media_type="application/json", headers=headers)


def _client(request: Request) -> Client | None:
    """Return the key that asks; with keys there must be one, whatever path this is."""
    client = record_of(request.scope).client
    if client is None and _generation(request).settings.clients:
        raise ApiError("a valid key is needed: `Authorization: Bearer KEY`", 401)
    return client


def _key(request: Request) -> RequestKey:
    client = _client(request)
    return client.name if client is not None else "", request.path_params["id"]


async def _kept(request: Request) -> KeptVerdict:
    key, store = _key(request), _generation(request).verdicts
    kept = await store.found(key)
    if kept is None and store.running(key) is not None:
        told = "The request still runs; /verdicts/ID/events says what it does."
        raise ApiError(told, 404, param="id", code="verdict_not_ready")
    if kept is None:
        told = NOT_KEPT if not store.most else (
            f"No verdict of the request {key[1][:100]!r} is kept. The last {store.most} are"
            " (server.keep_verdicts), each for the key that asked."
        )  # fmt: skip
        raise ApiError(told, 404, param="id", code="verdict_not_found")
    return kept


async def _told(request: Request) -> Told:
    kept = await _kept(request)
    if kept.told is None:
        raise ApiError(kept.why or "Its texts are not kept.", 404, code="texts_not_kept")
    if kept.told.outcome is None and not isinstance(kept.told.target, Panel):
        raise ApiError("A single member has no verdict.", 404, code="no_verdict")
    return kept.told


async def verdicts(request: Request) -> Response:
    """List the kept requests of the key that asks, newest first."""
    if (page := _file(request)) is not None:
        return page
    client, store = _client(request), _generation(request).verdicts
    kept = store.of(client.name if client else "")
    rows = [lists.listed(each) for each in kept[:MOST_LISTED]]
    about = {"kept": store.most, "texts": store.with_texts, "why_no_texts": store.why}
    why = None if store.most else NOT_KEPT
    return _json(request, {"data": rows, "more": len(kept) - len(rows), "why_empty": why, **about})


async def verdict(request: Request) -> Response:
    """Tell all that is kept of one request."""
    if (page := _file(request)) is not None:
        return page
    kept = await _kept(request)
    return _json(request, {**kept.seen(), "input_time": lists.input_time(kept)})


async def events(request: Request) -> Response:
    """Stream what a running request does."""
    key, store = _key(request), _generation(request).verdicts
    if not store.shown:
        raise ApiError("The page is turned off (server.page).", 404, code="not_found")
    if store.lookers >= live.MOST_LOOKERS:
        raise ApiError("Too many look at running requests. Try again later.", 429)
    record_of(request.scope).quiet = True
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    if request.method == "HEAD":  # a stream would hold the connection, and nobody reads it
        return Response(media_type="text/event-stream", headers=headers)
    stream = live.events(store, key)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def equalities(request: Request) -> Response:
    """Say why the answers of a verdict are equal or not."""
    told, generation = await _told(request), _generation(request)
    async with _grading(generation) as grading:
        work = lambda: equality(told, grading.judge)  # noqa: E731
        found = await grading.step(work, list(answers_of(told)))
    return _json(request, found)


async def alternatives(request: Request) -> Response:
    """Decide the same ballots otherwise: as asked (POST), or every usual way (GET)."""
    told, generation = await _told(request), _generation(request)
    if not isinstance(told.target, Panel):
        raise ApiError("A single member has no method.", 404, code="no_verdict")
    tried = what_if.usual(told) if request.method == "GET" else [await _asked(request)]
    answers, found = list(answers_of(told)), []
    async with _grading(generation) as grading:
        for each in tried:
            work = lambda each=each: what_if.decide(told, each, grading.judge)  # noqa: E731
            found.append(await grading.step(work, answers))
    return _json(request, {"data": found})


@asynccontextmanager
async def _grading(generation: Generation) -> AsyncIterator[Grading]:
    """Yield what compares answers in threads, for a few seconds."""
    grading = Grading(generation.graders, time.monotonic() + DECIDE_SECONDS)
    try:
        yield grading
    except OutOfTime:
        raise ApiError("Comparing these answers takes too long.", 504, code="timeout") from None
    finally:
        grading.close()


async def _asked(request: Request) -> what_if.Alternative:
    asked = await _body(request, what_if.WhatIf)
    try:
        return asked.method, pairs(asked.options), asked.without
    except OptionError as error:
        raise BadRequest(str(error)[:300], param="options") from error


async def _body(request: Request, kind: type[T]) -> T:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BODY:
            raise ApiError(f"the body exceeds the limit of {MOST_BODY} bytes", 413)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadRequest(str(error)[:300]) from error


class _Formulas(msgspec.Struct, frozen=True):
    formulas: list[str]


async def math(request: Request) -> Response:
    """Return formulas as MathML trees."""
    _client(request)
    asked = await _body(request, _Formulas)
    found = await asyncio.to_thread(formulas.trees, asked.formulas)
    return _json(request, {"data": found})


async def engine_states(request: Request) -> Response:
    """Tell how the engines are, as far as the key may know."""
    if (page := _file(request)) is not None:
        return page
    client, generation = _client(request), _generation(request)
    settings = generation.settings
    shown = settings.engines if client is None else settings.engines_behind(client)
    faults = await generation.readiness.faults()
    numbers = client is None or client.metrics
    rows = [
        lists.engine_row(name, faults.get(name), settings, client)
        | (_numbers(generation, name) if numbers else {"numbers": False})
        for name in settings.engines
        if name in shown
    ]
    return _json(request, {"data": rows, "at": time.time()})


def _numbers(generation: Generation, name: str) -> dict[str, Any]:
    engine = generation.engines[name]
    slots = engine.slots
    return {
        "numbers": True,
        "slots": slots.size,
        "running": slots.running,
        "waiting": slots.waiting,
        "calls": engine.calls,
        "errors": generation.metrics.engine_errors(name),
    }
