"""What is remembered is bounded in bytes."""

import sys

from its.recent import ENTRY, Recent, text_size


def test_the_least_recently_used_is_forgotten() -> None:
    size = 1_000 - ENTRY
    recent: Recent[int, str] = Recent(300_000)
    for number in range(300):
        recent.keep(number, str(number), size)
    assert recent.get(0) == "0"
    recent.keep(300, "300", size)
    assert recent.get(0) == "0", "it was used"
    assert recent.get(1) is None
    assert recent.get(300) == "300"


def test_what_is_kept_again_counts_once() -> None:
    recent: Recent[str, int] = Recent(1_000_000)
    recent.keep("other", 0, 100)
    for number in range(10_000):
        recent.keep("one", number, 5_000)
    assert recent.get("one") == 9_999
    assert recent.get("other") == 0


def test_one_large_value_does_not_empty_the_memory() -> None:
    recent: Recent[str, int] = Recent(100_000)
    recent.keep("small", 1, 10)
    recent.keep("large", 2, 50_000)
    assert recent.get("small") == 1
    assert recent.get("large") is None


def test_an_emoji_takes_four_bytes_in_every_character_beside_it() -> None:
    assert text_size("a" * 1000 + "\U0001f600") > 4_000
    assert text_size(None, "abc") == sys.getsizeof("abc")
