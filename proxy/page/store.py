"""The verdicts that are kept in memory, and the requests that run: by key and request id."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from sys import getsizeof
from typing import Any, TypeAlias

from its.types import Message

from ..base.outcome import Row
from ..base.record import Record
from ..base.told import Told
from ..config.settings import Settings
from .facts import End, facts, packed, texts, unpacked

KEPT = 200
"""Verdicts that are kept where the configuration names no number, on a loopback without keys."""

MOST_TEXT = 64 * 1_000_000
"""Bytes of all kept texts."""

ENDING_SECONDS = 0.1
"""How long to look for a request: its client has the last byte before it has ended here."""

EACH = 2_000
"""Bytes that a kept call needs beside its texts."""

NOT_KEPT = "No verdicts are kept. Set server.keep_verdicts to the number that should be."
DROPPED = f"The texts of all kept verdicts have {MOST_TEXT // 1_000_000} MB; these were dropped."
TURNED_OFF = "Texts are not kept: the configuration has server.keep_texts = false."
WITH_KEYS = "Texts are not kept, because this proxy has keys. Set server.keep_texts = true."
OPEN = "Texts are not kept, as not only this machine is served. Set server.keep_texts = true."

Owner: TypeAlias = str
"""The name of the key that asked; `""` where there are no keys."""

RequestKey: TypeAlias = tuple[Owner, str]


@dataclass(slots=True)
class _Looking:
    """Who looks at a request: how many, and the panel's request, once it has begun."""

    count: int = 0
    told: Told | None = None


@dataclass(slots=True, eq=False)
class KeptVerdict:
    """A request that ended: with its texts (`told`), or as `plain` facts, packed."""

    end: End
    told: Told | None
    plain: bytes
    size: int
    why: str | None

    def seen(self) -> dict[str, Any]:
        """Return all that is known of it, as JSON."""
        if self.told is None:
            return {**unpacked(self.plain), "texts": False, "why_no_texts": self.why}
        return {**texts(self.end, self.told), "texts": True, "why_no_texts": None}

    def facts(self) -> dict[str, Any]:
        """Return what is known of it without any text."""
        return unpacked(self.plain) if self.told is None else facts(self.end, self.told)

    def drop(self, why: str | None) -> int:
        """Let go of the texts; return how many bytes they had."""
        freed, self.size = self.size, 0
        if self.told is not None:
            self.plain, self.told, self.why = packed(facts(self.end, self.told)), None, why
        return freed


