"""A secret is named, never written: `env:NAME` or `file:PATH`."""

from pathlib import Path

import pytest

from its.secrets import resolve


def test_a_secret_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITS_TEST_SECRET", "abc")
    assert resolve("env:ITS_TEST_SECRET") == "abc"


def test_a_secret_comes_from_a_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("abc\n")
    assert resolve("file:key", tmp_path) == "abc"
    assert resolve(f"file:{tmp_path / 'key'}") == "abc"


@pytest.mark.parametrize(
    ("reference", "fault"),
    [
        ("sk-abc", 'must be "env:NAME" or "file:PATH"'),
        ("", "must be"),
        ("env:ITS_TEST_NOT_SET", "env:ITS_TEST_NOT_SET is empty or not set"),
        ("env:", "is empty or not set"),
        ("file:no-such-file", "cannot read the file no-such-file"),
        ("file:empty", "is empty or not set"),
        ("file:binary", "cannot read the file binary"),
        ("file:lines", "has characters that no HTTP header can carry"),
    ],
)
def test_what_names_no_secret_is_refused(reference: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "lines").write_text("one\ntwo\n")
    with pytest.raises(ValueError, match=fault):
        resolve(reference, tmp_path)


def test_a_secret_given_by_mistake_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="must be") as raised:
        resolve("sk-very-secret")
    assert "very-secret" not in str(raised.value)
