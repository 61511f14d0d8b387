"""A panel asks its members at once and answers as one model."""

import json
import re
import time
from typing import Any

import httpx
import pytest

from its import seeds
from tests.conftest import MEMBERS, Proxy
from tests.proxy.asking import ASK, CHAT, wait_until
from tests.scripted import (
    Engine,
    Waiting,
    chunk,
    completion,
    fails,
    says,
    says_after,
    speaks,
    streams,
    usage,
)

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
    names = ("answer-0", "answer-3")
    assert set(sent["s"]) == {seeds.derive("sampling", 5, name, question) for name in names}
    for body in engine.bodies("s"):
        assert (body["stream"], body["max_tokens"], body["top_k"]) == (False, 9, 3)
        assert "input_time" not in body
    personas = {body["messages"][0]["content"] for body in engine.bodies("s")}
    assert len(personas) == 1, "samples of one member share its context"
    engine.received.clear()
    ask(proxy)
    assert "seed" not in engine.bodies("s")[0]


def test_each_call_is_another_request_to_its_engine(proxy: httpx.Client, engine: Engine) -> None:
    script(engine, s="1", u="1", r="1")
    sent = {"model": "vote3", "messages": ASK, "input_time": {"samples": 2}}
    assert proxy.post(CHAT, json=sent, headers={"x-request-id": "mine"}).status_code == 200
    ids = {received.headers["x-request-id"] for received in engine.received}
    assert ids == {f"mine-{number}" for number in range(1, 7)}


def test_a_chat_question_returns_the_first_completion(proxy: httpx.Client, engine: Engine) -> None:
    script(engine, s="Hello!", u="Hi!", r="Good day!")
    body = ask(proxy).json()
    assert body["choices"][0]["message"]["content"] == "Hello!"
    assert (body["input_time"]["agreement"], body["input_time"]["abstained"]) == (0, 3)
    assert body["input_time"]["votes"] == []


def test_one_answer_beats_two_abstentions(proxy: httpx.Client, engine: Engine) -> None:
    script(engine, s="I cannot say.", u=r"\boxed{42}", r="I cannot say.")
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
    # A stream may wait for one second only: there the client backs off. Otherwise we waited.
    assert answer.headers.get("x-should-retry") == (None if stream else "false")


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
    ({"functions": [{"name": "f"}]}, "functions"),
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
    assert b'"should_retry":false' in content, "its calls were paid"
    assert b"[DONE]" not in content


# What is paid for ---------------------------------------------------------------------------

EARLY = MEMBERS.replace("early_stop = false", "early_stop = true")


def test_cancelled_calls_are_paid_for(start: Proxy, engine: Engine) -> None:
    proxy = start(EARLY)
    engine.scripts["s"] = engine.scripts["u"] = speaks(r"so \boxed{", "1}", pause=0.1)
    engine.scripts["r"] = speaks("a", "b", "c", hangs=True)
    body = ask(proxy, **BALLOTS).json()
    sent = engine.bodies("r")[0]
    assert sent["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}
    ballots = {ballot["member"]: ballot for ballot in body["input_time"]["ballots"]}
    assert [ballots[name]["outcome"] for name in "sur"] == ["voted", "voted", "cancelled"]
    assert ballots["r"]["usage"] == usage(10, 3)
    assert not ballots["r"]["estimated"]
    assert body["usage"] == usage(30, 2 + 2 + 3)
    assert body["choices"][0]["message"]["content"] == r"so \boxed{1}"


def test_chunks_are_counted_where_an_engine_counts_nothing(start: Proxy, engine: Engine) -> None:
    proxy = start(EARLY)
    engine.scripts["s"] = engine.scripts["u"] = speaks(r"\boxed{1}", pause=0.1)
    engine.scripts["r"] = speaks("a", "b", "c", counts=False, hangs=True)
    body = ask(proxy, **BALLOTS).json()
    [late] = [b for b in body["input_time"]["ballots"] if b["outcome"] == "cancelled"]
    assert (late["usage"]["completion_tokens"], late["estimated"]) == (3, True)
    assert body["usage"]["completion_tokens"] == 1 + 1 + 3


def test_a_call_that_breaks_is_paid_for_too(start: Proxy, engine: Engine) -> None:
    proxy = start(EARLY)
    engine.scripts["s"] = engine.scripts["u"] = speaks(r"\boxed{1}", pause=0.2)
    engine.scripts["r"] = streams([chunk(delta={"content": "a"}, usage=usage(10, 1))])
    body = ask(proxy, **BALLOTS).json()
    [failed] = [b for b in body["input_time"]["ballots"] if b["outcome"] == "failed"]
    assert (failed["error"], failed["usage"]) == ("broken", usage(10, 1))
    assert body["usage"] == usage(30, 3)


def test_a_streamed_call_becomes_the_message_it_was(start: Proxy, engine: Engine) -> None:
    proxy = start(EARLY)
    logprob = {"token": "x", "logprob": -0.5}
    pieces = [
        chunk(delta={"role": "assistant", "content": "", "reasoning_content": "hm"}),
        chunk(delta={"reasoning_content": ", so", "content": None}),
        chunk(delta={"content": r"\boxed"}, logprobs={"content": [logprob]}),
        chunk(delta={"content": "{7}"}, logprobs={"content": [logprob]}),
        chunk(finish_reason="stop", matched_stop=151645),
        chunk(usage=usage(3, 4)),
        b"data: [DONE]\n\n",
    ]
    whole = b"".join(pieces)
    for name, cut in (("s", 7), ("u", 100), ("r", 1000)):
        parts = [whole[i : i + cut] for i in range(0, len(whole), cut)]
        engine.scripts[name] = streams(parts)
    body = ask(proxy).json()
    assert body["choices"] == [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": r"\boxed{7}",
                "reasoning_content": "hm, so",
            },
            "logprobs": {"content": [logprob, logprob]},
            "finish_reason": "stop",
            "matched_stop": 151645,
        }
    ]


