"""The house rules that a reader relies on, held by the imports themselves."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = ("its", "proxy", "sft", "eval")
ALLOWED = {
    "its": set(),
    "proxy": {"its"},
    "sft": {"its"},
    "eval": {"its"},
}
WORLD = {
    *("httpx", "aiohttp", "starlette", "openai", "torch", "requests", "socket", "urllib"),
    *("asyncio", "subprocess", "threading", "time", "datetime"),
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_one_way(package: str) -> None:
    for path in modules(package):
        for name in imports(path):
            top = name.split(".")[0]
            assert top not in PACKAGES or top in ALLOWED[package], f"{path} imports {name}"


ALGEBRA = ROOT / "its" / "answers" / "algebra"
PROCESSES = {ALGEBRA / "worker.py", ALGEBRA / "workers.py"}
"""The modules of the core that start processes: the proxy and the harness both need them."""


def test_the_core_is_pure() -> None:
    for path in set(modules("its")) - PROCESSES:
        found = {name.split(".")[0] for name in imports(path)}
        assert not found & WORLD, f"{path} imports {found & WORLD}"
        assert "import workers" not in path.read_text("utf-8"), path
        assert "workers import" not in path.read_text("utf-8"), path
        assert "worker import" not in path.read_text("utf-8"), path


CLI = ROOT / "its" / "cli"
TERMINAL = {"typer", "rich"}


def test_only_the_command_lines_part_of_the_core_talks_to_a_terminal() -> None:
    for path in modules("its"):
        found = {name.split(".")[0] for name in imports(path)}
        assert not found & TERMINAL or path.parent == CLI, f"{path} imports {found & TERMINAL}"


def test_the_core_loads_neither_typer_nor_rich() -> None:
    """Importing them takes a third of a second, and a server needs neither."""
    code = f"import sys, its.cli, its.secrets; assert not {TERMINAL} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)


def test_children_take_no_module_of_the_current_folder() -> None:
    """`python -m` imports what lies there, such as a `json.py`; `python -P -m` does not."""
    files = [path for package in PACKAGES for path in modules(package)]
    for path in files:
        for line in path.read_text("utf-8").splitlines():
            starts = "sys.executable" in line or "PYTHON," in line
            assert not starts or '"-m"' not in line or '"-P", "-m"' in line, f"{path}: {line}"


def test_nobody_rebinds_the_builtin_eval() -> None:
    files = [path for package in (*PACKAGES, "tests") for path in modules(package)]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names = {alias.asname or alias.name.split(".")[0] for alias in node.names}
                assert "eval" not in names, f"{path}:{node.lineno}"


def test_no_test_folder_is_a_package() -> None:
    found = (ROOT / "tests").rglob("__init__.py")
    assert not [path for path in found if "stand_in" not in path.parts]  # that one is no test
