"""The judge's worker processes: limits, kills, and what a worker may touch."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from its.answers import Sample, Unread, cluster, parse
from its.answers.algebra.measure import measure
from its.answers.algebra.worker import MEMORY
from its.answers.algebra.workers import Account, Workers
from tests.conftest import ROOT, longer

SLOW = r"\sin" * 9 + "(" * 9 + "x" + ")" * 9
HOSTILE = [
    "(" * 100_000,
    "9^{9^{9^9}}",
    "10^{10^{10^{10}}}",
    "(10^9)!",
    r"\binom{10^9}{10^8}",
    "9" * 5000,
    "1+" * 150 + "1",
    "|x|" * 60,
    "a" * 300,
    r"\frac{1}{" * 40 + "x" + "}" * 40,
    r"\int_0^{1}" * 10 + "x dx",
    r"\sum_{k=1}^{999} k^{999}",
    r"\sum_{k=1}^{10^{12}} k",
    "\\" * 300,
    "x^{" * 9 + "x" + "}" * 9,
    "__import__('os').system('true')",
    r"\text{__import__('os').system('true')}",
    "lambda: 0",
    "x" * 10**6,
]


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2) as found:
        yield found


def children() -> set[int]:
    """Return the worker processes of this one."""
    found: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that has just ended
            found.update((task / "children").read_text().split())
    return {int(child) for child in found if b"its.answers.algebra.worker" in _command(int(child))}


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def test_a_worker_says_what_measure_says(workers: Workers) -> None:
    for text in ("x+1", r"\frac{1}{2}", "f(x)", "x y z", ""):
        assert workers.judge()(text) == measure(text)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:20])
def test_hostile_text_ends(workers: Workers, text: str) -> None:
    assert workers.judge()(text) == workers.judge()(text)


def test_a_verdict_has_so_much_cpu_time_and_no_more() -> None:
    with Workers(1, verdict_seconds=0.02) as strict:
        judge = strict.judge()
        assert judge(SLOW) is Unread.EXHAUSTED
        assert strict.exhausted == 1
        assert judge("x+1") is Unread.EXHAUSTED, "the verdict's time is spent"
        assert isinstance(strict.judge()("x"), Sample), "the next verdict has its own"


@pytest.mark.parametrize("busy", [True, False])
def test_a_killed_worker_costs_its_own_expression_only(busy: bool) -> None:
    before = children()
    with Workers(2) as pool:
        assert isinstance(pool.judge()("x"), Sample)
        results: dict[int, object] = {}

        def evaluate(number: int) -> None:
            results[number] = pool.judge()(f"(x+{number})^{{{number}}}")

        threads = [threading.Thread(target=evaluate, args=[n]) for n in range(40)]
        if busy:
            for thread in threads:
                thread.start()
        os.kill(min(children() - before), signal.SIGKILL)
        if not busy:
            for thread in threads:
                thread.start()
        for thread in threads:
            thread.join(30)
        assert len(results) == 40
        lost = [n for n, result in results.items() if result is Unread.EXHAUSTED]
        assert len(lost) <= 1
        assert pool.exhausted == len(lost)
        assert isinstance(pool.judge()("x+41"), Sample)


def test_a_worker_holds_so_much_memory_and_no_more(workers: Workers) -> None:
    assert isinstance(workers.judge()("y+2"), Sample)
    for pid in children():
        limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
        [address_space] = [line for line in limits if line.startswith("Max address space")]
        assert str(MEMORY) in address_space.split()


def test_closing_ends_all_processes() -> None:
    before = children()
    with Workers(2) as pool:
        pool.judge()("x")
        mine = children() - before
        assert len(mine) == 1, "a worker is started when it is needed"
    deadline = time.monotonic() + 10
    while mine & children():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_worker_imports_nothing_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json.py", "types.py"):
        (tmp_path / name).write_text("raise SystemExit(1)\n")
    monkeypatch.chdir(tmp_path)
    with Workers(1) as pool:
        assert isinstance(pool.judge()("x+1"), Sample)


@pytest.mark.parametrize("said", ["rubbish", "[]", "{}", '{"seconds": 0, "unread": "what"}'])
def test_a_worker_that_says_what_is_no_reply_has_failed(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "python"
    other.write_text(f"#!/bin/sh\nread line; echo '{said}'\n")
    other.chmod(0o755)
    with Workers(1) as pool:
        monkeypatch.setattr(sys, "executable", str(other))
        assert pool.judge()("x+1") is Unread.EXHAUSTED


def test_what_was_lost_with_its_worker_is_asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    with Workers(1) as pool:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", "/nowhere/python")  # as a fork that fails
            assert pool.judge()("x+1") is Unread.EXHAUSTED
        assert isinstance(pool.judge()("x+1"), Sample)
        assert pool.exhausted == 1


def test_an_expression_that_ends_its_worker_is_paid_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\nread line; kill -PROF $$\n")  # as out of CPU time
    other.chmod(0o755)
    with Workers(1) as pool:
        monkeypatch.setattr(sys, "executable", str(other))
        for _ in range(2):
            assert pool.judge()("x+1") is Unread.EXHAUSTED
        assert pool.exhausted == 1


AUDITED = """
import sys
from its.answers.algebra.measure import measure
texts = [line.rstrip("\\n") for line in sys.stdin]
for text in texts:
    measure(text)  # what SymPy imports at its first use is imported now