def test_a_stream_with_an_error_in_it_is_no_vote(start: Proxy, engine: Engine) -> None:
    proxy = start(EARLY)
    broken = b'data: {"error": {"message": "out of memory"}}\n\ndata: [DONE]\n\n'
    for name in "sur":
        engine.scripts[name] = streams([chunk(delta={"content": r"\boxed{1}"}), broken])
    answer = ask(proxy)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "no_quorum")
    message = answer.json()["error"]["message"]
    for name in "sur":  # the third may have been given up when two had failed
        assert re.search(f"{name}: (the engine broke off: out of memory|given up)", message)
    assert message.count("out of memory") >= 2


SAID = chunk(delta={"content": r"\boxed{1}"})
LOGPROBS = chunk(logprobs={"content": [1]})
MALFORMED = [
    [b'data: {"choices": "none"}\n\n'],
    [b'data: {"choices": ["none"]}\n\n'],
    [chunk(index="0", delta={"content": "1"})],
    [chunk(delta="1")],
    [chunk(logprobs="none"), LOGPROBS],
    [LOGPROBS, chunk(logprobs=[1])],
    [chunk(logprobs={"content": 1}), LOGPROBS],
    [chunk(delta={"tool_calls": {}}), chunk(delta={"tool_calls": [{}]})],
    [chunk(delta={"tool_calls": ["f"]})],
    [chunk(delta={"tool_calls": [{"index": 0, "function": "f"}]})],
    [chunk(delta={"tool_calls": [{"index": 0}, {"index": 0, "function": "f"}]})],
    [chunk(delta={"content": "x" * 8_000_000})] * 9,
]


