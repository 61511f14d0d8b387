"""What the page on capacity says is what the script reckons; the script, by hand."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

SCRIPT = ROOT / "docker" / "capacity.py"
PAGE = ROOT / "docs" / "capacity.md"


def reckoned(*args: str) -> str:
    ran = subprocess.run([sys.executable, SCRIPT, *args], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_page_shows_what_the_script_says() -> None:
    before, _, rest = PAGE.read_text("utf-8").partition("<!-- python docker/capacity.py -->\n")
    shown, _, _ = rest.partition("<!-- end -->")
    assert before
    assert shown == reckoned()


def test_one_request_a_second_by_hand() -> None:
    """3 x 10,000 tokens/s at 70% of 1,000 tokens/s are 3 x 15 engines; 50 at once take 500 s."""
    said = reckoned("--rate", "1", "--tokens-per-second", "1000", "--at-once", "50")
    assert "an answer takes 500 s" in said
    assert "| 1 | 45 | 90 | 500 | 2 | - |" in said


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["--tokens-per-second", "5"], "needs --at-once"),
        (["--tp", "1", "--output", "100000"], "no room for one answer"),
    ],
)
def test_what_cannot_be_reckoned(args: list[str], reason: str) -> None:
    ran = subprocess.run([sys.executable, SCRIPT, *args], capture_output=True, text=True)
    assert ran.returncode != 0
    assert reason in ran.stderr
