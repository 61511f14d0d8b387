"""The OpenAPI description at `/openapi.json`: the fields that the proxy reads; others pass on."""

from importlib.metadata import version
from typing import Any

from its.strategies import names

from ..config.settings import Settings
from ..wire.request import TEXT
from .endpoints import ENDPOINTS, Endpoint

_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
_EXTRAS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "strategy": {"enum": names()},
        "persona": {"type": "string", "pattern": TEXT.pattern},
        "seed": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
        "placement": {"enum": ["before", "after"]},
        "instruction": {"type": "string"},
        "samples": {"type": "integer", "minimum": 1},
        "return_ballots": {"type": "boolean"},
    },
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "integer", "null"]},
            },
        }
    },
}
_PART = {
    "type": "object",
    "required": ["type", "text"],
    "properties": {"type": {"type": "string"}, "text": {"type": "string"}},
}
_MESSAGE = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {
        "role": {"type": "string"},
        "content": {"anyOf": [{"type": "string"}, {"type": "array", "items": _PART}]},
    },
}
_CHAT = {
    "model": _TEXT,
    "messages": {"type": "array", "minItems": 1, "items": _MESSAGE},
    "stream": {"type": "boolean"},
    "seed": {"type": "integer"},
    "input_time": _EXTRAS,
}
_PROMPT = {
    "anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "string"}}]
}
_FIELDS: dict[str, dict[str, Any]] = {
    "completions": {"prompt": _PROMPT},
    "responses": {"input": {"type": "string"}},
}
"""What the proxy reads of each kind of endpoint, beside the fields of all."""


def document(settings: Settings) -> dict[str, Any]:
    """Return the description of everything that is served."""
    paths: dict[str, Any] = {
        "/v1/input_time/compose": _asks("Show what would be asked", _CHAT, ["model", "messages"]),
        "/v1/models": _shows("The models that the key may use"),
        "/v1/models/{model}": {
            **_shows("One model"),
            "parameters": [{"name": "model", "in": "path", "required": True, "schema": _TEXT}],
        },
        "/health": _shows("The process lives"),
        "/ready": _shows("Every engine answers"),
        "/metrics": _shows("Prometheus metrics"),
        "/openapi.json": _shows("This description"),
    }
    for path, endpoint in ENDPOINTS.items():
        paths[path] = _relayed(endpoint)
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Input-Time Scaling proxy", "version": version("input-time-scaling")},
        "paths": paths,
    }
    if settings.clients:
        bearer = {"key": {"type": "http", "scheme": "bearer"}}
        described["components"] = {"securitySchemes": bearer}
        described["security"] = [{"key": []}]
    return described


def _relayed(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.kind == "chat":
        return _asks("Ask a member or a panel", _CHAT, ["model", "messages"])
    own = _FIELDS.get(endpoint.kind, {})
    fields = {"model": _TEXT, "input_time": _EXTRAS, **own}
    return _asks("Passed on to a member's engine", fields, ["model", *own])


def _asks(about: str, fields: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema = {"type": "object", "required": required, "properties": fields}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {"post": {"summary": about, "requestBody": body, "responses": _responses()}}


def _shows(about: str) -> dict[str, Any]:
    return {"get": {"summary": about, "responses": _responses()}}


def _responses() -> dict[str, Any]:
    error = {"description": "Refused", "content": {"application/json": {"schema": _ERROR}}}
    return {"200": {"description": "Done"}, "4XX": error, "5XX": error}
