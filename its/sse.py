"""Server-sent events, read as they arrive (WHATWG HTML, section 9.2).

Lines end in LF, CR or CRLF and in nothing else: `str.splitlines` would also split at U+2028 and
U+0085, which may stand inside a JSON text.
"""

import re
from typing import NamedTuple

EVENT_ENDS = (b"\n\n", b"\n\r\n", b"\r\r")
"""What the bytes of a complete event end in, whichever line ends the server uses."""

_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+$")
_BOM = b"\xef\xbb\xbf"
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")


class Event(NamedTuple):
    """One event: its type (`b""` where the stream names none) and its data."""

    name: bytes
    data: bytes


class Reader:
    """Takes a stream's bytes in any pieces; returns the events that are complete."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._name = b""
        self._data: list[bytes] = []
        self._began = self._after_cr = False

    def feed(self, data: bytes) -> list[Event]:
        """Take the next piece; return the events that end in it."""
        if not self._began:
            data = self._begin(data)
        # A CR ends its line at once. The LF of a CRLF that was cut in two must not end another.
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        self._rest.append(data)
        if b"\n" not in data:  # joined only when a line ends: a long line costs linear time
            return []
        *lines, rest = b"".join(self._rest).split(b"\n")
        self._rest = [rest] if rest else []
        return [event for line in lines if (event := self._line(line)) is not None]

    def close(self) -> list[Event]:
        """Return the event that the end of the stream cut short: some servers end it so."""
        lines = [b"".join(self._rest), b""]
        self._rest = []
        return [event for line in lines if (event := self._line(line)) is not None]

    def _begin(self, data: bytes) -> bytes:
        data = b"".join([*self._rest, data])
        self._rest = []
        if len(data) >= len(_BOM) or not _BOM.startswith(data):
            self._began = True
            return data.removeprefix(_BOM)
        self._rest = [data] if data else []
        return b""

    def _line(self, line: bytes) -> Event | None:
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif not line:
            name, data = self._name, self._data
            self._name, self._data = b"", []
            return Event(name, data[0] if len(data) == 1 else b"\n".join(data)) if data else None
        elif line.startswith(b"event:"):
            self._name = line[6:].strip(b" ")
        return None


def lines(data: bytes) -> list[bytes]:
    """Return the lines of whole events, each with its end: joined they are `data` again."""
    return _LINE.findall(data)


def looks_like_events(begun: bytes) -> bool | None:
    """Tell by a body's first bytes whether it is a stream of events; `None`: too few to tell.

    For servers that stream under another content type than `text/event-stream`.
    """
    if _BOM.startswith(begun):
        return None
    begun = begun.removeprefix(_BOM).lstrip(b"\r\n")
    if begun.startswith(_FIELDS):
        return True
    return None if any(field.startswith(begun) for field in _FIELDS) else False
