"""Several serving processes that share one port, watched by their parent.

The parent binds the port, runs the embedded engines, hands signals on, and starts a worker again
that has died. Workers end with their parent, however that ends.
"""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from prometheus_client import multiprocess

from . import logs
from .checks import ConfigError
from .config import load
from .embedded import EmbeddedEngine, EngineDied
from .metrics import MULTIPROCESS
from .server import HOSTED, READY
from .settings import Settings

_LOG = logging.getLogger("its.proxy")
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
"""Before a worker that died is started again; longer each time that one does not come up."""

KILL_SECONDS = 5.0
"""After the time that running requests have to finish."""


def run(config: Path, settings: Settings, listener: socket.socket, announcement: str) -> bool:
    """Serve with `settings.workers` processes until a signal; tell whether all could start."""
    logs.configure(settings.log)
    return asyncio.run(_Parent(config, settings, listener).run(announcement))


class _Parent:
    def __init__(self, config: Path, settings: Settings, listener: socket.socket) -> None:
        self._config, self._settings, self._listener = config, settings, listener
        self._workers: set[asyncio.subprocess.Process] = set()
        self._ready: set[asyncio.subprocess.Process] = set()
        """Those that serve, and so know what SIGHUP means: one that still starts dies of it."""
        self._reloads = 0
        self._stopping = asyncio.Event()
        self._folder = ""

    async def run(self, announcement: str) -> bool:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        async with AsyncExitStack() as stack:
            # A new folder each time: an old one's numbers would be counted again.
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="its-proxy-"))
            self._folder = folder
            try:
                environment = {**os.environ, MULTIPROCESS: folder, HOSTED: await self._host(stack)}
            except EngineDied as error:
                _LOG.error("%s", error)
                return False
            return await self._serve(environment, announcement)

    async def _host(self, stack: AsyncExitStack) -> str:
        """Start the embedded engines once, for all workers; return their addresses."""
        addresses = {}
        for name, engine in self._settings.engines.items():
            if engine.embedded is not None:
                child = await stack.enter_async_context(EmbeddedEngine(engine.embedded))
                addresses[name] = child.base_url
        return json.dumps(addresses)

    async def _serve(self, environment: dict[str, str], announcement: str) -> bool:
        started = [asyncio.Event() for _ in range(self._settings.workers)]
        keeping = [asyncio.create_task(self._keep(environment, event)) for event in started]
        stop = asyncio.create_task(self._stopping.wait())
        ready = asyncio.gather(*(event.wait() for event in started))
        any_of: list[asyncio.Future[Any]] = [stop, ready, *keeping]
        await asyncio.wait(any_of, return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            print(announcement, flush=True)
            any_of.remove(ready)
            await asyncio.wait(any_of, return_when=asyncio.FIRST_COMPLETED)
        succeeded = stop.done()
        self._stopping.set()
        # The port is closed when all have closed it; else the kernel accepts for nobody.
        self._listener.close()
        _send(signal.SIGTERM, self._workers)
        seconds = self._settings.drain_seconds + KILL_SECONDS
        _, hanging = await asyncio.wait(keeping, timeout=seconds)
        _send(signal.SIGKILL, self._workers)
        if hanging:
            await asyncio.wait(hanging)
        ready.cancel()
        stop.cancel()
        return succeeded

    async def _keep(self, environment: dict[str, str], started: asyncio.Event) -> None:
        """Run one worker, again and again, until all are to stop or the first cannot start."""
        pause = PAUSE_SECONDS
        while not self._stopping.is_set():
            reloads = self._reloads
            worker = await self._start(environment)
            self._workers.add(worker)
            if self._stopping.is_set():  # it was not there to be told
                _send(signal.SIGTERM, [worker])
            assert worker.stdout is not None
            line = await worker.stdout.readline()
            running = line.decode().strip() == READY
            if running:
                started.set()
                pause = PAUSE_SECONDS
                self._ready.add(worker)
                if reloads != self._reloads:  # it may have read the file before
                    _send(signal.SIGHUP, [worker])
            status = await worker.wait()
            self._workers.discard(worker)
            self._ready.discard(worker)
            multiprocess.mark_process_dead(worker.pid, self._folder)  # type: ignore[no-untyped-call]
            if not started.is_set():
                return
            if not self._stopping.is_set():
                _LOG.error("worker %d ended with status %d; another one starts", worker.pid, status)
                await self._stops_within(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _start(self, environment: dict[str, str]) -> asyncio.subprocess.Process:
        number = self._listener.fileno()
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "proxy.server", str(self._config)),
            *(str(self._settings.workers), str(number)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=[number],
            env=environment,
        )

    async def _stops_within(self, seconds: float) -> None:
        """Sleep, until all are to stop at the longest."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _hang_up(self) -> None:
        """Hand a configuration on that can be read; a bad one is reported once, here."""
        try:
            settings = load(self._config, self._settings.workers)
        except ConfigError as error:
            _LOG.error("the configuration stays as it was: %s", error)
            return
        if _embedded(settings) - _embedded(self._settings):
            _LOG.error("the configuration stays as it was: embedded engines need a restart")
            return
        self._reloads += 1
        _send(signal.SIGHUP, self._ready)


def _send(number: signal.Signals, workers: Iterable[asyncio.subprocess.Process]) -> None:
    for worker in workers:
        with suppress(ProcessLookupError):  # it has just ended by itself
            worker.send_signal(number)


def _embedded(settings: Settings) -> set[tuple[str, Path]]:
    """Return the engines that the parent runs, under the names by which workers find them."""
    return {(e.name, e.embedded) for e in settings.engines.values() if e.embedded is not None}
