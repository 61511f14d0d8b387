"""The strict check of training files: Axolotl 0.21 drops keys that it does not know in silence.

Needs Axolotl, and no GPU: it is told that there are eight.
"""

import copy
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from ..errors import TrainingError
from .codesign import setting_faults

CAPABILITIES = {
    "bf16": True, "fp8": True, "tf32": True, "n_gpu": 8, "n_node": 1, "compute_capability": "sm_90",
}  # fmt: skip
TORCH = {"torch_version": "2.13.0"}

SCHEDULERS = frozenset({"one_cycle", "rex"})
"""Axolotl's own, beside those of transformers."""


def faults(path: Path) -> list[str]:
    """Return what is wrong with the training file at `path`, each with its key.

    Raises:
        TrainingError: Axolotl is not installed.
    """
    _quiet()
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return [f"cannot be read: {error}"]
    if not isinstance(content, dict):
        return ["is no mapping of keys"]
    return [
        *_unknown(content), *_names(content), *_files(content), *setting_faults(content),
    ] or list(_refused(content))  # fmt: skip


def _quiet() -> None:
    os.environ.setdefault("AXOLOTL_DO_NOT_TRACK", "1")
    logging.disable(logging.WARNING)
    if find_spec("axolotl") is None:
        raise TrainingError("needs axolotl: make train-env")


def _unknown(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys that nobody would read."""
    from axolotl.utils.schemas.config import AxolotlInputConfig
    from axolotl.utils.schemas.datasets import SFTDataset
    from axolotl.utils.schemas.fsdp import FSDPConfig

    known = _keys([AxolotlInputConfig, *_plugins_args(content)])
    yield from (f"{key}: no such key" for key in content if key not in known)
    inner = _keys([SFTDataset])
    for kind in ("datasets", "test_datasets"):
        for number, dataset in enumerate(content.get(kind) or []):
            unknown = [key for key in dataset if key not in inner]
            yield from (f"{kind}[{number}].{key}: no such key" for key in unknown)
    fsdp = _keys([FSDPConfig])
    for key in content.get("fsdp_config") or {}:
        if key not in fsdp:
            yield f"fsdp_config.{key}: no such key"


def _plugins_args(content: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what the file's plugins add to the schema."""
    from axolotl.integrations.base import load_plugin

    for name in content.get("plugins") or []:
        added = load_plugin(name).get_input_args()
        if added:
            module, _, kind = added.rpartition(".")
            yield getattr(import_module(module), kind)


def _keys(models: Iterable[Any]) -> set[str]:
    found: set[str] = set()
    for model in models:
        for name, field in model.model_fields.items():
            found.add(name)
            if field.alias:
                found.add(field.alias)
            found.update(map(str, getattr(field.validation_alias, "choices", ())))
    return found


def _names(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield optimizers and schedulers that do not exist: Axolotl takes any text for one."""
    from axolotl.utils.schemas.enums import CustomSupportedOptimizers
    from transformers.trainer_utils import SchedulerType
    from transformers.training_args import OptimizerNames

    optimizers = {o.value for o in OptimizerNames} | {o.value for o in CustomSupportedOptimizers}
    schedulers = {s.value for s in SchedulerType} | SCHEDULERS
    for key, known in (("optimizer", optimizers), ("lr_scheduler", schedulers)):
        name = content.get(key)
        if name is not None and name not in known:
            yield f"{key}: there is no {name!r}"


def _files(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield files of ours that are named and are not there."""
    for key in ("deepspeed", "chat_template_jinja"):
        name = content.get(key)
        if isinstance(name, str) and name.startswith("sft/") and not Path(name).is_file():
            yield f"{key}: {name} is not there; run from the project's folder"


def _refused(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield what Axolotl's own validation says, on a machine with eight GPUs."""
    from axolotl.utils.config import prepare_plugins, validate_config
    from axolotl.utils.dict import DictDefault

    cfg = DictDefault(copy.deepcopy(dict(content)))
    try:
        prepare_plugins(cfg)
        validate_config(cfg, capabilities=CAPABILITIES, env_capabilities=TORCH)
    except Exception as error:  # pydantic's, Axolotl's and our own: all of them are the answer
        yield f"refused: {error}"
