"""Server-sent events: the same ones, however the bytes were cut."""

from hypothesis import given
from hypothesis import strategies as st

from its.sse import Event, Reader, lines, looks_like_events


def read(*pieces: bytes) -> list[Event]:
    reader = Reader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.close()


TEXTS = st.text(st.sampled_from("ab:{ é\u2028\u0085\x0b\x0c\x1c"), max_size=6)
ENDS = st.sampled_from(["\n", "\r", "\r\n"])


@given(texts=st.lists(TEXTS, max_size=5), end=ENDS, bom=st.booleans(), data=st.data())
def test_any_cut_gives_the_same_events(
    texts: list[str], end: str, bom: bool, data: st.DataObject
) -> None:
    body = "".join(f": note{end}data: {text}{end}{end}" for text in texts)
    raw = (b"\xef\xbb\xbf" if bom else b"") + body.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert read(*pieces) == [Event(b"", text.encode()) for text in texts]


def test_fields() -> None:
    assert read(b"event: error\ndata:x\n\n") == [Event(b"error", b"x")]
    assert read(b"data: a\ndata: b\n\ndata: c\n\n") == [Event(b"", b"a\nb"), Event(b"", b"c")]
    assert read(b"event: x\n\nid: 1\nretry: 3\ndatum: 1\n\n") == []
    assert read(b"data: cut") == [Event(b"", b"cut")], "some servers end without a line end"


def test_a_cr_ends_its_event_at_once() -> None:
    reader = Reader()
    assert reader.feed(b"data: 1\r\r") == [Event(b"", b"1")]
    assert reader.feed(b"data: 2\r\n") == []
    assert reader.feed(b"\r") == [Event(b"", b"2")]
    assert reader.feed(b"\ndata: 3\n\n") == [Event(b"", b"3")], "that LF belongs to the CR before"


def test_a_long_line_in_small_pieces_is_joined_once() -> None:
    reader = Reader()
    for _ in range(200_000):  # joined each time this would copy a terabyte
        assert reader.feed(b"data: xxxxxxxxxxxxxxxxxxxx") == []
    [event] = reader.feed(b"\n\n")
    assert len(event.data) == 200_000 * 26 - 6


@given(st.binary() | st.text("ab\n\r\u2028\u0085\x0b\x0c\x1c").map(str.encode))
def test_lines_end_in_lf_cr_and_crlf_only(data: bytes) -> None:
    found = lines(data)
    assert b"".join(found) == data
    for line in found:
        content = line.rstrip(b"\r\n")
        end = line[len(content) :]
        assert end in (b"\n", b"\r", b"\r\n") or (end == b"" and line == found[-1])
        assert b"\n" not in content
        assert b"\r" not in content


def test_what_looks_like_events() -> None:
    for body in (b"data: {}", b"\r\n\ndata:", b": hi", b"event: x", b"\xef\xbb\xbfid: 1"):
        assert looks_like_events(body) is True, body
    for body in (b'{"a": 1}', b"<html>", b"date", b"d{"):
        assert looks_like_events(body) is False, body
    for body in (b"", b"\n", b"da", b"ret", b"\xef", b"\xef\xbb", b"\xef\xbb\xbf"):
        assert looks_like_events(body) is None, body
