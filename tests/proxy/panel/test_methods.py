"""Every method through the proxy: its exact calls, failures, the deadline, clients that leave."""

import json
import time
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from its.methods import METHODS, prompts
from tests.conftest import Proxy
from tests.proxy.asking import CHAT, series, wait_until
from tests.proxy.panel.methods import (
    ASK,
    CASES,
    Case,
    boxed,
    check_contexts,
    sent,
)
from tests.scripted import Body, Engine, Script, Waiting, completion, fails

NAMES = sorted(CASES)


def ask(proxy: httpx.Client, seconds: float = 30, **more: Any) -> httpx.Response:
    return proxy.post(CHAT, json={"model": "p", "messages": ASK, **more}, timeout=seconds)


def told(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["input_time"]


def calls_of(input_time: Any) -> list[tuple[str, str, int, str]]:
    return [(c["name"], c["role"], c["round"], c["member"]) for c in input_time["calls"]]


def test_every_method_has_a_case() -> None:
    assert {*CASES, "majority"} == set(METHODS)


@pytest.mark.parametrize("name", NAMES)
def test_the_exact_calls_of_a_method(start: Proxy, engine: Engine, name: str) -> None:
    """On the same replies a majority finds another answer."""
    case = CASES[name]
    engine.scripts.update(case.scripts)
    answer = ask(start(case.config(name)))
    found = told(answer)
    assert answer.json()["choices"][0]["message"]["content"].endswith(boxed(case.found))
    assert sorted(calls_of(found)) == sorted(case.calls), "drafts reach a judge shuffled"
    rounds = [call[2] for call in calls_of(found)]
    assert rounds == sorted(rounds)
    sent(engine, case.calls)
    check_contexts(engine)
    assert found["method"] == name
    used = [c["tokens"] for c in found["calls"]]
    assert answer.json()["usage"]["completion_tokens"] == sum(used)
    assert found["winner"] in {c["member"] for c in found["calls"]}


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"layers", "temperatures"}))
def test_a_majority_finds_another_answer(start: Proxy, engine: Engine, name: str) -> None:
    case = CASES[name]
    engine.scripts.update(case.scripts)
    plain = Case(case.panel.partition("---")[0], case.scripts, case.found, case.calls)
    answer = ask(start(plain.config("majority")))
    assert not answer.json()["choices"][0]["message"]["content"].endswith(boxed(case.found))


def test_temperatures_vote_each_for_itself(start: Proxy, engine: Engine) -> None:
    case = CASES["temperatures"]
    engine.scripts.update(case.scripts)
    found = told(ask(start(case.config("temperatures")), input_time={"return_ballots": True}))
    ballots = [ballot["answer"] for ballot in found["ballots"]]
    assert (ballots.count("1"), ballots.count("2")) == (4, 5)
    assert found["votes"][0] == {"answer": "1", "votes": 2, "members": ["s", "u"]}


def failing(script: Script, number: int, seen: list[int]) -> Script:
    """Return a script whose `number`-th call over all members that share `seen` fails."""

    def fails_once(body: Body) -> Response:
        seen.append(1)
        return fails(500)(body) if len(seen) == number else script(body)

    return fails_once


@pytest.mark.parametrize("name", NAMES)
def test_any_call_may_fail(start: Proxy, engine: Engine, name: str) -> None:
    case = CASES[name]
    proxy = start(case.config(name))
    for number in range(1, len(case.calls) + 1):
        seen: list[int] = []
        engine.scripts.update({m: failing(s, number, seen) for m, s in case.scripts.items()})
        answer = ask(proxy)
        assert answer.status_code in (200, 502), answer.text
        if answer.status_code == 502:
            assert answer.json()["error"]["code"] in ("no_quorum", "no_answer", "engine_status")
            assert len(case.calls) <= 3, "one of several drafts is not missed"
        check_contexts(engine)


