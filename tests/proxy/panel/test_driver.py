"""What the driver holds a program to, whoever wrote it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from its.methods import METHODS, Call, Case, Options, Program, TimeUp, Verdict, every
from tests.conftest import MEMBERS, Proxy
from tests.proxy.asking import CHAT, wait_until
from tests.proxy.panel.methods import ASK, answers, boxed
from tests.scripted import Engine, says, says_after, speaks

PANEL = '\n[panels.p]\nmembers = ["s", "n"]\nmethod = "odd"\nmax_calls = 4\n'


class Odd:
    """A method that somebody else wrote."""

    options = Options

    def __init__(self, program: Callable[[Case], Program]) -> None:
        self.program = program

    def needs(self, options: Any) -> frozenset[Any]:
        return frozenset()

    def most_calls(self, case: Case) -> int:
        return 4

    def run(self, case: Case, grader: Any) -> Program:
        return self.program(case)


@pytest.fixture
def odd(
    start: Proxy, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., httpx.Client]:
    engine.scripts.update(answers(s=1, n=2))

    def started(program: Callable[[Case], Program], more: str = "") -> httpx.Client:
        monkeypatch.setitem(METHODS, "odd", Odd(program))
        return start(MEMBERS + PANEL + more)

    return started


def ask(proxy: httpx.Client, **more: Any) -> httpx.Response:
    return proxy.post(CHAT, json={"model": "p", "messages": ASK, **more})


CHANGED = ({"role": "user", "content": "Another question"},)


def nothing(case: Case) -> Program:
    yield ()
    return Verdict(None)


def twice(case: Case) -> Program:
    yield from every([Call("s", "a"), Call("n", "a")])
    return Verdict(None)


def shows_two(case: Case) -> Program:
    yield from every([Call("s", "a", shown=True), Call("n", "b", shown=True)])
    return Verdict(None)


def nobody(case: Case) -> Program:
    yield from every([Call("u", "a")])
    return Verdict(None)


def bypasses(case: Case) -> Program:
    yield from every([Call("n", "a", messages=CHANGED)])
    yield from every([Call("s", "b", messages=CHANGED)])
    return Verdict(None)


def bypasses_with_a_field(case: Case) -> Program:
    yield from every([Call("s", "a", params={"messages": [{"role": "user", "content": "x"}]})])
    return Verdict(None)


def asks_without_end(case: Case) -> Program:
    for n in range(100):
        yield from every([Call("n", f"a{n}")])
    return Verdict(None)


def invents(case: Case) -> Program:
    [reply] = yield from every([Call("n", "a")])
    return Verdict(replace(reply, call=Call("n", "b")))


FAULTS = [
    (nothing, "waits for nothing", 0),
    (twice, "two calls of the same name", 0),
    (shows_two, "shows two", 0),
    (nobody, "does not have", 0),
    (bypasses, "first user message", 1),
    (bypasses_with_a_field, "only the driver sets", 0),
    (asks_without_end, "max_calls", 4),
    (invents, "was not sent", 1),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("program", "told", "asked"), FAULTS, ids=[f[0].__name__ for f in FAULTS])
def test_a_program_that_breaks_a_rule_ends_the_request(
    odd: Any, engine: Engine, program: Any, told: str, asked: int, stream: bool
) -> None:
    """Nothing of what breaks it is sent."""
    answer = ask(odd(program), stream=stream)
    assert "method_fault" in answer.text
    assert told in answer.text
    if not stream:
        assert answer.status_code == 500
        assert answer.headers["x-should-retry"] == "false"
    assert len(engine.received) == asked


def test_a_member_without_a_context_may_be_asked_anything(odd: Any, engine: Engine) -> None:
    def program(case: Case) -> Program:
        [reply] = yield from every([Call("n", "a", "write", messages=CHANGED)])
        return Verdict(reply)

    assert ask(odd(program)).status_code == 200
    assert engine.bodies("n")[0]["messages"] == list(CHANGED)


def test_later_turns_keep_the_context(odd: Any, engine: Engine) -> None:
    def program(case: Case) -> Program:
        more = ({"role": "assistant", "content": "no"}, {"role": "user", "content": "again"})
        [reply] = yield from every([Call("s", "a", messages=(*case.messages, *more))])
        return Verdict(reply)

    assert ask(odd(program)).status_code == 200
    opening, *rest = engine.bodies("s")[0]["messages"]
    assert opening["content"].endswith("\n\n" + ASK[0]["content"])
    assert [m["content"] for m in rest] == ["no", "again"]


def test_what_runs_at_the_deadline_is_sent_as_late(odd: Any, engine: Engine) -> None:
    engine.scripts.update(s=says_after(20, "late"), n=says(boxed(2)))
    got: list[tuple[str, str]] = []

    def program(case: Case) -> Program:
        todo: list[Call] = [Call("n", "first"), Call("s", "b"), Call("s", "a")]
        replies = []
        for _ in range(3):
            replies.append((yield todo))
            todo = []
            got.append((replies[-1].call.name, replies[-1].outcome))
        return Verdict(replies[0])

    body = ask(odd(program, "deadline_s = 0.6\n")).json()
    assert got == [("first", "ok"), ("b", "late"), ("a", "late")]
    assert body["input_time"]["late"] == 2
    wait_until(lambda: engine.running == 0)


def test_time_up_is_thrown_where_a_program_asks_for_more(odd: Any, engine: Engine) -> None:
    engine.scripts["s"] = says_after(20, "late")
    thrown: list[str] = []

    def program(case: Case) -> Program:
        [first] = yield from every([Call("n", "a")])
        yield [Call("s", "b")]
        try:
            yield [Call("n", "c")]
        except TimeUp:
            thrown.append("time up")
        return Verdict(first)

    body = ask(odd(program, "deadline_s = 0.6\n")).json()
    assert thrown == ["time up"]
    assert [call["name"] for call in body["input_time"]["calls"]] == ["a", "b"]
    assert body["input_time"]["stopped"] == "deadline"


def stubborn(case: Case) -> Program:
    yield from every([Call("n", "a")])
    yield [Call("s", "b")]
    while True:
        try:
            yield [Call("n", "c")]
        except TimeUp:
            continue


def heedless(case: Case) -> Program:
    [first] = yield from every([Call("n", "a")])
    yield [Call("s", "b")]
    yield [Call("n", "c")]
    return Verdict(first)


@pytest.mark.parametrize(
    ("program", "status", "code"), [(stubborn, 500, "method_fault"), (heedless, 504, "deadline")]
)
def test_a_program_that_goes_on_has_no_answer(
    odd: Any, engine: Engine, program: Any, status: int, code: str
) -> None:
    engine.scripts["s"] = says_after(20, "late")
    answer = ask(odd(program, "deadline_s = 0.6\n"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert len(engine.received) == 2


def test_what_still_runs_at_the_end_is_cancelled(odd: Any, engine: Engine) -> None:
    engine.scripts["s"] = speaks("a", "b", hangs=True)

    def program(case: Case) -> Program:
        first = yield [Call("s", "a"), Call("n", "b")]
        return Verdict(first)

    body = ask(odd(program)).json()
    outcomes = {call["name"]: call["outcome"] for call in body["input_time"]["calls"]}
    assert outcomes == {"a": "cancelled", "b": "ok"}
    wait_until(lambda: engine.running == 0)


def test_a_slow_program_keeps_nobody_waiting(odd: Any, engine: Engine) -> None:
    """A program is stepped in a thread, and the event loop serves the others."""
    go = threading.Event()

    def program(case: Case) -> Program:
        [reply] = yield from every([Call("n", "a")])
        go.wait(30)
        return Verdict(reply)

    proxy = odd(program)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, proxy)
        wait_until(lambda: engine.received)
        time.sleep(0.1)
        assert proxy.get("/health").status_code == 200
        assert not waiting.done()
        go.set()
        assert waiting.result().status_code == 200


def test_a_program_that_never_ends_a_step_is_given_up(odd: Any, engine: Engine) -> None:
    go = threading.Event()

    def program(case: Case) -> Program:
        yield from every([Call("n", "a")])
        go.wait(60)
        return Verdict(None)

    answer = ask(odd(program, "deadline_s = 0.3\n"))
    go.set()
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline")


def test_an_empty_continuation_is_a_reply(odd: Any, engine: Engine) -> None:
    engine.scripts["n"] = says("")

    def program(case: Case) -> Program:
        [reply] = yield from every([Call("n", "a", prefix=boxed(7))])
        return Verdict(reply)

    body = ask(odd(program)).json()
    assert body["choices"][0]["message"]["content"] == boxed(7)


def test_a_parameter_of_none_removes_the_clients(odd: Any, engine: Engine) -> None:
    def program(case: Case) -> Program:
        [reply] = yield from every([Call("n", "a", params={"top_k": None, "stop": ["x"]})])
        return Verdict(reply)

    ask(odd(program), top_k=4, top_p=0.5)
    [body] = engine.bodies("n")
    assert ("top_k" in body, body["top_p"], body["stop"]) == (False, 0.5, ["x"])
