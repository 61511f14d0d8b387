"""The demo's configuration, wherever the model file lies."""

import tomllib
from pathlib import Path

import pytest

from proxy.tools import demo


@pytest.mark.parametrize(
    "name", ["a.gguf", 'a "b".gguf', "a\\b.gguf", "a\tb\n.gguf", "\U0001f600.gguf"]
)
def test_any_file_name_is_written_as_it_is(name: str) -> None:
    written = tomllib.loads(demo._config(Path("/models") / name))
    assert written["engines"]["cpu"]["embedded"] == f"/models/{name}"
    models = {member["model"] for member in written["members"].values()}
    assert models == {Path(name).stem}
    assert set(written["panels"]["vote3"]["members"]) < set(written["members"])
