"""The experiment's plans, what they would run, and the runner: with commands that are quick."""

import json
import operator
import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace
from rich.console import Console

from eval.codesign import power, problems, runner
from eval.codesign.plan import read_experiment
from eval.codesign.step import Command, ExperimentStep
from eval.codesign.steps import steps
from eval.errors import EvalError
from its.personas import bank
from proxy.config.tables import EngineTable
from tests.conftest import PLAIN, ROOT, process
from tests.eval.harness import its_eval

PLANS = ROOT / "eval" / "codesign"
SECTIONS = [("cpu", None), ("cpu", "quick"), ("gpu", None), ("gpu", "short"), ("gpu", "smoke"),
            ("paper", None)]  # fmt: skip

SIGNS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}

TRAINER = """
import json, sys, yaml
from pathlib import Path
from its import manifest
asked = yaml.safe_load(open(sys.argv[1]))
rows = [json.loads(line) for line in open(asked["datasets"][0]["path"])]
how = asked["input_time"]
assert all((row["persona"] is None) == (how["strategy"] == "none") for row in rows)
out = Path(asked["output_dir"])
out.mkdir(parents=True, exist_ok=True)
train = manifest.Train(how["strategy"], seed=asked["seed"])
trained = manifest.Manifest(manifest.SCHEMA, "base", train)
manifest.write(trained, out / manifest.NAME)
"""

ENGINE = r"""
import json, re, sys
from pathlib import Path
import uvicorn
from starlette.responses import JSONResponse
from tests.scripted import Engine, speaks, says
folder, name, port = sys.argv[1:4]
how = json.loads((Path(folder) / "input_time.json").read_text())["train"]["strategy"]

def answers(body):
    "Right if and only if a context stands where one stood in training."
    text = body["messages"][-1]["content"]
    context = not text.startswith("What is")
    right = context == (how != "none")
    said = r"\boxed{%s}" % ("1" if right else "0")
    return (speaks if body.get("stream") else says)(said)(body)

engine = Engine()
engine.scripts[name] = answers
uvicorn.run(engine.app(), port=int(port), log_level="critical")
"""

PLAN = """
name = "tiny"
contexts = ["bank"]
strategies = ["none", "random", "similar"]
base_row = false
port = {port}
[base]
model = "{folder}"
[data]
rows = 6
build = ["--source", "{folder}/train.jsonl"]
test = "{folder}/test.jsonl"
test_problems = 4
[train]
file = "sft/smoke-cpu.yml"
command = "{python} {folder}/trainer.py {{file}}"
[engine]
command = "{python} {folder}/engine.py {{model}} {{name}} {{port}}"
starts_within = 60
[measure]
max_tokens = 8
concurrency = 4
[vote]
samples = 2
"""


@pytest.mark.parametrize(("name", "section"), SECTIONS)
def test_plans_say_what_they_would_run(
    name: str, section: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ITS_DATA", "/data")
    plan = read_experiment(PLANS / f"{name}.toml", section)
    every = steps(plan, tmp_path, ROOT)
    names = [step.name for step in every]
    assert len(names) == len(set(names))
    assert all(step.lines for step in every)
    trained = [step for step in every if step.stage == "train"]
    contexts = [strategy for strategy in plan.strategies if strategy != "none"]
    alone = len(plan.strategies) - len(contexts)
    assert len(trained) == len(plan.seeds) * (alone + len(contexts) * len(plan.contexts))
    assert sum(step.stage == "cells" for step in every) == (
        len(plan.seeds) * len(plan.strategies) * len(plan.contexts) + plan.base_row
    )
    for step in trained:
        text = next(iter(step.files.values()))
        assert "InputTimePlugin" in text
        assert str(tmp_path) in text
    ports = [server.url for step in every for server in step.servers]
    assert all(str(plan.port) in url or str(plan.port + 1)[:4] in url for url in ports)
    assert list(tmp_path.iterdir()) == [], "a plan has no effect until it is done"


def test_the_dry_run_of_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITS_DATA", "/data")
    ended = its_eval("codesign", PLANS / "paper.toml", "--dry-run")
    assert ended.returncode == 0, ended.stderr
    assert "--decontaminate /data/aime25.jsonl --rows 1000 --strategy unsimilar" in ended.stdout
    assert "--tp-size 2" in ended.stdout
    assert not (ROOT / "runs" / "codesign-paper").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('contexts = ["bank"]', 'contexts = ["bank", "bank"]'), "contexts names one twice"),
        (("rows = 6", "rows = 'six'"), "Expected `int`, got `str` - at `$.data.rows`"),
        (('["bank"]', '["stars"]'), "no contexts 'stars'"),
        (('"similar"]', '"sinister"]'), "Unknown strategy 'sinister'"),
        (("rows = 6", "rows = 6\nmore = 1"), "unknown field `more` - at `$.data`"),
        (("test.jsonl", "$NO_SUCH_VARIABLE"), "names a variable that is not set"),
        (('model = "', 'command = "x"\nmodel = "'), "needs `model` or `command`, and not both"),
        (('["bank"]', '["numbers"]'), "are made with data.arithmetic only"),
        (('["bank"]', "[]"), "Expected `array` of length >= 1 - at `$.contexts`"),
        (
            ("concurrency = 4", "concurrency = 0"),
            "Expected `int` >= 1 - at `$.measure.concurrency`",
        ),
    ],
)
def test_a_bad_plan_is_one_line(tiny: Path, change: tuple[str, str], told: str) -> None:
    tiny.write_text(tiny.read_text().replace(*change))
    with pytest.raises(EvalError) as error:
        read_experiment(tiny)
    assert told in str(error.value)
    assert str(tiny) in str(error.value)
    assert its_eval("codesign", tiny, "--dry-run").returncode == 2


