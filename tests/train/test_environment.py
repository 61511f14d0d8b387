"""Our packages live with Axolotl's pins."""

from importlib import import_module

import pytest

from tests.conftest import ROOT

MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for package in ("its", "proxy", "sft")
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.name != "__main__.py"
]


@pytest.mark.parametrize("name", MODULES)
def test_it_imports(name: str) -> None:
    import_module(name.removesuffix(".__init__"))
