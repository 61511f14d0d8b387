"""A vote's comparisons: in time, within a budget, in turns; what is not compared is undecided."""

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from its.answers import Unread, cluster, parse
from its.answers.algebra.worker import Evaluated
from its.answers.algebra.workers import Account, Workers
from its.answers.equality import relations
from its.methods import majority
from proxy import grading
from proxy.grading import Graders, Grading
from tests.conftest import MEMBERS, Proxy
from tests.proxy.asking import ASK, CHAT, wait_until
from tests.scripted import Engine, says, says_after

pytestmark = pytest.mark.anyio
HEAVY = r"\sum_{k=1}^{999}\sin(\cos(k^{%d}))"
FOREVER = 1e9


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def graders() -> AsyncIterator[Graders]:
    found = Graders(2)
    yield found
    await found.close()


async def grouped(grading_: Grading, *texts: str) -> list[list[int]]:
    """Cluster `texts` in a step, as a program does."""
    answers = [parse(text) for text in texts]
    return await grading_.step(lambda: cluster(answers, grading_.judge), answers)


class Scripted:
    """Graders that say what a test wants: `costs` are CPU seconds, infinite where none is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **costs: float) -> None:
        self.costs, self.asked = costs, list[tuple[str, float]]()
        self.left: list[Account] = []
        self.running: list[Future[Evaluated]] = []
        self.hold = threading.Event()
        monkeypatch.setattr(Workers, "submit", self.submit)
        monkeypatch.setattr(Workers, "leave", lambda _, account: self.leave(account))

    def leave(self, account: Account) -> None:
        self.left.append(account)
        for job in self.running:
            if not job.done():
                job.set_result(Evaluated(Unread.EXHAUSTED, 0.0, lost=True))

    def submit(
        self, text: str, seconds: float, account: Account, *, slow: bool = False
    ) -> "Future[Evaluated]":
        self.asked.append((text, seconds))
        job: Future[Evaluated] = Future()
        cost = self.costs.get(text, FOREVER if "h" in text else 0.01)
        if cost == FOREVER and slow:
            self.running.append(job)  # it ends when its account leaves
            return job
        if cost > seconds:
            job.set_result(Evaluated(Unread.EXHAUSTED, seconds, out=True))
        else:
            job.set_result(Evaluated(Unread.UNREADABLE, cost))
        return job


async def test_light_answers_do_not_wait_for_heavy_ones(
    graders: Graders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the order: all get a short time first, and then the heavy ones a long one."""
    for order in itertools.permutations(["h+1", "x+1", "1+y"]):
        scripted = Scripted(monkeypatch, **{"h+1": 0.9})
        one = Grading(graders, time.monotonic() + 60)
        await grouped(one, *order)
        assert {text for text, _ in scripted.asked[:3]} == set(order)
        assert [s for _, s in scripted.asked] == [grading.QUICK_SECONDS] * 3 + [1.0]
        one.close()


async def test_values_are_compared_in_other_processes(graders: Graders) -> None:
    one = Grading(graders, time.monotonic() + 60)
    assert await grouped(one, r"\sqrt{8}", "y", r"2\sqrt{2}") == [[0, 2], [1]]
    one.close()


