"""The errors of `its-sft`. Each message names file, key or row, and the remedy; it is shown as is.

ValueError
├── DataError           rows, a data set or a tokenizer; nothing half is left
├── TrainingError       a training file, or what a trainer would learn by it
│   ├── NoAxolotlError  there is no Axolotl, or it lacks a package
│   └── AxolotlError    Axolotl ended with an error
└── CheckpointError     a checkpoint that cannot be chosen, written or compared
"""


class DataError(ValueError):
    """Rows or a data set that cannot be used."""


class TrainingError(ValueError):
    """A training file that is wrong, or a training that would not be what its file says."""


class NoAxolotlError(TrainingError):
    """There is no Axolotl, or it lacks what a file needs."""


class AxolotlError(TrainingError):
    """A run of Axolotl that cannot be started or that failed."""

    status = 1  # the command was right; the run failed


class CheckpointError(ValueError):
    """A checkpoint that cannot be compared, exported, converted or described."""
