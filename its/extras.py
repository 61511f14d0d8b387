"""The optional packages: which extra each module belongs to, and the command that installs it."""

import shlex
import sys
from importlib.util import find_spec

EXTRAS: dict[str, frozenset[str]] = {
    "demo": frozenset({"xllamacpp", "huggingface_hub"}),
    "eval": frozenset({"datasets", "jinja2", "matplotlib", "yaml"}),
    "sft": frozenset({"datasets", "transformers", "tokenizers", "gguf", "jinja2", "yaml"}),
    "redis": frozenset({"redis"}),
    "otel": frozenset({"opentelemetry"}),
    "train": frozenset({"axolotl", "torch"}),
}
"""Each extra of `pyproject.toml`, with the modules that our code imports from it."""


def installed(module: str) -> bool:
    """Tell whether `module` can be imported, without importing it."""
    try:
        return find_spec(module) is not None
    except ValueError:  # it stands in sys.modules as None, which forbids the import
        return False


def extra_of(module: str, preferred: str = "") -> str | None:
    """Return the extra that brings `module`; `preferred` if several do. `None`: no extra does."""
    top = module.partition(".")[0]
    found = [extra for extra, modules in EXTRAS.items() if top in modules]
    return preferred if preferred in found else (found[0] if found else None)


def needs(what: str, extra: str) -> str:
    """Return the sentence for a missing extra: "--html needs the extra `eval`. Run: ..."."""
    return f"{what} needs the extra `{extra}`. Run: {install(extra)}"


def install(extra: str) -> str:
    """Return the command that installs `extra` into the environment that runs this.

    The package itself is there already, so pip fetches only what the extra adds, from a clone too.
    """
    return f"{shlex.quote(sys.executable)} -m pip install 'input-time-scaling[{extra}]'"
