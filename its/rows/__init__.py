"""Rows of files, for training and for measuring: JSONL, JSON arrays, CSV and Parquet."""

from .files import is_plain_jsonl, read
from .values import WANTED, Fields, FileRow, FileRows, RowsError, names, text_of

__all__ = [
    "WANTED",
    "Fields",
    "FileRow",
    "FileRows",
    "RowsError",
    "is_plain_jsonl",
    "names",
    "read",
    "text_of",
]
