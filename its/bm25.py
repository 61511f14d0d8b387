"""BM25: bm25s, imported without JAX.

Where JAX is installed, bm25s starts it at import for a selection that nothing here uses, and JAX
takes three quarters of the GPU's memory from the engine or the training beside it.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Let an import of the package `name` fail, as if it were not installed."""
    missing = object()
    found = sys.modules.get(name, missing)
    sys.modules[name] = None  # type: ignore[assignment]  # Python's own way to say so
    try:
        yield
    finally:
        del sys.modules[name]
        if found is not missing:
            sys.modules[name] = found  # type: ignore[assignment]


with _hidden("jax"):
    from bm25s import BM25
    from bm25s.stopwords import STOPWORDS_EN

logging.getLogger("bm25s").setLevel(logging.WARNING)  # it narrates its indexing

__all__ = ["BM25", "STOPWORDS_EN"]
