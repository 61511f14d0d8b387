"""`its-sft personas`: a data set's personas, written by a model, in spite of all that happens."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from its.personas.bank import load as load_bank
from its.strategies import Shelf
from sft.errors import DataError
from sft.rows import QuestionRow
from sft.writing.journal import Journal, WrittenPersona
from sft.writing.pace import BACK, FIRST, Pace
from sft.writing.personas import EngineClient, EngineGone, PersonaEngine, WritingJob, run
from tests.conftest import PLAIN, ROOT, command
from tests.scripted import Body, Engine, Waiting, completion, fails, says

ROWS = 60
BANK = {persona.text for persona in load_bank().personas}


def writer(body: Body) -> Response:
    """Write a person of the domain that is asked for, another one for each seed."""
    asked = body["messages"][-1]["content"]
    domain = asked.rpartition("field of ")[2].partition(". Mention")[0]
    rng = random.Random(body["seed"])
    names = " and ".join("".join(rng.choices("abcdefgh", k=6)) for _ in range(3))
    return JSONResponse(completion(f"You live for {domain} by the sea, and tell {names} of it."))


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    lines = [json.dumps({"problem": f"What is {i} and {i}?", "answer": i}) for i in range(ROWS)]
    file.write_text("\n\n".join(lines) + "\n")
    return file


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "personas.jsonl"


def args(rows: Path, out: Path, url: str, *more: object) -> list[object]:
    engine = ("--engine", f"{url}/v1", "--model", "w")
    return ["personas", rows, "--strategy", "random", *engine, "--out", out, *more]


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_row_gets_its_persona_in_order(
    rows: Path, out: Path, engine: Engine, engine_url: str
) -> None:
    engine.scripts["w"] = lambda body: Waiting(random.random() / 10, writer(body))
    ended = command("sft", *args(rows, out, engine_url, "--seed", 3, "--extra", '{"top_p": 0.5}'))
    assert ended.returncode == 0, ended.stderr
    written = read(out)
    assert [row["row"] for row in written] == list(range(1, 2 * ROWS, 2))
    assert all(row["persona"].startswith(f"You live for {row['domain']}") for row in written)
    assert not out.with_name("personas.jsonl.part").exists()
    assert "60  100.0%" in ended.stderr
    assert engine.bodies("w")[0]["top_p"] == 0.5
    assert all(body["seed"] for body in engine.bodies("w"))

    composed = command("sft", "compose", rows, "--strategy", "random", "--personas", out)
    assert composed.returncode == 0, composed.stderr
    for line, row in zip(composed.stdout.splitlines(), written, strict=True):
        said = json.loads(line)
        question = said["problem"]
        assert said["messages"][0]["content"] == f"{row['persona']}\n\n{question}"


def test_the_summary_tells_how_much_the_set_varies(
    rows: Path, out: Path, engine: Engine, engine_url: str
) -> None:
    engine.scripts["w"] = writer
    ended = command("sft", *args(rows, out, engine_url))
    assert "60 different personas, 60.0 effective" in " ".join(ended.stderr.split())
    assert len({(body["seed"], str(body["messages"])) for body in engine.bodies("w")}) == ROWS


def test_near_twins_are_asked_for_again_within_a_set(
    rows: Path, out: Path, engine: Engine, engine_url: str
) -> None:
    """A writer with one sentence for each domain, of which there are fewer than rows."""

    def repeats(body: Body) -> Response:
        asked = body["messages"][-1]["content"]
        domain = asked.rpartition("field of ")[2].partition(". Mention")[0]
        return JSONResponse(completion(f"You live for {domain} by the sea and sing of it all day."))

    engine.scripts["w"] = repeats
    ended = command("sft", *args(rows, out, engine_url))
    assert "twin of another" in ended.stderr
    written = read(out)
    texts = [row["persona"] for row in written if row["source"] == "generate"]
    assert len(set(texts)) == len(texts) < ROWS
    assert all(row["persona"] in BANK for row in written if row["source"] == "bank")


def test_twins_are_refused_over_a_kill(
    rows: Path, out: Path, engine: Engine, engine_url: str
) -> None:
    engine.scripts["w"] = says("You live for chemistry by the sea and sing of it all day.")
    one, line = rows.read_text().split("\n\n", 1)
    rows.write_text(one + "\n")
    assert command("sft", *args(rows, out, engine_url)).returncode == 0
    rows.write_text(one + "\n\n" + line)
    assert command("sft", *args(rows, out, engine_url)).returncode == 0
    assert sum(row["source"] == "generate" for row in read(out)) <= 1


def test_a_file_that_is_edited_after_a_kill_keeps_each_persona_with_its_question(
    rows: Path, out: Path, engine: Engine, engine_url: str
) -> None:
    engine.scripts["w"] = lambda body: Waiting(0.1, writer(body))
    line = [sys.executable, "-m", "sft", *map(str, args(rows, out, engine_url))]
    running = subprocess.Popen(line, cwd=ROOT, stderr=subprocess.DEVNULL)
    part = out.with_name("personas.jsonl.part")
    while not part.exists() or len(part.read_bytes().splitlines()) < 20:
        time.sleep(0.02)
    running.kill()
    running.wait(10)
    kept = {row["question_sha256"]: row["persona"] for row in read(part)[1:] if "persona" in row}
    lines = rows.read_text().splitlines()
    rows.write_text("\n".join(['{"problem": "A new question?"}', *lines[4:], lines[0]]) + "\n")
    ended = command("sft", *args(rows, out, engine_url))
    assert ended.returncode == 0, ended.stderr
    written = read(out)
    assert [row["row"] for row in written] == sorted(row["row"] for row in written)
    found = {row["question_sha256"]: row["persona"] for row in written}
    assert found.items() >= {name: text for name, text in kept.items() if name in found}.items()
    composed = command("sft", "compose", rows, "--strategy", "random", "--personas", out)
    assert composed.returncode == 0, composed.stderr


def test_the_same_question_is_written_once(
    out: Path, engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["w"] = lambda body: Waiting(0.1, writer(body))
    file = tmp_path / "twice.jsonl"
    file.write_text('{"problem": "A?"}\n{"problem": "B?"}\n' * 5 + '{"question": "A?"}\n')
    ended = command("sft", *args(file, out, engine_url))
    assert ended.returncode == 0, ended.stderr
    assert len(engine.received) == 2
    written = read(out)
    assert [row["row"] for row in written] == list(range(1, 12))
    assert len({row["persona"] for row in written}) == 2
    assert sum(row.get("tokens", 0) for row in written) == 30, "the cost stands once"


def test_a_finished_run_says_so(
    rows: Path, out: Path, engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["w"] = writer
    assert command("sft", *args(rows, out, engine_url)).returncode == 0
    before, paid = out.read_bytes(), len(engine.received)
    again = command("sft", *args(rows, out, "http://127.0.0.1:9"))
    assert again.returncode == 0, "no engine is needed"
    assert "nothing to write" in again.stderr
    assert out.read_bytes() == before
    assert set(tmp_path.iterdir()) == {rows, out}

    rows.write_text(rows.read_text() + '{"problem": "One more?"}\n')
    assert command("sft", *args(rows, out, engine_url)).returncode == 0
    assert len(engine.received) == paid + 1
    assert out.read_bytes().startswith(before)


def test_a_finished_file_of_another_job_is_left_alone(
    rows: Path, out: Path, engine: Engine, engine_url: str
) -> None:
    engine.scripts["w"] = writer
    assert command("sft", *args(rows, out, engine_url)).returncode == 0
    before, paid = out.read_bytes(), len(engine.received)
    ended = command("sft", *args(rows, out, engine_url, "--seed", 7))
    assert ended.returncode == 2
    assert "holds the personas of another job" in ended.stderr
    assert (out.read_bytes(), len(engine.received)) == (before, paid)


def test_an_engine_that_is_not_there_is_told_at_once(rows: Path, out: Path) -> None:
    began = time.monotonic()
    ended = command("sft", *args(rows, out, "http://127.0.0.1:9"))
    assert ended.returncode == 1
    assert "the engine at http://127.0.0.1:9/v1 cannot be reached" in ended.stderr
    assert time.monotonic() - began < 60, "it took minutes"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no rows"),
        ("\n\n", "has no rows"),
        ('{"problem": "A?"}\n{"problem": "B?"}\n{"problem": 3}\n', "line 3: neither"),
        ('{"problem": "A?"}\n{"problem": " "}\n', "line 2: neither"),
        ('{"problem": "A?"}\n{"problem": "B?"\n', "line 2: not JSON"),
    ],
)
def test_a_bad_file_is_told_before_the_first_call(
    text: str, reason: str, out: Path, engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["w"] = writer
    file = tmp_path / "bad.jsonl"
    file.write_text(text)
    ended = command("sft", *args(file, out, engine_url))
    assert ended.returncode == 2
    assert reason in ended.stderr
    assert engine.received == []
    assert list(tmp_path.iterdir()) == [file]


def test_killed_it_goes_on_where_it_was(
    rows: Path, out: Path, engine: Engine, engine_url: str
) -> None:
    engine.scripts["w"] = lambda body: Waiting(0.15, writer(body))
    line = [sys.executable, "-m", "sft", *map(str, args(rows, out, engine_url))]
    running = subprocess.Popen(line, cwd=ROOT, stderr=subprocess.DEVNULL)
    part = out.with_name("personas.jsonl.part")
    while not part.exists() or len(part.read_bytes().splitlines()) < 20:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait(10)
    kept = len(part.read_bytes().splitlines()) - 1
    in_flight = len(engine.received) - kept
    with part.open("ab") as file:
        file.write(b'{"row": 119, "quest')  # a write that the kill tore
    ended = command("sft", *args(rows, out, engine_url))
    assert ended.returncode == 0, ended.stderr
    assert f"going on after {kept} of {ROWS} rows" in ended.stderr
    assert len(read(out)) == ROWS
    assert len(engine.received) == ROWS + in_flight, "only what was in flight is asked again"


def test_an_interrupt_says_how_to_go_on(
    rows: Path, out: Path, engine: Engine, engine_url: str
) -> None:
    engine.scripts["w"] = lambda body: Waiting(0.3, writer(body))
    line = [sys.executable, "-m", "sft", *map(str, args(rows, out, engine_url))]
    env = {**os.environ, **PLAIN}
    running = subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=env)
    while len(engine.received) < 12:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "run the same command again to go on" in said
    assert "Traceback" not in said


def test_a_journal_of_another_job_is_left_alone(
    rows: Path, out: Path, engine: Engine, engine_url: str
) -> None:
    part = out.with_name("personas.jsonl.part")
    part.write_text('{"job":{"strategy":"similar"}}\n')
    ended = command("sft", *args(rows, out, engine_url))
    assert ended.returncode == 2
    assert "was begun by another job" in ended.stderr
    assert str(part) in " ".join(ended.stderr.split())
    assert not engine.received
    assert part.read_text() == '{"job":{"strategy":"similar"}}\n'


def test_what_is_refused_three_times_is_the_banks(
    rows: Path, out: Path, engine: Engine, engine_url: str
) -> None:
    engine.scripts["w"] = says("As an AI language model, I cannot.")
    ended = command("sft", *args(rows, out, engine_url))
    assert ended.returncode == 0
    assert all(row["source"] == "bank" and row["persona"] in BANK for row in read(out))
    assert f"disclaimer {3 * ROWS}" in ended.stderr


def test_a_busy_engine_is_asked_again_and_less(
    rows: Path, out: Path, engine: Engine, engine_url: str
) -> None:
    calls = 0

    def busy(body: Body) -> Response:
        nonlocal calls
        calls += 1
        return fails(503 if calls % 5 else 429)(body) if calls % 3 == 0 else writer(body)

    engine.scripts["w"] = busy
    ended = command("sft", *args(rows, out, engine_url))
    assert ended.returncode == 0, ended.stderr
    assert len(read(out)) == ROWS


def test_rows_that_failed_are_listed_and_tried_again(
    rows: Path, out: Path, engine: Engine, engine_url: str
) -> None:
    broken, numbers = True, iter(range(10_000))

    def script(body: Body) -> Response:
        return fails(400)(body) if broken and next(numbers) == 7 else writer(body)

    engine.scripts["w"] = script
    line = args(rows, out, engine_url)
    ended = command("sft", *line)
    assert ended.returncode == 1
    assert "answered 400" in ended.stderr
    assert "tries the failed rows again" in ended.stderr
    assert not out.exists()
    before, broken = len(engine.received), False
    assert command("sft", *line).returncode == 0
    assert len(engine.received) == before + 1
    assert len(read(out)) == ROWS


def test_no_call_goes_on_after_the_engine_is_gone(rows: Path, out: Path) -> None:
    asked = iter(range(10_000))

    async def answer(request: httpx.Request) -> httpx.Response:
        if next(asked) == 0:
            await asyncio.Event().wait()
        return httpx.Response(404)

    async def main() -> None:
        writer = PersonaEngine("http://e/v1", "w", {}, None, 8)
        job, pace = WritingJob("random", 0, Shelf(load_bank()), writer), Pace(8)
        transport = httpx.MockTransport(answer)
        async with httpx.AsyncClient(transport=transport, base_url="http://e/v1/") as client:
            with Journal(out, job.identity) as journal:
                with pytest.raises(EngineGone):
                    await run(
                        job,
                        rows,
                        journal,
                        EngineClient(client, job.engine, pace),
                        pace,
                        lambda _: None,
                    )
                assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_failures_that_are_not_listed_are_counted(
    rows: Path, out: Path, engine: Engine, engine_url: str
) -> None:
    numbers = iter(range(10_000))
    engine.scripts["w"] = lambda body: (
        fails(400)(body) if next(numbers) in range(0, 24, 2) else writer(body)
    )
    ended = command("sft", *args(rows, out, engine_url))
    assert ended.returncode == 1
    assert "\nand 2 more\nthe same command tries the failed rows again\n" in ended.stderr


def test_an_engine_that_is_gone_ends_it(
    rows: Path, out: Path, engine: Engine, engine_url: str
) -> None:
    engine.scripts["w"] = fails(404, {"error": {"message": "no such model"}})
    ended = command("sft", *args(rows, out, engine_url))
    assert ended.returncode == 1
    assert "no such model" in ended.stderr
    assert "run the same command again to go on" in ended.stderr
    assert len(engine.received) < ROWS


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--strategy", "none"], "leaves nothing to write"),
        (["--strategy", "retrieved"], "needs --notes"),
        (["--strategy", "mixed", "--mix", "none=1"], "Unknown strategy 'none' of a mix"),
        (
            ["--strategy", "mixed", "--mix", "random=1", "--strategy-option", 'mix={"random":1}'],
            "give one of --mix and --strategy-option",
        ),
        (["--strategy", "mixed", "--mix", "x"], "is not NAME=SHARE"),
        (["--extra", "[]"], "must be a JSON object"),
        (["--extra", '{"a": {"b": [1, NaN]}}'], "--extra: a.b.1 must be a finite number"),
        (["--temperature", "nan"], "'--temperature'"),
        (["--temperature", "inf"], "must be a finite number"),
        (["--strategy", "mixed", "--mix", "random=nan"], "the share of 'random'"),
        (["--engine", "http://h:70000/v1"], "--engine: 'http://h:70000/v1' has a port"),
        (["--api-key", "sk-123"], '--api-key: must be "env:NAME" or "file:PATH"'),
        (["--api-key", "env:NOT_THERE"], "--api-key: env:NOT_THERE is empty or not set"),
    ],
)
def test_what_cannot_be_asked_for(rows: Path, out: Path, more: list[str], reason: str) -> None:
    ended = command("sft", *args(rows, out, "http://127.0.0.1:9", *more))
    assert ended.returncode == 2
    assert reason in ended.stderr


def test_the_key_is_sent_and_not_shown(
    rows: Path, out: Path, engine: Engine, engine_url: str
) -> None:
    engine.scripts["w"] = writer
    env = {**os.environ, "WRITER_KEY": "sk-secret"}
    ended = command("sft", *args(rows, out, engine_url, "--api-key", "env:WRITER_KEY"), env=env)
    assert {r.headers["authorization"] for r in engine.received} == {"Bearer sk-secret"}
    assert "sk-secret" not in ended.stderr


def test_personas_of_other_rows_are_refused(
    rows: Path, out: Path, engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["w"] = writer
    command("sft", *args(rows, out, engine_url))
    other = tmp_path / "other.jsonl"
    other.write_text('{"problem": "Another?"}\n')
    ended = command("sft", "compose", other, "--strategy", "random", "--personas", out)
    assert ended.returncode == 2
    assert "line 1: no persona was written for its question" in ended.stderr
    ended = command("sft", "compose", rows, "--strategy", "similar", "--personas", out)
    assert "written for the strategy 'random'" in ended.stderr


def test_the_journal_keeps_rows_in_any_order(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"

    def asked(row: int) -> QuestionRow:
        return QuestionRow(row, f"Question {row}?", {})

    def written(row: int) -> WrittenPersona:
        question = asked(row).question_sha256
        given = ("random", "random", "generate", "d", f"p{row}", "m", "s")
        return WrittenPersona(row, question, *given)

    with Journal(out, {"a": 1}) as journal:
        for row in (5, 2, 9):
            journal.add(written(row))
    with Journal(out, {"a": 1}) as journal:
        there = [asked(row).question_sha256 in journal for row in (1, 2, 5, 9, 10)]
        assert there == [False, True, True, True, False]
        with pytest.raises(DataError, match="line 1 has no persona yet"):
            journal.finish(map(asked, (1, 2, 5, 9)))
        journal.add(written(1))
        journal.finish(map(asked, (1, 2, 5, 9)))
    assert [row["persona"] for row in read(out)] == ["p1", "p2", "p5", "p9"]
    assert list(tmp_path.iterdir()) == [out]


def test_two_runs_do_not_write_one_journal(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    told = r"out\.jsonl\.part: another run is at work"
    with Journal(out, {"a": 1}), pytest.raises(DataError, match=told):
        Journal(out, {"a": 1}).__enter__()
    with Journal(out, {"a": 1}) as journal:
        journal.finish([])
    assert list(tmp_path.iterdir()) == [out]


class Machine:
    """An engine in simulated time: `slots` calls at once, each of one second."""

    def __init__(self, slots: int) -> None:
        self.slots, self.now = slots, 0.0

    def run(self, pace: Pace, calls: int) -> Iterator[int]:
        for _ in range(calls):
            # Little's law: what is asked beyond the slots waits.
            self.now += 1.0 / min(pace.limit, self.slots)
            pace.finished()
            yield pace.limit


@pytest.mark.parametrize("slots", [1, 8, 40, 100, 1000])
def test_the_pace_finds_what_the_engine_can_bear(slots: int) -> None:
    machine = Machine(slots)
    pace = Pace(256, lambda: machine.now)
    limits = list(machine.run(pace, 20_000))
    settled = limits[len(limits) // 2 :]
    assert min(settled) >= min(slots, 256)
    assert max(limits) <= 256
    wanted = min(slots, 256)
    assert sum(settled) / len(settled) <= max(2.2 * wanted, 1.2 * FIRST)


def test_many_complaints_at_once_are_one() -> None:
    machine = Machine(100)
    pace = Pace(256, lambda: machine.now)
    list(machine.run(pace, 2000))
    before = pace.limit
    machine.now += 1
    for _ in range(50):
        pace.overloaded()
    assert pace.limit == int(before * BACK)
    list(machine.run(pace, 20_000))
    assert pace.limit >= 100, "it tries again later"