class Verdicts:
    """The last requests, newest last; `insecure` says that anybody may reach a proxy without keys.

    `server.keep_verdicts` and `server.keep_texts` decide. Where they say nothing, a loopback
    without keys keeps 200 with their texts, and everybody else keeps none.
    """

    def __init__(self, settings: Settings, *, insecure: bool = False) -> None:
        self._kept: OrderedDict[RequestKey, KeptVerdict] = OrderedDict()
        self._running: dict[RequestKey, Told] = {}
        self._expected: dict[RequestKey, _Looking] = {}
        self._insecure = insecure
        self._size = 0
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Go by `settings` from now on; what they do not allow any more is dropped."""
        page, keys = settings.page, bool(settings.clients)
        private = not keys and not self._insecure
        usual = KEPT if private and page.shown else 0
        self.most = usual if page.keep_verdicts is None else page.keep_verdicts
        self.shown = page.shown
        self.with_texts = private if page.keep_texts is None else page.keep_texts
        self.why: str | None = None
        if not self.with_texts:
            self.why = TURNED_OFF if page.keep_texts is False else WITH_KEYS if keys else OPEN
            for kept in self._kept.values():
                self._size -= kept.drop(self.why)
        self._shrink()

    def begin(self, record: Record, told: Told) -> bool:
        """Note that a panel begins to answer; tell whether somebody waits to look at it."""
        if not (self.shown or self.most):
            return False
        told.began = time.monotonic()
        record.told, key = told, key_of(record)
        told.key = key
        self._running[key] = told
        looking = self._expected.get(key)
        if looking is None:
            return False
        looking.told = told  # it may have ended before they look the next time
        return True

    def looked_at(self, record: Record) -> bool:
        """Tell whether somebody waits to look at a request."""
        return bool(self._expected) and key_of(record) in self._expected

    def end(self, record: Record, told: Told, status: int, seconds: float) -> None:
        """Note that a request ended, and keep it."""
        # This runs at the end of every request, so it only takes references, where it can.
        key = told.key
        if key is None:
            key = key_of(record)
        elif self._running.get(key) is told:
            del self._running[key]
        end = told.end = End(
            key[1], record.model, time.time() - seconds, seconds, record.first_byte, status,
            record.cause, record.error, record.streamed,
        )  # fmt: skip
        if self.most:
            self._keep(key, end, told)

    def _keep(self, key: RequestKey, end: End, told: Told) -> None:
        kept_all = self._kept
        if key in kept_all:
            self._size -= kept_all.pop(key).size
        if self.with_texts:
            size = _stripped(told)
            kept_all[key] = KeptVerdict(end, told, b"", size, None)
            self._size += size
        else:
            kept_all[key] = KeptVerdict(end, None, packed(facts(end, told)), 0, self.why)
        if len(kept_all) > self.most or self._size > MOST_TEXT:
            self._shrink()

    def _shrink(self) -> None:
        while len(self._kept) > self.most:
            _, kept = self._kept.popitem(last=False)
            self._size -= kept.size
        if self._size > MOST_TEXT:
            for kept in self._kept.values():  # the oldest first
                self._size -= kept.drop(DROPPED)
                if self._size <= MOST_TEXT:
                    return

    def of(self, owner: Owner) -> list[KeptVerdict]:
        """Return what is kept of an owner's requests, newest first."""
        return [kept for (own, _), kept in reversed(self._kept.items()) if own == owner]

    def get(self, owner: Owner, request_id: str) -> KeptVerdict | None:
        """Return one of an owner's requests."""
        return self._kept.get((owner, request_id))

    async def found(self, key: RequestKey) -> KeptVerdict | None:
        """Return a request; wait a moment for one whose answer has just been sent."""
        until = time.monotonic() + ENDING_SECONDS
        while (kept := self._kept.get(key)) is None and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.005)  # no event: requests would have to set one
        return kept

    def running(self, key: RequestKey) -> Told | None:
        """Return a request that runs."""
        return self._running.get(key)

    def expect(self, key: RequestKey) -> None:
        """Say that somebody looks at this request, or will when it begins."""
        looking = self._expected.setdefault(key, _Looking(told=self._running.get(key)))
        looking.count += 1

    def begun(self, key: RequestKey) -> Told | None:
        """Return the request that somebody looks at, once it has begun; it may have ended."""
        return self._expected[key].told

    def leave(self, key: RequestKey) -> None:
        """Say that somebody looks no more."""
        looking = self._expected[key]
        looking.count -= 1
        if not looking.count:
            del self._expected[key]

    @property
    def lookers(self) -> int:
        """How many look at requests that run."""
        return sum(looking.count for looking in self._expected.values())


def key_of(record: Record) -> RequestKey:
    """Return by what a request is found again: whose it is, and its id."""
    client = record.client
    return client.name if client is not None else "", record.request_id.decode()


def _stripped(told: Told) -> int:
    """Drop what nobody will look at (raw choices, log-probabilities); return the bytes of texts."""
    if told.pieces is not None:
        told.raw, told.pieces = b"".join(told.pieces), None
    size = EACH + _of_messages(told.messages) + len(told.raw or b"")
    own: set[int] = set()
    for row in told.rows.values():
        row.completed = None
        size += EACH
        reply = row.reply
        if reply is not None:
            size += 2 * getsizeof(reply.raw)  # its text is mostly the same object
            if len(reply.message) > 2:  # more than a role and a content
                size += _bytes(reply.message)
        if row.outcome != "ok":
            size += _cut(row)
        messages = row.call.messages
        if messages is not None and id(messages) not in own:
            own.add(id(messages))
            size += _of_messages(messages)
    return size


def _cut(row: Row) -> int:
    """Drop what nobody will look at of a call that did not end well; return the bytes of texts."""
    if row.failed is not None:  # an exception would hold the whole request by its traceback
        row.failed = replace(row.failed, cause=None)
    said = row.spent.said
    if said is None:
        return 0
    # The pieces need many times the text's memory.
    row.spent.said = {name: ["".join(pieces)] for name, pieces in said.items()}
    return _bytes(row.spent.said)


def _of_messages(messages: Sequence[Message]) -> int:
    """Return about how many bytes messages need."""
    size = 0
    for message in messages:
        for value in message.values():
            size += getsizeof(value) if type(value) is str else _bytes(value)
    return size


def _bytes(value: Any) -> int:
    """Return about how many bytes a JSON value needs; texts exactly."""
    if isinstance(value, str):
        return getsizeof(value)
    if isinstance(value, Mapping):
        return 64 + sum([_bytes(each) for each in value.values()])
    if isinstance(value, Sequence):
        return 56 + sum([_bytes(each) for each in value])
    return 28
