"""What `its-eval grade` shows. Apart from the other tables, which need numpy."""

from collections.abc import Mapping

from its.cli import Column, Sheet


def grading_table(found: Mapping[str, float], title: str) -> Sheet:
    """Return the figures of a graded file (`grading.rows.summary`) as a table of one row."""
    columns = [
        Column("right", _share, parts=("right", "total")), Column("false negatives"),
        Column("false positives"), Column("undecided"),
        *(Column(name, "{:.2f}".format) for name in ("ms p50", "ms p95", "ms max")),
    ]  # fmt: skip
    counts = ("false_negatives", "false_positives", "undecided", "ms_p50", "ms_p95", "ms_max")
    row = [(found["right"], found["total"]), *(found[key] for key in counts)]
    return Sheet(title, columns, [row])


def _share(pair: tuple[int, int]) -> str:
    return f"{pair[0]}/{pair[1]} ({pair[0] / (pair[1] or 1):.2%})"
