"""One serving process: uvicorn with limits on what a connection may do, signals, the reload.

`python -m proxy.server` is a worker of several; `workers` starts it.
"""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from . import logs
from .app import create_app
from .checks import ConfigError
from .config import load
from .embedded import EngineDied
from .errors import HeaderTooLarge
from .service import Service
from .settings import Settings

_LOG = logging.getLogger("its.proxy")
SWITCH_SECONDS = 0.0005
"""A thread that grades answers lets the event loop in after this long, not after 5 ms."""

MOST_HEAD = 64 * 1024
LINGER_SECONDS = 1.0
KEEP_ALIVE_SECONDS = 5
READY = "ready"


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, which lets a client send headers for ever, and slowly, or read nothing.

    `seconds` is how long a connection may take to say what it wants, `stalled` how long it may
    leave unread what waits for it.
    """

    def __init__(self, *args: Any, seconds: float, stalled: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._seconds, self._stalled = seconds, stalled

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head = 0
        self._in_head, self._refused = True, False
        self._patience: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._is_read()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        super().data_received(data)
        if not self._in_head:
            if self._between() and self._patience is None:
                self._wait()  # uvicorn's own timer has stopped, whatever these bytes were
            return
        self._head += len(data)
        if self._head > MOST_HEAD:
            self._refuse()
        elif self._patience is None:
            self._wait()

    def on_message_begin(self) -> None:
        self._in_head, self._head = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self._stalled, self.transport.abort)

    def resume_writing(self) -> None:
        self._is_read()
        super().resume_writing()

    def _is_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _between(self) -> bool:
        """Whether the last request is answered and no other has begun."""
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        self._patience = self.loop.call_later(self._seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _refuse(self) -> None:
        """Answer 431, and go on to read for a moment: a reset would overtake the answer."""
        self._refused = True
        self._stop_waiting()
        body = HeaderTooLarge(f"the headers exceed {MOST_HEAD} bytes").encode()
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(body), body)
        )
        self._patience = self.loop.call_later(LINGER_SECONDS, self.transport.close)


class Server(uvicorn.Server):
    """Serves, says when it does, and reads the configuration again on SIGHUP."""

    def __init__(self, service: Service, config: Path, workers: int, announcement: str) -> None:
        self._service, self._config, self._workers = service, config, workers
        self._announcement = announcement
        self._reloading: asyncio.Future[None] | None = None
        settings = service.now.settings
        super().__init__(
            uvicorn.Config(
                create_app(settings, service),
                http=partial(  # type: ignore[arg-type]
                    Connection,
                    seconds=settings.limits.read_seconds,
                    stalled=settings.limits.seconds,
                ),
                ws="none",
                proxy_headers=False,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=settings.drain_seconds,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, and announce it."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        await super().startup(sockets)
        if not self.should_exit:
            print(self._announcement, flush=True)
            self._service.warm_up()

    def _hang_up(self) -> None:
        self._reloading = asyncio.ensure_future(self._reload())

    async def _reload(self) -> None:
        old = self._service.now.settings
        try:
            settings = await asyncio.to_thread(load, self._config, self._workers)
            await self._service.reload(hosted(settings))
        except (ConfigError, EngineDied) as error:
            _LOG.error("the configuration stays as it was: %s", error)
            return
        except Exception:  # nobody waits for this task: it would fail in silence
            _LOG.exception("the configuration stays as it was")
            return
        logs.configure(settings.log)
        _LOG.info("the configuration was read again: %s", self._config)
        for name in ("host", "port", "workers", "graders", "cors_origins", "drain_seconds"):
            if getattr(old, name) != getattr(settings, name):
                _LOG.warning("server.%s changes with a restart only", name)


def run(config: Path, settings: Settings, listener: socket.socket, announcement: str) -> bool:
    """Serve until a signal; tell whether it could start."""
    sys.setswitchinterval(SWITCH_SECONDS)
    logs.configure(settings.log)
    server = Server(Service(hosted(settings)), config, settings.workers, announcement)
    with suppress(KeyboardInterrupt):
        # uvicorn raises the signal again when it has shut down; by then all is closed.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        server.run(sockets=[listener])
    return server.started


HOSTED = "ITS_PROXY_HOSTED"
"""Engines that the parent of several workers has started: their names and addresses, as JSON."""


def hosted(settings: Settings) -> Settings:
    """Return `settings` with the embedded engines that the parent runs as addresses."""
    addresses: Mapping[str, str] = json.loads(os.environ.get(HOSTED, "{}"))
    engines = {
        name: replace(engine, base_url=addresses[name], embedded=None)
        if name in addresses
        else engine
        for name, engine in settings.engines.items()
    }
    return replace(settings, engines=engines)


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main(arguments: Any) -> int:
    """Serve as one of several workers: CONFIG, the number of them, the listener's descriptor."""
    config, workers, descriptor = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Ctrl-C reaches the whole process group; the parent decides when a worker ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    started = run(config, load(config, workers), socket.socket(fileno=descriptor), READY)
    return 0 if started else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
