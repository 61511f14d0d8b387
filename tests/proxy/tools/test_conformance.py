"""An engine that lacks something is told so, check by check."""

import json

from starlette.responses import Response

from tests.conftest import command
from tests.scripted import Body, Engine, chunk, fails, says, speaks, streams


def results(url: str, *more: object) -> tuple[int, dict[str, tuple[bool, str]]]:
    args = ("--base-url", f"{url}/v1", "--model", "m", "--json", *more)
    ended = command("proxy", "conformance", *args)
    rows = map(json.loads, ended.stdout.splitlines())
    return ended.returncode, {row["name"]: (row["passed"], row["remark"]) for row in rows}


def test_an_engine_that_lacks_much(engine: Engine, engine_url: str) -> None:
    engine.scripts["m"] = says("5")
    code, found = results(engine_url)
    assert code == 1
    assert found["models"] == (False, "lists none")
    assert found["chat"] == (True, "said '5'")
    assert found["stream"][0] is False
    assert found["logprobs"] == (False, "none")
    assert found["bad_request"] == (False, "answered 200")
    assert len(found) == 21


def test_an_engine_that_streams(engine: Engine, engine_url: str) -> None:
    engine.scripts["m"] = speaks("5", " it is")
    _, found = results(engine_url)
    assert found["stream"][0] is True
    assert found["stream_usage"] == (True, "2 tokens")
    assert found["stream_counts"] == (True, "2 chunks")
    assert found["leaves"][0] is True
    assert found["several"] == (False, "1 choices")


def test_an_engine_may_leave_out_done_and_what_it_used(engine: Engine, engine_url: str) -> None:
    said = [chunk(delta={"content": "5"}), chunk(finish_reason="stop")]
    plain = streams([each.replace(b"\n", b"\r") for each in said])

    def script(body: Body) -> Response:
        if (body.get("stream_options") or {}).get("continuous_usage_stats"):
            return fails(422)(body)
        return plain(body) if body.get("stream") else says("5")(body)

    engine.scripts["m"] = script
    _, found = results(engine_url)
    assert found["stream"] == (True, "2 events, no [DONE]")
    assert found["stream_usage"] == (False, "no usage in the stream")
    assert found["stream_counts"][0] is False
    assert "answered 422" in found["stream_counts"][1]


def test_a_dead_engine_is_no_traceback() -> None:
    ended = command("proxy", "conformance", "--base-url", "http://127.0.0.1:9/v1", "--model", "m")
    assert ended.returncode == 1
    assert "NO  chat" in ended.stdout
    assert "Traceback" not in ended.stderr
    wrong = ("--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--api-key", "sk-1")
    assert command("proxy", "conformance", *wrong).returncode == 2
