"""A method in somebody else's package: an entry point, loaded when it is named."""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from its.methods.options import OptionError, parse
from its.methods.table import METHODS, MethodError, _plugin, find, names
from tests.conftest import ROOT
from tests.its.methods.driving import boxed, case, drive

DOCS = ROOT / "docs" / "methods.md"


def example() -> str:
    """Return the method of docs/methods.md, which somebody else's package would hold."""
    return DOCS.read_text("utf-8").partition("```python\n")[2].partition("```")[0]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that Python takes for a place of installed packages."""
    info = tmp_path / "elsewhere-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    points = """
        [input_time_scaling.methods]
        longest = elsewhere:Longest
        broken = elsewhere:Nothing
        raising = raising_module:Method
        hollow = elsewhere:hollow
        majority = elsewhere:hollow
    """
    (info / "entry_points.txt").write_text(dedent(points))
    (tmp_path / "elsewhere.py").write_text(example() + "\n\nhollow = object()\n")
    (tmp_path / "raising_module.py").write_text("raise RuntimeError('no licence')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    _plugin.cache_clear()
    yield tmp_path
    for module in ("elsewhere", "raising_module"):
        sys.modules.pop(module, None)
    _plugin.cache_clear()


def test_it_is_found_by_its_name_and_runs(installed: Path) -> None:
    assert "longest" in names()
    assert "elsewhere" not in sys.modules  # nothing is loaded before it is named
    method, at = case("longest", options={"floor": 3})
    done = drive(method, at, boxed(1, 10_000, 2))
    assert done.said == "so \\boxed{10000}"
    assert done.asked == [(m, f"answer-{n}", "answer", 0) for n, m in enumerate("abc")]
    assert drive(*case("majority"), boxed(1, 10_000, 2)).said == "so \\boxed{1}"
    with pytest.raises(OptionError, match="Did you mean 'floor'"):
        parse(method, {"flor": 1})


def test_it_may_stand_below_another(installed: Path) -> None:
    options = {"threshold": 0.9, "below": "longest"}
    assert drive(*case("majority", options=options), lambda c: c.name[-1]).said is not None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("broken", "'broken' = 'elsewhere:Nothing' of input_time_scaling.methods cannot be loaded"),
        ("raising", "RuntimeError: no licence"),
        ("hollow", "is no method: it has no options, needs, most_calls, run"),
        (
            "longst",
            "Unknown method 'longst'. Did you mean 'longest'? Available: majority, adaptive",
        ),
    ],
)
def test_what_is_wrong_with_a_package_is_said(installed: Path, name: str, said: str) -> None:
    with pytest.raises(MethodError) as error:
        find(name)
    assert said in str(error.value)


def test_our_own_methods_cannot_be_replaced(installed: Path) -> None:
    assert find("majority") is METHODS["majority"]


def test_the_example_is_as_short_as_it_is_said_to_be() -> None:
    assert len(example().splitlines()) <= 30


def test_every_method_has_a_configuration_that_parses() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    shown = set()
    for block in blocks:
        for panel in tomllib.loads(block)["panels"].values():
            parse(find(panel["method"]), panel.get("options", {}))
            shown.add(panel["method"])
    assert shown == set(METHODS)
