"""The table of training recipes: base x set x strategy -> one complete Axolotl file each.

`its-sft recipes --write` makes `sft/*.yml` from it, so that the difference of two files is the
experiment and nothing else. `its-sft recipes NAME` writes any other that the table can make.
"""

import difflib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import msgspec

from its.sampling import recommended
from its.strategies import PAPER, STRATEGIES

from ..data.sets import SETS, Hyperparameters, TrainingSet
from ..errors import TrainingError


@dataclass(frozen=True, slots=True)
class Hardware:
    """GPUs, rows on each at a time, and what keeps weights and optimizer states."""

    gpus: int
    micro_batch: int
    deepspeed: str | None
    precision: str
    """`bf16` (the master weights are fp32, in DeepSpeed or as adapters) or `fp32`."""


EIGHT_OFFLOADED = Hardware(8, 1, "zero3_offload", "bf16")
EIGHT = Hardware(8, 1, "zero3", "bf16")
SIXTEEN = Hardware(16, 1, "zero3", "bf16")
THIRTY_TWO = Hardware(32, 1, "zero3", "bf16")
ONE_OFFLOADED = Hardware(1, 1, "zero3_offload", "bf16")
ONE = Hardware(1, 1, "zero3", "bf16")
ONE_ADAPTER = Hardware(1, 1, None, "bf16")
TWO_ADAPTERS = Hardware(2, 1, None, "bf16")
ONE_FP32 = Hardware(1, 8, None, "fp32")
CPU = Hardware(0, 4, None, "fp32")


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A model to start from. `layers`, `width` and `words` (its vocabulary) give the memory."""

    repo: str
    parameters: float
    layers: int
    width: int
    words: int
    full: Hardware
    adapter: Hardware
    template: str | None = None


BASES = {
    "qwen2.5-32b-instruct": Pretrained(
        "Qwen/Qwen2.5-32B-Instruct", 32.8e9, 64, 5120, 152_064, EIGHT_OFFLOADED, TWO_ADAPTERS
    ),
    "r1-distill-qwen-32b": Pretrained(
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", 32.8e9, 64, 5120, 152_064, EIGHT_OFFLOADED,
        TWO_ADAPTERS, "deepseek_r1",
    ),
    "qwen3-8b": Pretrained("Qwen/Qwen3-8B", 8.2e9, 36, 4096, 151_936, EIGHT, ONE_ADAPTER, "chatml"),
    "qwen2.5-7b-instruct": Pretrained(
        "Qwen/Qwen2.5-7B-Instruct", 7.6e9, 28, 3584, 152_064, ONE_OFFLOADED, ONE_ADAPTER
    ),
    "r1-distill-qwen-1.5b": Pretrained(
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", 1.8e9, 28, 1536, 151_936, ONE, ONE_ADAPTER,
        "deepseek_r1",
    ),
    "qwen2.5-coder-0.5b-instruct": Pretrained(
        "Qwen/Qwen2.5-Coder-0.5B-Instruct", 0.5e9, 24, 896, 151_936, ONE_FP32, ONE_ADAPTER
    ),
    "smollm2-135m": Pretrained("models/smollm2-135m", 0.135e9, 30, 576, 49_152, CPU, CPU),
}  # fmt: skip


LARGE = 3e10
"""Parameters from which a base needs all GPUs of a machine."""

MANY = 10_000
"""Rows from which a large base is trained on four machines, unless the name says otherwise."""

NODES = {"16gpu": SIXTEEN, "32gpu": THIRTY_TWO}
VARIANTS = ("", "lora", "qlora", *NODES)
"""What may follow the strategy in a name: adapters, or more machines."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One file."""

    base_name: str
    set_name: str
    strategy: str
    variant: str = ""

    @property
    def base(self) -> Pretrained:
        return BASES[self.base_name]

    @property
    def set(self) -> TrainingSet:
        return SETS[self.set_name]

    @property
    def adapter(self) -> str | None:
        return self.variant if self.variant in ("lora", "qlora") else None

    @property
    def hardware(self) -> Hardware:
        if self.adapter:
            return self.base.adapter
        if self.base.parameters > LARGE and self.set.trained > MANY and not self.variant:
            return THIRTY_TWO
        found = NODES.get(self.variant, self.base.full)
        # One row at a time where rows are long; the short sets fill a step faster.
        return replace(found, micro_batch=1) if self.hyperparameters.tokens > 1_024 else found

    @property
    def hyperparameters(self) -> Hyperparameters:
        """The cited ones; adapters take ten times the rate (LoRA Without Regret, 2025)."""
        cited = self.set.hyperparameters
        return replace(cited, learning_rate=10 * cited.learning_rate) if self.adapter else cited

    @property
    def name(self) -> str:
        parts = [self.base_name, self.set_name, self.letter, self.variant]
        if self.set_name == "smoke":
            parts = ["smoke-cpu", self.variant]
        return "-".join(part for part in parts if part)

    @property
    def letter(self) -> str:
        """The strategy's letter in the paper, or its name."""
        return STRATEGIES[self.strategy].letter

    @property
    def data(self) -> str:
        """The folder of `its-sft build`."""
        return f"data/{self.set_name}-{self.letter}"

    @property
    def template(self) -> str | None:
        """The chat template's file; `None` is the tokenizer's own.

        LIMO's answers open no `<think>`, so after training on them none may be opened for them.
        """
        opens = self.base.template == "deepseek_r1"
        return f"{self.base.template}_plain" if opens and self.set.plain else self.base.template

    @property
    def test(self) -> dict[str, Any]:
        """How to ask the checkpoint: as the base's makers recommend, where that is known.

        After training on answers that open no `<think>`, there is no thinking to ask for.
        """
        known = msgspec.structs.asdict(recommended(self.base.repo))
        if self.set.plain and known["thinking"]:
            known["thinking"] = False
        return {name: value for name, value in known.items() if value is not None}

    @property
    def accumulation(self) -> int:
        return self.hyperparameters.batch // (
            self.hardware.micro_batch * max(1, self.hardware.gpus)
        )

    @property
    def steps(self) -> int:
        return -(-self.set.trained // self.hyperparameters.batch) * self.hyperparameters.epochs

    @property
    def possible(self) -> bool:
        """Tell whether the batch comes out even, and base, set and variant belong together."""
        rows = self.hardware.micro_batch * max(1, self.hardware.gpus)
        if (self.base_name == "smollm2-135m") != (self.set_name == "smoke"):
            return False
        if self.set_name == "smoke" and (self.strategy != "random" or self.variant == "qlora"):
            return False
        large = self.base.parameters > LARGE
        if self.variant == "lora" and large:
            return False  # each GPU has a copy of the base, and in bf16 it leaves no room for rows
        return self.hyperparameters.batch % rows == 0 and (large or self.variant not in NODES)


def recipes() -> Iterator[Recipe]:
    """Yield the recipes whose files are kept in `sft/`."""
    for base in ("qwen2.5-32b-instruct", "r1-distill-qwen-32b"):
        for strategy in PAPER:
            yield Recipe(base, "ot-1k", strategy)
    yield Recipe("qwen2.5-32b-instruct", "ot-1k", "mixed")
    yield Recipe("qwen2.5-32b-instruct", "ot-1k", "random", "16gpu")
    yield Recipe("qwen2.5-32b-instruct", "ot-1k", "random", "qlora")
    yield Recipe("qwen2.5-32b-instruct", "ot-15k", "random")
    yield Recipe("qwen2.5-32b-instruct", "limo", "random")
    yield Recipe("qwen2.5-32b-instruct", "limo-v2", "random")
    yield Recipe("qwen3-8b", "ot-1k", "random")
    yield Recipe("qwen2.5-7b-instruct", "ot-1k", "random", "lora")
    yield Recipe("r1-distill-qwen-1.5b", "ot-1k", "random")
    yield Recipe("qwen2.5-coder-0.5b-instruct", "gsm8k-1k", "random")
    yield Recipe("smollm2-135m", "smoke", "random")


@cache
def every() -> dict[str, Recipe]:
    """Return all that the table can make, by name."""
    combined = itertools.product(BASES, SETS, STRATEGIES, VARIANTS)
    possible = (recipe for recipe in itertools.starmap(Recipe, combined) if recipe.possible)
    return {recipe.name: recipe for recipe in possible}


def named(name: str) -> Recipe:
    """Return the recipe `name`.

    Raises:
        TrainingError: the table has none of that name.
    """
    found = every().get(name)
    if found is None:
        near = difflib.get_close_matches(name, every(), 3) or ["qwen2.5-32b-instruct-limo-v2-r"]
        raise TrainingError(
            f"no recipe {name!r}. A name is BASE-SET-STRATEGY or BASE-SET-STRATEGY-VARIANT, as in"
            f" {', '.join(near)}. BASE: {', '.join(BASES)}. SET: {', '.join(SETS)}. STRATEGY:"
            f" {', '.join(each.letter for each in STRATEGIES.values())}. VARIANT:"
            f" {', '.join(VARIANTS[1:])}"
        )
    return found
