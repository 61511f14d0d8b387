"""The figures of one model from its samples."""

from decimal import Decimal

import pytest

from eval.figures.estimators import wilson
from eval.figures.figures import figures_of
from eval.samples import EvalSample
from its.answers import Sample as Sampled
from its.answers import Unread
from its.answers.algebra.judge import Judge


def test_wilson_against_published_values() -> None:
    # Newcombe (Statistics in Medicine 17, 1998), table I, method 3.
    for successes, n, low, high in [
        (81, 263, 0.2553, 0.3662),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        found = wilson(successes / n, n)
        assert found == pytest.approx((low, high), abs=5e-5)


def test_the_score_is_a_mean_over_problems() -> None:
    def sample(
        key: str, index: int, correct: bool, answer: str = "1", **more: object
    ) -> EvalSample:
        return EvalSample(key, index, 0, "1", "q", answer=answer, correct=correct, **more)  # type: ignore[arg-type]

    found = figures_of(
        "m",
        [
            sample("a", 0, True, tokens=10),
            sample("a", 1, False, answer="2", tokens=20, finish_reason="length"),
            sample("b", 0, True, tokens=30),
            EvalSample("b", 1, 0, "1", "q", error="timeout"),
        ],
        lambda: lambda _: Unread.EXHAUSTED,
    )
    assert found.pass_at_1.value == 0.5
    assert (found.problems, found.samples, found.cut, found.failed) == (2, 4, 1, 1)
    assert found.tokens.mean == 20
    assert found.tokens_per_solved == 30
    assert found.pass_at_k == [0.5, 1.0]
    assert found.maj_at_k == [0.5, 0.75], "a tie is shared, and a call that failed has no vote"


def test_each_problem_has_the_whole_patience_of_a_judge() -> None:
    """One judge for all would tire of the first problems, and split what is equal in the rest."""
    spellings = ("sqrt(8)", "2*sqrt(2)")
    samples = [
        EvalSample(f"{problem}", index, 0, "2*sqrt(2)", "q", answer=answer, correct=True)
        for problem in range(4)
        for index, answer in enumerate(spellings)
    ]

    def judges() -> Judge:
        left = iter(spellings)

        def judge(text: str) -> Sampled | Unread:
            if next(left, None) is None:
                return Unread.EXHAUSTED
            point = (Decimal("2.828427"), Decimal(0))
            return Sampled((point, point), constant=True)

        return judge

    assert figures_of("m", samples, judges).agreement == 1
