"""What the commands load before they work, and how often they read a run's answers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from eval.samples import EvalSample, RunFolder
from tests.conftest import PLAIN, ROOT
from tests.eval.harness import its_eval_run, run_args
from tests.scripted import Engine, fails, says

HEAVY = {
    *("openai", "httpx", "httpx2", "datasets", "pandas", "scipy", "matplotlib", "jinja2"),
    *("sympy", "bm25s", "tenacity", "torch", "transformers"),
}
"""What takes long to import, and only some commands need."""

WATCHED = """
import json, sys
read = []
def look(event, args):
    if event == "open" and str(args[0]).endswith("samples.jsonl") and args[1] == "r":
        read.append(args[0])
sys.addaudithook(look)
from eval.__main__ import main
try:
    main()
finally:
    loaded = sorted({name.partition(".")[0] for name in sys.modules})
    print(json.dumps({"loaded": loaded, "read": len(read)}), file=sys.stderr)
"""


def watched(*args: object) -> tuple[set[str], int]:
    """Run a command; return the packages that it loaded, and how often it read a run's answers."""
    ended = subprocess.run(
        [sys.executable, "-c", WATCHED, *map(str, args)],
        capture_output=True, text=True, cwd=ROOT, env=PLAIN, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stderr.splitlines()[-1])
    return set(found["loaded"]), found["read"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = RunFolder(tmp_path / "run")
    folder.start({"model": "m", "problems": 1, "samples": 1}, {}, fresh=True)
    folder.append(EvalSample("p", 0, 0, "7", "q", text="7", answer="7", correct=True))
    return folder.path


def test_help_and_grade_load_nothing_heavy(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"expected": "1/2", "candidate": "0.5", "equal": True}) + "\n")
    replaying = [(name, "--help") for name in ("replay", "frontier", "search")]
    for args in (
        ("--help",),
        ("run", "--help"),
        *replaying,
        ("grade", file),
        ("grade", file, "--json"),
    ):
        loaded, _ = watched(*args)
        assert not loaded & {*HEAVY, "numpy"}, args


def test_a_report_does_not_load_the_client(run: Path) -> None:
    loaded, read = watched("report", run)
    assert "numpy" in loaded, "the test sees what is loaded: intervals need it"
    assert not loaded & HEAVY
    assert read == 1


def test_a_resumed_run_reads_its_answers_once(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["m"] = fails(500)
    args = run_args(tmp_path, engine_url)
    assert its_eval_run(*args, "--retries", 0).returncode == 1
    engine.scripts["m"] = says(r"\boxed{3}")
    for asked in (3, 0):  # what failed is asked again; then nothing is left to ask
        before = len(engine.received)
        _, read = watched("run", *args)
        assert read == 1
        assert len(engine.received) - before == asked
