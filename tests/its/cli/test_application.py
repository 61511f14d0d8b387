"""What the three commands share: the version, the volume, completion, and missing extras."""

import os
import pty
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from its.extras import EXTRAS, extra_of
from tests.conftest import MEMBERS, PLAIN, ROOT, command

PROGRAMS = ("proxy", "eval", "sft")
LIMIT = 0.6
"""Seconds of CPU time that `--help` may take: wall-clock time says more of the machine."""


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_command_tells_its_version(program: str) -> None:
    told = command(program, "--version")
    assert told.returncode == 0
    assert told.stdout == f"its-{program} {version('input-time-scaling')}\n"


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_is_fast(program: str) -> None:
    code = (
        "import os, subprocess, sys\n"
        "subprocess.run([sys.executable, '-m', sys.argv[1], '--help'], check=True,"
        " stdout=subprocess.DEVNULL)\n"
        "used = os.times()\n"
        "print(used.children_user + used.children_system)"
    )
    argv = [sys.executable, "-c", code, program]
    took = [float(subprocess.check_output(argv, cwd=ROOT, text=True)) for _ in range(3)]
    assert min(took) < LIMIT


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_completion(program: str, shell: str) -> None:
    env = {**os.environ, **PLAIN, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    argv = [sys.executable, "-m", program, "--show-completion", shell]
    told = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert "_COMPLETE" in told.stdout


def test_completion_names_the_commands() -> None:
    env = {**os.environ, "_ITS_PROXY_COMPLETE": "complete_bash", "COMP_WORDS": "its-proxy se"}
    env["COMP_CWORD"] = "1"
    code = "import sys; sys.argv[0] = 'its-proxy'; from proxy.__main__ import main; main()"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True)
    assert b"serve" in told.stdout.split()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "panels.toml"
    file.write_text(MEMBERS.replace("{engine}", "http://127.0.0.1:9"), "utf-8")
    return file


@pytest.mark.parametrize("before", [True, False])
def test_quiet_leaves_warnings_out_and_results_in(config: Path, before: bool) -> None:
    words = ["check", "--config", config]
    assert "Warning" in command("proxy", *words).stderr
    told = command("proxy", "-q", *words) if before else command("proxy", *words, "--quiet")
    assert told.stderr == ""
    assert "panel vote3" in told.stdout
    assert "Warning" in command("proxy", *words).stderr, "the next command is not quiet"


def test_quiet_keeps_errors(tmp_path: Path) -> None:
    told = command("proxy", "check", "-q", "--config", tmp_path / "no.toml")
    assert told.returncode == 2
    assert "cannot be read" in told.stderr


def test_verbose_shows_where_an_error_came_from(tmp_path: Path) -> None:
    words = ["check", "--config", tmp_path / "no.toml"]
    assert "Traceback" not in command("proxy", *words).stderr
    told = command("proxy", *words, "-v").stderr
    assert "Traceback" in told
    assert told.splitlines()[-1].startswith("its-proxy: ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["proxy", "serv"], "Did you mean 'serve'"),
        (["proxy", "serve", "--confg", "x"], "Did you mean --config?"),
        (["sft", "compose", "x", "--strategy", "simlar"], "Did you mean 'similar'"),
        (["sft", "compose", "x", "--strategy", "none", "--placement", "befor"], "mean 'before'?"),
        (["proxy", "model", "smollm"], "Did you mean 'smollm2-135m'"),
        (["eval", "task", "gsm8", "--out", "x"], "Did you mean 'gsm8k'"),
    ],
)
def test_the_nearest_name_is_told(words: list[str], told: str) -> None:
    ended = command(*words)
    assert ended.returncode in (1, 2)
    assert told in " ".join(ended.stderr.replace("│", "").split())


@pytest.mark.parametrize("colour", [True, False])
def test_no_color_is_honoured_on_a_terminal(tmp_path: Path, colour: bool) -> None:
    env = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM")}
    env |= {"TERM": "xterm-256color"} | ({} if colour else {"NO_COLOR": "1"})
    reader, terminal = pty.openpty()
    argv = [sys.executable, "-m", "proxy", "check", "--config", str(tmp_path / "no.toml")]
    subprocess.run(argv, cwd=ROOT, env=env, stdout=terminal, stderr=terminal, timeout=60)
    os.close(terminal)
    said = os.read(reader, 65536).decode()
    os.close(reader)
    assert "cannot be read" in said
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-9]", said)) is colour


# Missing extras -----------------------------------------------------------------------------

BLOCKED = """
import sys, importlib.abc
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {blocked!r}.split():
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Block())
sys.argv = {argv!r}
from {program}.__main__ import main
main()
"""


def without(blocked: str, program: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a command where the modules `blocked` are not installed."""
    argv = [f"its-{program}", *map(str, words)]
    code = BLOCKED.format(blocked=blocked, argv=argv, program=program)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **PLAIN}, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip


ALL = " ".join({module for modules in EXTRAS.values() for module in modules})


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_needs_no_extra(program: str) -> None:
    assert without(ALL, program, "--help").returncode == 0


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("demo", ["proxy", "check", "--config", "{embedded}"]),
        ("demo", ["proxy", "demo", "--once", "--model", "{gguf}"]),
        ("demo", ["proxy", "model", "org/tiny"]),
        ("redis", ["proxy", "check", "--config", "{redis}"]),
        ("eval", ["eval", "task", "gsm8k", "--out", "{out}"]),
        ("eval", ["eval", "codesign", "eval/codesign/cpu.toml", "--dry-run"]),
        ("sft", ["sft", "build", "--set", "limo", "--strategy", "none", "--out", "{out}"]),
        ("sft", ["sft", "recipes", "qwen2.5-7b-instruct-ot-1k-r"]),
        ("sft", ["sft", "export", "{out}", "--gguf", "{gguf}.new"]),
    ],
)
def test_a_missing_extra_is_one_line_with_the_command(
    extra: str, words: list[str], tmp_path: Path, config: Path
) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    redis, embedded = tmp_path / "redis.toml", tmp_path / "embedded.toml"
    generate = '[personas]\nstore = "redis://127.0.0.1:9/0"\n[personas.generate]\nengine = "self"\n'
    redis.write_text(config.read_text() + generate)
    base = 'base_url = "http://127.0.0.1:9/v1"'
    embedded.write_text(config.read_text().replace(base, 'embedded = "a.gguf"'))
    places = {"gguf": tmp_path / "a.gguf", "out": tmp_path / "out", "redis": redis}
    program, *rest = [word.format(**places, embedded=embedded) for word in words]
    ended = without(ALL, program, *rest)
    assert ended.returncode in (1, 2), ended.stdout
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert f"-m pip install 'input-time-scaling[{extra}]'" in ended.stderr


def test_every_extra_is_declared_and_known() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(EXTRAS) == set(project["optional-dependencies"])
    assert extra_of("yaml", "sft") == "sft"
    assert extra_of("matplotlib.figure", "sft") == "eval"
    assert extra_of("nobody") is None
