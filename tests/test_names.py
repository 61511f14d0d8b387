"""One name, one meaning: no two modules have a public class of the same name.

A reader who meets a name in one package must not have to ask which of two things it is. Type
aliases and enums that are made by a call count as classes.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

PACKAGES = ("its", "proxy", "sft", "eval")
MAKERS = {"Enum", "StrEnum", "IntEnum", "Flag", "NamedTuple", "namedtuple", "NewType", "TypedDict"}

ALLOWED: dict[str, str] = {
    "Comparer": "each of the two Protocols is the part of the grader that its module uses",
    "Reply": "what came back from a call: from a panel's member, or from the writer of personas",
    "Options": "each method has its own beside it, and the table holds them by the method's name",
}
"""Names that stand twice, each with the reason."""


def names(tree: ast.Module) -> Iterator[str]:
    """Yield the public classes, aliases and made-up enums of a module."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            if ast.unparse(node.annotation).endswith("TypeAlias"):
                yield node.target.id
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            maker = ast.unparse(node.value.func).rpartition(".")[2]
            yield from (
                target.id
                for target in node.targets
                if maker in MAKERS and isinstance(target, ast.Name)
            )


def places(packages: tuple[str, ...] = PACKAGES, root: Path = ROOT) -> dict[str, list[str]]:
    """Return the modules that have each public name."""
    found: dict[str, list[str]] = defaultdict(list)
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            for name in names(ast.parse(path.read_text("utf-8"))):
                if not name.startswith("_"):
                    found[name].append(str(path.relative_to(root)))
    return found


def test_no_name_has_two_meanings() -> None:
    twice = {name: where for name, where in places().items() if len(where) > 1}
    assert {name: where for name, where in twice.items() if name not in ALLOWED} == {}


def test_the_list_of_exceptions_names_only_what_stands_twice() -> None:
    found = places()
    assert [name for name in ALLOWED if len(found[name]) < 2] == []


def test_what_would_be_a_repeat_is_seen(tmp_path: Path) -> None:
    code = (
        "from enum import StrEnum\nfrom typing import TypeAlias\nclass A: ...\n"
        "B: TypeAlias = int\nC = StrEnum('C', ['x'])\nclass _D: ...\n"
    )
    for package in ("one", "two"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "m.py").write_text(code)
    found = places(("one", "two"), tmp_path)
    assert {name for name, where in found.items() if len(where) == 2} == {"A", "B", "C"}
