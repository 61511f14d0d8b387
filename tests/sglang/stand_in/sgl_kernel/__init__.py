"""Stands in for SGLang's compiled kernels, so that it runs on a CPU by its ways in plain torch.

One of them has no such way and is written here. What another model would need says so when it is
called, not when it is imported.
"""

from typing import Any

__version__ = "0.0"


def assign_req_to_token_pool_cpu(
    rows: Any, table: Any, starts: Any, ends: Any, slots: Any, width: int
) -> None:
    """Write `slots`, request after request, into `table[row, start:end]` of each request's row."""
    lengths = (ends - starts).tolist()
    for row, start, piece in zip(rows.tolist(), starts.tolist(), slots.split(lengths), strict=True):
        table[row, start : start + len(piece)] = piece.to(table.dtype)


def __getattr__(name: str) -> Any:
    if not name.endswith("_cpu"):
        raise AttributeError(name)

    def absent(*args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"sgl_kernel.{name}: this stand-in for a CPU does not have it")

    return absent
