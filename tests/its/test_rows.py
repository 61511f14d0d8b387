"""Rows are read whatever a file is written as; a wrong one is named by file, line and format."""

import gzip
import json
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from its import rows

ROWS = [{"id": "1", "q": 'One\u2028two, "three"\nfour', "a": "½"}, {"id": "2", "q": "x", "a": "y"}]
JSONL = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
CSV = 'id,q,a\r\n1,"One\u2028two, ""three""\nfour",½\r\n2,x,y\r\n'


def written(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def held(file: Path) -> list[rows.Fields | None]:
    return [row.fields for row in rows.read(file).rows]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.jsonl", JSONL, "JSONL"),
        ("misnamed.json", JSONL, "JSONL"),
        ("blank.jsonl", JSONL.replace("\n{", "\n\n  \n{"), "JSONL"),
        ("crlf.jsonl", JSONL.replace("}\n", "}\r\n"), "JSONL"),
        ("open.jsonl", JSONL.rstrip("\n"), "JSONL"),
        ("a.json", json.dumps(ROWS), "JSON array"),
        ("pretty.json", json.dumps(ROWS, indent=2), "JSON array"),
        ("a.csv", CSV, "CSV"),
        ("semicolons.csv", 'id;q;a\n1;"One\u2028two, ""three""\nfour";½\n2;x;y\n', "CSV"),
        ("tabs.tsv", 'id\tq\ta\n1\t"One\u2028two, ""three""\nfour"\t½\n2\tx\ty\n', "CSV"),
    ],
)
def test_every_format_is_read_packed_and_with_a_byte_order_mark(
    tmp_path: Path, name: str, text: str, told: str
) -> None:
    assert held(written(tmp_path, name, text)) == ROWS
    assert held(written(tmp_path, name, "\ufeff" + text)) == ROWS
    packed = rows.read(written(tmp_path, f"{name}.gz", gzip.compress(text.encode())))
    assert [row.fields for row in packed.rows] == ROWS
    assert packed.format == f"{told}, gzip"


def test_parquet_is_read_where_pyarrow_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "a.parquet"
    parquet.write_table(arrow.Table.from_pylist([{"n": 1, "l": ["a", "b"]}]), file)
    assert held(file) == [{"n": 1, "l": ["a", "b"]}]
    assert held(written(tmp_path, "b.gz", gzip.compress(file.read_bytes()))) == held(file)
    written(tmp_path, "cut.parquet", file.read_bytes()[:60])
    with pytest.raises(rows.RowsError, match=r"cut\.parquet: its Parquet is broken"):
        rows.read(tmp_path / "cut.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(rows.RowsError, match="pip install pyarrow"):
        rows.read(file)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.jsonl", "", r"a\.jsonl is empty"),
        ("a.jsonl", b"\xef\xbb\xbf\n", "is empty"),
        ("a.jsonl", "<!doctype html>", ":1: this is HTML"),
        ("a.jsonl", b"PK\x03\x04rest", ":1: this is a zip archive or a spreadsheet"),
        ("a.jsonl", "version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("a.csv", "id,q\n1,2\n".encode("utf-16"), "UTF-16"),
        ("a.jsonl", b'{"q": "x"}\n{"q": "\xe9"}\n', ":2: not UTF-8"),
        ("a.csv", b"id,q\n1,\x00\n", ":2: holds a NUL byte"),
        ("a.txt", "just words", "plain text"),
        ("a.jsonl", "id: 1, q: x", ":1: not JSON, though its name says so"),
        ("a.json", '{\n "rows": [{"q": 1}]\n}', ":1: this is one JSON object .*'rows'"),
        ("a.json", '[\n{"q": 1}\n{"q": 2}]', ":2: not JSON: a comma"),
        ("a.json", '[{"q": 1},\n{"q": ', ":2: not JSON"),
        ("a.json", '[{"q": 1}]]', "more text"),
        ("a.csv", "q,q\n1,2\n", ":1: a column's name stands twice"),
        ("a.jsonl.gz", gzip.compress(JSONL.encode(), mtime=0)[:-9], "gzip is broken"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, name: str, content: str | bytes, told: str) -> None:
    with pytest.raises(rows.RowsError, match=told) as error:
        rows.read(written(tmp_path, name, content))
    assert str(tmp_path / name) in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "line", "fault"),
    [
        ("a.jsonl", '{"q": 1}\n\n{oops\n', 3, "not JSON"),
        ("a.jsonl", '{"q": 1}\n[1]\n', 2, "not a JSON object"),
        ("a.jsonl", '{"q": "\\ud83d"}\n', 1, "half of a surrogate pair"),
        ("a.jsonl", '{"q": %s}\n' % ("9" * 5000), 1, "more than 4000 digits"),
        ("a.jsonl", '{"q": NaN}\n', 1, "not JSON"),
        ("a.json", '[{"q": 1},\n\n 7]', 3, "not a JSON object"),
        ("a.csv", 'q,a\n"x\ny",1\n3\n', 4, "has 1 cells where the header has 2"),
    ],
)
def test_a_bad_row_has_its_line(
    tmp_path: Path, name: str, text: str, line: int, fault: str
) -> None:
    bad = [row for row in rows.read(written(tmp_path, name, text)).rows if row.fields is None]
    assert [row.line for row in bad] == [line]
    assert fault in bad[0].fault


def test_numbers_stay_as_they_were_written(tmp_path: Path) -> None:
    text = '{"a": 0.50, "b": 0.12345678901234567890123, "c": 12345678901234567890123, "d": 1e400}'
    (fields,) = held(written(tmp_path, "a.jsonl", text))
    assert fields is not None
    told = [rows.text_of(fields[key]) for key in "abcd"]
    assert told == ["0.50", "0.12345678901234567890123", "12345678901234567890123", "1E+400"]
    assert rows.text_of(27.0) == "27", "as a hub stores whole numbers"
    assert rows.text_of(True) is rows.text_of(None) is rows.text_of([]) is None
    with pytest.raises(ValueError, match="more than 4000 digits"):
        rows.text_of(10**5000)
    assert rows.text_of(Decimal("2.5")) == "2.5"


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(st.lists(st.dictionaries(TEXT, TEXT, min_size=1), min_size=1))
def test_what_is_written_as_json_comes_back(
    tmp_path_factory: pytest.TempPathFactory, wanted: list[dict[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in wanted)
    for name, text in (("a.jsonl", lines), ("a.json", json.dumps(wanted, indent=1))):
        assert held(written(folder, name, text)) == wanted
