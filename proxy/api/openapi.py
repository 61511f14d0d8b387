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
_FIELDS: dict[str, dict[str, Any]] = {"completions": {"prompt": _PROMPT}}
"""What the proxy reads of each kind of endpoint, beside the fields of all."""

_ITEM = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {"role": {"enum": ["user", "assistant", "system", "developer"]},
                   "content": {"type": "string"}},
}  # fmt: skip
_RESPONSES = {
    "model": _TEXT,
    "input": {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": _ITEM}]},
    "instructions": {"type": ["string", "null"]},
    "max_output_tokens": {"type": ["integer", "null"]},
    "stream": {"type": "boolean"},
    "store": {"type": "boolean"},
    "input_time": _EXTRAS,
}
_BLOCK = {
    "type": "object",
    "required": ["type", "text"],
    "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
}
_CONTENT = {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": _BLOCK}]}
_TURN = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {"role": {"enum": ["user", "assistant"]}, "content": _CONTENT},
}
_COUNTED = {
    "model": _TEXT,
    "messages": {"type": "array", "minItems": 1, "items": _TURN},
    "system": {"type": "string"},
    "input_time": _EXTRAS,
}
_MESSAGES = {
    **_COUNTED,
    "max_tokens": {"type": "integer", "minimum": 1},
    "stream": {"type": "boolean"},
    "stop_sequences": {"type": "array", "items": {"type": "string"}},
}
_ANTHROPIC_ERROR = {
    "type": "object",
    "required": ["type", "error", "request_id"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
        },
        "request_id": {"type": "string"},
    },
}
_DOORS: dict[str, Any] = {
    "/v1/responses": (_RESPONSES, ["model", "input"], _ERROR),
    "/responses": (_RESPONSES, ["model", "input"], _ERROR),
    "/v1/messages": (_MESSAGES, ["model", "messages", "max_tokens"], _ANTHROPIC_ERROR),
    "/v1/messages/count_tokens": (_COUNTED, ["model", "messages"], _ANTHROPIC_ERROR),
}
"""The APIs that become chats: their fields, those that they require, the shape of their errors."""


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
        "/version": _shows("The version of the proxy"),
    }
    for path, endpoint in ENDPOINTS.items():
        paths[path] = _relayed(endpoint)
    for path, (fields, required, error) in _DOORS.items():
        about = "Count tokens" if path.endswith("count_tokens") else "Ask a member or a panel"
        paths[path] = _asks(about, fields, required, error)
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Input-Time Scaling proxy", "version": version("input-time-scaling")},
        "paths": paths,
    }
    if settings.clients:
        schemes = {
            "key": {"type": "http", "scheme": "bearer"},
            "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        }
        described["components"] = {"securitySchemes": schemes}
        described["security"] = [{name: []} for name in schemes]
    return described


def _relayed(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.kind == "chat":
        return _asks("Ask a member or a panel", _CHAT, ["model", "messages"])
    own = _FIELDS.get(endpoint.kind, {})
    fields = {"model": _TEXT, "input_time": _EXTRAS, **own}
    about = "Passed on to a member's engine"
    about += "; a panel answers one prompt" if endpoint.kind == "completions" else ""
    return _asks(about, fields, ["model", *own])


def _asks(
    about: str, fields: dict[str, Any], required: list[str], error: dict[str, Any] = _ERROR
) -> dict[str, Any]:
    schema = {"type": "object", "required": required, "properties": fields}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {"post": {"summary": about, "requestBody": body, "responses": _responses(error)}}


def _shows(about: str) -> dict[str, Any]:
    return {"get": {"summary": about, "responses": _responses()}}


def _responses(shape: dict[str, Any] = _ERROR) -> dict[str, Any]:
    error = {"description": "Refused", "content": {"application/json": {"schema": shape}}}
    return {"200": {"description": "Done"}, "4XX": error, "5XX": error}