def hanging(script: Script, number: int, seen: list[int]) -> Script:
    """Return a script whose `number`-th call, and all later ones, do not come to an end."""

    def hangs(body: Body) -> Response:
        seen.append(1)
        then = script(body)
        return Waiting(20, JSONResponse({})) if len(seen) >= number else then

    return hangs


def steps_of(case: Case) -> list[int]:
    """Return the numbers of the first calls of each round."""
    rounds = [call[2] for call in case.calls]
    return [1 + rounds.index(each) for each in sorted(set(rounds))]


@pytest.mark.parametrize("name", NAMES)
def test_the_deadline_at_every_round(start: Proxy, engine: Engine, name: str) -> None:
    """What there is by then is the answer; where there is nothing it is a 504."""
    case = CASES[name]
    proxy = start(case.config(name, "deadline_s = 0.7"))
    for number in steps_of(case):
        seen: list[int] = []
        engine.scripts.update({m: hanging(s, number, seen) for m, s in case.scripts.items()})
        began = time.monotonic()
        answer = ask(proxy)
        assert time.monotonic() - began < 10
        nothing = number == 1 or name == "thinking_budget"  # thoughts alone are no answer
        assert answer.status_code == (504 if nothing else 200), answer.text
        if not nothing:
            assert told(answer)["late"] > 0
            assert told(answer)["stopped"] == "deadline"
        wait_until(lambda: engine.running == 0)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_client_that_leaves_frees_the_engine(
    start: Proxy, engine: Engine, name: str, stream: bool
) -> None:
    case = CASES[name]
    proxy = start(case.config(name))
    for number in steps_of(case):
        seen: list[int] = []
        engine.scripts.update({m: hanging(s, number, seen) for m, s in case.scripts.items()})
        with pytest.raises(httpx.ReadTimeout):
            ask(proxy, stream=stream, seconds=0.5)
        wait_until(lambda: engine.running == 0)
    asked = len(engine.received)
    time.sleep(0.2)
    assert len(engine.received) == asked, "nothing is asked for nobody"


# What calls carry -----------------------------------------------------------------------------


def test_a_judge_reads_the_drafts_behind_the_question(start: Proxy, engine: Engine) -> None:
    case = CASES["best_of"]
    engine.scripts.update(case.scripts)
    ask(start(case.config("best_of")), tools=[], max_tokens=7, seed=5, top_k=3)
    judged = engine.bodies("n")
    assert len(judged) == 3
    for body in judged:
        question, bridge, asked = body["messages"]
        assert question == ASK[0]
        assert (bridge["role"], asked["role"]) == ("assistant", "user")
        assert asked["content"].startswith(prompts.SCORE)
        assert (body["temperature"], body["top_k"]) == (0.0, 3)
        assert body["max_tokens"] != 7
        assert "tools" not in body
    seeds = [body["seed"] for model in "surn" for body in engine.bodies(model)]
    assert len(set(seeds)) == 6


