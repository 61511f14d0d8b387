"""An error of a command is one line on standard error, and an exit status."""

import os
import signal
import subprocess
import sys

import pytest
import typer

from its.cli import CommandLine
from tests.conftest import PLAIN, ROOT

CLI = CommandLine("its-test")


def ended(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


def test_a_failure_is_one_line_and_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    long = "a [bold]long[/bold] message " * 20
    with pytest.raises(typer.Exit) as raised:
        CLI.fail(long, 3)
    assert raised.value.exit_code == 3
    assert ended(capsys) == f"its-test: {long}\n"


class OwnStatusError(Exception):
    status = 7


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyError("x"), 2), (OwnStatusError("x"), 7), (KeyboardInterrupt(), 130)],
)
def test_named_errors_become_one_line(
    error: BaseException, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as raised, CLI.one_line_errors(LookupError, OwnStatusError):
        raise error
    assert raised.value.exit_code == status
    assert ended(capsys).count("\n") == 1


def test_other_errors_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError), CLI.one_line_errors(LookupError):
        raise ZeroDivisionError


def test_a_failure_inside_keeps_its_own_status() -> None:
    with pytest.raises(typer.Exit) as raised, CLI.one_line_errors(ValueError, status=1):
        CLI.fail("x", 5)
    assert raised.value.exit_code == 5


def run(code: str) -> "subprocess.Popen[str]":
    program = f"from its.cli import CommandLine\ncli = CommandLine('its-test')\n{code}"
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT, env={**os.environ, **PLAIN}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_a_reader_that_leaves_ends_the_command_quietly() -> None:
    with run("with cli.one_line_errors():\n while True: print('x' * 9999)") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_ctrl_c_ends_the_command_with_one_line() -> None:
    code = "import time\nwith cli.one_line_errors():\n print(1, flush=True); time.sleep(60)"
    asked = f"try:\n exec({code!r})\nexcept BaseException as e: raise SystemExit(e.exit_code)"
    with run(asked) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert said == "its-test: interrupted; run the same command again to go on\n"
    assert process.returncode == 130


@pytest.mark.parametrize("url", ["127.0.0.1:8000/v1", "ftp://a/v1", "http://", "http://a b/v1"])
def test_an_address_that_is_none_ends_the_command(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as raised:
        CLI.url("--engine", url)
    assert raised.value.exit_code == 2
    assert ended(capsys).startswith(f"its-test: --engine: {url!r} ")


@pytest.mark.parametrize(("text", "fault"), [("{", "not JSON"), ("[1]", "must be a JSON object")])
def test_an_option_that_is_no_object_ends_the_command(
    text: str, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit):
        CLI.json_object("--extra", text)
    assert fault in ended(capsys)


def test_good_options_are_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITS_TEST_SECRET", "abc")
    assert CLI.url("--engine", "http://a:1/v1") == "http://a:1/v1"
    assert CLI.json_object("--extra", '{"a": 1}') == {"a": 1}
    assert CLI.secret("--api-key", None) is None
    assert CLI.secret("--api-key", "env:ITS_TEST_SECRET") == "abc"


def test_a_missing_secret_ends_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        CLI.secret("--api-key", "env:ITS_TEST_NOT_SET")
    assert ended(capsys) == "its-test: --api-key: env:ITS_TEST_NOT_SET is empty or not set\n"


def test_a_line_in_a_log_is_what_was_said_and_loads_no_rich() -> None:
    code = (
        "import sys; from its.cli import CommandLine\n"
        "CommandLine('its-x').say('[red] :cat: ' + 'long ' * 50, 'red')\n"
        "assert 'rich' not in sys.modules"
    )
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert said.returncode == 0, said.stderr
    assert said.stderr == f"its-x: [red] :cat: {'long ' * 50}\n"
