"""The kinds of engines, by the key of `[engines.NAME]` that says where one is."""

from collections.abc import Callable, Mapping

from ..config.settings import EngineSettings, ServerKind
from .embedded import EmbeddedServer
from .servers import EngineServer, RemoteServer

SERVERS: Mapping[ServerKind, Callable[[EngineSettings], EngineServer]] = {
    "base_url": RemoteServer,
    "embedded": EmbeddedServer,
}