async def test_the_budget_is_the_same_whatever_came_before(
    graders: Graders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five of six heavy ones fit into the budget: always the same five."""
    texts = [f"h_{n}+x" for n in range(6)]
    Scripted(monkeypatch, **dict.fromkeys(texts, 0.9))
    for order in itertools.islice(itertools.permutations(texts), 0, 720, 90):
        one = Grading(graders, time.monotonic() + 60)
        for count in range(2, 5):
            await grouped(one, *order[:count])
            assert not one.judge.undecided
        await grouped(one, *order)
        assert one.judge.undecided == {texts[5]}


async def test_after_the_deadline_what_is_not_compared_is_undecided(
    graders: Graders, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = Scripted(monkeypatch)
    monkeypatch.setattr(grading, "GRACE_SECONDS", 0.05)
    one = Grading(graders, time.monotonic() + 1.0)  # the first comparison must begin before it
    groups = await asyncio.wait_for(grouped(one, "h+1", "1+h", "h+1", "x", "7"), 30)
    assert groups == [[0, 2], [1], [3], [4]], "what is written alike is equal"
    assert one.judge.undecided
    one.close()
    assert scripted.left == [one._evaluator.account]


async def test_a_comparison_ends_in_its_thread_when_nobody_wants_it(graders: Graders) -> None:
    """Threads are few: one that goes on for nobody would keep others waiting."""
    started, ended = threading.Event(), threading.Event()
    one = Grading(graders, time.monotonic() + 60)

    def endless() -> None:
        started.set()
        while not one.judge.over("x"):
            time.sleep(0.001)
        ended.set()

    running = asyncio.create_task(one.step(endless, ()))
    await asyncio.to_thread(started.wait, 30)
    running.cancel()
    one.close()
    assert await asyncio.to_thread(ended.wait, 30)


async def test_a_step_has_so_much_cpu_time_in_its_thread(
    graders: Graders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Comparing alone may cost minutes; the threads are for all requests."""
    monkeypatch.setattr(grading, "COMPARING_SECONDS", 0.05)
    one = Grading(graders, time.monotonic() + 10)

    def endless() -> str:
        while not one.judge.over("x"):
            pass
        return "what there is"

    assert await one.step(endless, ()) == "what there is"
    assert one.judge.undecided == {"x"}


async def test_steps_that_wait_for_a_grader_keep_nobody_waiting(
    graders: Graders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only so many threads compute at once, and one that waits is not among them."""
    Scripted(monkeypatch)
    waiting = [Grading(graders, time.monotonic() + 60) for _ in range(2 * grading.WORKING)]
    steps = [asyncio.create_task(grouped(one, "h+1", "1+h")) for one in waiting]
    await asyncio.sleep(0.2)
    assert not any(step.done() for step in steps)
    quick = Grading(graders, time.monotonic() + 60)
    assert await asyncio.wait_for(grouped(quick, "x+1", "y+2"), 30) == [[0], [1]]
    for step in steps:
        step.cancel()
    for one in waiting:
        one.close()


async def test_a_step_that_does_not_end_is_given_up(
    graders: Graders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grading, "PATIENCE_SECONDS", 0.05)
    go = threading.Event()
    with pytest.raises(grading.OutOfTime):
        await Grading(graders, time.monotonic() - 1).step(lambda: go.wait(60), ())
    go.set()


def test_relations_are_taken_apart_once() -> None:
    """192 of them make 18,336 pairs."""
    texts = [f"a=b=c=d=z_{i}" for i in range(40)]
    relations.value.cache_clear()
    cluster([parse(text) for text in texts], lambda _: Unread.EXHAUSTED)
    assert relations.value.cache_info().misses == len(texts)


# Through the proxy ---------------------------------------------------------------------------


def ask(proxy: httpx.Client, **more: Any) -> httpx.Response:
    return proxy.post(CHAT, json={"model": "vote3", "messages": ASK, **more})


def test_a_deadline_is_over_the_comparing_too(
    start: Proxy, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = Scripted(monkeypatch)
    proxy = start(MEMBERS + "deadline_s = 0.5\n")
    for model, text in {"s": "h+1", "u": "1+h", "r": "h+1"}.items():
        engine.scripts[model] = says(rf"\boxed{{{text}}}")
    body = ask(proxy).json()["input_time"]
    assert body["agreement"] == 0.6667, "what is written alike is equal"
    assert body["undecided"] >= 1
    assert scripted.left, "the graders are free again"


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Every thread of the graders is taken until the event is set."""
    go = threading.Event()
    original = Graders.__init__

    def taken(self: Graders, processes: int) -> None:
        original(self, processes)
        for _ in range(grading.THREADS):
            self.threads.submit(go.wait, 60)

    monkeypatch.setattr(Graders, "__init__", taken)
    yield go
    go.set()


def test_votes_and_metrics_do_not_wait_for_the_threads_of_grading(
    start: Proxy, engine: Engine, crowded: threading.Event
) -> None:
    proxy = start(MEMBERS + "deadline_s = 0.3\n")
    for model, text in {"s": r"\sqrt{8}", "u": r"2\sqrt{2}", "r": r"\sqrt{8}"}.items():
        engine.scripts[model] = says(rf"\boxed{{{text}}}")
    with ThreadPoolExecutor(8) as pool:
        votes = [pool.submit(ask, proxy) for _ in range(8)]
        assert proxy.get("/metrics").status_code == 200
        for vote in votes:
            found = vote.result().json()["input_time"]
            assert found["agreement"] == 0.6667
            assert found["undecided"] == 1
        engine.scripts.update(dict.fromkeys("sur", says(r"\boxed{42}")))
        assert ask(proxy).json()["input_time"]["agreement"] == 1, "integers need no thread"
    assert not crowded.is_set()


@pytest.mark.parametrize("text", ["long " * 1000 + r"\boxed{1}", rf"\boxed{{{'x+' * 100}1}}"])
def test_a_text_that_is_not_read_in_time_abstains(
    start: Proxy, engine: Engine, crowded: threading.Event, text: str
) -> None:
    """The event loop reads only what is short: 192 answers may cost it 30 ms each."""
    proxy = start(MEMBERS + "deadline_s = 0.3\nquorum = 3\n")
    engine.scripts.update(dict.fromkeys("sur", says(text)))
    body = ask(proxy).json()["input_time"]
    assert (body["abstained"], body["agreement"]) == (3, 0)


def test_who_leaves_frees_the_graders(
    start: Proxy, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = Scripted(monkeypatch)
    proxy = start(MEMBERS)
    for model in "sur":
        engine.scripts[model] = says(rf"\boxed{{h+{model}}}")
    with pytest.raises(httpx.ReadTimeout):
        proxy.post(CHAT, json={"model": "vote3", "messages": ASK}, timeout=0.5)
    wait_until(lambda: len(scripted.left) == 1)


@pytest.mark.parametrize("early_stop", [True, False])
def test_a_method_that_raises_costs_a_verdict_and_no_request(
    start: Proxy, engine: Engine, monkeypatch: pytest.MonkeyPatch, early_stop: bool
) -> None:
    def broken(ballots: Any, *_: Any) -> Any:
        raise OverflowError("SECRET")

    monkeypatch.setattr(majority, "vote", broken)
    stop = str(early_stop).lower()
    proxy = start(MEMBERS.replace("early_stop = false", f"early_stop = {stop}"))
    for texts in (("1", "1", "1"), ("x+1", "1+x", "y")):
        for model, text in zip("sur", texts, strict=True):
            engine.scripts[model] = says(rf"\boxed{{{text}}}")
        body = ask(proxy).json()["input_time"]
        assert (body["winner"], body["agreement"], body["undecided"]) == ("s", 0, 3)
        assert body["account"] == {"error": "OverflowError"}
    faults = 'its_answer_faults_total{error="OverflowError",step="method"}'
    assert faults in proxy.get("/metrics").text


@pytest.mark.parametrize("text", [r"\prod_{k=1}^{1000} k^{k}", r"\cosh(3000000)"])
def test_values_beyond_any_number_are_ballots_like_any(
    proxy: httpx.Client, engine: Engine, text: str
) -> None:
    for model, boxed in {"s": text, "u": r"\sqrt{2}", "r": r"\frac{2}{\sqrt{2}}"}.items():
        engine.scripts[model] = says(rf"\boxed{{{boxed}}}")
    answer = ask(proxy)
    assert answer.status_code == 200
    assert answer.json()["input_time"]["agreement"] == 0.6667


def test_a_vote_is_settled_while_a_heavy_ballot_is_compared(
    start: Proxy, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ballots that come later are read and compared at once, beside the one that takes long."""
    monkeypatch.setattr(grading, "SLOW_SECONDS", 60.0)
    proxy = start(MEMBERS.replace('["s", "u", "r"]', '["s", "u", "r", "n"]')
                  .replace("early_stop = false", "quorum = 2"))  # fmt: skip
    engine.scripts["s"] = says(r"\boxed{\sum_{k=1}^{1000}\sin(\cos(k^{77}))}")
    for model, after, text in (("u", 0.1, r"\sqrt{8}"), ("r", 0.2, r"2\sqrt{2}"),
                               ("n", 0.3, r"\sqrt{2}\cdot 2")):  # fmt: skip
        engine.scripts[model] = says_after(after, rf"\boxed{{{text}}}")
    body = ask(proxy).json()["input_time"]
    assert body["votes"][0]["votes"] == 3
