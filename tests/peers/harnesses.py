"""Other people's harnesses, each asking the same prompts one at a time, greedily.

Each function runs one and returns what it made of every problem. Their environments are cached
(`tests.environments`); no data set is fetched.
"""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.tasks.problem import Problem
from tests.environments import environment

TOKENS = 256
"""The longest answer."""

SECONDS = 3600
MODEL = "m"


@dataclass(frozen=True, slots=True)
class PeerVerdict:
    """Whether a harness takes an answer for right, and what it read as the answer."""

    correct: bool
    answer: str | None


Verdicts = dict[str, PeerVerdict]
"""By the problem's id."""


def sgl_eval(problems: Sequence[Problem], instruction: str, url: str, place: Path) -> Verdicts:
    """Its grader is NeMo-Skills' with math-verify; the answer is the last box."""
    python = environment("sgl-eval", "0.1.3")
    rows = [{"id": p.id, "problem": p.problem, "expected_answer": p.answer} for p in problems]
    data = _jsonl(place / "sgl.jsonl", rows)
    escaped = instruction.replace("{", "{{").replace("}", "}}")
    prompt = place / "prompt.yaml"
    prompt.write_text("user: " + json.dumps(f"{{problem}}\n\n{escaped}") + "\n")
    out = place / "sgl"
    _run(
        python.parent / "sgl-eval", "run", "aime24", "--base-url", url, "--model", MODEL,
        "--from-dataset", data, "--prompt", prompt, "--num-threads", 1, "--n-repeats", 1,
        "--temperature", 0, "--max-tokens", TOKENS, "--out-dir", out,
    )  # fmt: skip
    (file,) = out.glob("*/output-rs*.jsonl")
    found = map(json.loads, file.read_text("utf-8").splitlines())
    return {
        str(row["id"]): PeerVerdict(bool(row["symbolic_correct"]), row.get("predicted_answer"))
        for row in found
    }


TASK = """
import json
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import math
from inspect_ai.solver import generate

@task
def peers():
    rows = map(json.loads, open({data!r}, encoding="utf-8"))
    samples = [Sample(id=row["id"], input=row["prompt"], target=row["answer"]) for row in rows]
    return Task(dataset=samples, solver=generate(), scorer=math())
"""


def inspect_ai(problems: Sequence[Problem], instruction: str, url: str, place: Path) -> Verdicts:
    """Its scorer `math`: the last box, compared by sympy."""
    python = environment(
        "inspect-ai", "0.3.285", "openai==3.54.0", "latex2sympy2-extended==1.11.0",
        "antlr4-python3-runtime==4.13.2",
    )  # fmt: skip
    data = _jsonl(place / "inspect.jsonl", _prompts(problems, instruction))
    (place / "peers_task.py").write_text(TASK.format(data=str(data)))
    _run(
        python.parent / "inspect", "eval", place / "peers_task.py",
        "--model", f"openai-api/peer/{MODEL}", "--temperature", 0, "--max-tokens", TOKENS,
        "--max-connections", 1, "--log-format", "json", "--log-dir", place / "inspect",
        "--display", "plain", PEER_BASE_URL=url, PEER_API_KEY="none",
    )  # fmt: skip
    (file,) = (place / "inspect").glob("*.json")
    log: dict[str, Any] = json.loads(file.read_text("utf-8"))
    found = {}
    for sample in log["samples"]:
        (score,) = sample["scores"].values()
        found[str(sample["id"])] = PeerVerdict(score["value"] in ("C", 1, 1.0), score["answer"])
    return found


YAML = r"""
task: peers
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
test_split: test
output_type: generate_until
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs:
  until: []
  max_gen_toks: {tokens}
  temperature: 0
filter_list:
  - name: boxed
    filter:
      - function: regex
        regex_pattern: '\\boxed\{{([^{{}}]*)\}}'
        group_select: -1
      - function: take_first
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
    regexes_to_ignore: [",", "\\$"]
"""


def lm_eval(problems: Sequence[Problem], instruction: str, url: str, place: Path) -> Verdicts:
    """A task as its documentation writes one: the last box by a regular expression, exact match."""
    python = environment("lm-eval", "0.4.13", "requests", "aiohttp", "tenacity", "tqdm")
    data = _jsonl(place / "lm.jsonl", _prompts(problems, instruction))
    tasks = place / "tasks"
    tasks.mkdir()
    (tasks / "peers.yaml").write_text(YAML.format(data=data, tokens=TOKENS))
    asked = f"model={MODEL},base_url={url}/chat/completions,num_concurrent=1,max_retries=1"
    _run(
        python.parent / "lm_eval", "--model", "local-chat-completions", "--model_args",
        f"{asked},tokenizer_backend=None,eos_string=none", "--tasks", "peers", "--include_path",
        tasks, "--apply_chat_template", "--output_path", place / "lm", "--log_samples",
        OPENAI_API_KEY="none", HF_DATASETS_CACHE=str(place / "hf"), HF_HUB_OFFLINE="1",
    )  # fmt: skip
    (file,) = (place / "lm").rglob("samples_*.jsonl")
    found = {}
    for row in map(json.loads, file.read_text("utf-8").splitlines()):
        read = row["filtered_resps"][0]
        answer = None if read in ("[invalid]", []) else str(read)
        found[str(row["doc"]["id"])] = PeerVerdict(bool(row["exact_match"]), answer)
    return found


PEERS = {"sgl-eval": sgl_eval, "inspect-ai": inspect_ai, "lm-eval": lm_eval}


def _prompts(problems: Sequence[Problem], instruction: str) -> list[dict[str, str]]:
    return [
        {"id": p.id, "prompt": f"{p.problem}\n\n{instruction}", "answer": p.answer}
        for p in problems
    ]


def _jsonl(file: Path, rows: Sequence[dict[str, str]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def _run(*command: object, **env: str) -> None:
    line = ["nice", "-n", "5", *map(str, command)]
    done = subprocess.run(
        line, capture_output=True, text=True, timeout=SECONDS, env={**os.environ, **env}
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(line[3:6])}: {done.stdout[-1500:]}{done.stderr[-1500:]}")
