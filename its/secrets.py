"""Secrets by reference: `env:NAME` or `file:PATH`. The secret itself is written down nowhere."""

import os
from pathlib import Path


def resolve(reference: str, folder: Path = Path()) -> str:
    """Return the secret that `reference` names; a `file:PATH` is relative to `folder`.

    Raises:
        ValueError: it is no reference, or names nothing that an HTTP header can carry. The message
            never holds the secret.
    """
    kind, _, name = reference.partition(":")
    if kind == "env":
        secret = os.environ.get(name, "")
    elif kind == "file":
        secret = _read(folder / name, name)
    else:
        # The text may be the secret itself, given by mistake, so it is not repeated.
        raise ValueError('must be "env:NAME" or "file:PATH"; never write the secret itself here')
    if not secret:
        raise ValueError(f"{reference} is empty or not set")
    if not (secret.isascii() and secret.isprintable()):
        raise ValueError(f"{reference} has characters that no HTTP header can carry")
    return secret


def _read(path: Path, name: str) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read the file {name}") from error
