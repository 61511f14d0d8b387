"""Each problem's share of right samples: small enough to travel without the answers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from its.answers.algebra.workers import Workers
from its.files import atomic_write

from ..errors import EvalError
from ..samples import EvalSample, RunFolder
from .figures import by_problem
from .scores import cancelled, samples_by_model

NAME = "shares.json"


@dataclass(frozen=True, slots=True)
class KeptShares:
    """What `shares.json` says of a finished run. `members` are those of a panel."""

    shares: Mapping[str, float]
    members: Mapping[str, Mapping[str, float]]
    failed: int
    cancelled: int
    commit: str | None


def write_shares(run: RunFolder, ids: Sequence[str], graders: Workers) -> None:
    """Write a finished run's shares in the task's order (`ids`), of its model and of members.

    A member that was not asked every problem has none: a method may ask it only where others fail.

    Raises:
        EvalError: there is no run in the folder.
        OSError: the folder cannot be written.
    """
    settings, samples = run.settings(), list(run.outcomes().values())
    by_model = samples_by_model(run, graders)
    by_id = {name: by_problem(cast) for name, cast in by_model.items()}
    texts = {name: _text(found, ids) for name, found in by_id.items() if found.keys() >= set(ids)}
    own = texts.pop(settings["model"])
    known = {
        "settings": settings, "commit": run.about()["commit"], "failed": run.failed(),
        "cancelled": cancelled(samples), "shares": own, **({"members": texts} if texts else {}),
    }  # fmt: skip
    atomic_write(run.path / NAME, json.dumps(known, indent=2) + "\n")


def _text(found: Mapping[str, Sequence[EvalSample]], ids: Sequence[str]) -> str:
    return " ".join(f"{fmean(sample.correct for sample in found[key]):.17g}" for key in ids)


def read_shares(file: Path, settings: Mapping[str, Any], ids: Sequence[str]) -> KeptShares:
    """Read what `write_shares` wrote of a run with these settings.

    Raises:
        EvalError: it is not readable, or of another run.
    """
    try:
        about = json.loads(file.read_bytes())
        if about["settings"] != settings:
            raise EvalError(f"{file} is of another run: delete it, or choose another `out`")
        return KeptShares(
            _shares(about["shares"], ids),
            {name: _shares(text, ids) for name, text in about.get("members", {}).items()},
            about.get("failed", 0), about.get("cancelled", 0), about.get("commit"),
        )  # fmt: skip
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise EvalError(f"{file} has no shares ({type(error).__name__}): delete it") from error


def _shares(text: str, ids: Sequence[str]) -> dict[str, float]:
    return dict(zip(ids, map(float, text.split()), strict=True))
