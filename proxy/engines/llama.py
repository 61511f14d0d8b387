"""llama.cpp's way of counting tokens, behind the door that SGLang's `/tokenize` is.

SGLang takes `messages` or a `prompt`; llama.cpp takes plain `content`, and applies a chat's
template at another path. Parity between training and serving is checked through this door on both.
"""

from typing import Any

import msgspec

from .engine import Engine, EngineError
from .limits import Retries


class _Template(msgspec.Struct):
    prompt: str


class _Tokens(msgspec.Struct):
    tokens: list[int]


async def tokenize(engine: Engine, raw: bytes, headers: bytes, retries: Retries) -> bytes:
    """Return `{"tokens", "count"}` for SGLang's request `raw`.

    Raises:
        EngineError: the engine refuses, or answers something else.
    """
    body: dict[str, Any] = msgspec.json.decode(raw)
    special = body.get("add_special_tokens", True)
    content = body.get("prompt")
    if body.get("messages") is not None:
        templated = await _call(engine, "/apply-template", body, headers, retries, _Template)
        content = templated.prompt
    sent = {"content": content, "add_special": special, "parse_special": True}
    found = await _call(engine, "/tokenize", sent, headers, retries, _Tokens)
    return msgspec.json.encode({"tokens": found.tokens, "count": len(found.tokens)})


async def _call(
    engine: Engine, path: str, body: dict[str, Any], headers: bytes, retries: Retries, kind: Any
) -> Any:
    async with engine.post(path, msgspec.json.encode(body), headers, retries) as response:
        raw = await response.read()
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.MsgspecError as error:
        detail = f"engine {engine.name!r} sent no {kind.__name__[1:].lower()}"
        raise EngineError("protocol", detail) from error
