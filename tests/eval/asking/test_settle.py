"""What a command leaves open is asked as the proxy says of the model, printed and recorded."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from its import manifest
from its.manifest import Manifest, Train
from its.manifest import Test as Asked
from tests.conftest import MEMBERS, Proxy
from tests.eval.harness import its_eval_run, run_args
from tests.scripted import Engine, speaks

SAY = "Box it."
OURS = "Reason step by step and put the final answer into \\boxed{}."
RECOMMENDED = Asked("none", temperature=0.6, top_p=0.95, max_tokens=30_720, thinking=True)


def trained(folder: Path, name: str = "n", test: Asked = RECOMMENDED, **train: Any) -> None:
    """Write the manifest of a member."""
    strategy = {"n": "none", "s": "similar", "u": "unsimilar", "r": "random"}[name]
    (folder / name).mkdir(exist_ok=True)
    asked = msgspec.structs.replace(test, strategy=strategy)
    known = Manifest(manifest.SCHEMA, "base", Train(strategy, **train), asked)
    manifest.write(known, folder / name / manifest.NAME)


def members(*names: str) -> str:
    """Return the configuration in which those members have a manifest."""
    config = MEMBERS
    for name in names:
        line = f'model = "{name}"\n'
        config = config.replace(line, f'{line}manifest = "{name}"\n')
    return config


@pytest.fixture
def asks(start: Proxy, engine: Engine, tmp_path: Path) -> Any:
    """Return what runs the harness on a configuration, and gives back what it printed."""
    for name in "nsur":
        engine.scripts[name] = speaks(r"\boxed{3}")

    def run(config: str, *args: object, model: str = "n", status: int = 0) -> str:
        url = str(start(config).base_url).rstrip("/")
        ended = its_eval_run(*run_args(tmp_path, url, model), *args)
        assert ended.returncode == status, ended.stdout + ended.stderr
        return " ".join((ended.stdout + ended.stderr).split())

    return run


def settings(folder: Path) -> Any:
    return json.loads((folder / "out" / "run.json").read_text())["asked"]


def test_a_checkpoint_is_asked_as_recommended_and_without_our_instruction(
    asks: Any, engine: Engine, tmp_path: Path
) -> None:
    trained(tmp_path, instruction=SAY)
    told = asks(members("n"))
    assert "temperature 0.6 (manifest), top_p 0.95 (manifest), max_tokens 30720" in told
    assert "instruction: as the checkpoint was trained, by the proxy" in told
    for body in engine.bodies("n"):
        [message] = body["messages"]
        assert message["content"].endswith(f"?\n\n{SAY}")
        assert OURS not in message["content"]
        assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.6, 0.95, 30_720)
        assert body["chat_template_kwargs"] == {"enable_thinking": True}
    asked = settings(tmp_path)
    assert asked["said_by"]["temperature"] == asked["said_by"]["instruction"] == "manifest"
    assert (asked["instruction"], asked["max_tokens"]) == ("", 30_720)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["asked"] == asked


def test_one_trained_without_an_instruction_is_asked_without(
    asks: Any, engine: Engine, tmp_path: Path
) -> None:
    trained(tmp_path)
    asks(members("n"))
    assert all(body["messages"][0]["content"].endswith("?") for body in engine.bodies("n"))


def test_others_are_asked_as_ever(asks: Any, engine: Engine, tmp_path: Path) -> None:
    assert (
        "temperature 0.0 (harness), samples 1 (command); instruction: 'Reason step by step"
        in asks(MEMBERS)
    )
    for body in engine.bodies("n"):
        assert body["messages"][0]["content"].endswith(f"?\n\n{OURS}")
        assert body["temperature"] == 0
        assert {"top_p", "max_tokens", "chat_template_kwargs"}.isdisjoint(body)


ALLOWED = 'model = "n"\nallow_mismatch = true\n'
SAMPLING: tuple[object, ...] = (
    "--temperature", 0, "--top-p", 0.5, "--max-tokens", 7,
    "--extra-body", '{"chat_template_kwargs": {"enable_thinking": false}}',
)  # fmt: skip


@pytest.mark.parametrize("given", ["In Latin.", ""])
def test_the_command_has_the_last_word(
    asks: Any, engine: Engine, tmp_path: Path, given: str
) -> None:
    """An instruction stands in place of the checkpoint's own, where the member allows it."""
    trained(tmp_path, instruction=SAY)
    allows = members("n").replace('model = "n"\n', ALLOWED)
    told = asks(allows, *SAMPLING, "--instruction", given)
    assert f"instruction: {given!r} (command), in place of the checkpoint's own" in told
    for body in engine.bodies("n"):
        content = body["messages"][0]["content"]
        assert content.endswith(f"?\n\n{given}" if given else "?")
        assert SAY not in content
        assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0, 0.5, 7)
        assert body["chat_template_kwargs"] == {"enable_thinking": False}
    asked = settings(tmp_path)
    assert (asked["said_by"]["instruction"], asked["in_place"]) == ("command", given)
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["settings"]["instruction"] == given
    samples = (tmp_path / "out" / "samples.jsonl").read_text().splitlines()
    assert {json.loads(line)["input_time"]["co_design"] for line in samples} == {"mismatch"}