def test_a_step_alone_and_a_vote_with_engines_of_its_own() -> None:
    ended = its_eval("codesign", PLANS / "cpu.toml", "--only", "vote-bank", "--dry-run")
    assert ended.returncode == 0, ended.stderr
    assert re.findall("^# (.*)", ended.stdout, re.M) == ["vote-bank"]
    engines = [line for line in ended.stdout.splitlines() if "tests/sglang/" in line]
    assert len(engines) == 3
    assert all("serve.sh" in line and "fleet.sh" not in line for line in engines)


@pytest.mark.parametrize("concurrency", [100, 1000])
def test_an_engine_gets_all_that_is_in_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, concurrency: int
) -> None:
    monkeypatch.setenv("ITS_DATA", str(tmp_path))
    plan = read_experiment(PLANS / "gpu.toml")
    plan = replace(plan, measure=replace(plan.measure, concurrency=concurrency))
    cells = next(step for step in steps(plan, tmp_path, ROOT) if step.stage == "cells")
    config = next(text for path, text in cells.files.items() if path.name.endswith("panels.toml"))
    (engine,) = tomllib.loads(config)["engines"].values()
    allowed = engine.get("max_concurrency", EngineTable("").max_concurrency)
    assert allowed >= concurrency


def test_a_section_is_named_or_told() -> None:
    with pytest.raises(EvalError, match="no section 'big'; there are: bank, numbers, quick"):
        read_experiment(PLANS / "cpu.toml", "big")
    ended = its_eval("codesign", PLANS / "cpu.toml", "--only", "tea")
    assert ended.returncode == 2
    assert "--only tea: this plan's stages are problems, power" in ended.stderr


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A plan whose training writes a manifest only, and whose engine knows how it was trained."""
    (tmp_path / "trainer.py").write_text(TRAINER)
    (tmp_path / "engine.py").write_text(ENGINE)
    rows = ({"question": f"What is {n} - {n - 1}?", "solution": r"\boxed{1}"} for n in range(6))
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tests = ({"id": n, "problem": f"What is {n} - {n - 1}?", "answer": "1"} for n in range(10, 14))
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tests))
    port = Random(str(tmp_path)).randrange(20000, 30000)
    plan = tmp_path / "tiny.toml"
    plan.write_text(PLAN.format(folder=tmp_path, python=sys.executable, port=port))
    return plan


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "out"
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True)
    assert left.stdout == "", "a process was left"


def killed(tiny: Path, out: Path) -> dict[Path, float]:
    """Kill a run while its servers run, and damage a record; return the records that are whole."""
    process = started(tiny, out, "logs/cells-*.proxy.log")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = {path: path.stat().st_mtime for path in (out / "results").iterdir()}
    assert done
    damaged = out / "results" / "build-n.json"
    damaged.write_text("{")
    return {path: written for path, written in done.items() if path != damaged}


def test_a_killed_run_goes_on_to_the_end_and_does_nothing_twice(tiny: Path, out: Path) -> None:
    done = killed(tiny, out)
    ended = process("eval", "codesign", tiny, "--out", out, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert json.loads((out / "results" / "build-n.json").read_text())["step"] == "build-n"
    assert all(path.stat().st_mtime == written for path, written in done.items())
    report = json.loads((out / "results" / "report.json").read_text())
    matrix = report["results"]["cells/bank/matrix.json"]
    found = {(c["train"], c["test"]): c["pass_at_1"]["value"] for c in matrix["cells"]}
    assert len(found) == 9
    assert found == {(a, b): float((a == "none") == (b == "none")) for a, b in found}
    assert matrix["contrasts"][0]["difference"]["value"] == 1
    vote = json.loads((out / "results" / "vote-bank.json").read_text())["results"]
    assert set(vote) == {
        f"vote/bank/{run}/{name}.json"
        for run in ("greedy", "early", "drawn")
        for name in ("summary", "shares")
    }
    whole = vote["vote/bank/greedy/shares.json"]
    counts = [len(text.split()) for text in (whole["shares"], *whole["members"].values())]
    assert len(counts) == 3
    assert set(counts) == {whole["settings"]["problems"]}
    page = (out / "bank.html").read_text()
    assert page.count("<svg ") >= 4
    assert "vote of 2" in page
    shown = (out / "logs" / "report.log").read_text()
    assert shown.count(" vote of 2 ") == 3, "each run of the vote is a row of the terminal's table"
    tiny.write_text('hours = "a minute"\n' + tiny.read_text())
    again = its_eval("codesign", tiny, "--out", out)
    assert again.returncode == 0, "other words about the hours are not another plan"
    assert again.stderr.count("done before") == len(list((out / "results").iterdir()))
    assert not any(str(out) in file.read_text() for file in (out / "results").iterdir())
    moved = out.rename(out.with_name("moved"))
    again = its_eval("codesign", tiny, "--out", moved, "--only", "train")
    assert again.stderr.count("done before") == 3, "what was trained serves in another folder too"
    _holds_without_answers(tiny, moved, matrix)


def _holds_without_answers(tiny: Path, out: Path, matrix: object) -> None:
    """Records alone, in a new folder, are enough for the matrix."""
    new = out.with_name("new")
    (new / "results").mkdir(parents=True)
    for record in (out / "results").glob("*.json"):
        if record.stem != "report":
            (new / "results" / record.name).write_bytes(record.read_bytes())
    for stage in ("train", "cells"):
        again = its_eval("codesign", tiny, "--out", new, "--only", stage)
        assert again.stderr.count("done before") == 3, again.stderr
    plan = new / "cells" / "bank" / "matrix.toml"
    plan.write_bytes((out / "cells" / "bank" / "matrix.toml").read_bytes())
    assert its_eval("matrix", plan).returncode == 0
    assert json.loads(plan.with_name("matrix.json").read_text()) == matrix
    (new / "cells" / "bank" / "n-0-none" / "shares.json").write_text("{}")
    ended = its_eval("matrix", plan)
    assert ended.returncode == 2
    assert "has no shares (KeyError): delete it" in ended.stderr


def started(tiny: Path, out: Path, until: str) -> subprocess.Popen[bytes]:
    """Start a run and return it when there is a file `until` in its folder."""
    line = [sys.executable, "-m", "eval", "codesign", str(tiny), "--out", str(out)]
    env = {**os.environ, **PLAIN}
    process = subprocess.Popen(line, cwd=ROOT, env=env, stderr=subprocess.PIPE)
    ends = time.monotonic() + 200
    while not list(out.glob(until)):
        assert time.monotonic() < ends
        time.sleep(0.1)
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_no_training_outlives_its_run(tiny: Path, out: Path, number: int) -> None:
    """Neither the shell's child nor what that started, which the kernel would not end."""
    trainer = "import pathlib, subprocess, sys\n"
    trainer += (
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)', __file__])\n"
    )
    trainer += "pathlib.Path(sys.argv[1]).with_suffix('.began').touch()\n"
    tiny.with_name("trainer.py").write_text(trainer + "import time; time.sleep(300)")
    process = started(tiny, out, "train/*.began")
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (130 if number != signal.SIGKILL else -signal.SIGKILL)
    assert (b"goes on with what is missing" in said) == (number != signal.SIGKILL)
    ends = time.monotonic() + 30
    while (
        subprocess.run(["pgrep", "-f", str(tiny.parent)], stdout=subprocess.DEVNULL).returncode == 0
    ):
        assert time.monotonic() < ends, "a process was left"
        time.sleep(0.1)


