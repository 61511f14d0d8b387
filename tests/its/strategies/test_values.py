"""A strategy is a value: its name, its options, and what a manifest keeps of it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from its import strategies
from its.notes import Note, Notes
from its.personas.bank import load
from its.strategies import (
    PAPER,
    STRATEGIES,
    Pick,
    Shelf,
    Strategy,
    StrategyOptionError,
    UnknownStrategy,
    adds_context,
    choose,
    get,
    names,
)

NOTES = Notes.of([Note("Draw it."), Note("Count it.")], "n" * 64)
SHELF = Shelf(load(), notes=NOTES, examples=NOTES, concepts=NOTES)


def test_names_and_letters_are_the_tables_own_and_differ() -> None:
    assert [strategy.name for strategy in STRATEGIES.values()] == list(STRATEGIES)
    letters = [strategy.letter for strategy in STRATEGIES.values()]
    assert len(set(letters)) == len(letters)
    assert [STRATEGIES[name].letter for name in PAPER] == ["n", "s", "u", "r"]


def test_only_none_adds_no_context() -> None:
    assert [name for name in names() if not adds_context(name)] == ["none"]


def test_an_unknown_strategy_is_told_with_the_nearest() -> None:
    with pytest.raises(UnknownStrategy) as raised:
        get("simlar")
    assert str(raised.value) == (
        f"Unknown strategy 'simlar'. Did you mean 'similar'? Available: {', '.join(names())}."
    )
    with pytest.raises(UnknownStrategy, match=r"Unknown strategy 'xyzzy'. Available: none,"):
        adds_context("xyzzy")


@pytest.mark.parametrize(
    ("strategy", "given", "told"),
    [
        ("noise", {"kinds": "facts"}, "Unknown option 'kinds' of the strategy 'noise'. Did you"),
        ("noise", {"kind": "fact"}, "Unknown kind 'fact' of the strategy 'noise'. Did you mean"),
        ("noise", {"split": "test"}, "Available: train, heldout."),
        ("noise", {"sentences": 0}, "Option 'sentences' of the strategy 'noise': Expected `int`"),
        ("noise", {"sentences": "many"}, "Option 'sentences' of the strategy 'noise'"),
        ("random", {"kind": "x"}, "Unknown option 'kind' of the strategy 'random'. Available: no"),
        ("language", {"languages": ["xx"]}, "Unknown language 'xx'."),
        ("language", {"languages": []}, "needs a language of: de, es, fr, it"),
        ("mixed", {"mix": {"none": 1}}, "Unknown strategy 'none' of a mix"),
        ("mixed", {"mix": {"similar": float("inf")}}, "must be 0 or more"),
        ("mixed", {"mix": {"similar": float("nan")}}, "must be 0 or more"),
        ("examples", {"each": 0}, "Option 'each' of the strategy 'examples'"),
    ],
)
def test_options_that_cannot_be(strategy: str, given: dict[str, object], told: str) -> None:
    with pytest.raises(StrategyOptionError) as raised:
        get(strategy).read(given)
    assert told in str(raised.value)


def test_the_texts_of_a_command_line_convert() -> None:
    assert get("noise").read({"sentences": "5", "split": "heldout"}).sentences == 5


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_a_manifest_records_gives_the_same_options_back(strategy: str) -> None:
    by = get(strategy)
    options = by.read({})
    record = by.record(options, SHELF)
    assert by.recorded(record) == options
    assert {f"{need}_sha256" for need in by.needs} <= record.keys()
    assert all(record[f"{need}_sha256"] == "n" * 64 for need in by.needs)


PLUGIN = """
from its.strategies import Options, Pick, Strategy


class Loud(Options, frozen=True, forbid_unknown_fields=True):
    marks: int = 1


def pick(question, shelf, rng, options):
    return Pick("Listen" + "!" * options.marks, "loud", "plugin")


LOUD = Strategy("loud", "loud", pick, Loud)
"""


def _install(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a distribution into `folder`, as pip does."""
    (folder / "loud_plugin.py").write_text(PLUGIN)
    meta = folder / "loud_plugin-1.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: loud-plugin\nVersion: 1\n")
    points = f"[input_time_scaling.strategies]\n{name} = loud_plugin:LOUD\n"
    (meta / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(folder))


@pytest.fixture
def _fresh() -> Iterator[None]:
    strategies._plugins.cache_clear()
    yield
    strategies._plugins.cache_clear()
    sys.modules.pop("loud_plugin", None)


@pytest.mark.usefixtures("_fresh")
def test_another_package_adds_a_strategy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(tmp_path, "loud", monkeypatch)
    assert names()[-1] == "loud"
    assert adds_context("loud")
    pick = choose("loud", "What?", shelf=SHELF, seed=0, member="m", options={"marks": 2})
    assert pick == Pick("Listen!!", "loud", "plugin")


@pytest.mark.usefixtures("_fresh")
@pytest.mark.parametrize(("name", "told"), [("quiet", "no Strategy of the name 'quiet'")])
def test_a_plug_in_that_is_not_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    _install(tmp_path, name, monkeypatch)
    with pytest.raises(UnknownStrategy, match=told):
        names()


@pytest.mark.usefixtures("_fresh")
def test_a_plug_in_takes_no_name_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(tmp_path, "random", monkeypatch)
    (tmp_path / "loud_plugin.py").write_text(PLUGIN.replace('"loud", "loud"', '"random", "loud"'))
    with pytest.raises(UnknownStrategy, match="'random' is taken"):
        names()


def test_every_strategy_is_a_value_of_one_type() -> None:
    assert all(isinstance(each, Strategy) for each in STRATEGIES.values())
