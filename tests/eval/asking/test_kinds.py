"""A run reads replies as a panel does: the kind of the answers, and thoughts that were cut."""

import json
from pathlib import Path

import pytest

from tests.conftest import MEMBERS, Proxy
from tests.eval.harness import its_eval_run, problems, rows
from tests.scripted import Engine, chunk, says, speaks, streams, usage

THINKS = MEMBERS.replace('model = "n"', 'model = "n"\nthinking = true')


def answers(folder: Path) -> dict[object, object]:
    return {row["id"]: row["answer"] for row in rows(folder)}


@pytest.mark.parametrize(
    ("option", "answer"), [((), None), (("--no-thinking",), "1"), (("--thinking",), None)]
)
def test_a_cut_thought_is_no_answer_where_the_server_says_so(
    engine: Engine, start: Proxy, tmp_path: Path, option: tuple[str, ...], answer: str | None
) -> None:
    engine.scripts["n"] = speaks(r"Let me try \boxed{1}, but")
    base = str(start(THINKS).base_url).rstrip("/")
    ended = its_eval_run(
        problems(tmp_path, 1), "--base-url", f"{base}/v1", "--model", "n", "--out", tmp_path / "o",
        *option,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert answers(tmp_path / "o") == {"p0": answer}


def test_labels_are_compared_as_labels(engine: Engine, engine_url: str, tmp_path: Path) -> None:
    file = tmp_path / "mails.jsonl"
    mails = [("a", "spam"), ("b", "Ham")]
    file.write_text(
        "".join(json.dumps({"id": i, "problem": i, "answer": gold}) + "\n" for i, gold in mails)
    )
    engine.scripts["m"] = says("Label: **Spam**.")
    url = f"{engine_url}/v1"
    out = tmp_path / "out"
    ended = its_eval_run(
        file, "--base-url", url, "--model", "m", "--out", out, "--answers", "label"
    )
    assert ended.returncode == 0, ended.stderr
    found = {row["id"]: (row["answer"], row["answer_kind"], row["correct"]) for row in rows(out)}
    assert found == {"a": ("Spam", "label", True), "b": ("Spam", "label", False)}
    refused = its_eval_run(file, "--base-url", url, "--model", "m", "--answers", "lable")
    assert refused.returncode == 2
    assert "Available: auto, math, choice" in refused.stderr


def test_calls_of_tools_are_answers(engine: Engine, engine_url: str, tmp_path: Path) -> None:
    file = tmp_path / "tools.jsonl"
    gold = json.dumps({"name": "add", "arguments": {"a": 1, "b": 2}})
    file.write_text(json.dumps({"id": "t", "problem": "1 + 2?", "answer": gold}) + "\n")
    pieces = [
        {"index": 0, "id": "c", "type": "function", "function": {"name": "add", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"b": 2.0,'}},
        {"index": 0, "function": {"arguments": ' "a": 1}'}},
    ]
    engine.scripts["m"] = streams(
        [
            *(chunk(delta={"tool_calls": [piece]}) for piece in pieces),
            chunk(finish_reason="tool_calls"),
            chunk(usage=usage(5, 5)),
            b"data: [DONE]\n\n",
        ]
    )
    out = tmp_path / "out"
    tools = json.dumps({"tools": [{"type": "function", "function": {"name": "add"}}]})
    ended = its_eval_run(
        file, "--base-url", f"{engine_url}/v1", "--model", "m", "--out", out, "--extra-body", tools
    )
    assert ended.returncode == 0, ended.stderr
    (row,) = rows(out)
    assert (row["answer_kind"], row["correct"]) == ("tool", True)