def test_another_instruction_needs_the_members_permission(
    asks: Any, engine: Engine, tmp_path: Path
) -> None:
    trained(tmp_path, instruction=SAY)
    told = asks(members("n"), "--instruction", "In Latin.", status=2)
    assert "trained with 'none' contexts before the question and the instruction 'Box" in told
    assert "allow_mismatch = true" in told
    assert not engine.bodies("n")
    asks(members("n"), "--instruction", SAY)
    assert all(
        body["messages"][0]["content"].endswith(f"?\n\n{SAY}") for body in engine.bodies("n")
    )


def test_an_instruction_for_one_trained_without(asks: Any, engine: Engine, tmp_path: Path) -> None:
    """It is a part of the question then, as any client may write one."""
    trained(tmp_path)
    asks(members("n"), "--instruction", "In Latin.")
    assert all(b["messages"][0]["content"].endswith("?\n\nIn Latin.") for b in engine.bodies("n"))
    assert settings(tmp_path)["in_place"] is None


def test_no_instruction_at_all(asks: Any, engine: Engine) -> None:
    asks(MEMBERS, "--instruction", "")
    assert all(body["messages"][0]["content"].endswith("?") for body in engine.bodies("n"))


def test_the_same_command_goes_on_and_needs_no_server(
    asks: Any, engine: Engine, tmp_path: Path
) -> None:
    trained(tmp_path)
    asks(members("n"))
    again = its_eval_run(*run_args(tmp_path, "http://127.0.0.1:9", "n"))
    assert again.returncode == 0, again.stderr
    other = its_eval_run(*run_args(tmp_path, "http://127.0.0.1:9", "n"), "--instruction", OURS)
    assert other.returncode == 2
    assert "instruction_from was None and is 'command'" in other.stderr


def test_a_run_does_not_go_on_with_another_recommendation(
    asks: Any, engine: Engine, tmp_path: Path
) -> None:
    trained(tmp_path)
    asks(members("n"))
    samples = tmp_path / "out" / "samples.jsonl"
    samples.write_text("".join(samples.read_text().splitlines(keepends=True)[:1]))
    trained(tmp_path, test=Asked(temperature=1.0))
    told = asks(members("n"), status=2)
    assert "was asked with temperature 0.6, and the server's card of the model now makes it" in told
    assert "Say it in the command" in told
    asks(members("n"), "--fresh")
    assert engine.bodies("n")[-1]["temperature"] == 1.0


def test_members_of_a_panel_that_agree(asks: Any, engine: Engine, tmp_path: Path) -> None:
    for name in "sur":
        trained(tmp_path, name, instruction=SAY)
    asks(members("s", "u", "r"), model="vote3")
    for name in "sur":
        for body in engine.bodies(name):
            assert body["temperature"] == 0.6
            assert body["messages"][0]["content"].endswith(f"?\n\n{SAY}")


def test_members_of_a_panel_that_differ(asks: Any, engine: Engine, tmp_path: Path) -> None:
    for name in "sur":
        trained(tmp_path, name)
    trained(tmp_path, "u", msgspec.structs.replace(RECOMMENDED, temperature=0.7, top_p=None))
    told = asks(members("s", "u", "r"), model="vote3", status=2)
    assert "temperature: s 0.6, u 0.7, r 0.6; top_p: s 0.95, u nothing, r 0.95" in told
    assert "all are asked with the same. Give --temperature, --top-p" in told
    assert not engine.received
    asks(members("s", "u", "r"), "--temperature", 0, "--top-p", 1, model="vote3")
    asked = settings(tmp_path)
    assert (asked["max_tokens"], asked["said_by"]["max_tokens"]) == (30_720, "manifest")


def test_a_panel_of_known_and_unknown_members(asks: Any, engine: Engine, tmp_path: Path) -> None:
    """One member's recommendation is none for the others."""
    trained(tmp_path, "s")
    told = asks(members("s"), "--instruction", "", model="vote3", status=2)
    assert "temperature: s 0.6, u nothing, r nothing" in told
    assert "thinking: s True, u nothing, r nothing" in told
    assert not engine.received
    told = asks(members("s"), *SAMPLING, model="vote3", status=2)
    assert "only s were trained in a known way" in told
    assert "Give --instruction TEXT, or '' for none" in told
    told = asks(members("s"), *SAMPLING, "--instruction", "", model="vote3")
    assert "asked with temperature 0.0 (command), top_p 0.5 (command), max_tokens 7" in told
    assert engine.bodies("u")[0]["max_tokens"] == 7


def test_an_instruction_for_a_panel_of_which_one_member_brings_its_own(
    asks: Any, engine: Engine, tmp_path: Path
) -> None:
    trained(tmp_path, "s", Asked(), instruction=SAY)
    config = members("s").replace('model = "s"\n', 'model = "s"\nallow_mismatch = true\n')
    asks(config, "--instruction", "In Latin.", model="vote3")
    for name in "sur":
        for body in engine.bodies(name):
            content = body["messages"][0]["content"]
            assert content.count("In Latin.") == 1
            assert SAY not in content
