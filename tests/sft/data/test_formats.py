"""`its-sft build --source` takes the formats that `its-eval` takes; the rows are the same."""

import gzip
import json
from pathlib import Path

import pytest

from sft.data.raw import Bad, HeldRows, Lines, digest, file_rows
from sft.errors import DataError

ROWS = [{"question": f"{i}\u2028?", "answer": f"{i}, so", "n": 0.5} for i in range(3)]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def test_all_formats_have_the_same_rows(tmp_path: Path) -> None:
    plain = tmp_path / "a.jsonl"
    plain.write_text(LINES, "utf-8")
    assert isinstance(file_rows(plain), Lines), "a large file is not held in memory"
    for name, content in (
        ("a.json", json.dumps(ROWS, indent=1).encode()),
        ("a.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)),
    ):
        (tmp_path / name).write_bytes(content)
        found = file_rows(tmp_path / name)
        assert isinstance(found, HeldRows)
        assert list(found) == list(file_rows(plain))
        assert digest(found.fetch(2)) == digest(file_rows(plain).fetch(2))
        assert len(found) == 3
    table = tmp_path / "a.csv"
    table.write_text('question,answer\n"a, b",c\nd\n', "utf-8")
    first, second = (fields for _, fields in file_rows(table))
    assert first == {"question": "a, b", "answer": "c"}
    assert isinstance(second, Bad)
    assert file_rows(table).at(2) == f"{table}:3"


def test_what_is_no_table_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("<html>")
    with pytest.raises(DataError, match="HTML"):
        file_rows(tmp_path / "a.jsonl")
    with pytest.raises(DataError, match="cannot read"):
        file_rows(tmp_path / "none.jsonl")
