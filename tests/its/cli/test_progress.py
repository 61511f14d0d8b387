"""Bars stand on standard error and end where the work ended."""

import pytest

from its.cli import bar, downloads


def test_a_bar_ends_where_the_work_ended(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("rows [0-9]", 130, done=10, every=64) as advance:
        for _ in range(120):
            advance()
    said = capsys.readouterr()
    assert said.out == ""
    assert "rows [0-9]" in said.err
    assert "130/130" in said.err


def test_a_step_may_change_the_label(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("solved 0", 2) as advance:
        advance("solved 1")
        advance()
    assert "solved 1" in capsys.readouterr().err


def test_each_download_has_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with downloads() as report:
        report("one", 500_000, 1_000_000)
        report("two", 1, 2)
        report("one", 1_000_000, 1_000_000)
    said = capsys.readouterr().err
    assert "one" in said
    assert "two" in said
    assert "1.0/1.0 MB" in said
