"""The server that is asked: its address, its models, what it says of itself, what it refuses."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from eval.asking.server import ServedModels, connect
from eval.errors import EvalError
from tests.conftest import Proxy
from tests.eval.harness import its_eval_run, problems, run_args
from tests.scripted import Body, Engine, fails, says, serving


def card(name: str = "m", **more: Any) -> Body:
    return {"id": name, "object": "model", "created": 1, "owned_by": "e", **more}


def connected(url: str) -> ServedModels:
    async def open_and_close() -> ServedModels:
        server = await connect(url, "x")
        await server.client.close()
        return server

    return asyncio.run(open_and_close())


@pytest.mark.parametrize(
    "path", ["", "/", "/v1", "/v1/", "/v1/chat/completions", "/chat/completions/", "/v1/models"]
)
def test_the_api_is_found(path: str, engine: Engine, engine_url: str, tmp_path: Path) -> None:
    engine.cards = [card()]
    engine.scripts["m"] = says(r"\boxed{3}")
    args = [problems(tmp_path, 3), "--base-url", f"{engine_url}{path}", "--model", "m"]
    ended = its_eval_run(*args, "--out", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    assert {received.path for received in engine.received} == {"/v1/chat/completions"}
    told = f"the API is at {engine_url}/v1: --base-url should end so"
    assert (told in ended.stderr) == ("v1" not in path)
    about = json.loads((tmp_path / "out" / "run.json").read_text())
    assert about["base_url"] == f"{engine_url}/v1"


@pytest.mark.parametrize("status", [401, 403, 404, 405, 500])
@pytest.mark.parametrize("path", ["", "/v1"])
def test_a_server_that_does_not_list_its_models_is_asked(
    path: str, status: int, engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.listing = status
    engine.scripts["m"] = says(r"\boxed{3}")
    args = [problems(tmp_path, 3), "--base-url", f"{engine_url}{path}", "--model", "m"]
    ended = its_eval_run(*args, "--out", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    assert f"models cannot be listed ({status}" in ended.stderr
    found = path if status == 404 else "/v1"  # this engine takes chats at every path
    assert {received.path for received in engine.received} == {f"{found}/chat/completions"}


def test_a_server_that_wants_a_key_says_so_at_once(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.listing = 401
    engine.scripts["m"] = fails(401, {"error": {"message": "no key"}})
    ended = its_eval_run(*run_args(tmp_path, engine_url), "--concurrency", 1)
    assert ended.returncode == 1
    assert "the server wants a key: 401 no key. Set OPENAI_API_KEY" in ended.stderr
    assert len(engine.received) == 1


def test_a_misspelt_model_is_told_before_anything_is_asked(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.cards = [card("vote3"), card("ot1k-s"), card("ot1k-u")]
    ended = its_eval_run(*run_args(tmp_path, engine_url, "otlk-s"))
    assert ended.returncode == 2
    told = "Unknown model 'otlk-s'. Did you mean 'ot1k-s'? Available: vote3, ot1k-s, ot1k-u."
    assert told in ended.stderr
    assert not engine.received
    assert not (tmp_path / "out").exists()
    engine.scripts["otlk-s"] = says(r"\boxed{3}")
    assert its_eval_run(*run_args(tmp_path, engine_url, "otlk-s"), "--unlisted").returncode == 0


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (("--strategy", "simlar"), "Did you mean 'similar'?"),
        (("--extra-body", '{"input_time": {"strategie": "none"}}'), "strategie"),
    ],
)
def test_what_the_proxy_refuses_is_told_before_anything_is_asked(
    option: tuple[str, ...], told: str, engine: Engine, start: Proxy, tmp_path: Path
) -> None:
    url = str(start().base_url).rstrip("/")
    for model in ("n", "vote3"):
        ended = its_eval_run(*run_args(tmp_path, url, model), *option)
        assert ended.returncode == 2
        assert told in ended.stderr
    assert not engine.received


def test_a_strategy_needs_a_proxy(engine: Engine, engine_url: str, tmp_path: Path) -> None:
    engine.cards = [card()]
    ended = its_eval_run(*run_args(tmp_path, engine_url), "--strategy", "random")
    assert ended.returncode == 2
    assert "is no proxy of ours, and would ignore it" in ended.stderr
    assert not engine.received


def test_calls_that_all_fail_alike_end_the_run(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    def refuse(body: Body) -> Response:
        message = f"request {len(engine.received)} of {'ab' * 8}: no adapter"
        return JSONResponse({"error": {"message": message}}, 400)

    engine.scripts["m"] = refuse
    args = [problems(tmp_path, 100), "--base-url", f"{engine_url}/v1", "--model", "m"]
    args += ["--out", tmp_path / "out", "--concurrency", 4]
    ended = its_eval_run(*args)
    assert ended.returncode == 1
    assert "the first 20 calls failed alike: 400 request" in ended.stderr
    assert 20 <= len(engine.received) <= 24
    engine.scripts["m"] = says(r"\boxed{3}")
    assert its_eval_run(*args, "--limit", 5, "--fresh").returncode == 0
    engine.scripts["m"] = refuse
    ended = its_eval_run(*args)
    assert "95 of 100 calls failed: 400 request" in ended.stderr, "this model was answered before"


def test_the_commonest_error_is_named_with_its_count(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    def refuse(body: Body) -> Response:
        odd = "What is 0" in body["messages"][0]["content"]
        return fails(400, {"error": {"message": "odd" if odd else "too long"}})(body)

    engine.scripts["m"] = refuse
    ended = its_eval_run(*run_args(tmp_path, engine_url))
    assert "3 of 3 calls failed: 400 too long (2 of them). The same command" in ended.stderr


PASSWORDS = ["secret", "se%40cret", "sec:ret"]


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_is_used_and_neither_printed_nor_recorded(
    password: str, engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["m"] = says(r"\boxed{3}")
    url = engine_url.replace("//", f"//me:{password}@")
    ended = its_eval_run(*run_args(tmp_path, url))
    assert ended.returncode == 0, ended.stderr
    sent = base64.b64encode(f"me:{password.replace('%40', '@')}".encode()).decode()
    assert engine.received[0].headers["authorization"] == f"Basic {sent}"
    written = "".join(file.read_text() for file in (tmp_path / "out").glob("*.json*"))
    for text in (written, ended.stdout, ended.stderr):
        assert password not in text
        assert "cret" not in text
    about = json.loads((tmp_path / "out" / "run.json").read_text())
    assert about["base_url"] == f"{engine_url}/v1".replace("//", "//***@")


@pytest.mark.parametrize(
    "url",
    [
        "http://me:secret@h:99999/v1", "http://me:sec/ret@h/v1", "ftp://me:secret@h/v1",
        "http://h/v1?key=secret", "http://me:sec@ret@h/v1", "http://me:sec ret@h/v1",
    ],
)  # fmt: skip
def test_a_password_in_a_wrong_address_is_not_printed(url: str, tmp_path: Path) -> None:
    args = [problems(tmp_path), "--base-url", url, "--model", "m", "--out", tmp_path / "o"]
    ended = its_eval_run(*args)
    assert ended.returncode == 2
    assert "--base-url" in ended.stderr
    assert "ret" not in ended.stderr.replace("retries", "").replace("secret@", "ret")


def test_what_an_engine_says_of_itself_is_recorded_without_secrets(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.cards = [card(owned_by="sglang")]
    engine.gets["/get_server_info"] = {
        "version": "0.5.23", "dtype": "bfloat16", "tp_size": 2, "api_key": "sesame",
        "admin_api_key": "sesame", "ssl_keyfile_password": "sesame", "lora_paths": ["a", "b"],
        "internal_states": [{"last_gen_throughput": 12.3}], "hf_token": "sesame",
        "max_total_num_tokens": 9, "tokenizer_path": "t", "none": None,
    }  # fmt: skip
    engine.gets["/get_model_info"] = {"model_path": "/models/ot1k"}
    engine.scripts["m"] = says(r"\boxed{3}")
    assert its_eval_run(*run_args(tmp_path, engine_url)).returncode == 0
    text = (tmp_path / "out" / "run.json").read_text()
    assert "sesame" not in text
    assert json.loads(text)["server"] == {
        "version": "0.5.23", "dtype": "bfloat16", "tp_size": 2, "lora_paths": ["a", "b"],
        "max_total_num_tokens": 9, "tokenizer_path": "t", "model_path": "/models/ot1k",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("owner", "path", "facts"),
    [("vllm", "/version", {"version": "0.9"}), ("llamacpp", "/props", {"build_info": "b1"})],
)
def test_other_engines_are_asked_for_their_version(
    owner: str, path: str, facts: Body, engine: Engine, engine_url: str
) -> None:
    engine.cards = [card(owned_by=owner)]
    engine.gets[path] = facts
    assert connected(f"{engine_url}/v1").facts == facts
    engine.gets.clear()
    assert connected(f"{engine_url}/v1").facts == {}


ODD_LISTS = [{}, {"data": None}, {"data": 5}, [], "models", None, {"data": [5, {"name": "x"}]}]


@pytest.mark.parametrize("listed", ODD_LISTS)
def test_lists_of_every_shape(listed: object) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        missing = scope["path"] != "/v1/models"
        answer = JSONResponse({"detail": "no"} if missing else listed, 404 if missing else 200)
        await answer(scope, receive, send)

    with serving(app) as url:
        if isinstance(listed, dict) and isinstance(listed.get("data"), list):
            assert connected(f"{url}/v1").cards == {}
            return
        with pytest.raises(EvalError, match="no list of models"):
            connected(f"{url}/v1")
