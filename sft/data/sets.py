"""The training sets: what they are drawn from, and the training that was published for them.

To add one, add an entry to `SETS`: `its-sft build --set NAME` and the recipes know it by that.

Input-Time Scaling (arXiv 2508.13654), section 4: 15,000 and 1,000 mathematical rows of
OpenThoughts whose output says `final answer` and has a box, and LIMO.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from its.rows import Fields

from .examples import Columns, TrainingExample, box_gsm8k, pair
from .raw import Bad


@dataclass(frozen=True, slots=True)
class Source:
    """A data set on the hub. `rows` is the size that was published; another one is an error.

    Only rows with the values of `only` are read. `rewrite` changes what `columns` hold.
    """

    name: str
    repo: str
    rows: int
    licence: str
    columns: Columns
    config: str | None = None
    only: Mapping[str, str] = field(default_factory=dict)
    rewrite: Callable[[TrainingExample], TrainingExample | Bad] | None = None

    @property
    def needed(self) -> tuple[str, ...]:
        """The names of the columns that are read: others may be far larger."""
        columns = self.columns.question, self.columns.answer, self.columns.thinking
        return (*(name for name in columns if name), *self.only)

    def wanted(self, fields: Fields) -> bool:
        """Tell whether a row is of the part that is read."""
        return all(fields.get(name) == value for name, value in self.only.items())

    def shape(self, fields: Fields) -> TrainingExample | Bad:
        """Return the example in a row."""
        found = pair(fields, self.columns)
        return found if isinstance(found, Bad) or self.rewrite is None else self.rewrite(found)


def says_final_answer(example: TrainingExample) -> bool:
    return "final answer" in example.answer.lower()


def has_a_box(example: TrainingExample) -> bool:
    return "boxed{" in example.answer


def ends_its_thinking(example: TrainingExample) -> bool:
    return "<think>" not in example.answer or "</think>" in example.answer


FILTERS: Mapping[str, tuple[Callable[[TrainingExample], bool], str]] = {
    "final-answer": (says_final_answer, "the answer says `final answer`"),
    "boxed": (has_a_box, "the answer has a `boxed{`"),
    "thinking-ends": (ends_its_thinking, "a `<think>` that is opened is closed"),
}
"""Which examples are kept, by name, with what it says in the data card."""


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Hyper-parameters that somebody published, and who. `batch` is rows a step."""

    cited: str
    learning_rate: float
    epochs: int
    batch: int
    tokens: int
    warmup: float = 0.0
    weight_decay: float = 0.0
    beta2: float = 0.999


BOXED = "Please reason step by step, and put your final answer within \\boxed{}."
"""The system text with which LIMO's authors train and evaluate (their repository's files)."""

S1 = Hyperparameters(
    "s1: Simple test-time scaling (arXiv 2501.19393; train/sft.sh): 16 rows a step, 5 epochs",
    1e-5, 5, 16, 32_768, warmup=0.05, weight_decay=1e-4, beta2=0.95,
)  # fmt: skip
LIMO = Hyperparameters(
    "LIMO: Less is More for Reasoning, as first published (arXiv 2502.03387v1): 32 rows a step,"
    " 15 epochs, no warm-up",
    5e-6, 15, 32, 16_384,
)  # fmt: skip
LIMO_V2 = Hyperparameters(
    "LIMO: Less is More for Reasoning (arXiv 2502.03387v3): 64 rows a step, 15 epochs, no warm-up",
    5e-6, 15, 64, 16_384,
)  # fmt: skip
OPEN_THINKER = Hyperparameters(
    "OpenThinker-32B's model card (open-thoughts): 96 rows a step, 3 epochs, 16,384 tokens",
    1e-5, 3, 96, 16_384, warmup=0.1,
)  # fmt: skip
SHORT = Hyperparameters(
    "no publication: rows are short; epochs and rate as OpenThinker's",
    1e-5, 3, 16, 1_024, warmup=0.05,
)  # fmt: skip
SMOKE = Hyperparameters(
    "no publication: as many steps as show that the loss falls", 1e-4, 2, 4, 512, warmup=0.1
)


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """A named training set: `rows` of the source (all: `None`) that pass the filters.

    `source` is `None` for rows in a file of this project, which `--source FILE` builds. `held_out`
    of the rows are not trained on: they choose among the epochs. `mean_tokens` of a row is an
    assumption; the estimated hours follow from it.
    """

    source: Source | None
    rows: int | None
    mean_tokens: int
    hyperparameters: Hyperparameters
    filters: tuple[str, ...] = ()
    held_out: int = 50
    plain: bool = False
    """Its answers open no `<think>`."""
    system: str | None = None
    """The system text that its authors train with; `its-sft build --set` takes it over."""

    @property
    def trained(self) -> int:
        """The rows that are trained on."""
        rows = self.rows or (self.source.rows if self.source else 0)
        return rows - self.held_out


OPEN_THOUGHTS = Source(
    "open-thoughts", "open-thoughts/OpenThoughts-114k", 113_957, "Apache-2.0",
    Columns("problem", "deepseek_solution", "deepseek_reasoning"),
    config="metadata", only={"domain": "math"},
)  # fmt: skip

SETS = {
    "ot-1k": TrainingSet(OPEN_THOUGHTS, 1_000, 9_000, S1, ("final-answer", "boxed")),
    "ot-15k": TrainingSet(
        OPEN_THOUGHTS, 15_000, 9_000, OPEN_THINKER, ("final-answer", "boxed"), held_out=150
    ),
    "limo": TrainingSet(
        # LIMO's solution holds the reasoning without marks around it.
        Source("limo", "GAIR/LIMO", 817, "Apache-2.0", Columns("question", "solution")),
        None, 7_000, LIMO, plain=True, system=BOXED,
    ),
    "limo-v2": TrainingSet(
        Source("limo-v2", "GAIR/LIMO-v2", 800, "Apache-2.0", Columns("question", "solution")),
        None, 7_000, LIMO_V2, plain=True, system=BOXED,
    ),
    "gsm8k-1k": TrainingSet(
        Source(
            "gsm8k", "openai/gsm8k", 7_473, "MIT", Columns("question", "answer"),
            config="main", rewrite=box_gsm8k,
        ),
        1_000, 250, SHORT,
    ),
    "smoke": TrainingSet(None, 64, 120, SMOKE, held_out=0),
}  # fmt: skip
"""`ot-1k` is the head of `ot-15k`: rows are drawn in the order of their seeded hashes."""

PUBLIC = {name: known for name, known in SETS.items() if known.source}
"""The sets that `--set` builds."""

S1K = Source(
    "s1k", "simplescaling/s1K-1.1", 1_000, "MIT",
    Columns("question", "deepseek_attempt", "deepseek_thinking_trajectory"),
)  # fmt: skip

SOURCES = {known.source.name: known.source for known in SETS.values() if known.source} | {
    S1K.name: S1K
}
"""What `--source` knows by name: the sources of the sets, and those of no set."""
