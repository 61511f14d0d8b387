"""The serving process: uvicorn with limits on what a connection may do, signals, the reload."""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import uvicorn

from its.urls import is_loopback

from ..api.app import create_app
from ..config.checks import ConfigError
from ..config.load import load
from ..config.notices import notices
from ..config.settings import Settings
from ..engines.embedded import EngineDied
from ..state import Service
from ..telemetry import logs
from .connection import Connection

_LOG = logging.getLogger("its.proxy")
SWITCH_SECONDS = 0.0005
"""A thread that grades answers lets the event loop in after this long, not after 5 ms."""

ACCEPT_SECONDS = 0.01
NO_KEYS = "none, so only loopback is served; add a key, or --insecure"


class ProxyServer(uvicorn.Server):
    """Serves, says when it does, and reads the configuration again on SIGHUP."""

    def __init__(
        self,
        service: Service,
        config: Path,
        announcement: str,
        hung_up: Sequence[int],
        *,
        keys_needed: bool,
        insecure: bool,
    ) -> None:
        self._service, self._config, self._keys_needed = service, config, keys_needed
        self._announcement, self._hung_up = announcement, hung_up
        self._reloading: asyncio.Task[None] | None = None
        self._stale = False
        settings = service.now.settings
        app = create_app(settings, service, insecure=insecure)
        super().__init__(
            uvicorn.Config(
                app,
                http=partial(  # type: ignore[arg-type]
                    Connection,
                    app=app,
                    seconds=settings.limits.read_seconds,
                    stalled=settings.limits.seconds,
                ),
                ws="none",
                proxy_headers=False,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=settings.drain_seconds,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, and announce it."""
        # From here on the loop has SIGHUP; what came before is in `hung_up`.
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        await super().startup(sockets)
        if self._hung_up:  # the file may have changed since it was read
            self._hang_up()
        if not self.should_exit:
            print(self._announcement, flush=True)
            self._service.warm_up()
            # What is there now stays. The garbage collector, which a request's values set off
            # again and again, would go through all of it: a fifth of a request's CPU time.
            gc.collect()
            gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting connections, and end when those that there are have been served."""
        # The kernel resets what waits in the queue of a port that closes, so it is accepted first.
        await asyncio.sleep(ACCEPT_SECONDS)
        await super().shutdown(sockets)

    def _hang_up(self) -> None:
        """Read the file again; one reading after the other, so that the last file on disk wins.

        Two at once could end in the wrong order. A signal during a reading causes one more: the
        file may have changed since it was opened.
        """
        self._stale = True
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._reload())

    async def _reload(self) -> None:
        while self._stale:
            self._stale = False
            await self._reload_once()

    async def _reload_once(self) -> None:
        old = self._service.now.settings
        try:
            settings = await asyncio.to_thread(load, self._config)
            if self._keys_needed and not settings.clients:
                raise ConfigError(self._config, "keys", NO_KEYS)
            await self._service.reload(settings)
        except (ConfigError, EngineDied) as error:
            _LOG.error("the configuration stays as it was: %s", error)
            return
        except Exception:  # nobody waits for this task: it would fail in silence
            _LOG.exception("the configuration stays as it was")
            return
        logs.configure(settings.log)
        _LOG.info("the configuration was read again: %s", self._config)
        for told in notices(settings):
            _LOG.warning("%s", told)
        for name in ("host", "port", "graders", "cors_origins", "drain_seconds"):
            if getattr(old, name) != getattr(settings, name):
                _LOG.warning("server.%s changes with a restart only", name)


def run(
    config: Path,
    settings: Settings,
    listener: socket.socket,
    announcement: str,
    hung_up: Sequence[int],
    *,
    insecure: bool,
) -> bool:
    """Serve until a signal; tell whether it could start. `hung_up` are SIGHUPs that came before.

    Raises:
        ConfigError: there is no key, and more than loopback would be served without `insecure`.
    """
    keys_needed = not insecure and not is_loopback(listener.getsockname()[0])
    if keys_needed and not settings.clients:
        raise ConfigError(config, "keys", NO_KEYS)
    sys.setswitchinterval(SWITCH_SECONDS)
    logs.configure(settings.log)
    service = Service(settings, insecure=insecure)
    server = ProxyServer(
        service, config, announcement, hung_up, keys_needed=keys_needed, insecure=insecure
    )
    with suppress(KeyboardInterrupt):
        # uvicorn raises the signal again when it has shut down; by then all is closed.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        server.run(sockets=[listener])
    return server.started
