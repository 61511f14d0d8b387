"""Real models' outputs served as an engine."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from starlette.responses import Response

from tests.scripted import Body, speaks

MODELS = {
    "dsq": "DeepSeek-R1-Distill-Qwen-32B (repo name DSQ)",
    "qwen": "Qwen2.5-32B-Instruct",
    "s1": "s1.1-32B",
}
CONFIG = """
[engines.e]
base_url = "{engine}/v1"
[members.dsq]
engine = "e"
model = "dsq"
strategy = "similar"
[members.qwen]
engine = "e"
model = "qwen"
strategy = "unsimilar"
[members.s1]
engine = "e"
model = "s1"
strategy = "random"
[panels.vote3]
members = ["dsq", "qwen", "s1"]
early_stop = false
"""

Rows: TypeAlias = dict[str, dict[str, dict[str, Any]]]
"""problem -> model -> row"""


def shared(data: Path) -> Rows:
    """Return the rows of problems that all three models answered."""
    short = {long: name for name, long in MODELS.items()}
    found: Rows = {}
    with (data / "generations.jsonl").open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if row["model"] in short:
                found.setdefault(row["problem_id"], {}).setdefault(short[row["model"]], row)
    return {problem: rows for problem, rows in found.items() if len(rows) == len(MODELS)}


def problem(key: str) -> str:
    """Return the question by which the engine knows which answer is wanted."""
    return f"[[{key}]]"


def replays(outputs: Rows, model: str) -> Callable[[Body], Response]:
    """Answer each problem as the real model did."""

    def answer(body: Body) -> Response:
        asked = re.search(r"\[\[(.+?)\]\]", body["messages"][-1]["content"])
        assert asked
        return speaks(outputs[asked[1]][model]["text"])(body)

    return answer
