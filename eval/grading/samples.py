"""Grade one sample: is its answer equal to the gold answer?"""

from dataclasses import replace

from its import answers
from its.answers.algebra.workers import Workers

from ..samples import EvalSample
from .scorers import Scorer


def graded(sample: EvalSample, graders: Workers, scorer: Scorer | None = None) -> EvalSample:
    """Return `sample` with its answer held against the gold answer; no answer is not correct.

    `scorer` decides instead, where the task has one of its own.

    Raises:
        EvalError: the scorer cannot work at all.
    """
    if scorer is not None and sample.error is None:
        verdict = scorer(sample)
        if verdict is not None:
            return replace(sample, correct=verdict)
    given = answers.parse(sample.answer or "", sample.answer_kind)
    wanted = answers.read_or_parse(sample.gold, sample.answer_kind)
    if given is None or wanted is None:
        return replace(sample, correct=False)
    outcome = answers.compare(wanted, given, graders.judge())
    return replace(sample, correct=outcome is answers.Comparison.EQUAL)
