"""Axolotl's side of co-design: `plugins: [sft.training.plugin.InputTimePlugin]`.

Before any model is loaded, the data set must be what the file's block `input_time:` says, and the
rows that Axolotl prepared must be the file's. When training begins, what the trainer holds is
compared once more. Every saved checkpoint, the final one and a merged one get their manifest.

Axolotl 0.21 calls: `register` (with the file's keys and the command's overrides), validation,
`load_datasets`, its own loading, the model, the trainer and `add_callbacks_post_trainer`, the
training, `post_train` before the weights are saved, and `post_train` again at the end.
"""

import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import torch
from axolotl.integrations.base import BasePlugin
from pydantic import BaseModel
from transformers import TrainerCallback

from its import manifest
from its.manifest import Manifest, Train

from ..errors import TrainingError
from . import codesign, fingerprint, proof, seen
from .codesign import TrainingStep
from .proof import Proof

VERSIONS = ("input-time-scaling", "axolotl", "torch", "transformers", "peft")
HASH = "input_time_config_sha256"
"""Where the plugin keeps the configuration's hash: Ray's workers get a changed configuration."""


class InputTimeArgs(BaseModel):  # type: ignore[misc]
    """Makes the block known to Axolotl, which drops what it does not know."""

    input_time: dict[str, Any] | None = None
    input_time_config_sha256: str | None = None


