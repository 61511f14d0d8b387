"""Addresses: what no server can have is told before it is asked."""

import pytest

from its import urls

GOOD = [
    "http://127.0.0.1:30000/v1",
    "https://engine.example/v1",
    "HTTP://engine_s:1/v1",
    "http://engine.example.:65535",
    "http://[::1]:8000/v1",
    "http://[fe80::1]/",
]
BAD = [
    ("http://[", "no valid host"),
    ("http://[::1", "no valid host"),
    ("http://[zz]/v1", "no valid host"),
    ("http://[127.0.0.1]/v1", "no valid host"),
    ("http://", "no valid host"),
    ("http:///v1", "no valid host"),
    ("http://:80/v1", "no valid host"),
    ("http://::1/v1", "no valid host"),
    ("http://a..b/v1", "no valid host"),
    ("http://1.2.3.999/v1", "no valid host"),
    ("http://127.1/v1", "no valid host"),
    ("http://h:70000/v1", "port"),
    ("http://h:0/v1", "port"),
    ("http://h:/v1", "port"),
    ("http://h:8a/v1", "no valid host"),
    ("http://h:99999999999/v1", "port"),
    ("http://a b/v1", "space"),
    ("http://h/v 1", "space"),
    (" http://h/v1", "space"),
    ("http://h/v1\n", "space"),
    ("http://h\t/v1", "space"),
    ("http://bücher.example/v1", "space or another character"),
    ("ftp://h/v1", "begin with http"),
    ("h:8000/v1", "begin with http"),
    ("", "begin with http"),
    ("http://u:p@h/v1", "user name"),
    ("http://@h/v1", "user name"),
]


@pytest.mark.parametrize("url", GOOD)
def test_addresses(url: str) -> None:
    assert urls.fault(url) is None


@pytest.mark.parametrize(("url", "reason"), BAD)
def test_what_is_no_address(url: str, reason: str) -> None:
    assert reason in (urls.fault(url) or "")


def test_parts() -> None:
    assert urls.path("http://h:1/a/b?c") == "/a/b"
    assert urls.path("http://h:1") == ""
    assert urls.has_query("http://h/v1?a")
    assert urls.has_query("http://h#a")
    assert not urls.has_query("http://h/v1")
    assert urls.fault("redis://u:p@h:6379/0", ["redis"], secret=True) is None


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("LocalHost:8000", "localhost"),
        ("localhost.", "localhost"),
        ("localhost.:80", "localhost"),
        ("[::1]:8000", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", ""),
        ("a b", ""),
        ("a@127.0.0.1", ""),
        ("127.0.0.1, evil.example", ""),
        ("127.0.0.1:80:80", ""),
        ("", ""),
        (":80", ""),
    ],
)
def test_the_name_in_a_host_header(header: str, name: str) -> None:
    assert urls.host_name(header) == name


def test_what_is_secret_in_an_address_is_left_out() -> None:
    for text, shown in (
        ("http://h:1/v1", "http://h:1/v1"),
        ("http://me:p@h/v1", "http://***@h/v1"),
        ("http://me:p@ss/w@h/v1", "http://***@h/v1"),
        ("socks5://me:p?q@h", "socks5://***@h"),
        ("run --base-url http://me:p@h/v1 --out a@b", "run --base-url http://***@h/v1 --out a@b"),
        ("run 'http://h/v1?key=x' --out b", "run 'http://h/v1?***' --out b"),
    ):
        assert urls.without_secret(text) == shown
