"""What is recommended for known models, and nothing for others."""

import pytest

from its.manifest import Test as Asked
from its.sampling import FAMILIES, recommended

R1 = Asked(temperature=0.6, top_p=0.95, max_tokens=32_768, thinking=True)
QWEN25 = Asked(temperature=0.7, top_p=0.8, max_tokens=30_720)


@pytest.mark.parametrize(
    ("base", "asked"),
    [
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", R1),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", R1),
        ("models/deepseek-r1-distill-qwen-1.5b/", R1),
        ("Qwen/QwQ-32B", R1),
        ("Qwen/Qwen2.5-32B-Instruct", QWEN25),
        ("Qwen/Qwen2.5-Coder-0.5B-Instruct", QWEN25),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", QWEN25),
        ("Qwen/Qwen3-8B", R1),
        ("Qwen/Qwen3-30B-A3B", R1),
        ("Qwen/Qwen3-8B-Base", Asked()),
        ("Qwen/Qwen2.5-32B", Asked()),
        ("Qwen/Qwen2.5-Math-7B-Instruct", Asked()),
        ("models/smollm2-135m", Asked()),
        ("", Asked()),
    ],
)
def test_recommendations(base: str, asked: Asked) -> None:
    assert recommended(base) == asked


def test_every_family_names_its_source() -> None:
    assert all("model card of" in f.source or "generation_config" in f.source for f in FAMILIES)
