"""A configuration that needs no writing: from engines that run, or from checkpoints."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from its import manifest
from proxy.config.load import load
from proxy.tools.init import look_at, render
from tests.conftest import command
from tests.scripted import serving


def checkpoint(folder: Path, strategy: str) -> Path:
    folder.mkdir(parents=True)
    known = manifest.Manifest(manifest.SCHEMA, "base", manifest.Train(strategy))
    manifest.write(known, folder / manifest.NAME)
    return folder


@pytest.fixture
def sglang(tmp_path: Path) -> Iterator[str]:
    """An engine that says what it serves and where the weights lie, as SGLang does."""
    folder = checkpoint(tmp_path / "weights", "similar")
    card = {"id": "org/model 1", "max_model_len": 32768}
    cards = {"object": "list", "data": [card, {"id": "org/model 1"}]}
    app = Starlette(
        routes=[
            Route("/v1/models", lambda _: JSONResponse(cards)),
            Route("/get_model_info", lambda _: JSONResponse({"model_path": str(folder)})),
        ]
    )
    with serving(app) as url:
        yield url


def test_from_an_engine_that_runs(sglang: str, tmp_path: Path) -> None:
    out = tmp_path / "panels.toml"
    ended = command("proxy", "init", "--engine", f"{sglang}/v1", "--out", out)
    assert ended.returncode == 0, ended.stderr
    assert "is good" in ended.stdout
    settings = load(out)
    assert list(settings.members) == ["model-1", "model-1-2"]
    member = settings.members["model-1"]
    assert (member.model, member.strategy) == ("org/model 1", "similar")
    assert [each.context_tokens for each in settings.members.values()] == [32768, None]
    assert settings.panels["vote2"].members == ("model-1", "model-1-2")
    again = command("proxy", "init", "--engine", f"{sglang}/v1", "--out", out)
    assert again.returncode == 1
    assert "exists; name another with --out" in again.stderr


def test_any_name_is_written_as_toml_reads_it(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / 'quote" back\\slash \U0001f600 \x7f', "random")
    found = look_at(folder, "http://127.0.0.1:1/v1")
    out = tmp_path / "panels.toml"
    out.write_text(render([found]), "utf-8")
    (member,) = load(out).members.values()
    assert (member.model, member.strategy) == (folder.name, "random")


def test_an_older_manifest_does_not_pass_for_none(sglang: str, tmp_path: Path) -> None:
    path = tmp_path / "weights" / manifest.NAME
    path.write_text(path.read_text().replace('"schema": 2', '"schema": 1'))
    out = tmp_path / "panels.toml"
    ended = command("proxy", "init", "--engine", f"{sglang}/v1", "--out", out)
    assert ended.returncode == 1
    assert "schema: is 1" in ended.stderr
    assert not out.exists()


def test_an_engine_without_manifests_is_told_so(engine_url: str, tmp_path: Path) -> None:
    out = tmp_path / "panels.toml"
    ended = command("proxy", "init", "--engine", f"{engine_url}/v1", "--out", out)
    assert ended.returncode == 1
    assert "serves no model" in ended.stderr
    cards = {"data": [{"id": "m"}]}
    with serving(Starlette(routes=[Route("/v1/models", lambda _: JSONResponse(cards))])) as url:
        ended = command("proxy", "init", "--engine", url, "--out", out)
    assert ended.returncode == 0, ended.stderr
    assert "the proxy cannot check how it was trained" in out.read_text()
    assert load(out).members["m"].strategy == "none"


def test_from_checkpoints(tmp_path: Path) -> None:
    folders = [
        checkpoint(tmp_path / name, strategy)
        for name, strategy in (("ck-n", "none"), ("ck-s", "similar"), ("ck-u", "unsimilar"))
    ]
    out = tmp_path / "panels.toml"
    ended = command("proxy", "init", *folders, "--engine", "http://127.0.0.1:1/v1", "--out", out)
    assert ended.returncode == 0, ended.stderr
    settings = load(out)
    assert [m.strategy for m in settings.members.values()] == ["none", "similar", "unsimilar"]
    assert settings.panels["vote2"].members == ("ck-s", "ck-u"), "one without contexts has no vote"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--engine", "http://127.0.0.1:9/v1"], "no models are listed there"),
        (["{folder}"], "cannot read"),
    ],
)
def test_what_is_missing_is_one_line(tmp_path: Path, args: list[str], told: str) -> None:
    out = tmp_path / "panels.toml"
    filled = [arg.format(folder=tmp_path) for arg in args]
    ended = command("proxy", "init", *filled, "--out", out)
    assert ended.returncode == 1
    assert told in ended.stderr
    assert not out.exists()


@pytest.mark.parametrize("served", [["m"], ["org/a", "org/b", 'a "b"']])
def test_any_engine_gets_panels_to_choose_from(served: list[str], tmp_path: Path) -> None:
    cards = {"data": [{"id": name} for name in served]}
    out = tmp_path / "panels.toml"
    with serving(Starlette(routes=[Route("/v1/models", lambda _: JSONResponse(cards))])) as url:
        ended = command("proxy", "init", "--engine", url, "--out", out)
    assert ended.returncode == 0, ended.stderr
    assert not load(out).panels, "nothing votes until the user wants it"
    text = out.read_text()
    head, _, proposed = text.partition("# Panels to choose from.")
    lines = [line.removeprefix("# ") for line in proposed.splitlines()]
    wanted = [line for line in lines if line.startswith("[") or " = " in line]
    out.write_text(head + "\n" + "\n".join(wanted))
    panels = load(out).panels
    assert panels["samples5"].samples == 5
    assert len(panels["contexts3"].members) == 3
    strategies = [load(out).members[name].strategy for name in panels["contexts3"].members]
    assert strategies == ["similar", "unsimilar", "random"]
    assert (f"vote{len(served)}" in panels) is (len(served) > 1)
