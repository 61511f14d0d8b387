"""The embedded engine: llama.cpp's own OpenAI server, in a child process, on the CPU.

`python -m proxy.engines.embedded FILE.gguf` is the child. It reads its key, a line of standard
input, prints its address and serves. It ends when its standard input closes, so it ends with its
parent, however that ends. Without the key every web page that the user opens could ask the engine.
"""

import asyncio
import os
import secrets
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from its import children

from ..base.guards import EndpointKind
from ..config.settings import EMBEDDED_TOKENS, EngineSettings
from . import llama
from .http1 import Pool
from .response import HttpError
from .servers import Adapter

SLOTS = 8

START_SECONDS = 120.0
STOP_SECONDS = 5.0


class EngineDied(Exception):
    """The embedded engine could not start; the message says why, as far as it said."""


class EmbeddedServer:
    """A llama.cpp server on the model file that the settings name, in a child process."""

    adapters: Mapping[EndpointKind, Adapter] = {"tokenize": llama.tokenize}

    def __init__(self, settings: EngineSettings) -> None:
        self._model = Path(settings.place)
        self._process: asyncio.subprocess.Process | None = None
        self.base_url = ""
        self.api_key: str | None = secrets.token_urlsafe(32)

    async def start(self) -> None:
        """Start the child; return when it has loaded the model.

        Raises:
            EngineDied: it ended, or did not load in time.
        """
        self._process = await asyncio.create_subprocess_exec(
            *children.python("proxy.engines.embedded", self._model),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=children.environment(),
        )
        try:
            # Through the pipe: command lines and environments can be read by others.
            assert self._process.stdin is not None
            self._process.stdin.write(f"{self.api_key}\n".encode())
            async with asyncio.timeout(START_SECONDS):
                self.base_url = f"{await self._address()}/v1"
                await self._wait_until_loaded()
        except BaseException as error:
            await self.stop()
            if isinstance(error, TimeoutError):
                raise EngineDied(f"{self._model.name} did not load in time") from error
            raise

    async def _address(self) -> str:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        while line := await process.stdout.readline():
            if line.startswith(b"http://"):
                return line.decode().strip()
        status = await process.wait()
        raise EngineDied(f"the engine on {self._model} ended with status {status}")

    async def _wait_until_loaded(self) -> None:
        pool = Pool(self.base_url)
        while True:
            try:
                with await pool.send(b"GET", b"/health", b"", b"", START_SECONDS) as response:
                    if response.status == 200:
                        return
            except HttpError:
                if self._process and self._process.returncode is not None:
                    raise EngineDied(f"the engine on {self._model} ended") from None
            finally:
                pool.close()
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """End the child: it ends when its standard input does."""
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


def serve(model: Path) -> None:
    """Serve `model` on a free loopback port until standard input ends or a signal comes."""
    key = _key()
    # libgomp reads these when it is loaded. Threads that spin for long collapse to one token a
    # second on a busy machine; threads that never spin lose half of one stream's speed.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {model.stem}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.cors_credentials = False
    params.endpoint_slots = False
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * EMBEDDED_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = min(4, os.cpu_count() or 1)
    params.ui = False
    params.cache_ram_mib = 256
    params.verbosity = 1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    ended = threading.Event()
    # Ctrl-C reaches the whole process group; the parent decides when the engine ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    threading.Thread(target=_until_orphaned, args=[ended], daemon=True).start()
    ended.wait()


def _key() -> str:
    """Read a line of standard input, byte by byte: what comes later is for `_until_orphaned`."""
    line = b""
    while (byte := os.read(0, 1)) not in (b"", b"\n"):
        line += byte
    if not line:
        raise SystemExit("the first line of standard input must be the key of the engine")
    return line.decode()


def _until_orphaned(ended: threading.Event) -> None:
    while os.read(0, 1024):  # a plain read: sys.stdin's lock would break the interpreter's exit
        pass
    ended.set()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
