"""Numbers that others published, to stand beside a run. Never mixed with what was measured."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    """A figure, whose it is, and how it was got."""

    what: str
    task: str
    solved: str
    source: str
    settings: str


PAPER = "Input-Time Scaling, arXiv 2508.13654"
ONE_RUN = "pass@1, one run of 30 problems, best train/test pair"

PUBLISHED = (
    Published("Qwen2.5-32B-Instruct, fine-tuned", "AIME24", "76.7% (23/30)", PAPER, ONE_RUN),
    Published("Qwen2.5-32B-Instruct, fine-tuned", "AIME25", "76.7% (23/30)", PAPER, ONE_RUN),
    Published("the same, majority of three", "AIME24", "76.7% (23/30)", PAPER, "majority vote"),
    Published("the same, majority of three", "AIME25", "80.0% (24/30)", PAPER, "majority vote"),
    Published(
        "DeepSeek-R1-Distill-Qwen-32B, fine-tuned", "AIME24", "90.0% (27/30)", PAPER, ONE_RUN
    ),
    Published(
        "DeepSeek-R1-Distill-Qwen-32B, fine-tuned", "AIME25", "80.0% (24/30)", PAPER, ONE_RUN
    ),
)
