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
from contextlib import AsyncExitStack
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
PAUSE_SECONDS = 1.0
"""Before a worker that died is started again."""

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
        for worker in self._workers:
            worker.send_signal(signal.SIGTERM)
        seconds = self._settings.drain_seconds + KILL_SECONDS
        _, hanging = await asyncio.wait(keeping, timeout=seconds)
        for worker in self._workers:
            worker.kill()
        if hanging:
            await asyncio.wait(hanging)
        ready.cancel()
        stop.cancel()
        return succeeded

    async def _keep(self, environment: dict[str, str], started: asyncio.Event) -> None:
        """Run one worker, again and again; return when one cannot start, or all are to stop."""
        while True:
            number = self._listener.fileno()
            worker = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "proxy.server", str(self._config)),
                *(str(self._settings.workers), str(number)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                pass_fds=[number],
                env=environment,
            )
            self._workers.add(worker)
            assert worker.stdout is not None
            line = await worker.stdout.readline()
            running = line.decode().strip() == READY
            if running:
                started.set()
            status = await worker.wait()
            self._workers.discard(worker)
            multiprocess.mark_process_dead(worker.pid, self._folder)  # type: ignore[no-untyped-call]
            if self._stopping.is_set() or not running:
                return
            _LOG.error("worker %d ended with status %d; another one starts", worker.pid, status)
            await asyncio.sleep(PAUSE_SECONDS)

    def _hang_up(self) -> None:
        """Hand a configuration on that can be read; a bad one is reported once, here."""
        try:
            settings = load(self._config, self._settings.workers)
        except ConfigError as error:
            _LOG.error("the configuration stays as it was: %s", error)
            return
        before = {engine.embedded for engine in self._settings.engines.values()}
        added = {engine.embedded for engine in settings.engines.values()} - before
        if added:
            _LOG.error("the configuration stays as it was: embedded engines need a restart")
            return
        for worker in self._workers:
            worker.send_signal(signal.SIGHUP)