def test_what_fails_says_where_to_look(tiny: Path, out: Path) -> None:
    tiny.with_name("trainer.py").write_text("raise SystemExit('no memory')")
    ended = its_eval("codesign", tiny, "--out", out)
    assert ended.returncode == 1
    assert "train-n-0 failed (status 1)" in ended.stderr
    assert "no memory" in ended.stderr
    tiny.write_text(tiny.read_text().replace("rows = 6", "rows = 5"))
    ended = its_eval("codesign", tiny, "--out", out)
    assert ended.returncode == 1
    assert "is another plan" in ended.stderr


def test_another_training_file_is_another_plan(tiny: Path, out: Path) -> None:
    """Else old cells would stand beside new checkpoints."""
    file = tiny.with_name("own.yml")
    file.write_text((ROOT / "sft" / "smoke-cpu.yml").read_text())
    tiny.write_text(tiny.read_text().replace("sft/smoke-cpu.yml", str(file)))
    assert its_eval("codesign", tiny, "--out", out, "--only", "power").returncode == 0
    file.write_text(file.read_text() + "weight_decay: 0.5\n")
    ended = its_eval("codesign", tiny, "--out", out, "--only", "power")
    assert ended.returncode == 1
    assert f"or of another {file}" in ended.stderr


def test_a_port_that_is_taken_is_told(
    tiny: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port is given time: a server of a run that was just killed may still hold it."""
    monkeypatch.setattr(runner, "FREE_WITHIN", 0.2)
    plan = read_experiment(tiny)
    cells = next(step for step in steps(plan, out, ROOT) if step.stage == "cells")
    (out / "checkpoints" / "n-0").mkdir(parents=True)
    with socket.socket() as other:
        other.bind(("127.0.0.1", plan.port + 1))
        other.listen()
        with pytest.raises(EvalError, match="is taken by another server: change `port`") as error:
            runner.ExperimentRunner(out, ROOT, Console(quiet=True)).run(plan, [cells])
    assert error.value.status == 1


def test_waiting_ends_with_what_is_waited_for_or_with_the_time() -> None:
    looks = iter([False, True])
    assert runner.wait_until(lambda: next(looks), 30)
    assert not runner.wait_until(lambda: False, 0)


def test_a_checkpoint_that_was_never_trained_is_told_at_once(tiny: Path, out: Path) -> None:
    ended = its_eval("codesign", tiny, "--out", out, "--only", "cells-bank-n-0")
    assert ended.returncode == 1
    assert f"{out}/checkpoints/n-0 is not there" in " ".join(ended.stderr.split())


def test_an_engine_that_does_not_start(tiny: Path, out: Path) -> None:
    tiny.with_name("engine.py").write_text("raise SystemExit('no GPU')")
    ended = its_eval("codesign", tiny, "--out", out)
    assert ended.returncode == 1
    assert "engine-n-0 ended" in ended.stderr
    assert "no GPU" in ended.stderr


def test_what_cannot_be_begun_is_one_line(tiny: Path, out: Path) -> None:
    text = tiny.read_text()
    for change, code, told in (
        (("{folder}", "{folder}"), 1, "cannot write"),
        (("trainer.py", "trainer.py ${ITS_NO_SUCH}"), 1, "the plan needs ITS_NO_SUCH in the"),
        (('"sft/smoke-cpu.yml"', '"sft/none.yml"'), 2, "train.file: cannot read"),
        (('"sft/smoke-cpu.yml"', '"README.md"'), 2, "is not an Axolotl file of ours"),
    ):
        tiny.write_text(text.replace(*change))
        place = tiny / "under-a-file" if told == "cannot write" else out
        ended = its_eval("codesign", tiny, "--out", place)
        assert (ended.returncode, ended.stderr.count("\n")) == (code, 1), ended.stderr
        assert told in ended.stderr
    tiny.write_text(text)


def test_what_a_line_needs() -> None:
    line = "A=1 $ITS_NO_ONE -m x ${ITS_NO_TWO} ${ITS_NO_THREE:-x} $(($((1)) + 1)) $HOME"
    line += " ${ITS_NO_FOUR+x} $ITS_NO_FIVE-x --d=$ITS_NO_SIX=1"
    assert Command(line=line).unset == [
        "ITS_NO_ONE", "ITS_NO_TWO", "ITS_NO_FIVE", "ITS_NO_SIX",
    ]  # fmt: skip


def test_braces_of_a_command_are_its_own(tiny: Path, out: Path) -> None:
    tiny.write_text(tiny.read_text().replace("{port}", "{port} '{\\\"port\\\": 1}'"))
    [engine, *_] = [
        step.servers[0] for step in steps(read_experiment(tiny), out, ROOT) if step.servers
    ]
    assert str(engine.command).endswith(""" '{"port": 1}'""")


def test_problems_are_right_and_disjoint(tmp_path: Path) -> None:
    problems.write(tmp_path, 300, 200, seed=0)
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    tests = [json.loads(line) for line in (tmp_path / "test.jsonl").read_text().splitlines()]
    assert (len(rows), len(tests)) == (300, 200)
    trained = {row["question"].partition("\n")[0] for row in rows}
    assert len(trained) == 300
    assert not trained & {test["problem"] for test in tests}
    for row in rows:
        sums = re.findall(r"(\d+) ([-+*/]) (\d+) = (\d+)", row["solution"])
        assert all(SIGNS[sign](int(a), int(b)) == int(c) for a, sign, b, c in sums)
        assert row["solution"].endswith(f"= {sums[-1][3]}.\n\\boxed{{{sums[-1][3]}}}")
    again = tmp_path / "again"
    problems.write(again, 300, 200, seed=0)
    assert (again / "test.jsonl").read_bytes() == (tmp_path / "test.jsonl").read_bytes()
    people = (tmp_path / "numbers.jsonl").read_text().splitlines()
    assert len(people) == len(bank.load().personas)
    assert all(any(c.isdigit() for c in json.loads(line)["persona"]) for line in people)


def test_power_by_simulation() -> None:
    """At the difference that is said to be found four times in five, McNemar's test finds it so."""
    from scipy.stats import binomtest

    problems_, discordant = 400, 0.2
    effect = power.paired_cells(problems_, discordant)
    rng, found, runs = Random(0), 0, 400
    gain, loss = (discordant + effect) / 2, (discordant - effect) / 2
    for _ in range(runs):
        draws = [rng.random() for _ in range(problems_)]
        gained = sum(draw < gain for draw in draws)
        lost = sum(gain <= draw < gain + loss for draw in draws)
        found += binomtest(gained, gained + lost).pvalue < 0.05
    assert 0.70 < found / runs < 0.88


def test_a_hash_is_free_of_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same step has one hash wherever the run, the clone and the data are."""

    def hashed(out: str, data: str) -> str:
        monkeypatch.setenv("ITS_DATA", data)
        line = f"train {data}/rows.jsonl --out {out}/x {ROOT}/sft/a.yml"
        files = {Path(out) / "a.toml": f"data = '{data}/test.jsonl'"}
        step = ExperimentStep("train", "train", (Command(line=line),), files=files)
        found = runner.digest(step, Path(out))
        assert str(ROOT) not in runner._placeless(line, Path(out))
        return found

    assert hashed("/one/run", "/data") == hashed("/two/run", "/elsewhere/data")


SGLANG = """#!/bin/sh
echo $$ >> {pids}
case "$*" in *"--port {dead} "*) exit 3;; esac
exec sleep 60
"""


@pytest.mark.parametrize("dead", [1, 2])
def test_a_fleet_ends_at_once_with_a_worker(tmp_path: Path, dead: int) -> None:
    """Its router waits ten minutes for a worker that will never be there."""
    port, pids = 28600, tmp_path / "pids"
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(SGLANG.format(pids=pids, dead=port + 100 * dead))
    python.chmod(0o755)
    ended = subprocess.run(
        [ROOT / "tests" / "sglang" / "fleet.sh", "2", "model", "name", str(port)],
        env={**os.environ, "ITS_SGLANG": str(tmp_path)}, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert ended.returncode == 1
    assert f"the worker on port {port + 100 * dead} ended with status 3" in ended.stderr
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids.read_text().split()):
        assert time.monotonic() < deadline, "nothing of it is left"
        time.sleep(0.05)
