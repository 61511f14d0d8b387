"""The hub's model card says how a checkpoint was trained and how to ask it."""

from pathlib import Path

import pytest
import yaml

from its import manifest
from its.manifest import Dataset, Manifest, Train
from tests.conftest import command


def checkpoint(folder: Path, strategy: str) -> Path:
    folder.mkdir()
    train = Train(
        strategy, placement="after", dataset=Dataset("ot-1k", 1000, "ab12"), final_loss=0.41
    )
    found = Manifest(manifest.SCHEMA, "Qwen/Qwen2.5-7B-Instruct", train)
    manifest.write(found, folder / manifest.NAME)
    return folder


def card(folder: Path, *more: str) -> str:
    ended = command("sft", "card", folder, *more)
    assert ended.returncode == 0, ended.stderr
    return (folder / "README.md").read_text("utf-8")


@pytest.mark.parametrize(("strategy", "told"), [
    ("similar", "stood after each training question. **Ask it with a context too.**"),
    ("none", "ask it without one"),
])  # fmt: skip
def test_it_says_how_the_model_was_trained(strategy: str, told: str, tmp_path: Path) -> None:
    text = card(checkpoint(tmp_path / "m.1", strategy), "--licence", "apache-2.0")
    front = yaml.safe_load(text.split("---")[1])
    assert front["base_model"] == "Qwen/Qwen2.5-7B-Instruct"
    assert front["license"] == "apache-2.0"
    assert told in text
    assert '| train: dataset: sha256 | `"ab12"` |' in text
    assert "| train: final loss | `0.41` |" in text
    assert "[members.m-1]" in text
    assert f"Test strategy: `{strategy}`" in text


def test_a_card_is_written_anew_and_keeps_axolotl_s_configuration(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "m", "random")
    block = "<details><summary>See axolotl config</summary>\n\n```yaml\nseed: 1\n```\n</details>"
    made = "generated automatically according to the information the Trainer had access to"
    (folder / "README.md").write_text(f"<!-- {made} -->\n{block}<br>\n")
    first = card(folder)
    assert block in first
    assert made not in first
    assert card(folder) == first


def test_somebody_s_own_readme_is_left_alone(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "m", "random")
    (folder / "README.md").write_text("mine\n")
    ended = command("sft", "card", folder)
    assert ended.returncode == 2
    assert "was not written by this tool" in ended.stderr
    assert (folder / "README.md").read_text() == "mine\n"
