"""Problems are read from files in the usual columns, which are named; a wrong file is too."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from eval.errors import EvalError
from eval.tasks.files import read_problems
from eval.tasks.hub import HUB_SETS
from eval.tasks.load import load
from tests.eval.harness import its_eval


def saved(folder: Path, rows: list[dict[str, Any]], name: str = "p.jsonl") -> Path:
    file = folder / name
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


SHAPES = [
    ({"question": "Q?", "answer": "7"}, "7", "`question`, answers from `answer`"),
    ({"problem": "Q?", "solution": r"so \boxed{7}."}, "7", "`problem`, answers from `solution`"),
    ({"problem": "Q?", "solution": "1", "answer": "7"}, "7", "answers from `answer`"),
    ({"input": "Q?", "target": 7}, "7", "`input`, answers from `target`"),
    ({"prompt": "Q?", "completion": "It is 7.\n#### 7"}, "7", "`prompt`"),
    ({"question": "Q?", "answer": "2+5=<<2+5=7>>7\n#### 7"}, "7", "`answer`"),
    ({"Problem": "Q?", "Answer": 7.0, "ID": "2024-I-1"}, "7.0", "`Problem`, answers from `Answer`"),
    ({"question": "Q?", "final_answer": ["1", "2"]}, "1, 2", "`final_answer`"),
    ({"prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "Q?"}],
      "reward_model": {"ground_truth": "7", "style": "rule"}}, "7", "`reward_model`"),
    ({"query": "Q?", "response": "Long.\n" * 60 + "The answer is 7."}, "7", "`response`"),
    ({"problem": "Q?", "answer": "0.50", "solution": ""}, "0.50", "`answer`"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "answer", "told"), SHAPES)
def test_the_usual_columns_are_recognised_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], row: dict[str, Any], answer: str, told: str
) -> None:
    (found,) = read_problems(saved(tmp_path, [row]))
    assert (found.problem, found.answer) == ("Q?", answer)
    said = capsys.readouterr().err
    assert told in said
    assert "1 row (JSONL)" in said
    assert ("ids from `ID`" if "ID" in row else "the rows' numbers as ids") in said


def test_alpacas_input_is_part_of_the_question(tmp_path: Path) -> None:
    row = {"instruction": "Add.", "input": "3 and 4", "output": "#### 7"}
    (found,) = read_problems(saved(tmp_path, [row]))
    assert (found.problem, found.answer) == ("Add.\n\n3 and 4", "7")


def test_a_run_reads_csv_and_packed_files(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(b'\xef\xbb\xbfquestion,answer\r\n"2+5, or more?",7\r\n')
    (tmp_path / "q.json.gz").write_bytes(gzip.compress(b'[{"problem": "x", "answer": 1}]'))
    for name, problem in (("p.csv", "2+5, or more?"), ("q.json.gz", "x")):
        task = load(str(tmp_path / name), data=None, seed=0)
        assert [each.problem for each in task.problems] == [problem]
        assert task.name == name[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"question": "a", "answer": "1"}\n{"question": "b"}\n', ":2: 'answer' is missing"),
        ('{"question": "a", "answer": "1"}\n\n{"question": " ", "answer": 1}', ":3: 'question' is"),
        ('{"question": "a", "answer": {"x": 1}}\n', ":1: 'ground_truth' is missing"),
        ('{"question": "a", "answer": true}\n', ":1: 'answer' is neither text nor a number"),
        ('{"text": "a", "label2": 1}\n', ":1: no column for the problem: .*'text', 'label2'"),
        ('{"question": "a"}\n', ":1: no column for the answer"),
        ('{"id": 1, "question": "a", "answer": 1}\n{"id": 1, "question": "b", "answer": 1}\n',
         ":2: the id '1' stands twice, first at .*:1"),
        ('{"question": "a", "solution": "%s"}\n' % ("So it goes on. " * 30),
         "no final answer: `#### 42`"),
        ('{"question": "a", "answer": %s}\n' % ("9" * 4500), ":1: a number has more than 4000"),
        ('{"question": "\\ud800", "answer": 1}\n', ":1: holds half of a surrogate pair"),
        ("[]", "no problems"),
        ("", "is empty"),
        ("question|answer\n", "not JSON, though its name says so"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_line_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text(text)
    with pytest.raises(EvalError, match=told):
        read_problems(file)
    ended = its_eval("task", file, "--out", tmp_path / "out.jsonl")
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1


HUB_ROWS: dict[str, dict[str, Any]] = {
    "hmmt-feb25": {"problem_idx": 1, "problem": "Q?", "answer": r"\frac{1}{576}",
                   "problem_type": ["Number Theory"]},
    "aime25": {"problem_idx": 1, "answer": 70, "problem_type": ["Algebra"], "problem": "Q?"},
    "aime26": {"problem_idx": 1, "answer": "277", "problem": "Q?", "source": "I"},
    "amc23": {"id": 0, "question": "Q?", "answer": "27.0", "url": "https://example.org"},
    "math500": {"problem": "Q?", "solution": r"\boxed{x}", "answer": r"(3, \frac{\pi}{2})",
                "subject": "Precalculus", "level": 2, "unique_id": "test/precalculus/807.json"},
    "olympiadbench-math": {
        "id": 1606, "question": "Q?", "solution": ["long"], "final_answer": ["2", "-2"],
        "context": None, "image_1": None, "modality": "Text-only", "difficulty": "Competition",
        "is_multiple_answer": True, "unit": None, "answer_type": "Numerical", "error": None,
        "question_type": "Open-ended", "subfield": "Algebra", "subject": "Math",
        "language": "English"},
    "aime24": {"id": 60, "problem": "Q?", "solution": "long", "answer": "204", "url": "u",
               "year": "2024"},
    "gsm8k": {"question": "Q?", "answer": "2 and 2\n#### 4"},
}  # fmt: skip
KEYS = {"olympiadbench-math": "id", "math500": "unique_id", "aime24": "id", "gsm8k": None,
        "amc23": None}  # fmt: skip


@pytest.mark.parametrize("name", HUB_ROWS)
def test_public_sets_are_read_from_files_in_the_hubs_columns(tmp_path: Path, name: str) -> None:
    """The file has as many rows as the set; the same is read from a copy in our own columns."""
    row, key = HUB_ROWS[name], KEYS.get(name, "problem_idx")
    rows = [{**row, **({key: f"{i}"} if key else {})} for i in range(HUB_SETS[name].rows)]
    task = load(name, data=saved(tmp_path, rows), seed=0)
    assert task.name == name
    assert len({each.id for each in task.problems}) == HUB_SETS[name].rows
    answers = {"olympiadbench-math": "2, -2", "gsm8k": "4"}
    wanted = answers.get(name) or str(row["answer"])
    assert {each.answer for each in task.problems} == {wanted}
    out = tmp_path / "copy.jsonl"
    ended = its_eval("task", name, "--data", saved(tmp_path, rows), "--out", out, "--json")
    assert json.loads(ended.stdout)["sha256"] == task.sha256
    assert load(name, data=out, seed=0).sha256 == task.sha256
    with pytest.raises(EvalError, match="rows where"):
        load(name, data=saved(tmp_path, rows[:-1], "short.jsonl"), seed=0)


def test_parquet_of_the_hub_is_read(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    rows = [{**HUB_ROWS["hmmt-feb25"], "problem_idx": i} for i in range(30)]
    file = tmp_path / "train-00000-of-00001.parquet"
    pytest.importorskip("pyarrow.parquet").write_table(arrow.Table.from_pylist(rows), file)
    assert len(load("hmmt-feb25", data=file, seed=0).problems) == 30
