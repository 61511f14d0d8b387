"""Axolotl's side of co-design: `plugins: [sft.axolotl_plugin.InputTimePlugin]`.

Before any model is loaded, the data set must be what the file's block `input_time:` says; every
saved checkpoint, the final one and a merged one get their manifest `input_time.json`.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from axolotl.integrations.base import BasePlugin
from pydantic import BaseModel
from transformers import TrainerCallback

from its import manifest

from . import codesign
from .codesign import CoDesignError, Declared

VERSIONS = ("input-time-scaling", "axolotl", "torch", "transformers", "peft")


class InputTimeArgs(BaseModel):  # type: ignore[misc]
    """Makes the block known to Axolotl, which drops what it does not know."""

    input_time: dict[str, Any] | None = None


class InputTimePlugin(BasePlugin):  # type: ignore[misc]  # axolotl is not installed everywhere
    """Holds a training to its declaration, and records it."""

    def __init__(self) -> None:
        super().__init__()
        self.loss: float | None = None
        self._taken: tuple[manifest.Train, Declared, bytes] | None = None

    def get_input_args(self) -> str:
        return "sft.axolotl_plugin.InputTimeArgs"

    def register(self, cfg: Any) -> None:
        """Hold the declaration itself to the rule, as early as anything can.

        Raises:
            CoDesignError: it is missing or contradicts itself.
        """
        codesign.declared(cfg.get("input_time"))

    def get_training_args(self, cfg: Any) -> dict[str, Any]:
        return {} if torch.cuda.is_available() else {"use_cpu": True}

    def load_datasets(self, cfg: Any, preprocess: bool = False) -> None:
        """Check the data; Axolotl loads it itself.

        What the manifest will say is taken here: files may be others by the end of a training.

        Raises:
            CoDesignError: it is not what was declared.
            BuiltError: it has no record.
        """
        self._taken = self._take(cfg)

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[TrainerCallback]:
        self._taken = self._taken or self._take(cfg)  # another plugin may have loaded the data
        return [_Recorder(self, cfg)]

    def post_train(self, cfg: Any, model: Any) -> None:
        if int(cfg.get("local_rank") or 0) == 0:
            self.record(cfg, Path(cfg["output_dir"]))

    def post_lora_merge(self, cfg: Any, adapter_path: str, output_path: str) -> None:
        """Carry the adapter's manifest over to the merged weights."""
        codesign.keep(manifest.read(Path(adapter_path)), Path(output_path))

    def record(self, cfg: Any, folder: Path) -> None:
        """Write the manifest of what was trained on into `folder`."""
        assert self._taken
        train, wanted, config = self._taken
        found = codesign.checkpoint(
            str(cfg["base_model"]), train, wanted, config, _versions(), self.loss
        )
        codesign.keep(found, folder)

    def _take(self, cfg: Any) -> tuple[manifest.Train, Declared, bytes]:
        datasets = cfg.get("datasets") or []
        if len(datasets) != 1:
            raise CoDesignError(
                "datasets: must name one data set of `its-sft build`: a checkpoint has one record"
            )
        wanted = codesign.declared(cfg.get("input_time"))
        train = codesign.checked_train(Path(datasets[0]["path"]), wanted)
        return train, wanted, Path(cfg["axolotl_config_path"]).read_bytes()


class _Recorder(TrainerCallback):  # type: ignore[misc]
    """Notes the loss, and gives every saved checkpoint its manifest."""

    def __init__(self, plugin: InputTimePlugin, cfg: Any) -> None:
        self._plugin, self._cfg = plugin, cfg

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
        if logs and "loss" in logs:
            self._plugin.loss = float(logs["loss"])

    def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            self._plugin.record(self._cfg, folder)


def _versions() -> dict[str, str]:
    return {name: version(name) for name in VERSIONS}
