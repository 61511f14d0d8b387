"""A panel asks its members at once and answers as one model."""

import json

import httpx
import pytest

from its import seeds
from tests.conftest import MEMBERS, Proxy
from tests.proxy.test_member import ASK, CHAT, wait_until
from tests.scripted import Engine, completion, fails, says, says_after

BALLOTS = {"input_time": {"return_ballots": True}}


def script(engine: Engine, **texts: str | None) -> None:
    for model, text in texts.items():
        engine.scripts[model] = says(text)


def ask(proxy: httpx.Client, **more: object) -> httpx.Response:
    return proxy.post(CHAT, json={"model": "vote3", "messages": ASK, **more})


def test_the_majoritys_message_is_returned_verbatim(proxy: httpx.Client, engine: Engine) -> None:
    script(engine, s=r"\boxed{1}", r=r"\boxed{042}")
    engine.scripts["u"] = says(
        r"so \boxed{42}", logprobs={"content": [1]}, matched_stop=7, finish_reason="stop"
    )
    answer = ask(proxy, **BALLOTS)
    body = answer.json()
    wanted = completion(r"so \boxed{42}", logprobs={"content": [1]}, matched_stop=7)
    assert body["choices"] == wanted["choices"]
    assert body["model"] == "vote3"
    assert body["object"] == "chat.completion"
    verdict = body["input_time"]
    assert verdict["winner"] == "u"
    assert verdict["agreement"] == 0.6667
    assert verdict["votes"][0] == {"answer": "42", "votes": 2, "members": ["u", "r"]}
    assert answer.headers["x-input-time-votes"] == "2/3"
    assert answer.headers["x-input-time-models-used"] == "3"
    strategies = [ballot["strategy"] for ballot in verdict["ballots"]]
    assert strategies == ["similar", "unsimilar", "random"]
    personas = {ballot["persona"] for ballot in verdict["ballots"]}
    assert len(personas) == 3
    assert body["usage"] == {"prompt_tokens": 30, "completion_tokens": 15, "total_tokens": 45}
    assert "ballots" not in ask(proxy).json()["input_time"]


def test_answers_are_equal_by_value(proxy: httpx.Client, engine: Engine) -> None:
    script(engine, s=r"\boxed{7}", u=r"\boxed{\frac{\sqrt{12}}{2}}", r=r"so it is \boxed{√3}.")
    verdict = ask(proxy, **BALLOTS).json()["input_time"]
    assert verdict["winner"] == "u"
    assert verdict["votes"][0]["members"] == ["u", "r"]
    assert verdict["agreement"] == 0.6667


def test_hostile_answers_are_votes_like_any(proxy: httpx.Client, engine: Engine) -> None:
    script(engine, s=r"\boxed{9^{9^{9^9}}}", u=r"\boxed{42}", r=r"\boxed{" + "(" * 3000 + "}")
    verdict = ask(proxy).json()["input_time"]
    assert verdict["undecided"] == 2
    assert [vote["votes"] for vote in verdict["votes"]] == [1, 1, 1]
    assert verdict["winner"] == "s"


def test_members_are_asked_at_once(proxy: httpx.Client, engine: Engine) -> None:
    for model in ("s", "u", "r"):
        engine.scripts[model] = says_after(0.3, r"\boxed{1}")
    assert ask(proxy).status_code == 200
    assert engine.most_running == 3


def test_each_call_gets_its_own_sampling_seed(proxy: httpx.Client, engine: Engine) -> None:
    script(engine, s="1", u="1", r="1")
    ask(proxy, seed=5, input_time={"samples": 2}, max_tokens=9, top_k=3)
    sent = {model: [body["seed"] for body in engine.bodies(model)] for model in ("s", "u", "r")}
    assert len({seed for found in sent.values() for seed in found}) == 6
    question = ASK[0]["content"]
    assert set(sent["s"]) == {seeds.derive("sampling", 5, "s", i, question) for i in (0, 1)}
    for body in engine.bodies("s"):
        assert (body["stream"], body["max_tokens"], body["top_k"]) == (False, 9, 3)
        assert "input_time" not in body
    personas = {body["messages"][0]["content"] for body in engine.bodies("s")}
    assert len(personas) == 1, "samples of one member share its context"
    engine.received.clear()
    ask(proxy)
    assert "seed" not in engine.bodies("s")[0]


def test_a_chat_question_returns_the_first_completion(proxy: httpx.Client, engine: Engine) -> None:
    script(engine, s="Hello!", u="Hi!", r="Good day!")
    body = ask(proxy).json()
    assert body["choices"][0]["message"]["content"] == "Hello!"
    assert (body["input_time"]["agreement"], body["input_time"]["abstained"]) == (0, 3)
    assert body["input_time"]["votes"] == []


def test_one_answer_beats_two_abstentions(proxy: httpx.Client, engine: Engine) -> None:
    script(engine, s="none", u=r"\boxed{42}", r="none")
    assert ask(proxy).json()["input_time"]["winner"] == "u"


def test_a_failed_call_is_not_a_vote(proxy: httpx.Client, engine: Engine) -> None:
    script(engine, s=r"\boxed{1}", r=r"\boxed{1}")
    engine.scripts["u"] = fails(500)
    body = ask(proxy, **BALLOTS).json()
    assert body["input_time"]["failed"] == 1
    outcomes = {b["member"]: b["outcome"] for b in body["input_time"]["ballots"]}
    assert outcomes == {"s": "voted", "r": "voted", "u": "failed"}