def test_a_prefix_is_continued(start: Proxy, engine: Engine) -> None:
    case = CASES["thinking_budget"]
    engine.scripts.update(case.scripts)
    answer = ask(start(case.config("thinking_budget")), max_tokens=50)
    first, second = engine.bodies("n")
    assert first["messages"][-1] == {"role": "assistant", "content": "<think>\n"}
    assert (first["stop"], first["max_tokens"]) == (["</think>"], 20)
    thought = "<think>\nsix times seven\n</think>\n\n"
    assert second["messages"] == [*ASK, {"role": "assistant", "content": thought}]
    assert (second["max_tokens"], "stop" in second) == (50, False)
    for body in (first, second):
        assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    message = answer.json()["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("six times seven", boxed(2))


def test_an_engine_may_return_the_prefix_too(start: Proxy, engine: Engine) -> None:
    """llama.cpp does."""
    case = CASES["thinking_budget"]

    def echoes(body: Body) -> Response:
        prefix = body["messages"][-1]["content"]
        said = boxed(2) if "</think>" in prefix else "six times seven"
        return JSONResponse(completion(prefix + said))

    engine.scripts["n"] = echoes
    answer = ask(start(case.config("thinking_budget")))
    message = answer.json()["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("six times seven", boxed(2))


def test_forced_thoughts_leave_json_and_tool_calls_whole(start: Proxy, engine: Engine) -> None:
    """The content is what the client's grammar made, also of a model that opens its thinking."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}

    def script(body: Body) -> Response:
        if "</think>" not in body["messages"][-1]["content"]:
            return JSONResponse(completion("hm", matched_stop="</think>"))
        if "tools" in body:
            said = completion("")
            said["choices"][0]["message"] |= {"content": None, "tool_calls": [call]}
            return JSONResponse(said)
        return JSONResponse(completion('{"answer": 7}'))

    engine.scripts["n"] = script
    config = CASES["thinking_budget"].config("thinking_budget")
    proxy = start(config.replace("[members.n]", "[members.n]\nthinking = true"))
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    [choice] = ask(proxy, response_format=schema).json()["choices"]
    assert json.loads(choice["message"]["content"]) == {"answer": 7}
    assert choice["message"]["reasoning_content"] == "hm"
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    message = ask(proxy, tools=[tool]).json()["choices"][0]["message"]
    assert (message["tool_calls"], message["content"]) == ([call], None)
    assert message["reasoning_content"] == "hm"


def test_a_method_that_begins_its_answer_cannot_continue_the_clients(
    start: Proxy, engine: Engine
) -> None:
    started = [*ASK, {"role": "assistant", "content": "It is"}]
    proxy = start(CASES["thinking_budget"].config("thinking_budget"))
    body = {"model": "p", "messages": started, "continue_final_message": True}
    answer = proxy.post(CHAT, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "continue_final_message"
    assert engine.bodies("n") == []


ODD_NUMBERS = [
    {"logprobs": {"content": [{"logprob": 10**400}, {"logprob": "x"}, None]}},
    {"usage": {"prompt_tokens": -(10**400), "completion_tokens": -3, "total_tokens": 10**400}},
    {"usage": {"prompt_tokens": True, "completion_tokens": 1.5, "total_tokens": None}},
]


@pytest.mark.parametrize("odd", ODD_NUMBERS, ids=range(3))
def test_numbers_of_an_engine_that_are_none(start: Proxy, engine: Engine, odd: Any) -> None:
    case = CASES["weighted"]
    body = completion(boxed(1))
    body["choices"][0] |= {"logprobs": odd.get("logprobs")}
    body |= {"usage": odd["usage"]} if "usage" in odd else {}
    engine.scripts.update(dict.fromkeys("sur", lambda _: JSONResponse(body)))
    answer = ask(start(case.config("weighted")))
    assert told(answer)["votes"][0]["votes"] == 3
    assert answer.json()["usage"]["completion_tokens"] in (0, 15)


def test_logprobs_that_the_method_asked_for_are_not_the_clients(
    start: Proxy, engine: Engine
) -> None:
    case = CASES["weighted"]
    engine.scripts.update(case.scripts)
    proxy = start(case.config("weighted"))
    assert "logprobs" not in ask(proxy).json()["choices"][0]
    assert all(body["logprobs"] is True for body in engine.bodies("s"))
    assert ask(proxy, logprobs=True).json()["choices"][0]["logprobs"]["content"]


def test_samples_and_a_persona_are_for_the_drafts(start: Proxy, engine: Engine) -> None:
    """A judge is asked without a context, whatever the request wants for its drafts."""
    case = CASES["best_of"]
    engine.scripts.update(case.scripts)
    extras = {"strategy": "random", "persona": "A clerk of the court.", "samples": 2}
    found = told(ask(start(case.config("best_of")), input_time=extras))
    assert len(found["calls"]) == 12
    for model in "sur":
        for body in engine.bodies(model):
            assert body["messages"][0]["content"].startswith("A clerk of the court.")
    assert all(body["messages"][0] == ASK[0] for body in engine.bodies("n"))


def test_calls_are_counted_by_role(start: Proxy, engine: Engine) -> None:
    case = CASES["best_of"]
    engine.scripts.update(case.scripts)
    proxy = start(case.config("best_of"))
    ask(proxy)
    counts = series(proxy)
    labels = 'outcome="ok",panel="p",role='
    assert counts[f'its_panel_calls_total{{{labels}"answer"}}'] == 3
    assert counts[f'its_panel_calls_total{{{labels}"judge"}}'] == 3
    assert counts['its_panel_tokens_total{panel="p",role="judge"}'] == 15


def test_a_panel_of_judges_takes_turns(start: Proxy, engine: Engine) -> None:
    case = CASES["best_of"]
    engine.scripts.update(case.scripts)
    engine.scripts["m"] = engine.scripts["n"]
    more = (
        '[members.m]\nengine = "e"\nmodel = "m"\nstrategy = "none"\n'
        '[panels.court]\nmembers = ["n", "m"]\n'
    )
    config = case.config("best_of").replace('judge = "n"', 'judge = "court"') + more
    found = told(ask(start(config)))
    judges = [c["member"] for c in found["calls"] if c["role"] == "judge"]
    assert sorted(judges) == ["m", "n", "n"]


def test_a_stronger_panel_is_asked_as_a_whole(start: Proxy, engine: Engine) -> None:
    case = CASES["escalate"]
    engine.scripts.update(case.scripts)
    more = '[panels.strong]\nmembers = ["n", "u"]\nsamples = 2\n'
    config = case.config("escalate").replace('stronger = "n"', 'stronger = "strong"') + more
    found = told(ask(start(config)))
    stronger = [c["member"] for c in found["calls"] if c["round"] == 1]
    assert stronger == ["n", "u", "n", "u"]
    check_contexts(engine)


NESTED = """
[panels.p.options]
threshold = 0.9
[panels.p.options.below]
method = "synthesize"
writer = "n"
"""


def test_a_method_below_the_threshold(start: Proxy, engine: Engine) -> None:
    case = CASES["synthesize"]
    engine.scripts.update(case.scripts)
    nested = Case(case.panel.partition("---")[0] + "---" + NESTED, {}, 3, [])
    found = told(ask(start(nested.config("majority"))))
    assert found["calls"][-1]["name"] == "below/write"
    assert found["account"]["below"]["method"] == "synthesize"
    assert len(found["calls"]) == 4, "the drafts are there already"


@pytest.mark.parametrize("stream", [False, True])
def test_a_panel_may_abstain(start: Proxy, engine: Engine, stream: bool) -> None:
    case = CASES["synthesize"]
    engine.scripts.update(case.scripts)
    options = '[panels.p.options]\nthreshold = 0.9\nbelow = "abstain"'
    abstaining = Case(case.panel.partition("---")[0] + "---" + options, {}, 3, [])
    answer = ask(start(abstaining.config("majority")), stream=stream)
    assert answer.status_code == 200
    if stream:
        events = [json.loads(e[6:]) for e in answer.text.split("\n\n") if e.startswith("data: {")]
        assert not any(e["choices"][0]["delta"].get("content") for e in events if e["choices"])
        found, reason = events[-1]["input_time"], events[-1]["choices"][0]["finish_reason"]
    else:
        body = answer.json()
        assert body["choices"][0]["message"] == {"role": "assistant", "content": None}
        found, reason = body["input_time"], body["choices"][0]["finish_reason"]
    assert (reason, found["withheld"], found["decided"]) == ("stop", True, False)
    assert "boxed" not in answer.text
    assert [vote["votes"] for vote in found["votes"]] == [2, 1]


def test_nothing_is_decided_where_nothing_is_chosen(start: Proxy, engine: Engine) -> None:
    case = CASES["synthesize"]
    engine.scripts.update(case.scripts)
    answer = ask(start(case.config("synthesize")))
    assert answer.headers["x-input-time-decided"] == "null"
    assert told(answer)["decided"] is None
