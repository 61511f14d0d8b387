"""The table of training recipes: base x set x strategy -> one complete Axolotl file each.

`its-sft recipes --write` makes `sft/*.yml` from it, so that the difference of two files is the
experiment and nothing else.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path

from its.strategies import LETTERS

GB = 1e9
H100_FLOPS = 989e12
"""Dense bf16 operations a second of one H100 SXM (NVIDIA's data sheet)."""

UTILISATION = 0.35
"""Of that, what long-context fine-tuning is assumed to reach; measure yours and correct."""


@dataclass(frozen=True, slots=True)
class Base:
    """A model to start from. `layers` and `width` give the memory of the activations."""

    repo: str
    parameters: float
    layers: int
    width: int
    template: str | None = None


BASES = {
    "qwen2.5-32b-instruct": Base("Qwen/Qwen2.5-32B-Instruct", 32.8e9, 64, 5120),
    "r1-distill-qwen-32b": Base(
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", 32.8e9, 64, 5120, "deepseek_r1"
    ),
    "qwen2.5-7b-instruct": Base("Qwen/Qwen2.5-7B-Instruct", 7.6e9, 28, 3584),
    "r1-distill-qwen-1.5b": Base(
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", 1.8e9, 28, 1536, "deepseek_r1"
    ),
    "qwen2.5-coder-0.5b-instruct": Base("Qwen/Qwen2.5-Coder-0.5B-Instruct", 0.5e9, 24, 896),
    "smollm2-135m": Base("models/smollm2-135m", 0.135e9, 30, 576),
}


@dataclass(frozen=True, slots=True)
class Method:
    """Hyper-parameters that somebody published, and who."""

    cited: str
    learning_rate: float
    epochs: int
    batch: int
    tokens: int
    warmup: float = 0.0
    weight_decay: float = 0.0
    beta2: float = 0.999


S1 = Method(
    "s1: Simple test-time scaling (arXiv 2501.19393; train/sft.sh): 16 rows a step, 5 epochs",
    1e-5, 5, 16, 32_768, warmup=0.05, weight_decay=1e-4, beta2=0.95,
)  # fmt: skip
LIMO = Method(
    "LIMO: Less is More for Reasoning (arXiv 2502.03387v3): 64 rows a step, 15 epochs, no warm-up",
    5e-6, 15, 64, 16_384,
)  # fmt: skip
OPEN_THINKER = Method(
    "OpenThinker-32B's model card (open-thoughts): 96 rows a step, 3 epochs, 16,384 tokens",
    1e-5, 3, 96, 16_384, warmup=0.1,
)  # fmt: skip
SHORT = Method(
    "no publication: rows are short; epochs and rate as OpenThinker's",
    1e-5, 3, 16, 1_024, warmup=0.05,
)  # fmt: skip
SMOKE = Method(
    "no publication: as many steps as show that the loss falls", 1e-4, 2, 4, 512, warmup=0.1
)


@dataclass(frozen=True, slots=True)
class Set:
    """A training set as the recipes see it; `mean_tokens` is an assumption for the hours."""

    rows: int
    mean_tokens: int
    method: Method


SETS = {
    "ot-1k": Set(1_000, 9_000, S1),
    "ot-15k": Set(15_000, 9_000, OPEN_THINKER),
    "limo": Set(817, 7_000, LIMO),
    "gsm8k-1k": Set(1_000, 250, SHORT),
    "smoke": Set(64, 120, SMOKE),
}


@dataclass(frozen=True, slots=True)
class Hardware:
    """GPUs, rows on each at a time, and what keeps weights and optimizer states."""

    gpus: int
    micro_batch: int
    deepspeed: str | None
    precision: str
    """`bf16` (the master weights are fp32, in DeepSpeed or as adapters) or `fp32`."""


EIGHT = Hardware(8, 1, "zero3_offload", "bf16")
THIRTY_TWO = Hardware(32, 1, "zero3", "bf16")
ONE_OFFLOADED = Hardware(1, 1, "zero3_offload", "bf16")
ONE = Hardware(1, 1, "zero3", "bf16")
ONE_ADAPTER = Hardware(1, 1, None, "bf16")
ONE_FP32 = Hardware(1, 8, None, "fp32")
CPU = Hardware(0, 4, None, "fp32")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One file."""

    base_name: str
    set_name: str
    strategy: str
    hardware: Hardware
    lora: bool = False

    @property
    def base(self) -> Base:
        return BASES[self.base_name]

    @property
    def set(self) -> Set:
        return SETS[self.set_name]

    @property
    def method(self) -> Method:
        """The cited method; adapters take ten times the rate (LoRA Without Regret, 2025)."""
        method = self.set.method
        return replace(method, learning_rate=10 * method.learning_rate) if self.lora else method

    @property
    def name(self) -> str:
        if self.set_name == "smoke":
            return "smoke-cpu-lora" if self.lora else "smoke-cpu"
        letter = LETTERS[self.strategy]
        return f"{self.base_name}-{self.set_name}-{letter}{'-lora' if self.lora else ''}"

    @property
    def data(self) -> str:
        """The folder of `its-sft build`."""
        return f"data/{self.set_name}-{LETTERS[self.strategy]}"

    @property
    def template(self) -> str | None:
        """The chat template's file; `None` is the tokenizer's own.

        LIMO's answers open no `<think>`, so after training on them none may be opened for them.
        """
        if self.base.template and self.set_name == "limo":
            return f"{self.base.template}_plain"
        return self.base.template

    @property
    def accumulation(self) -> int:
        return self.method.batch // (self.hardware.micro_batch * max(1, self.hardware.gpus))

    @property
    def steps(self) -> int:
        return -(-self.set.rows // self.method.batch) * self.method.epochs

    @property
    def gpu_memory(self) -> float:
        """Bytes on each GPU: states, and one hidden vector a layer and token (checkpointing).

        Full: 16 bytes a parameter (weights, gradients, fp32 master copy, two moments), divided by
        the GPUs; offloaded, 4 of them stay. Adapters: 2 bytes. fp32: 16.
        """
        hardware, base = self.hardware, self.base
        each = 2.0 if self.lora and hardware.gpus else 16.0
        if hardware.deepspeed == "zero3_offload":
            each = 4.0
        width = 4 if hardware.precision == "fp32" else 2
        tokens = self.method.tokens * hardware.micro_batch
        states = each * base.parameters / max(1, hardware.gpus)
        return states + width * base.layers * base.width * tokens

    @property
    def cpu_memory(self) -> float:
        """Bytes of main memory in all for offloaded states: 12 a parameter."""
        offloaded = self.hardware.deepspeed == "zero3_offload"
        return 12.0 * self.base.parameters if offloaded else 0.0

    @property
    def hours(self) -> float:
        """8 operations a parameter and token (forward, recomputed forward, backward)."""
        tokens = self.set.rows * self.set.mean_tokens * self.method.epochs
        flops = H100_FLOPS * UTILISATION * (0.25 if self.hardware.precision == "fp32" else 1)
        return 8 * self.base.parameters * tokens / (max(1, self.hardware.gpus) * flops) / 3600


def recipes() -> Iterator[Recipe]:
    """Yield every recipe of the table."""
    for base in ("qwen2.5-32b-instruct", "r1-distill-qwen-32b"):
        for data in ("ot-1k", "limo"):
            for strategy in LETTERS:
                yield Recipe(base, data, strategy, EIGHT)
        yield Recipe(base, "ot-15k", "random", THIRTY_TWO)
    yield Recipe("qwen2.5-7b-instruct", "ot-1k", "random", ONE_OFFLOADED)
    yield Recipe("r1-distill-qwen-1.5b", "ot-1k", "random", ONE)
    for base in ("qwen2.5-7b-instruct", "r1-distill-qwen-1.5b"):
        yield Recipe(base, "ot-1k", "random", ONE_ADAPTER, lora=True)
    for strategy in LETTERS:
        yield Recipe("qwen2.5-coder-0.5b-instruct", "gsm8k-1k", strategy, ONE_FP32)
    yield Recipe("smollm2-135m", "smoke", "random", CPU)
    yield Recipe("smollm2-135m", "smoke", "random", CPU, lora=True)


def supply(folder: Path) -> None:
    """Put what the files name beside them, where it is not: templates and DeepSpeed's settings.

    Raises:
        OSError: the folder cannot be written.
    """
    for name in ("templates", "deepspeed"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file in (files(__package__) / name).iterdir():
            if not (folder / name / file.name).exists():
                (folder / name / file.name).write_bytes(file.read_bytes())


def render(recipe: Recipe) -> str:
    """Return the whole file."""
    text: str = _template().render(recipe=recipe, method=recipe.method, hardware=recipe.hardware)
    return text


@cache
def _template():  # type: ignore[no-untyped-def]  # jinja2 is an extra
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["commas"] = "{:,.0f}".format
    environment.filters["rate"] = lambda rate: f"{rate:.1e}".replace("e-0", "e-")
    return environment.from_string((files(__package__) / "recipe.yml.jinja").read_text("utf-8"))
