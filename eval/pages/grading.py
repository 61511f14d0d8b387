"""What `its-eval grade` shows. Apart from the other tables, which need numpy."""

from collections.abc import Mapping

from rich.table import Table


def grading_table(found: Mapping[str, float], title: str) -> Table:
    """Return the figures of a graded file (`grading.rows.summary`) as a table of one row."""
    shown = Table(title=title, title_justify="left", title_style="bold", padding=(0, 1, 0, 0))
    for column in ("right", "false neg.", "false pos.", "undecided", "ms p50", "p95", "max"):
        shown.add_column(column, justify="right", no_wrap=True)
    total = found["total"] or 1
    shown.add_row(
        f"{found['right']}/{found['total']} ({found['right'] / total:.2%})",
        *(str(found[key]) for key in ("false_negatives", "false_positives", "undecided")),
        *(f"{found[key]:.2f}" for key in ("ms_p50", "ms_p95", "ms_max")),
    )
    return shown
