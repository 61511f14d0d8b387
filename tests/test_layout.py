"""The house rules that a reader relies on, held by the imports themselves."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
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
WITH_ROOMS = ("its", "its/answers", "proxy", "sft", "eval")
"""Packages and folders whose rooms are checked for cycles."""

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


def imported_modules(path: Path) -> Iterator[str]:
    """Yield the dotted name of everything that a module imports, relative imports resolved.

    Imports inside functions and under TYPE_CHECKING count. `from a import b` yields `a.b`, which
    may be a module or a name in one.
    """
    parents = list(path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parents[: len(parents) - node.level + 1] if node.level else []
            base = [*above, *((node.module or "").split(".") if node.module else [])]
            yield from (".".join([*base, alias.name]) for alias in node.names)


def room_graph(package: str) -> dict[str, set[str]]:
    """Return which room imports which. A room is a folder of `package`, or a module beside them."""
    folder = ROOT / package
    prefix = [*package.split("/")]
    rooms = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
    graph: dict[str, set[str]] = {}
    for path in modules(package):
        room = path.relative_to(folder).parts[0].removesuffix(".py")
        for name in imported_modules(path):
            parts = name.split(".")
            if parts[: len(prefix)] != prefix:
                continue
            target = parts[len(prefix)] if len(parts) > len(prefix) else "__init__"
            target = target if target in rooms else "__init__"
            if target != room:
                graph.setdefault(room, set()).add(target)
    return graph


@pytest.mark.parametrize("package", WITH_ROOMS)
def test_rooms_have_no_cycles(package: str) -> None:
    try:
        TopologicalSorter(room_graph(package)).prepare()
    except CycleError as error:
        pytest.fail(f"{package}: rooms import each other: {' -> '.join(error.args[1])}")


def test_a_cycle_of_rooms_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The import that closes the circle is inside a function, in another room's second folder."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    for name, text in {
        "one/a.py": "from ..two.deep.b import x",
        "two/deep/b.py": "def f() -> None:\n    from ...three import c",
        "three/c.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import p.one.a",
        "ground.py": "from . import missing",
    }.items():
        file = tmp_path / "p" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    graph = room_graph("p")
    assert graph == {"one": {"two"}, "two": {"three"}, "three": {"one"}, "ground": {"__init__"}}
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()


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


MOST_AT_THE_TOP = 8
"""Files at the top of `proxy/`."""

LONGEST_MODULE, LONGEST_FUNCTION, LONG_FUNCTION = 300, 50, 25
"""Lines of a module, of a function's body, and of nine whole functions in ten."""


def test_the_top_of_the_proxy_is_small() -> None:
    found = list((ROOT / "proxy").glob("*.py"))
    assert len(found) <= MOST_AT_THE_TOP, found


def test_modules_and_functions_are_short() -> None:
    """A command's signature does not count: its options are its help."""
    lengths = []
    for path in (path for package in PACKAGES for path in modules(package)):
        text = path.read_text("utf-8")
        lines = len(text.splitlines())
        assert lines <= LONGEST_MODULE, f"{path} has {lines} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                last = node.end_lineno or node.lineno
                body = last - node.body[0].lineno + 1
                assert body <= LONGEST_FUNCTION, f"{path}:{node.lineno} {node.name}: {body} lines"
                lengths.append(last - node.lineno + 1)
    assert sorted(lengths)[len(lengths) * 9 // 10] <= LONG_FUNCTION


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
