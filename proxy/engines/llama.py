"""llama.cpp's way of counting tokens, as the `/tokenize` that SGLang has.

SGLang takes `messages` or a `prompt`; llama.cpp takes plain `content`, and applies a chat's
template at another path. Parity between training and serving is checked on both by `/tokenize`.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from .errors import EngineError
from .servers import Post


class _Template(msgspec.Struct):
    prompt: str


class _Tokens(msgspec.Struct):
    tokens: list[int]


async def tokenize(fields: Mapping[str, Any], post: Post) -> bytes:
    """Return `{"tokens", "count"}` for SGLang's request `fields`.

    Raises:
        EngineError: the engine refuses, or answers something else.
    """
    content = fields.get("prompt")
    if fields.get("messages") is not None:
        content = (await _call("/apply-template", fields, post, _Template)).prompt
    special = fields.get("add_special_tokens", True)
    sent = {"content": content, "add_special": special, "parse_special": True}
    found = await _call("/tokenize", sent, post, _Tokens)
    return msgspec.json.encode({"tokens": found.tokens, "count": len(found.tokens)})


async def _call(path: str, fields: Mapping[str, Any], post: Post, kind: Any) -> Any:
    async with post(path, msgspec.json.encode(fields)) as response:
        raw = await response.read()
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.MsgspecError as error:
        detail = f"the embedded engine sent no {kind.__name__[1:].lower()}"
        raise EngineError("protocol", detail) from error
