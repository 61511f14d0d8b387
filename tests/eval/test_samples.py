"""The rows of a run on the disk: unfinished lines, odd characters, memory."""

import json
import resource
import signal
import tracemalloc
from pathlib import Path

import pytest

from eval import lines
from eval.samples import EvalSample, RunFolder
from tests.eval.harness import its_eval, its_eval_run, problems, rows
from tests.scripted import Engine, says


def a_run(folder: Path, count: int = 4, text: str = r"\boxed{7}") -> RunFolder:
    run = RunFolder(folder)
    settings = {"task": "t", "model": "m", "problems": count, "samples": 1}
    settings |= {"temperature": 0.6, "seed": 0}
    run.start(settings, {}, fresh=True)
    for number in range(count):
        run.append(
            EvalSample(f"p{number}", 0, 1, "7", "q?", text=text, answer="7", correct=True, tokens=5)
        )
    return run


def keys(folder: Path) -> list[str]:
    return [key for key, _ in RunFolder(folder).outcomes()]


@pytest.mark.parametrize("left", [1, 2, 30, 100, "zeros"])
def test_an_unfinished_last_line_makes_no_command_refuse_a_run(
    left: int | str, tmp_path: Path
) -> None:
    a_run(tmp_path / "a")
    a_run(tmp_path / "b")
    file = tmp_path / "a" / "samples.jsonl"
    whole = file.read_bytes()
    last = whole[: whole.rindex(b"\n", 0, -1) + 1]
    # A machine that fails may leave zeros where the row should be.
    file.write_bytes(last + b"\0" * 300 if left == "zeros" else whole[: len(last) + int(left)])
    assert keys(tmp_path / "a") == ["p0", "p1", "p2"]
    assert len(list(RunFolder(tmp_path / "a").samples())) == 3
    for command in (
        ("report", tmp_path / "a"),
        ("report", tmp_path / "a", "--html", tmp_path / "page.html"),
        ("compare", tmp_path / "a", tmp_path / "b"),
        ("replay", tmp_path / "a", "--method", "majority", "--fewest", 1),
    ):
        ended = its_eval(*command)
        assert ended.returncode == 0, ended.stderr


def test_a_last_line_that_lacks_only_its_end_is_an_answer(tmp_path: Path) -> None:
    a_run(tmp_path)
    file = tmp_path / "samples.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert keys(tmp_path) == ["p0", "p1", "p2", "p3"]
    lines.mend(file)
    assert file.read_bytes() == whole


@pytest.mark.parametrize("rest", [b"", b'{"id": "x', b"x" * 200_000, b'{"id": "' + b"y" * 70_000])
@pytest.mark.parametrize(
    "before", [b"", b'{"a": 1}\n', b"\n", b'{"b": "' + b"z" * 70_000 + b'"}\n']
)
def test_mending_cuts_off_what_is_unfinished_and_nothing_else(
    before: bytes, rest: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "rows"
    file.write_bytes(before + rest)
    lines.mend(file)
    assert file.read_bytes() == before


def test_a_disk_that_fills_up_takes_no_row_with_it(tmp_path: Path) -> None:
    """A part of a row that stayed would be joined to the next one, and both would be lost."""
    file = tmp_path / "rows"
    lines.append(file, b"one\n")
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            lines.append(file, b"x" * 5000 + b"\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    lines.append(file, b"two\n")
    assert file.read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize(
    "text", ["a\u2028b\u2029c\x85d", "half \ud83d of a pair", "\x00\x1c\x0b\r\n", "\U0001f600é"]
)
def test_every_text_is_one_line_and_comes_back(text: str, tmp_path: Path) -> None:
    raw = lines.dumps({"text": text})
    assert len(raw.decode("utf-8").splitlines()) == 1
    assert json.loads(raw) == {"text": text} == lines.loads(raw)
    a_run(tmp_path, 2, text)
    assert {sample.text for sample in RunFolder(tmp_path).samples()} == {text}


def test_keys_of_a_later_version_are_ignored(tmp_path: Path) -> None:
    a_run(tmp_path, 1)
    row = rows(tmp_path)[0]
    (tmp_path / "samples.jsonl").write_text(json.dumps({**row, "later": 1}) + "\n")
    assert [sample.answer for sample in RunFolder(tmp_path).samples()] == ["7"]


def test_the_last_row_of_a_sample_counts_in_both_readings(tmp_path: Path) -> None:
    run = a_run(tmp_path, 2)
    run.append(EvalSample("p0", 0, 1, "7", "q?", text="again", answer="8"))
    found = RunFolder(tmp_path)
    assert {s.id: s.answer for s in found.samples()} == {"p0": "8", "p1": "7"}
    assert {s.id: s.answer for s in found.outcomes().values()} == {"p0": "8", "p1": "7"}
    assert {s.text for s in found.outcomes().values()} == {None}
    assert run.outcomes() == found.outcomes(), "what was appended is kept as it would be read"


def test_outcomes_need_little_memory(tmp_path: Path) -> None:
    """The texts are most of a run: 40 MB of them here, read in no more than a few."""
    a_run(tmp_path, 400, "word " * 20_000)
    assert (tmp_path / "samples.jsonl").stat().st_size > 40e6
    run = RunFolder(tmp_path)
    tracemalloc.start()
    try:
        assert len(run.outcomes()) == 400
        assert sum(len(sample.text or "") for sample in run.samples()) == 40_000_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4e6


def test_a_resumed_run_asks_only_what_the_unfinished_line_was_of(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["m"] = says(r"\boxed{3}")
    args = [problems(tmp_path), "--base-url", f"{engine_url}/v1", "--model", "m"]
    args += ["--out", tmp_path / "o"]
    assert its_eval_run(*args).returncode == 0
    file = tmp_path / "o" / "samples.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    before = len(engine.received)
    assert its_eval_run(*args).returncode == 0
    assert len(engine.received) == before + 1
    assert len(rows(tmp_path / "o")) == 6