class InputTimePlugin(BasePlugin):  # type: ignore[misc]  # axolotl is not installed everywhere
    """Holds a training to its declaration, and records it."""

    def __init__(self) -> None:
        super().__init__()
        self._begin()

    def _begin(self) -> None:
        self.losses: dict[str, float] = {}
        self._train: Train | None = None
        self._proof: Proof | None = None
        self._trained = False

    def get_input_args(self) -> str:
        # A path, not the class: Axolotl imports it while it builds the schema.
        return "sft.training.plugin.InputTimeArgs"

    def register(self, cfg: Any) -> None:
        """Hold the declaration itself to the rule, and keep prepared rows apart by their content.

        Raises:
            TrainingError: the declaration is missing or contradicts itself.
        """
        self._begin()  # a sweep trains several times in one process, by one plugin
        codesign.declared(cfg.get("input_time"))
        # Axolotl registers plugins again in Ray's workers, with a configuration that it has
        # changed: the first hash, of what the user wrote, is kept.
        cfg[HASH] = cfg.get(HASH) or fingerprint.config_sha256(cfg)
        cfg["dataset_prepared_path"] = str(fingerprint.prepared(cfg))

    def get_training_args(self, cfg: Any) -> dict[str, Any]:
        return {} if torch.cuda.is_available() else {"use_cpu": True}

    def load_datasets(self, cfg: Any, preprocess: bool = False) -> Any:
        """Check the data and what Axolotl makes of them; return them for `axolotl preprocess`.

        What the manifest will say is taken here: files may be others by the end of a training.
        Axolotl loads the prepared rows again for training, as another plugin might load them too.

        Raises:
            TrainingError: the data, the batch or the checkpoint to go on from is not what was said,
                Axolotl's rows are not the file's, or something else is learnt.
            DataError: the data set has no record.
        """
        from axolotl.common.datasets import load_datasets

        wanted = codesign.declared(cfg.get("input_time"))
        for fault in codesign.setting_faults(cfg):
            raise TrainingError(fault)
        hardware = TrainingStep.of(cfg, int(os.environ.get("WORLD_SIZE", "1")))
        if not preprocess:
            codesign.check_batch(wanted, hardware, cfg)
        record = codesign.checked_data(Path(str(cfg["datasets"][0]["path"])), wanted)
        loaded = load_datasets(cfg=cfg)
        self._proof = _proved(cfg, loaded)
        self._train = _train_of(cfg, record.train, self._proof, hardware)
        if preprocess:
            return loaded
        self._check_resumed(cfg)
        return None

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[TrainerCallback]:
        return [_Recorder(self, cfg)]

    def post_train(self, cfg: Any, model: Any) -> None:
        """Record the final weights. The first of two calls comes before they are saved.

        A manifest must not stand beside weights of an earlier training, but a push needs it.
        """
        if int(os.environ.get("RANK", "0")) == 0 and (self._trained or cfg.get("hub_model_id")):
            self.record(cfg, Path(cfg["output_dir"]))
        self._trained = True

    def post_lora_merge(self, cfg: Any, adapter_path: str, output_path: str) -> None:
        """Carry the adapter's manifest over to the merged weights."""
        codesign.keep(manifest.read(Path(adapter_path)), Path(output_path))

    def steps_of(self, rows: int) -> int:
        """Return the steps in which each of `rows` rows is seen once."""
        assert self._train
        assert self._train.batch
        return -(-rows // self._train.batch)

    def progress(self, steps: int, epochs: float | None) -> None:
        """Note how far the training has come."""
        assert self._train
        come = round(epochs, 4) if epochs is not None else None
        self._train = msgspec.structs.replace(self._train, steps=steps, epochs=come)

    def record(self, cfg: Any, folder: Path) -> None:
        """Write the manifest of what was trained on into `folder`."""
        codesign.keep(self._manifest(cfg), folder)

    def _manifest(self, cfg: Any) -> Manifest:
        assert self._train
        train = msgspec.structs.replace(
            self._train,
            final_loss=self.losses.get("loss"),
            eval_loss=self.losses.get("eval_loss"),
        )
        wanted = codesign.declared(cfg.get("input_time"))
        base = str(cfg["base_model"])
        return Manifest(manifest.SCHEMA, base, train, wanted.asked(base))

    def check_held(self, cfg: Any, rows: Any) -> None:
        """Compare what the trainer holds with what was proved before the model was loaded.

        Raises:
            TrainingError: something changed it since.
        """
        assert self._proof
        found = seen.tokens_sha256(rows)
        proof.check_same_everywhere(found)
        if found == self._proof.tokens_sha256:
            return
        data = Path(str(cfg["datasets"][0]["path"]))
        tokenizer = _tokenizer(cfg)
        chats = proof.chats(cfg, cfg["datasets"][0], data, tokenizer)
        seen.compare(rows, chats, str(data), int(cfg["sequence_len"]), tokenizer)
        raise TrainingError(
            f"{data}: the trainer holds its rows, but learns other tokens of them than were checked"
            " when they were loaded; is another plugin at work?"
        )

    def _check_resumed(self, cfg: Any) -> None:
        from axolotl.utils.train import determine_last_checkpoint

        # Axolotl chooses the checkpoint by itself and reads no manifest of it.
        if checkpoint := determine_last_checkpoint(cfg):
            codesign.check_resumed(Path(checkpoint), self._manifest(cfg))


def _proved(cfg: Any, loaded: Any) -> Proof:
    return proof.prove(cfg, loaded.train_dataset, loaded.eval_dataset, _tokenizer(cfg))


def _tokenizer(cfg: Any) -> Any:
    from axolotl.loaders import load_tokenizer

    return load_tokenizer(cfg)


def _train_of(cfg: Any, built: Train, proved: Proof, hardware: TrainingStep) -> Train:
    assert built.dataset is not None
    held_out = (built.dataset.rows_held_out or 0) + proved.rows_held_out
    if proved.rows_trained + held_out != built.dataset.rows:
        raise TrainingError(
            f"{built.dataset.name}: {proved.rows_trained:,} rows are trained on and {held_out:,}"
            f" held out, but {built.dataset.rows:,} were built"
        )
    dataset = msgspec.structs.replace(
        built.dataset,
        rows_held_out=held_out,
        rows_trained=proved.rows_trained,
        tokens_sha256=proved.tokens_sha256,
    )
    return msgspec.structs.replace(
        built,
        dataset=dataset,
        batch=hardware.batch,
        world_size=hardware.world_size,
        config_sha256=cfg[HASH],
        versions={name: version(name) for name in VERSIONS},
    )


class _Recorder(TrainerCallback):  # type: ignore[misc]
    """Checks what the trainer holds, notes the losses, and gives every checkpoint its manifest."""

    def __init__(self, plugin: InputTimePlugin, cfg: Any) -> None:
        self._plugin, self._cfg = plugin, cfg

    def on_train_begin(
        self, args: Any, state: Any, control: Any, train_dataloader: Any = None, **rest: Any
    ) -> None:
        """Check the rows that the training goes through: the last moment at which one can."""
        self._plugin.check_held(self._cfg, train_dataloader.dataset)
        # By rows: with several processes, the loader's length is that of all of them together.
        epoch = self._plugin.steps_of(len(train_dataloader.dataset))
        if state.max_steps < epoch:
            raise TrainingError(
                f"max_steps or num_epochs: the training would end after {state.max_steps} steps,"
                f" and {epoch} are needed to see each row once; build a smaller set with --rows N"
            )
        if state.is_world_process_zero:  # older weights may lie there until new ones are saved
            (Path(args.output_dir) / manifest.NAME).unlink(missing_ok=True)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
        self._plugin.losses |= {
            name: float(logs[name]) for name in ("loss", "eval_loss") if name in (logs or {})
        }

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        self._plugin.progress(state.global_step, state.epoch)
        # A push after a save takes `output_dir`, before `on_save`; it must carry the manifest.
        if control.should_save and args.push_to_hub and state.is_world_process_zero:
            self._plugin.record(self._cfg, Path(args.output_dir))

    def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            self._plugin.record(self._cfg, folder)
