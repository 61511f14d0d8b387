"""The endpoints that ask no engine: models, the dry run, health, metrics, the description."""

import asyncio
from collections.abc import Collection
from importlib.metadata import version as package_version
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from its import prompts
from its.urls import is_loopback

from ..base import asgi
from ..base.errors import ApiError
from ..base.record import record_of
from ..base.sampling import defaults
from ..config.settings import Member, Panel
from ..state import Generation
from ..telemetry.metrics import CONTENT_TYPE
from ..wire import envelopes
from ..wire import request as wire
from ..wire.render import describe
from .admission import admit
from .doors import DOORS
from .endpoints import ENDPOINTS
from .openapi import document

MOST_PATH = 100
"""Characters of a client's own path or host that an error repeats."""


def _generation(request: Request) -> Generation:
    generation: Generation = request.state.generation
    return generation


async def health(request: Request) -> Response:
    """The process lives; says nothing else."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """Every engine answers; which ones, a key is told of the engines behind its models.

    Without keys, this machine is told of all engines.
    """
    faults = await _generation(request).readiness.faults()
    wrong = {name: fault for name, fault in faults.items() if fault is not None}
    told: dict[str, Any] = {"status": "not ready" if wrong else "ready"}
    shown = _shown_engines(request)
    if shown is not None:
        told["engines"] = {name: name not in wrong for name in faults if name in shown}
        if any(name in shown for name in wrong):
            told["faults"] = {name: fault for name, fault in wrong.items() if name in shown}
    return JSONResponse(told, 503 if wrong else 200)


def _shown_engines(request: Request) -> Collection[str] | None:
    """Return the engines that the caller may know of; `None`: not even how many there are."""
    settings, client = _generation(request).settings, record_of(request.scope).client
    if client is not None:
        return settings.engines_behind(client)
    host = request.client.host if request.client else ""
    local = not settings.clients and is_loopback(host.removeprefix("::ffff:"))
    return settings.engines if local else None


async def version(request: Request) -> Response:
    """Say which version of the proxy this is."""
    return JSONResponse({"version": package_version("input-time-scaling")})


async def metrics(request: Request) -> Response:
    """Show the counts, in Prometheus' text format; they name every model and engine."""
    client = record_of(request.scope).client
    if client is not None and not client.metrics:
        raise ApiError(
            f"The key {client.name!r} may not read /metrics. Its operator can set"
            f" keys.{client.name}.metrics = true.",
            status=403,
            code="metrics_not_allowed",
        )
    counts = _generation(request).metrics
    counts.tasks.set(len(asyncio.all_tasks()))
    text = await asyncio.to_thread(counts.render)
    return Response(text, media_type=CONTENT_TYPE)


async def openapi(request: Request) -> Response:
    """Describe the endpoints."""
    return JSONResponse(document(_generation(request).settings))


async def models(request: Request) -> Response:
    """List the models that the key may use, with how they are asked."""
    generation, client = _generation(request), record_of(request.scope).client
    settings = generation.settings
    targets: dict[str, Member | Panel] = {**settings.members, **settings.panels}
    cards = [
        _card(name, generation, target)
        for name, target in targets.items()
        if client is None or client.may_use(name)
    ]
    return JSONResponse({"object": "list", "data": cards})


async def model(request: Request) -> Response:
    """Describe one model."""
    name, generation = request.path_params["model"], _generation(request)
    target = generation.find_model(name, record_of(request.scope).client)
    return JSONResponse(_card(name, generation, target))


async def compose(request: Request) -> Response:
    """Show what the engines would be asked, and ask none."""
    asked, target = await admit(request.scope, request.receive, wire.parse)
    generation = _generation(request)
    if isinstance(target, Member):
        wire.check_for_member(asked, target, "chat")
        return JSONResponse(await _composed(generation, target, asked))
    wire.check_for_panel(asked, target)
    members = [generation.settings.members[name] for name in target.members]
    composed = [await _composed(generation, member, asked) for member in members]
    return JSONResponse({"model": asked.model, "members": composed})


def _card(name: str, generation: Generation, target: Member | Panel) -> dict[str, Any]:
    card = {"id": name, "object": "model", "created": 0, "owned_by": "input-time-scaling"}
    return {**card, "input_time": _describe(generation, target)}


def _describe(generation: Generation, target: Member | Panel) -> dict[str, Any]:
    if isinstance(target, Panel):
        members = [_describe(generation, generation.settings.members[m]) for m in target.members]
        return {
            "kind": "panel",
            "method": target.method,
            "options": msgspec.to_builtins(target.case.options),
            "samples": target.samples,
            "most_calls": target.most_calls,
            "allow_options": target.allow_options,
            "members": members,
        }
    return {
        "kind": "member",
        "member": target.name,
        "strategy": target.strategy,
        "placement": target.layout.placement,
        "co_design": target.own_co_design.value,
        "thinking": target.thinking,
        "train_strategy": target.manifest.train.strategy if target.manifest else None,
        # The checkpoint is asked as it was trained: a client adds no instruction of its own.
        "own_instruction": target.manifest is not None,
        "instruction": target.layout.instruction,
        "system": target.layout.system,
        "defaults": target.defaults,
        "manifest": msgspec.to_builtins(target.manifest) if target.manifest else None,
    }


async def _composed(
    generation: Generation, member: Member, request: wire.ChatRequest
) -> dict[str, Any]:
    planned = generation.contexts.plan(member, request.question, request.override)
    planned = wire.check_guarded(request, planned)
    asked = await generation.contexts.complete(planned, request.question, request.goes_on)
    messages = prompts.compose(request.messages, asked.context, asked.layout)
    composed = {"model": member.name, "messages": messages, "input_time": describe(asked)}
    added = defaults(member, request.body)
    return {**composed, "sampling": added} if added else composed


async def http_error(request: Request, error: Exception) -> Response:
    """Put Starlette's own refusals (no such path, wrong method) into OpenAI's shape."""
    assert isinstance(error, HTTPException)
    path, method = request.url.path, request.method
    if error.status_code == 405:
        allow = (error.headers or {}).get("allow", "")
        refusal = asgi.method_not_allowed(method, path, allow)
    else:
        told = f"No such path: {path[:MOST_PATH]}. {_right(request, path)}"
        refusal = ApiError(told, 404, code="not_found")
    return await api_error(request, refusal)


def _right(request: Request, path: str) -> str:
    """Return what to do about a path that there is not."""
    here = f"{request.url.scheme}://{request.url.netloc}"[:MOST_PATH]
    known = {*ENDPOINTS, *DOORS, "/v1/models"}
    meant = "/v1" + "/" * (not path.startswith("/")) + path.rstrip("/")
    if meant in known:
        if envelopes.is_anthropic(path):
            return f"There is {meant}: set base_url to {here}."
        return f"There is {meant}: set base_url to {here}/v1."
    if path.startswith("/v1/v1/"):
        if envelopes.is_anthropic(path.removeprefix("/v1")):
            return f"It has /v1 twice: Anthropic's clients add it. Set base_url to {here}."
        return f"It has /v1 twice: set base_url to {here}/v1."
    if path.rstrip("/") in known:
        return "Leave out the slash at its end."
    return f"The API is under /v1: set base_url to {here}/v1. /openapi.json lists all paths."


async def api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    record_of(request.scope).error = error.reason  # for the log; `Edge` sees a response only
    body = envelopes.encode(error, request.url.path, record_of(request.scope).request_id)
    return Response(body, error.status, dict(error.headers), media_type="application/json")
