"""Where written personas are kept, so that a question is written for once: SQLite or Redis.

Also holds the *leases* by which one process, of all that share a store, writes for a key while
the others wait. What is kept first stays: everybody serves the same text.
"""

import asyncio
import os
import secrets
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from ..config.settings import StoreSettings

BUSY_SECONDS = 0.25
"""How long SQLite waits for another writer; then the store is left out for this request."""

REDIS_SECONDS = 1.0
REDIS_DAYS = 90
"""Redis forgets a persona after so long; its own `maxmemory` bounds its size."""

EVICT_EVERY = 256
"""Personas kept between two looks at the size of a SQLite store."""

T = TypeVar("T")


class StoreError(Exception):
    """The store cannot be reached, is locked, full or corrupt."""


class StoredPersona(msgspec.Struct, frozen=True):
    """A persona as it is kept; `source` is `generate` or `bank`."""

    persona: str
    source: str
    domain: str | None


class Store(Protocol):
    """Every method may raise `StoreError`; keys are hashes in hex, times are seconds."""

    async def open(self) -> None:
        """Reach the store, to learn early whether it can be used."""

    async def get(self, key: str) -> StoredPersona | None: ...

    async def keep(self, key: str, stored: StoredPersona, seconds: float | None) -> StoredPersona:
        """Keep `stored` for `seconds` (`None`: for good) unless there is one; return the kept."""

    async def lease(self, key: str, seconds: float) -> bool:
        """Say whether this process may write for `key` now."""

    async def renew(self, key: str, seconds: float) -> None:
        """Make the lease of this process last `seconds` from now; do nothing if it lost it."""

    async def release(self, key: str) -> None: ...

    async def close(self) -> None: ...


def open_store(settings: StoreSettings) -> Store:
    """Return the store at `settings.url`; it is connected to on first use."""
    if settings.url.startswith("sqlite:"):
        return SqliteStore(Path(settings.url.removeprefix("sqlite:")), settings.rows)
    return RedisStore(settings.url)


async def store_fault(settings: StoreSettings) -> str | None:
    """Open the store and say what is wrong with it; a file that is not there is not made."""
    if settings.url.startswith("sqlite:"):
        path = settings.url.removeprefix("sqlite:")
        if _identity(Path(path)) is None:
            folder = os.path.dirname(path) or "."
            remedy = "Make the folder, or name another file"
            return None if os.access(folder, os.W_OK) else f"cannot write to {folder}. {remedy}"
    store = open_store(settings)
    try:
        await store.open()
    except StoreError as error:
        return f"{error}. Repair or replace the store, or take the key out"
    finally:
        await store.close()
    return None


_SCHEMA = """
CREATE TABLE IF NOT EXISTS personas(
    id INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, body BLOB NOT NULL, until REAL);
CREATE TABLE IF NOT EXISTS leases(
    key TEXT PRIMARY KEY, owner TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
"""


