"""`check --ask` tries every engine and every model name."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.conftest import MEMBERS, command
from tests.scripted import Engine, fails, says, serving

BOTH = (
    MEMBERS
    + """
[engines.dead]
base_url = "http://127.0.0.1:9/v1"
[members.d]
engine = "dead"
model = "d"
strategy = "none"
"""
)


def check(tmp_path: Path, text: str) -> tuple[int, str]:
    file = tmp_path / "panels.toml"
    file.write_text(text, "utf-8")
    ended = command("proxy", "check", "--ask", "--config", file)
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stdout


def test_every_model_is_asked_once(engine: Engine, engine_url: str, tmp_path: Path) -> None:
    engine.scripts.update({name: says("5") for name in "nsur"})
    code, told = check(tmp_path, MEMBERS.replace("{engine}", engine_url))
    assert code == 0
    for name in "nsur":
        assert f"engine e, model '{name}' (members.{name}): yes, answers" in told
        assert len(engine.bodies(name)) == 1


def test_a_dead_engine_and_a_wrong_name_are_told(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts.update({name: says("5") for name in "nsu"})
    engine.scripts["r"] = fails(404, {"message": "no such model"})
    code, told = check(tmp_path, BOTH.replace("{engine}", engine_url))
    assert code == 1
    assert "model 'r' (members.r): NO, the engine answered 404" in told
    assert "engine dead (members.d): NO, no server answers at http://127.0.0.1:9/v1" in told
    assert "engines.dead.base_url" in told


def test_the_nearest_name_of_the_engine_is_told(tmp_path: Path) -> None:
    cards = {"data": [{"id": "qwen-7b"}, {"id": "phi"}]}
    app = Starlette(routes=[Route("/v1/models", lambda _: JSONResponse(cards))])
    with serving(app) as url:
        one = f'[engines.e]\nbase_url = "{url}/v1"\n[members.m]\nengine = "e"\n'
        code, told = check(tmp_path, one + 'model = "qwen-7"\nstrategy = "none"\n')
    assert code == 1
    assert "Unknown model 'qwen-7'. Did you mean 'qwen-7b'? Available: qwen-7b, phi." in told
