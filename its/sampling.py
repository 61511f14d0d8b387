"""How the makers of known models recommend to sample from them: a table with its sources.

A checkpoint's manifest takes over what its base's makers recommend, unless the training file says
otherwise. To add a family, add a row to `FAMILIES`; the first one that matches is taken.

The makers also name top_k (20, for QwQ 20 to 40), min_p (0) and, for Qwen2.5, a repetition penalty
(1.05 to 1.1). These stand in the models' own `generation_config.json`, which engines read.

s1 and LIMO have no rows: both are Qwen2.5-32B-Instruct, trained on. Their authors sample greedily,
up to 32,768 tokens (README.md of simplescaling/s1; eval/eval.sh of GAIR-NLP/LIMO, as its forks have
it), which is all of the base's context, prompt included.
"""

import re
from dataclasses import dataclass

from .manifest import Test


@dataclass(frozen=True, slots=True)
class SamplingFamily:
    """Models that are sampled alike. `names` matches a hub repository's or a folder's last part.

    `max_tokens` leaves room for the prompt where the base's context bounds both together.
    """

    names: re.Pattern[str]
    temperature: float
    top_p: float
    max_tokens: int
    source: str
    thinking: bool | None = None

    @property
    def test(self) -> Test:
        """The recommendation as a manifest holds it."""
        return Test(
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            thinking=self.thinking,
        )


def _names(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


FAMILIES = (
    SamplingFamily(
        _names(r"DeepSeek-R1-Distill-.+"), 0.6, 0.95, 32_768,
        "model card of deepseek-ai/DeepSeek-R1 (its README.md), which has the distilled models:"
        " \"usage recommendations\" (temperature 0.5 to 0.7, 0.6 is recommended; no system prompt)"
        " and section 4 (evaluated at temperature 0.6, top-p 0.95, at most 32,768 tokens); the"
        " context is 131,072",
        thinking=True,
    ),
    SamplingFamily(
        _names(r"QwQ-32B(-AWQ)?"), 0.6, 0.95, 32_768,
        "model card of Qwen/QwQ-32B: usage guidelines (temperature 0.6, top-p 0.95, not greedy)"
        " and quickstart (32,768 new tokens); the context is 131,072",
        thinking=True,
    ),
    SamplingFamily(
        # The context is 32,768 tokens for prompt and answer together; 2,048 are for the prompt.
        _names(r"Qwen2\.5-(Coder-)?[\d.]+B-Instruct(-.+)?"), 0.7, 0.8, 30_720,
        "generation_config.json of Qwen/Qwen2.5-32B-Instruct (temperature 0.7, top-p 0.8); its"
        " model card: config.json is set for a context of 32,768",
    ),
    SamplingFamily(
        _names(r"Qwen3-[\d.]+B(-A\d+B)?(-(FP8|AWQ|GPTQ-.+))?"), 0.6, 0.95, 32_768,
        "model card of Qwen/Qwen3-8B: best practices for the thinking mode (temperature 0.6, top-p"
        " 0.95, not greedy; 32,768 tokens for most queries); the context of config.json is 40,960,"
        " of which 8,192 are for the prompt",
        thinking=True,
    ),
)  # fmt: skip


def recommended(base_model: str) -> Test:
    """Return what the makers of `base_model` recommend; an empty `Test` for an unknown model."""
    name = base_model.rstrip("/").rpartition("/")[2]
    found = next((family for family in FAMILIES if family.names.fullmatch(name)), None)
    return found.test if found else Test()