class SqliteStore:
    """One file, shared by the proxies of one machine; at most `rows` personas, oldest out."""

    def __init__(self, path: Path, rows: int) -> None:
        self._path, self._rows = path, rows
        self._owner = secrets.token_hex(8)
        # SQLite blocks: a thread of its own keeps a slow disk away from the event loop.
        self._thread = ThreadPoolExecutor(1, "personas")
        self._db: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._kept = 0

    async def open(self) -> None:
        await self._do(lambda db: db.execute("SELECT count(*) FROM leases"))

    async def get(self, key: str) -> StoredPersona | None:
        return await self._do(self._get, key)

    async def keep(self, key: str, stored: StoredPersona, seconds: float | None) -> StoredPersona:
        return await self._do(self._keep, key, stored, seconds)

    async def lease(self, key: str, seconds: float) -> bool:
        return await self._do(self._lease, key, seconds)

    async def renew(self, key: str, seconds: float) -> None:
        await self._do(self._renew, key, seconds)

    async def release(self, key: str) -> None:
        await self._do(self._release, key)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    async def _do(self, work: Callable[..., T], *args: Any) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._with_db, work, args)
        except (sqlite3.Error, OSError, msgspec.MsgspecError) as error:
            raise StoreError(f"{self._path}: {error}") from error

    def _with_db(self, work: Callable[..., T], args: tuple[Any, ...]) -> T:
        # A connection goes on with a file that was deleted or replaced, and what it keeps is lost.
        if self._db is not None and _identity(self._path) != self._file:
            self._close()
        if self._db is None:
            self._db = self._connect()
            self._file = _identity(self._path)
        return work(self._db, *args)

    def _connect(self) -> sqlite3.Connection:
        # `isolation_level=None`: each statement commits by itself. Python's own transactions would
        # hold the lock of the file until the next commit, and other proxies would find it busy.
        db = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            # With a write-ahead log, a power cut can lose the last personas, not harm the file.
            db.execute("PRAGMA synchronous = NORMAL")
            db.executescript(_SCHEMA)
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _get(self, db: sqlite3.Connection, key: str) -> StoredPersona | None:
        found = db.execute("SELECT body, until FROM personas WHERE key = ?", [key]).fetchone()
        if found is None or (found[1] is not None and found[1] < time.time()):
            return None
        return msgspec.json.decode(found[0], type=StoredPersona)

    def _keep(
        self, db: sqlite3.Connection, key: str, stored: StoredPersona, seconds: float | None
    ) -> StoredPersona:
        # `time.time`: the file outlives this process, and `monotonic` means nothing in another.
        now = time.time()
        until = None if seconds is None else now + seconds
        # What is kept for good has no `until`: the comparison is NULL then, and the first stays.
        db.execute(
            "INSERT INTO personas(key, body, until) VALUES(?, ?, ?) ON CONFLICT(key) DO UPDATE"
            " SET body = excluded.body, until = excluded.until WHERE personas.until < ?",
            [key, msgspec.json.encode(stored), until, now],
        )
        if self._kept % EVICT_EVERY == 0:
            self._evict(db)
        self._kept += 1
        return self._get(db, key) or stored

    def _evict(self, db: sqlite3.Connection) -> None:
        db.execute(
            "DELETE FROM personas WHERE id <= (SELECT max(id) FROM personas) - ?", [self._rows]
        )
        db.execute("DELETE FROM leases WHERE until < ?", [time.time()])

    def _lease(self, db: sqlite3.Connection, key: str, seconds: float) -> bool:
        now = time.time()
        # One statement looks and takes: between two, another process could take the lease as well.
        done = db.execute(
            "INSERT INTO leases VALUES(?, ?, ?) ON CONFLICT(key) DO UPDATE"
            " SET owner = excluded.owner, until = excluded.until WHERE leases.until < ?",
            [key, self._owner, now + seconds, now],
        )
        return done.rowcount == 1

    def _renew(self, db: sqlite3.Connection, key: str, seconds: float) -> None:
        db.execute(
            "UPDATE leases SET until = ? WHERE key = ? AND owner = ?",
            [time.time() + seconds, key, self._owner],
        )

    def _release(self, db: sqlite3.Connection, key: str) -> None:
        # Only our own: if it ran out meanwhile, another process writes under it now.
        db.execute("DELETE FROM leases WHERE key = ? AND owner = ?", [key, self._owner])

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at `path` from a later one of the same name; `None`: no file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


class RedisStore:
    """A Redis server that several machines share."""

    # Scripts, because Redis runs one as a whole: between a `get` and a `del` of ours the lease
    # could run out, and what we delete would be another machine's.
    _RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end"
    _RENEW = (
        "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('pexpire', KEYS[1], ARGV[2]) end"
    )

    def __init__(self, url: str) -> None:
        # An optional extra: only who shares a store needs the client.
        from redis.asyncio import Redis
        from redis.exceptions import RedisError

        self._failures = (RedisError, OSError, msgspec.MsgspecError)
        self._redis = Redis.from_url(
            url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS
        )
        self._owner = secrets.token_hex(8)

    async def open(self) -> None:
        await self._do(self._redis.ping())

    async def get(self, key: str) -> StoredPersona | None:
        found = await self._do(self._redis.get(_persona(key)))
        return None if found is None else self._decode(found)

    async def keep(self, key: str, stored: StoredPersona, seconds: float | None) -> StoredPersona:
        body = msgspec.json.encode(stored)
        ttl = REDIS_DAYS * 86400 if seconds is None else max(1, int(seconds))
        if await self._do(self._redis.set(_persona(key), body, nx=True, ex=ttl)):
            return stored
        return await self.get(key) or stored

    async def lease(self, key: str, seconds: float) -> bool:
        ms = max(1, int(seconds * 1000))
        return bool(await self._do(self._redis.set(_lease(key), self._owner, nx=True, px=ms)))

    async def renew(self, key: str, seconds: float) -> None:
        ms = max(1, int(seconds * 1000))
        await self._do(self._redis.eval(self._RENEW, 1, _lease(key), self._owner, str(ms)))

    async def release(self, key: str) -> None:
        await self._do(self._redis.eval(self._RELEASE, 1, _lease(key), self._owner))

    async def close(self) -> None:
        await self._redis.aclose()

    async def _do(self, call: Any) -> Any:
        try:
            return await call
        except self._failures as error:
            raise StoreError(f"Redis: {type(error).__name__}: {error}") from error

    def _decode(self, body: bytes) -> StoredPersona:
        try:
            return msgspec.json.decode(body, type=StoredPersona)
        except msgspec.MsgspecError as error:
            raise StoreError(f"Redis holds what is no persona: {error}") from error


def _persona(key: str) -> str:
    return f"its:persona:{key}"


def _lease(key: str) -> str:
    return f"its:lease:{key}"