@pytest.mark.parametrize("malformed", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_stream_is_its_members_failure(
    start: Proxy, engine: Engine, malformed: list[bytes]
) -> None:
    proxy = start(EARLY)
    engine.scripts.update(s=speaks(r"\boxed{1}"), u=speaks(r"\boxed{2}"))  # r would decide
    end = [SAID, chunk(finish_reason="stop"), b"data: [DONE]\n\n"]
    engine.scripts["r"] = streams([*malformed, *end])
    body = ask(proxy, **BALLOTS).json()
    ballots = {ballot["member"]: ballot for ballot in body["input_time"]["ballots"]}
    assert [ballots[name]["outcome"] for name in "sur"] == ["voted", "voted", "failed"]
    assert ballots["r"]["error"] == "protocol"


def test_a_chunk_may_leave_out_what_says_nothing(start: Proxy, engine: Engine) -> None:
    proxy = start(EARLY)
    said = b'data: {"choices": [{"delta": {"content": "\\\\boxed{1}"}, "logprobs": null}]}\n\n'
    ended = b'data: {"choices": [{"finish_reason": "stop"}]}\n\ndata: {"choices": null}\n\n'
    for name in "sur":
        engine.scripts[name] = streams([said, ended, b"data: [DONE]\n\n"])
    assert ask(proxy).json()["input_time"]["votes"][0]["answer"] == "1"


@pytest.mark.parametrize("calls", ["f", ["f"], {"f": 1}])
def test_malformed_tool_calls_are_no_message(
    proxy: httpx.Client, engine: Engine, calls: object
) -> None:
    script(engine, u=r"\boxed{1}", r=r"\boxed{1}")
    message = {"role": "assistant", "content": r"\boxed{1}", "tool_calls": calls}
    engine.scripts["s"] = says(None, message=message)
    content = ask(proxy, stream=True).content
    assert events(content)[-1]["input_time"]["failed"] == 1  # type: ignore[index]


def test_length_stays_length_and_abstains(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["s"] = engine.scripts["u"] = says("so it is 3", finish_reason="length")
    engine.scripts["r"] = says(r"\boxed{42} and", finish_reason="length")
    body = ask(proxy).json()
    assert body["input_time"]["abstained"] == 2
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["input_time"]["winner"] == "r"


def test_each_members_reason_is_named(start: Proxy, engine: Engine) -> None:
    proxy = start(MEMBERS + "deadline_s = 1")
    engine.scripts["s"] = fails(500, {"error": "no memory"})
    engine.scripts["u"] = says("")
    engine.scripts["r"] = says_after(20, "late")
    message = ask(proxy).json()["error"]["message"]
    assert "s: engine 'e' answered 500: no memory" in message
    assert "u: a message without content" in message
    engine.scripts["u"] = says(r"\boxed{1}")
    message = ask(proxy).json()["error"]["message"]
    assert "r: late" in message


def test_retries_are_one_budget_for_all_members(start: Proxy, engine: Engine) -> None:
    # With a quorum of one nothing is given up as hopeless while a member may still try again.
    proxy = start("[server]\nretries = 2\n" + MEMBERS + "quorum = 1")
    for name in "sur":
        engine.scripts[name] = fails(503, retry_after="0.01")
    assert ask(proxy).status_code == 503
    assert len(engine.received) == 3 + 2


def test_a_long_wait_is_kept_alive(start: Proxy, engine: Engine) -> None:
    proxy = start(MEMBERS)
    for name in "sur":
        engine.scripts[name] = says_after(16.5, r"\boxed{1}")
    content = ask(proxy, stream=True).content
    assert content.count(b"\n\n: keep-alive\n\n") == 1
    assert events(content)[-1]["input_time"]["winner"] == "s"  # type: ignore[index]


LEADER = MEMBERS + 'stream_mode = "leader"'


def test_the_leaders_reasoning_is_streamed_while_it_thinks(start: Proxy, engine: Engine) -> None:
    proxy = start(LEADER.replace("early_stop = false", "early_stop = true"))
    thoughts = [chunk(delta={"reasoning_content": f"{n} "}) for n in range(8)]
    said = [chunk(delta={"content": r"\boxed{2}"}), chunk(finish_reason="stop")]
    engine.scripts["s"] = streams([*thoughts, *said, b"data: [DONE]\n\n"], pause=0.05)
    engine.scripts["u"] = engine.scripts["r"] = speaks(r"\boxed{1}")
    shown = events(ask(proxy, stream=True).content)
    deltas: list[Any] = [event["choices"][0]["delta"] for event in shown]  # type: ignore[index]
    reasoning = "".join(delta.get("reasoning_content", "") for delta in deltas)
    assert reasoning == "0 1 2 3 4 5 6 7 ", "settled, but the leader was heard out"
    assert deltas[-2] == {"content": r"\boxed{1}"}
    assert shown[-1]["input_time"]["winner"] == "u"  # type: ignore[index]
    assert [delta.get("role") for delta in deltas].count("assistant") == 1


def test_a_panels_stream_opens_when_a_member_answers(start: Proxy, engine: Engine) -> None:
    proxy = start(EARLY)
    engine.scripts["s"] = speaks("a", pause=0.8)
    engine.scripts["u"] = engine.scripts["r"] = speaks("a", pause=0.8)
    sent = {"model": "vote3", "messages": ASK, "stream": True}
    started = time.monotonic()
    with proxy.stream("POST", CHAT, json=sent) as answer:
        first = time.monotonic() - started
        content = answer.read()
    assert first < time.monotonic() - started - 0.3
    assert content.endswith(b"data: [DONE]\n\n")


def test_a_hopeless_panel_does_not_hear_its_leader_out(start: Proxy, engine: Engine) -> None:
    proxy = start(LEADER)
    thought = chunk(delta={"reasoning_content": "hm "})
    engine.scripts["s"] = streams([thought] * 1000, pause=0.05)
    engine.scripts["u"] = engine.scripts["r"] = lambda _: Waiting(0.3, fails(400)({}))
    content = ask(proxy, stream=True).content
    assert b"hm " in content
    assert b"answered 400" in content
    wait_until(lambda: engine.running == 0)
