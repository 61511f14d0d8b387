"""Where one request ends and the next begins: what keeps clients behind a reverse proxy apart.

httptools parses, but it is never given a byte of two requests at once, and never sees an upgrade.
"""

from dataclasses import dataclass

import httptools

MOST_HEAD = 64 * 1024
END = b"\r\n\r\n"
VERSIONS = frozenset({"1.0", "1.1"})
CREDIT = 8
"""Bytes of chunk sizes and extensions that one byte of content may have; a client's smallest chunks
need five."""


class FramingError(Exception):
    """The bytes are not HTTP/1.1 as RFC 9112 asks for it."""


@dataclass(frozen=True, slots=True)
class Head:
    """A request's head; header names are lower case."""

    method: str
    url: bytes
    version: str
    headers: list[tuple[bytes, bytes]]
    keep_alive: bool


class RequestParser:
    """Reads one request after the other: its head as a whole, then its body piece by piece."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._content: list[bytes] = []
        self._in_body = self._keep_alive = False
        self._left: int | None = None
        self._tail, self._framing = b"", 0
        self.whole = True
        """Whether the request that was begun last is here to its end."""

    def head(self, head: bytes) -> Head:
        """Read a whole head, up to and with its empty line.

        Raises:
            FramingError: it is no head of HTTP/1.1.
        """
        if b"\r\n " in head or b"\r\n\t" in head:
            raise FramingError("a header is folded over two lines")  # RFC 9112, 5.2
        self._url, self._headers, self._content = b"", [], []
        self._in_body = self.whole = False
        self._feed(_without_upgrade(head))
        if not self._in_body:
            raise FramingError("a head has no end")
        self._left, self._tail, self._framing = self._length(), b"", 0
        method = self._parser.get_method().decode("ascii")
        version = self._parser.get_http_version()
        if version not in VERSIONS:  # the parser also takes 0.9 and 2.0
            raise FramingError("it is another version of HTTP")
        return Head(method, self._url, version, self._headers, self._keep_alive)

    def body(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Read what belongs to the body; return its content, and the bytes that follow the request.

        Raises:
            FramingError: it is not framed as its head says.
        """
        self._content = []
        rest = self._chunks(data) if self._left is None else self._sized(data, self._left)
        return self._content, rest

    def _length(self) -> int | None:
        """Return the Content-Length; the parser has refused two, and a chunked body with one."""
        for name, value in self._headers:
            if name == b"content-length":
                try:
                    return int(value)
                except ValueError as error:
                    raise FramingError("Content-Length is no number") from error
        return None

    def _sized(self, data: bytes, left: int) -> bytes:
        piece = data[:left]
        self._left = left - len(piece)
        self._feed(piece)
        if self.whole != (self._left == 0):
            raise FramingError("the parser counts another length")
        return data[len(piece) :]

    def _chunks(self, data: bytes) -> bytes:
        """A chunked body ends with CRLF CRLF, so no piece that is cut there reaches beyond it."""
        while data and not self.whole:
            seam = (self._tail + data[:3]).find(END)  # it may lie across two pieces
            at = seam - len(self._tail) if seam >= 0 else data.find(END)
            piece = data[: at + len(END)] if seam >= 0 or at >= 0 else data
            self._framing += len(piece)
            self._feed(piece)
            if self._framing > MOST_HEAD:
                raise FramingError("a body has more framing than content")
            self._tail = (self._tail + piece[-3:])[-3:]
            data = data[len(piece) :]
        return data

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise FramingError("the request is not HTTP/1.1") from error

    # What httptools calls ---------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._in_body:
            raise ValueError("the parser reads on behind a body")

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body:  # else it is a trailer: nobody asked for it
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._in_body = True
        self._keep_alive = self._parser.should_keep_alive()  # known in this moment only

    def on_body(self, body: bytes) -> None:
        self._framing = max(0, self._framing - CREDIT * len(body))
        self._content.append(body)

    def on_message_complete(self) -> None:
        self.whole = True


def may_begin(received: bytearray) -> bool:
    """Tell whether `received` can be the beginning of a head: a method in capital letters."""
    word = bytes(received[:16]).partition(b" ")[0]
    return word.isalpha() and word.isupper() and len(word) < 16 and b"\n\n" not in received


def _without_upgrade(head: bytes) -> bytes:
    """Return a head without its `Upgrade` headers.

    We speak no other protocol, and may ignore the wish for one (RFC 9110, 7.8). httptools may not:
    it takes the body of such a request for bytes of the other protocol.
    """
    if b"upgrade" not in head.lower():
        return head
    first, *lines = head.split(b"\r\n")
    kept = [line for line in lines if line.partition(b":")[0].lower() != b"upgrade"]
    return b"\r\n".join([first, *kept])
