"""What another method would have decided, from the replies that are there."""

from typing import Any

import httpx
import pytest

from its.methods.table import METHODS
from tests.conftest import MEMBERS, Proxy
from tests.proxy.asking import ASK, CHAT
from tests.scripted import Engine, fails, says, speaks

PANELS = """
[members.j]
engine = "e"
model = "j"
strategy = "none"
[panels.judged]
members = ["s", "u", "r"]
method = "best_of"
options = { judge = "j" }
[panels.fast]
members = ["s", "u", "r"]
"""


@pytest.fixture
def proxy(start: Proxy, engine: Engine) -> httpx.Client:
    for name, text in (("s", "1"), ("u", "1.0"), ("r", "2")):
        engine.scripts[name] = says(f"\\boxed{{{text}}}")
    engine.scripts["j"] = says("Fine.\nScore: 7")
    return start(MEMBERS + PANELS)


def asked(proxy: httpx.Client, model: str = "vote3") -> str:
    answer = proxy.post(CHAT, json={"model": model, "messages": ASK})
    return f"/verdicts/{answer.headers['x-request-id']}/what_if"


def rows(found: httpx.Response) -> list[dict[str, Any]]:
    assert found.status_code == 200, found.text
    data: list[dict[str, Any]] = found.json()["data"]
    return data


def test_the_same_method_decides_the_same(proxy: httpx.Client) -> None:
    own, *others = rows(proxy.get(asked(proxy)))
    assert (own["method"], own["same"], own["answer"]) == ("majority", True, "1")
    assert own["used"] == ["answer-0", "answer-1", "answer-2"]
    tried = [row["method"] for row in others if not row["without"]]
    assert tried == [name for name in METHODS if name != "majority"]


def test_no_engine_is_asked(proxy: httpx.Client, engine: Engine) -> None:
    path = asked(proxy)
    before = len(engine.received)
    found = {row["method"]: row for row in rows(proxy.get(path)) if not row["without"]}
    assert len(engine.received) == before
    assert found["weighted"]["reason"] is None
    assert "New text is needed" in found["refine"]["reason"]


def test_a_member_is_left_out(proxy: httpx.Client) -> None:
    body = {"method": "majority", "without": ["s", "u"]}
    (row,) = rows(proxy.post(asked(proxy), json=body))
    assert (row["answer"], row["winner"], row["same"]) == ("2", "answer-2", False)


def test_judges_replies_are_found_again(proxy: httpx.Client) -> None:
    own, *others = rows(proxy.get(asked(proxy, "judged")))
    assert own["same"] is True
    assert len(own["used"]) == 6
    without = [row for row in others if row["without"]]
    assert [row["reason"] for row in without] == [None, None, None]
    assert all(len(row["used"]) == 4 for row in without)


@pytest.mark.parametrize(("body", "reason"), [
    ({"method": "majorty"}, "Did you mean 'majority'?"),
    ({"method": "majority", "options": ["treshold=0.5"]}, "Did you mean 'threshold'?"),
    ({"method": "majority", "without": ["s", "u", "r"]}, "No member is left."),
])  # fmt: skip
def test_what_cannot_be_says_why(proxy: httpx.Client, body: dict[str, Any], reason: str) -> None:
    (row,) = rows(proxy.post(asked(proxy), json=body))
    assert reason in row["reason"]


def test_a_malformed_question_is_a_400(proxy: httpx.Client) -> None:
    path = asked(proxy)
    assert proxy.post(path, json={"metod": "majority"}).status_code == 400
    assert proxy.post(path, content=b"{").status_code == 400
    assert proxy.post(path, json={"method": "majority", "options": ["x"]}).status_code == 400


def test_a_cancelled_call_has_no_answer(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts |= {"s": speaks("\\boxed{1}"), "u": speaks("\\boxed{1}")}
    engine.scripts["r"] = speaks("slow", hangs=True)
    (row,) = rows(proxy.post(asked(proxy, "fast"), json={"method": "majority", "without": ["s"]}))
    assert (row["missing"], row["answer"]) == (1, "1")


def test_a_failed_request_has_nothing_to_decide(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts |= dict.fromkeys("sur", fails(500))
    (row,) = rows(proxy.post(asked(proxy), json={"method": "majority"}))
    assert row["reason"] == "Nothing that is there is an answer."


def test_a_member_has_no_method(proxy: httpx.Client) -> None:
    assert proxy.get(asked(proxy, "s")).status_code == 404
