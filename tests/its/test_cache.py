"""A public data set that changed since it was first loaded here is noticed."""

from pathlib import Path

import pytest

from its import cache


def test_the_first_hash_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.first_seen("a", "1") is None
    assert cache.first_seen("a", "2") == "1"
    assert cache.first_seen("b", "3") is None
    assert cache.first_seen("a", "1") == "1"
    (cache.folder() / "first-seen.json").write_text("{broken")
    assert cache.first_seen("a", "2") is None
    assert cache.first_seen("a", "3") == "2"


def test_a_place_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cache.first_seen("a", "1") is None