NO_QUORUM = [
    (fails(500), 502),
    (says(""), 502),
    (says("half a thou", finish_reason="abort"), 502),
]


@pytest.mark.parametrize(("bad", "status"), NO_QUORUM)
def test_below_quorum_is_an_error(
    proxy: httpx.Client, engine: Engine, bad: object, status: int
) -> None:
    engine.scripts["s"] = says(r"\boxed{1}")
    engine.scripts["u"] = engine.scripts["r"] = bad  # type: ignore[assignment]
    answer = ask(proxy)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == "no_quorum"
    assert "needs 2 of 3" in answer.json()["error"]["message"]
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("stream", [False, True])
def test_what_all_engines_refuse_keeps_its_status(
    proxy: httpx.Client, engine: Engine, stream: bool
) -> None:
    for model in ("s", "u", "r"):
        engine.scripts[model] = fails(429, {"message": "busy"}, retry_after="3")
    answer = ask(proxy, stream=stream)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "3"
    assert "x-should-retry" not in answer.headers


def test_a_deadline_leaves_the_late_out(start: Proxy, engine: Engine) -> None:
    proxy = start(MEMBERS + "deadline_s = 0.5")
    script(engine, s=r"\boxed{1}", u=r"\boxed{1}")
    engine.scripts["r"] = says_after(20, r"\boxed{1}")
    body = ask(proxy, **BALLOTS).json()
    assert body["input_time"]["late"] == 1
    assert body["input_time"]["ballots"][-1]["outcome"] == "late"
    wait_until(lambda: engine.left == 1)
    engine.scripts["u"] = says_after(20, r"\boxed{1}")
    answer = ask(proxy)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "no_quorum")
    assert answer.headers["x-should-retry"] == "false"


def test_a_settled_vote_frees_the_rest(start: Proxy, engine: Engine) -> None:
    proxy = start(MEMBERS.replace("early_stop = false", "early_stop = true"))
    script(engine, s=r"\boxed{1}", u=r"\boxed{1}")
    engine.scripts["r"] = says_after(20, r"\boxed{2}")
    body = ask(proxy).json()
    assert (body["input_time"]["cancelled"], body["input_time"]["late"]) == (1, 0)
    wait_until(lambda: engine.left == 1)


def test_a_client_that_leaves_frees_every_member(proxy: httpx.Client, engine: Engine) -> None:
    for model in ("s", "u", "r"):
        engine.scripts[model] = says_after(20, "nobody waits")
    for stream in (False, True):
        with pytest.raises(httpx.ReadTimeout):
            proxy.post(
                CHAT,
                json={"model": "vote3", "messages": ASK, "stream": stream},
                timeout=0.4,
            )
        wait_until(lambda: engine.running == 0)
    assert engine.left == 6


REFUSED = [
    ({"n": 2}, "n"),
    ({"tools": [{"type": "function"}]}, "tools"),
    ({"input_time": {"samples": 0}}, "input_time.samples"),
    ({"input_time": {"strategy": "near"}}, "input_time.strategy"),
]
ACCEPTED = [{"n": 1}, {"tools": []}, {"logprobs": False}, {"stop": []}, {"tools": None}]


@pytest.mark.parametrize(("more", "param"), REFUSED)
def test_what_means_nothing_is_refused(
    proxy: httpx.Client, engine: Engine, more: dict[str, object], param: str
) -> None:
    answer = ask(proxy, **more)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert engine.received == []


@pytest.mark.parametrize("more", ACCEPTED)
def test_values_that_mean_nothing_are_accepted(
    proxy: httpx.Client, engine: Engine, more: dict[str, object]
) -> None:
    script(engine, s="1", u="1", r="1")
    assert ask(proxy, **more).status_code == 200


def events(content: bytes) -> list[dict[str, object]]:
    assert content.endswith(b"data: [DONE]\n\n")
    lines = [line for line in content.split(b"\n\n") if line.startswith(b"data: {")]
    return [json.loads(line.removeprefix(b"data: ")) for line in lines]


def test_a_stream_ends_with_the_verdict(proxy: httpx.Client, engine: Engine) -> None:
    script(engine, s=r"\boxed{1}", u=r"\boxed{2}", r=r"\boxed{2}")
    answer = ask(proxy, stream=True, stream_options={"include_usage": True})
    role, said, end, usage = events(answer.content)
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": ""}  # type: ignore[index]
    assert said["choices"][0]["delta"] == {"content": r"\boxed{2}"}  # type: ignore[index]
    assert end["choices"][0]["finish_reason"] == "stop"  # type: ignore[index]
    assert end["input_time"]["winner"] == "u"  # type: ignore[index]
    assert usage["usage"]["total_tokens"] == 45  # type: ignore[index]
    assert {chunk["model"] for chunk in (role, said, end, usage)} == {"vote3"}
    assert answer.headers["x-input-time-method"] == "majority"


def test_a_stream_that_fails_late_ends_with_an_error(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["s"] = says_after(1.5, r"\boxed{1}")
    engine.scripts["u"] = lambda body: fails(500)(body)
    engine.scripts["r"] = lambda body: says_after(1.5, "")(body)
    content = ask(proxy, stream=True).content
    assert b"event: error\n" in content
    assert b"[DONE]" not in content
