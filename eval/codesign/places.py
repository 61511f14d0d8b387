"""Where everything of an experiment lies: folders, ports, and the checkpoints' names."""

from dataclasses import dataclass
from pathlib import Path

from its import strategies

from .plan import ExperimentPlan


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A training: how, on which kind of contexts, with which seed. `None`: the base itself."""

    strategy: str | None
    kind: str
    seed: int

    @property
    def name(self) -> str:
        if self.strategy is None:
            return "base"
        strategy = strategies.get(self.strategy)
        kind = f"{self.kind}-" if strategy.context else ""
        return f"{kind}{strategy.letter}-{self.seed}"

    @property
    def has_context(self) -> bool:
        """Whether contexts stood beside the questions; false for the base."""
        return self.strategy is not None and strategies.adds_context(self.strategy)

    @property
    def data(self) -> str:
        """The name of its training data, which all seeds share."""
        return self.name.rpartition("-")[0]


@dataclass(frozen=True, slots=True)
class Places:
    """The run folder `out` of a plan; `root` is the tree that the commands are run from."""

    plan: ExperimentPlan
    out: Path
    root: Path

    @property
    def problems(self) -> Path:
        return self.out / "problems"

    @property
    def base(self) -> Path | str:
        """The model before training: a folder, or a name of the hub."""
        return self.out / "base" if self.plan.base.command else self.plan.base.model or ""

    @property
    def proxy(self) -> str:
        return f"http://127.0.0.1:{self.plan.port}/v1"

    @property
    def test(self) -> Path | None:
        """The file of the test problems; `None` where the task is one of the hub."""
        if self.plan.data.arithmetic:
            return self.problems / "test.jsonl"
        return Path(self.plan.data.test).absolute() if self.plan.data.test else None

    def engine_port(self, number: int) -> int:
        """Return the port of the engine `number`, from 0, of those that run together."""
        return self.plan.port + 1 + number

    def bank(self, kind: str) -> Path | None:
        """Return the bank of personas of a kind of contexts; `None`: the one that `its` has."""
        return self.problems / "numbers.jsonl" if kind == "numbers" else None

    def weights(self, checkpoint: Checkpoint) -> Path | str:
        """Return the folder of a checkpoint's weights; the base may be a name of the hub."""
        if checkpoint.strategy is None:
            return self.base
        return self.out / "checkpoints" / checkpoint.name
