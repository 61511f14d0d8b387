"""What the README shows is run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from its.personas import bank
from its.strategies import Shelf, choose
from proxy.config.load import load
from tests.conftest import ROOT, command
from tests.scripted import Engine, says

README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCKS if found == language]


def lines_of_commands() -> list[str]:
    lines = "\n".join(blocks("console")).splitlines()
    return [line.partition("  #")[0].strip() for line in lines if line.strip()]


def test_the_python_example(proxy: httpx.Client, engine: Engine, tmp_path: Path) -> None:
    for model in ("s", "u", "r"):
        engine.scripts[model] = says(r"\boxed{55}")
    [example] = blocks("python")
    assert len(example.strip().splitlines()) <= 10
    address = "http://127.0.0.1:8000"
    assert address in example
    script = tmp_path / "example.py"
    script.write_text(example.replace(address, str(proxy.base_url)), "utf-8")
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[0] == r"\boxed{55}"
    assert "'votes': 3" in ended.stdout


def test_the_configuration(tmp_path: Path) -> None:
    [example] = blocks("toml")
    file = tmp_path / "panels.toml"
    file.write_text(example, "utf-8")
    settings = load(file)
    assert settings.panels["vote3"].members == ("ot1k-s", "ot1k-u", "ot1k-r")
    assert command("proxy", "check", "--config", file).returncode == 0


def test_the_contexts_of_three_members() -> None:
    asked = re.search(r'here "([^"]+)":', README)
    assert asked
    question = asked[1].replace("\n", " ")
    rows = re.findall(r"^\| `(ot1k-\w)` \| (.+) \|$", README, re.MULTILINE)
    assert len(rows) == 3
    shelf = Shelf(bank.load())
    for member, text in rows:
        strategy = {"s": "similar", "u": "unsimilar", "r": "random"}[member[-1]]
        pick = choose(strategy, question, shelf=shelf, seed=0, member=member)
        assert pick
        assert pick.text == text


@pytest.mark.parametrize("line", lines_of_commands())
def test_the_commands_exist(line: str) -> None:
    name, *args = shlex.split(line)
    if name == "make":
        dry = subprocess.run(["make", "-n", *args], cwd=ROOT, capture_output=True, text=True)
        assert dry.returncode == 0, dry.stderr
        return
    package = name.removeprefix("its-")
    known = command(package, args[0], "--help").stdout
    assert f"-m {package} {args[0]}" in known
    options = [arg for arg in args if arg.startswith("--")]
    for option in options:
        assert option in known


def test_the_tree_is_there() -> None:
    folder = ROOT
    [tree] = [text for text in blocks("text") if text.startswith("its/")]
    for line in tree.splitlines():
        name = line.split()[0]
        folder = ROOT / name if not line.startswith(" ") else folder
        path = folder if not line.startswith(" ") else folder / name
        assert path.exists(), path


def test_the_links_lead_somewhere() -> None:
    files = 0
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        if page.name == "CHANGELOG.md":
            continue  # it tells what was
        text = page.read_text("utf-8")
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
        for name in re.findall(
            r"`((?:its|proxy|eval|sft|docs|tests)/[\w./]+\.(?:py|md|toml))`", text
        ):
            assert (ROOT / name).exists(), f"{page.name}: {name}"
            files += 1
    assert files >= 30
