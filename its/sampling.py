"""How the makers of known models recommend to sample from them: a table with its sources.

A checkpoint's manifest takes over what its base's makers recommend, unless the training file says
otherwise. To add a family, add a row to `FAMILIES`; the first one that matches is taken.
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
        "model card of deepseek-ai/DeepSeek-R1-Distill-Qwen-32B: usage recommendations, and the"
        " 32,768 tokens of its own evaluation; the context is 131,072",
        thinking=True,
    ),
    SamplingFamily(
        _names(r"QwQ-32B(-AWQ)?"), 0.6, 0.95, 32_768,
        "model card of Qwen/QwQ-32B: usage guidelines; the context is 131,072",
        thinking=True,
    ),
    SamplingFamily(
        # The context is 32,768 tokens for prompt and answer together; 2,048 are for the prompt.
        _names(r"Qwen2\.5-(Coder-)?[\d.]+B-Instruct(-.+)?"), 0.7, 0.8, 30_720,
        "generation_config.json of Qwen/Qwen2.5-32B-Instruct; max_position_embeddings in its"
        " config.json is 32,768",
    ),
    SamplingFamily(
        _names(r"Qwen3-[\d.]+B(-A\d+B)?(-(FP8|AWQ|GPTQ-.+))?"), 0.6, 0.95, 32_768,
        "model card of Qwen/Qwen3-8B: best practices for the thinking mode; the context is 40,960",
        thinking=True,
    ),
)  # fmt: skip


def recommended(base_model: str) -> Test:
    """Return what the makers of `base_model` recommend; an empty `Test` for an unknown model."""
    name = base_model.rstrip("/").rpartition("/")[2]
    found = next((family for family in FAMILIES if family.names.fullmatch(name)), None)
    return found.test if found else Test()
