"""A vote's comparisons: in time, within a budget, in turns; what is not compared is undecided."""

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import pytest

from its.answers import Judge, Unread, cluster, parse
from its.answers.algebra.worker import Evaluated
from its.answers.algebra.workers import Account, Workers
from its.answers.equality import relations
from its.answers.faults import FAULTS
from its.methods import Majority
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


def work(*texts: str) -> Callable[[Judge], list[list[int]]]:
    return partial(cluster, [parse(text) for text in texts])


class Scripted:
    """Graders that say what a test wants: `costs` are CPU seconds, infinite where none is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **costs: float) -> None:
        self.costs, self.asked = costs, list[tuple[str, float]]()
        self.left: list[Account] = []
        self.hold = threading.Event()
        monkeypatch.setattr(Workers, "submit", self.submit)
        monkeypatch.setattr(Workers, "leave", lambda _, account: self.left.append(account))

    def submit(
        self, text: str, seconds: float, account: Account, *, slow: bool = False
    ) -> "Future[Evaluated]":
        self.asked.append((text, seconds))
        job: Future[Evaluated] = Future()
        cost = self.costs.get(text, FOREVER if "h" in text else 0.01)
        if cost == FOREVER and slow:
            return job  # it never ends
        if cost > seconds:
            job.set_result(Evaluated(Unread.EXHAUSTED, seconds, out=True))
        else:
            job.set_result(Evaluated(Unread.UNREADABLE, cost))
        return job


async def test_light_answers_do_not_wait_for_heavy_ones(graders: Graders) -> None:
    """Whatever the order: the heavy ones have the time that is left, the light ones the first."""
    for order in itertools.permutations([HEAVY % 61, r"\sqrt{8}", r"2\sqrt{2}"]):
        compared = Grading(graders, time.monotonic() + 60)
        settled = await compared.settled(lambda judge, o=order: len(work(*o)(judge)) == 2)  # type: ignore[misc]
        assert settled
        assert not any(slow for (_, slow), job in compared._asked.items() if job.done()), (
            "it was settled before anything heavy was evaluated"
        )
        compared.close()


async def test_the_budget_is_the_same_whatever_came_before(
    graders: Graders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five of six heavy ones fit into the budget: always the same five."""
    texts = [f"h_{n}+x" for n in range(6)]
    Scripted(monkeypatch, **dict.fromkeys(texts, 0.9))

    def undecided(judge: Judge) -> list[str]:
        return [text for text in sorted(texts) if judge(text) is Unread.EXHAUSTED]

    for order in itertools.islice(itertools.permutations(texts), 0, 720, 90):
        one = Grading(graders, time.monotonic() + 60)
        for count in range(2, 5):

            def some(judge: Judge, o: Any = order[:count]) -> bool:
                return not [judge(text) for text in o]

            await one.settled(some)
        compared = await one.decided(undecided)
        assert compared.value == texts[5:]
        assert compared.undecided == 1


async def test_after_the_deadline_what_is_not_compared_is_undecided(
    graders: Graders, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = Scripted(monkeypatch)
    monkeypatch.setattr(grading, "GRACE_SECONDS", 0.05)
    one = Grading(graders, time.monotonic() + 1.0)  # the first comparison must begin before it
    compared = await asyncio.wait_for(one.decided(work("h+1", "1+h", "h+1", "x", "7")), 30)
    assert compared.value is None, "the time was up before it could be compared again"
    one.close()
    assert scripted.left == [one._account]


async def test_a_comparison_ends_in_its_thread_when_nobody_wants_it(graders: Graders) -> None:
    """Threads are few: one that goes on for nobody would keep others waiting."""
    started, ended = threading.Event(), threading.Event()

    def endless(judge: Judge) -> bool:
        started.set()
        while not judge.over("x"):  # type: ignore[attr-defined]
            time.sleep(0.001)
        ended.set()
        return False

    one = Grading(graders, time.monotonic() + 60)
    running = asyncio.create_task(one.settled(endless))
    await asyncio.to_thread(started.wait, 30)
    running.cancel()
    one.close()
    assert await asyncio.to_thread(ended.wait, 30)


async def test_a_decision_has_so_much_cpu_time_in_its_threads(
    graders: Graders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Comparing alone may cost minutes; the threads are for all requests."""
    monkeypatch.setattr(grading, "COMPARING_SECONDS", 0.05)
    Scripted(monkeypatch)
    rounds: list[object] = []

    def endless(judge: Any) -> str:
        rounds.append(judge(f"{len(rounds)}+1"))  # something new to evaluate, each time
        while not judge.over("x"):
            pass
        return "what there is"

    compared = await Grading(graders, time.monotonic() + 10).decided(endless)
    assert (compared.value, len(rounds)) == ("what there is", 1)
    assert compared.undecided == 2


def test_relations_are_taken_apart_once() -> None:
    """192 of them make 18,336 pairs."""
    texts = [f"a=b=c=d=z_{i}" for i in range(40)]
    relations.value.cache_clear()
    cluster([parse(text) for text in texts], lambda _: Unread.EXHAUSTED)
    assert relations.value.cache_info().misses == len(texts)


async def test_an_error_of_a_method_is_counted_and_decides_nothing(graders: Graders) -> None:
    class Unforeseen(Exception):
        pass

    def broken(judge: Judge) -> bool:
        raise Unforeseen

    one = Grading(graders, time.monotonic() + 60)
    assert not await one.settled(broken)
    assert (await one.decided(broken)).value is None
    assert FAULTS.counts["method", "Unforeseen"] == 2


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
    decide = Majority.decide

    def broken(self: Majority, ballots: Any, planned: Any, judge: Any = None) -> Any:
        if any(ballot.answer for ballot in ballots):
            raise OverflowError("SECRET")
        return decide(self, ballots, planned, judge)

    monkeypatch.setattr(Majority, "decide", broken)
    monkeypatch.setattr(Majority, "settled", broken)
    stop = str(early_stop).lower()
    proxy = start(MEMBERS.replace("early_stop = false", f"early_stop = {stop}"))
    for texts in (("1", "1", "1"), ("x+1", "1+x", "y")):
        for model, text in zip("sur", texts, strict=True):
            engine.scripts[model] = says(rf"\boxed{{{text}}}")
        body = ask(proxy).json()["input_time"]
        assert (body["winner"], body["agreement"], body["undecided"]) == ("s", 0, 3)
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
