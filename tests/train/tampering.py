"""Plugins that change what a trainer holds after it was checked, as a fault of others would."""

from typing import Any

from axolotl.integrations.base import BasePlugin


class RemovesRow(BasePlugin):  # type: ignore[misc]
    """Takes the last row away."""

    def post_trainer_create(self, cfg: Any, trainer: Any) -> None:
        rows = trainer.train_dataset
        trainer.train_dataset = rows.select(range(len(rows) - 1))


class ChangesToken(BasePlugin):  # type: ignore[misc]
    """Changes one token of the last row."""

    def post_trainer_create(self, cfg: Any, trainer: Any) -> None:
        last = len(trainer.train_dataset) - 1

        def changed(row: dict[str, Any], number: int) -> dict[str, Any]:
            ids = list(row["input_ids"])
            ids[5] += number == last
            return {**row, "input_ids": ids}

        trainer.train_dataset = trainer.train_dataset.map(changed, with_indices=True)


class LearnsQuestion(BasePlugin):  # type: ignore[misc]
    """Has one token of a question learnt."""

    def post_trainer_create(self, cfg: Any, trainer: Any) -> None:
        def changed(row: dict[str, Any], number: int) -> dict[str, Any]:
            labels = list(row["labels"])
            labels[5] = row["input_ids"][5] if number == 0 else labels[5]
            return {**row, "labels": labels}

        trainer.train_dataset = trainer.train_dataset.map(changed, with_indices=True)


class LoadsOthers(BasePlugin):  # type: ignore[misc]
    """Loads the data itself, and leaves out a row."""

    def load_datasets(self, cfg: Any, preprocess: bool = False) -> Any:
        from axolotl.common.datasets import load_datasets

        loaded = load_datasets(cfg=cfg)
        loaded.train_dataset = loaded.train_dataset.select(range(1, len(loaded.train_dataset)))
        return loaded