seen = []
WATCHED = ("open", "socket.", "subprocess.", "os.system", "exec", "compile", "import")
def hook(event, args):
    if event.startswith(WATCHED):
        seen.append((event, args))
sys.addaudithook(hook)
for text in texts:
    measure(text)
print(seen)
"""


def test_no_text_opens_a_file_a_socket_or_runs_code() -> None:
    texts = [text for text in HOSTILE if len(text) < 2000 and "\n" not in text]
    ended = subprocess.run(
        [sys.executable, "-c", AUDITED],
        input="\n".join(texts),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "[]"


MATH = st.lists(
    st.sampled_from(
        [
            *r"xyzn0123456789+-*/^_=<>(){}[]|!,.;: ",
            *(r"\frac", r"\sqrt", r"\sin", r"\left", r"\pi", r"\sum", r"\int", r"\pm", r"\cup"),
            *(r"\begin{pmatrix}", r"\end{pmatrix}", "&", r"\\", r"\infty", r"\text{and}"),
            *("{1}", "{x}", "^{2}", "^{9}", "$", "%", "\u221a", "\u00bd"),
        ]
    ),
    max_size=60,
).map("".join)


@pytest.mark.long
@given(st.lists(MATH | st.text(max_size=60), min_size=2, max_size=2))
@settings(
    max_examples=longer(200, 3000),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_any_two_texts_get_a_verdict(workers: Workers, texts: list[str]) -> None:
    answers = [parse(text) for text in texts]
    groups = cluster(answers, workers.judge())
    assert cluster(answers[::-1], workers.judge()) == sorted(
        sorted(1 - i for i in group) for group in groups
    )


def test_many_hostile_ballots_are_one_verdict(workers: Workers) -> None:
    answers = [parse(rf"\frac{{1}}{{{'(' * 6}x+{i}{')' * 6}}}" + "+x" * 60) for i in range(64)]
    started = time.process_time()
    groups = cluster(answers, workers.judge())
    assert len(groups) == 64
    assert time.process_time() - started < 2


SLOWER = r"\sum_{k=1}^{999}\sin(\cos(k^{61}))"


def test_the_account_that_was_served_least_is_next() -> None:
    with Workers(1) as pool:
        pool.judge()("x")  # started
        heavy, light = Account(), Account()
        waiting = [pool.submit(rf"\sin(x+{n})", 1, heavy) for n in range(20)]
        assert isinstance(pool.submit("x+1", 1, light).result(30).found, Sample)
        assert not waiting[-1].done(), "it did not wait for all of the other's"
        assert all(isinstance(job.result(30).found, Sample) for job in waiting)


def test_slow_expressions_leave_a_worker_to_the_quick_ones() -> None:
    with Workers(2) as pool:
        account = Account()
        slow = [pool.submit(SLOWER + f"+{n}", 30, account, slow=True) for n in range(3)]
        quick = pool.submit("x+1", 1, account)
        assert isinstance(quick.result(30).found, Sample)
        assert not slow[1].done(), "the second slow one waits for the first"
        pool.leave(account)
        assert slow[2].result(30).lost


def test_who_leaves_frees_the_worker() -> None:
    with Workers(1) as pool:
        pool.judge()("x")
        before = children()
        account = Account()
        running = pool.submit(r"\sum_{k=1}^{1000}\sin(\cos(k^{70}))" * 3, 60, account, slow=True)
        while account not in {job.account for job in list(pool._running)}:
            time.sleep(0.01)
        waiting = pool.submit("x+2", 1, account)
        pool.leave(account)
        assert waiting.result(30).lost
        assert running.result(30).lost
        assert isinstance(pool.judge()("x+2"), Sample), "nothing lost is remembered"
        assert children() == before, "the process goes on"


def test_what_a_short_time_did_not_tell_a_longer_one_may() -> None:
    with Workers(1) as pool:
        assert pool.submit(SLOWER, 0.01, Account()).result(30).out
        assert isinstance(pool.submit(SLOWER, 30, Account()).result(60).found, Sample)
        again = pool.submit(SLOWER, 0.01, Account()).result(30)
        assert again.out, "the same budget says the same, whatever is known by now"


def test_a_process_that_cannot_start_for_a_moment_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, failures = subprocess.Popen, iter([OSError("no memory"), OSError("no process")])

    def start(*args: object, **kwargs: object) -> object:
        if (failure := next(failures, None)) is not None:
            raise failure
        return real(*args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", start)
    with Workers(1) as pool:
        assert isinstance(pool.judge()("x+1"), Sample)
        assert pool.exhausted == 0


def test_closing_answers_who_waits() -> None:
    pool = Workers(1)
    jobs = [pool.submit(f"x+{n}", 1, Account()) for n in range(50)]
    pool.close()
    assert all(job.done() for job in jobs)
    assert pool.submit("y", 1, Account()).result(5).lost
