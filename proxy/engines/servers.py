"""What stands behind an engine's address: a server elsewhere, or one that the proxy starts itself.

A new kind is a class with `start` and `stop`, and one line of `kinds.SERVERS`.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias

from ..base.guards import EndpointKind
from ..config.settings import EngineSettings
from .response import Response

Post: TypeAlias = Callable[[str, bytes], AbstractAsyncContextManager[Response]]
"""Sends a body to a path of the engine."""

Adapter: TypeAlias = Callable[[Mapping[str, Any], Post], Awaitable[bytes]]
"""Answers a request in another way than by passing it on: takes its fields, returns JSON."""


class EngineServer(Protocol):
    """The server of one engine. `base_url` ends in `/v1`; it is known once it has started."""

    base_url: str
    api_key: str | None
    adapters: Mapping[EndpointKind, Adapter]
    """The endpoints at which it speaks otherwise than SGLang."""

    async def start(self) -> None:
        """Start it, if that is ours to do; return when it answers.

        Raises:
            EngineDied: it ended before that.
        """

    async def stop(self) -> None: ...


class RemoteServer:
    """A server that somebody else starts and stops."""

    adapters: Mapping[EndpointKind, Adapter] = {}

    def __init__(self, settings: EngineSettings) -> None:
        self.base_url, self.api_key = settings.place, settings.api_key

    async def start(self) -> None:
        """There is nothing to start: engines may come up after the proxy."""

    async def stop(self) -> None:
        """There is nothing to stop."""
