"""The files that an experiment's commands read: training, the proxy's configuration, a matrix."""

from collections.abc import Mapping, Sequence
from typing import Any

import tomlkit
import yaml

from ..errors import EvalError
from .places import Checkpoint, Places

ENGINE_CONCURRENCY = 256
"""Calls at once that the proxy lets an engine have where its configuration says nothing."""


def axolotl_file(places: Places, checkpoint: Checkpoint) -> str:
    """Return the plan's Axolotl file (YAML) with a checkpoint's data, strategy and folders in it.

    Raises:
        EvalError: the plan's file cannot be read, or is not one of ours.
    """
    path = places.root / places.plan.train.file
    try:
        found: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
        rows, asked = found["datasets"][0], found["input_time"]
    except OSError as error:
        raise EvalError(f"train.file: cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
        why = " ".join(str(error).split())
        said = "not an Axolotl file of ours (`its-sft recipes` lists them)"
        raise EvalError(f"train.file: {path} is {said}: {why}") from error
    rows["path"] = str(places.out / "data" / checkpoint.data / "train.jsonl")
    asked["strategy"] = checkpoint.strategy
    asked["test_strategy"] = "random" if checkpoint.has_context else "none"
    found |= {
        "base_model": str(places.base), "seed": checkpoint.seed,
        "output_dir": str(places.weights(checkpoint)),
        "dataset_prepared_path": str(places.out / "prepared" / checkpoint.name),
        **places.plan.train.set,
    }  # fmt: skip
    return str(yaml.safe_dump(found, sort_keys=False, allow_unicode=True))


def proxy_config(
    places: Places,
    checkpoints: Sequence[Checkpoint],
    kind: str,
    panels: Mapping[str, bool] | None = None,
) -> str:
    """Return the proxy's configuration (TOML): each checkpoint on an engine of its own.

    A member may be asked otherwise than it was trained: that is what the cells measure. `panels`
    are the names of votes over all checkpoints, and whether each stops early.
    """
    bank = places.bank(kind)
    names = [checkpoint.name for checkpoint in checkpoints]
    config: dict[str, Any] = {
        "server": {"log": {"level": "warning"}},
        "personas": {"bank": str(bank)} if bank else {},
        "engines": {
            name: _engine(places, number) for number, name in enumerate(names)
        },
        "members": {each.name: _member(places, each) for each in checkpoints},
    }  # fmt: skip
    if panels:
        config["panels"] = {
            name: {"members": names, "early_stop": early} for name, early in panels.items()
        }
    return tomlkit.dumps(config)


def _engine(places: Places, number: int) -> dict[str, Any]:
    """Let the proxy pass on all that the harness keeps in flight; its own limit is lower."""
    wanted = places.plan.measure.concurrency
    return {
        "base_url": f"http://127.0.0.1:{places.engine_port(number)}/v1",
        "max_queue": 100_000,
        **({"max_concurrency": wanted} if wanted > ENGINE_CONCURRENCY else {}),
    }


def _member(places: Places, checkpoint: Checkpoint) -> dict[str, Any]:
    known = {}
    if checkpoint.strategy is not None:  # the base has no manifest
        known["manifest"] = str(places.weights(checkpoint))
    return {
        "engine": checkpoint.name, "model": checkpoint.name, **known,
        "strategy": checkpoint.strategy or "none", "allow_mismatch": True,
    }  # fmt: skip


def matrix_plan(places: Places, rows: Mapping[str, list[str]]) -> str:
    """Return a plan of `its-eval matrix` (TOML); `rows` are the models of each train strategy."""
    how, data = places.plan.measure, places.plan.data
    keys: dict[str, Any] = {
        "task": data.task or places.plan.name, "base_url": places.proxy, "out": ".",
        "limit": data.test_problems, "samples": how.samples, "temperature": how.temperature,
        "max_tokens": how.max_tokens, "concurrency": how.concurrency, "timeout": how.timeout,
        "test": list(places.plan.strategies),
    }  # fmt: skip
    if test := places.test:
        keys["data"] = str(test)
    if how.top_p is not None:
        keys["top_p"] = how.top_p
    return tomlkit.dumps({**keys, "train": dict(rows)})
