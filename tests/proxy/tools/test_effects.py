"""What methods need of an engine is known by its effect, not by its status."""

from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from tests.conftest import MEMBERS, command
from tests.scripted import Body, Engine, Script, completion, says

CONFIG = """
[panels.think]
members = ["n"]
method = "thinking_budget"
[panels.weigh]
members = ["n", "s"]
method = "weighted"
"""


def continues(*, thinking: bool = True, answers: bool = False, flat: bool = False) -> Script:
    """Return a model that counts on, or an engine that spoils it in one way."""

    def script(body: Body) -> Response:
        prefix = body["messages"][-1]
        places = [{"token": "x", "logprob": 0.0 if flat else -0.1 * n} for n in range(3)]
        more: dict[str, Any] = {"logprobs": {"content": places}} if body.get("logprobs") else {}
        anew = answers or prefix["role"] != "assistant"
        found = completion("1, 2, 3, 4" if anew else " 9, 10, 11, 12", **more)
        seen = prefix["content"]
        seen = seen if thinking else seen.rpartition("</think>")[2].strip()
        found["usage"]["prompt_tokens"] = len(seen)
        return JSONResponse(found)

    return script


def check(tmp_path: Path, url: str) -> tuple[int, str]:
    file = tmp_path / "panels.toml"
    file.write_text((MEMBERS + CONFIG).replace("{engine}", url), "utf-8")
    ended = command("proxy", "check", "--ask", "--config", file)
    return ended.returncode, ended.stdout


def test_an_engine_that_does_all(engine: Engine, engine_url: str, tmp_path: Path) -> None:
    engine.scripts.update(n=continues(), s=continues(), u=says("5"), r=says("5"))
    code, told = check(tmp_path, engine_url)
    assert code == 0
    assert "panel think: prefix of member n: yes" in told
    assert "panel weigh: logprobs of member s: yes" in told
    assert "panel weigh: logprobs of member n: yes -0.20 to -0.00" in told


LACKS = [
    (continues(answers=True), "prefix of member n: NO, said '1, 2, 3, 4'"),
    (continues(thinking=False), "prefix of member n: NO, the chat template leaves"),
    (continues(flat=True), "logprobs of member n: NO, all 3 are 0.0"),
    (says("9"), "logprobs of member n: NO, none"),
]


@pytest.mark.parametrize(("script", "told"), LACKS, ids=range(len(LACKS)))
def test_an_engine_that_only_seems_to(
    engine: Engine, engine_url: str, tmp_path: Path, script: Script, told: str
) -> None:
    engine.scripts.update(n=script, s=continues())
    code, printed = check(tmp_path, engine_url)
    assert code == 1
    assert told in printed
