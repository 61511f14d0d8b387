"""Answers grown step by step; after each step the promising ones are continued.

`particles`: A Probabilistic Inference Approach to Inference-Time Scaling of LLMs using
Particle-Based Monte Carlo Methods (Puri et al., arXiv 2502.01618, section 4): scores become
weights by a softmax, and the particles are drawn anew by them. `beams`: the best few are kept and
continued equally, the beam search of Scaling LLM Test-Time Compute Optimally (Snell et al., arXiv
2408.03314, section 5.2). A step ends at `stop`, which is a blank line.
"""

from collections.abc import Generator, Sequence
from random import Random
from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

from . import drafts as drafting
from . import prompts
from .judging import HIGHEST, judge_call, score_call, score_of
from .options import Count, Name, Rounds, Tokens, Voting, needs_of
from .particles import Particle, grown, resampled, verdict_on, weights_of
from .seam import Call, Case, Grader, Need, Program, Reply, any_late, every, explained
from .votes import most_below, settle


class Options(Voting, frozen=True, kw_only=True):
    """There are as many particles as drafts (`samples` of each member), of `rounds` steps at most.

    `temperature` divides the scores (0 to 1) before the softmax: lower is greedier.
    """

    judge: Name | None = None
    scorer: Name | None = None
    select: Literal["particles", "beams"] = "particles"
    beams: Count = 2
    rounds: Rounds = 16
    tokens: Tokens = 512
    stop: Name = "\n\n"
    temperature: Annotated[float, msgspec.Meta(gt=0, le=100)] = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.judge is None) == (self.scorer is None):
            raise ValueError("set one of `judge` and `scorer`: the member that rates the steps")


class Steps:
    options = Options

    def needs(self, options: Options) -> frozenset[Need]:
        return needs_of(options, "prefix", "judge" if options.judge else "scores")

    def most_calls(self, case: Case) -> int:
        return 2 * case.planned * int(case.options.rounds) + most_below(case, case.planned)

    def run(self, case: Case, grader: Grader | None) -> Program:
        options: Options = case.options
        particles = [Particle(call) for call in case.answers(case.planned)]
        rng = Random(case.derived("steps"))
        step, late = 0, False
        while step < options.rounds and not late and not all(p.done for p in particles):
            if step:
                weights = weights_of(particles, options.temperature)
                beams = options.beams if options.select == "beams" else None
                particles = resampled(particles, weights, beams, rng)
            late = yield from _grow(case, options, particles, step)
            step += 1
        weights = weights_of(particles, options.temperature)
        verdict = explained(
            verdict_on(particles, weights, grader, case.planned),
            steps=step,
            stopped="deadline" if late else "all asked",
            scores=[particle.score for particle in particles],
            finished=sum(particle.done for particle in particles),
            prompt_sha256=prompts.sha256(prompts.STEP, prompts.SCORE, prompts.SCORE_END),
        )
        return (yield from settle(case, verdict, grader, 2 * options.rounds))


def _grow(
    case: Case, options: Options, particles: list[Particle], step: int
) -> Generator[Sequence[Call], Reply, bool]:
    """Ask for the next step of each particle, and for its score; tell whether time is up."""
    asked = [(n, _step(case, n, p, options, step)) for n, p in enumerate(particles) if not p.done]
    replies = yield from every([call for _, call in asked])
    grew = [n for (n, _), reply in zip(asked, replies, strict=True) if reply.ok]
    for (n, _), reply in zip(asked, replies, strict=True):
        particles[n] = grown(particles[n], reply, case)
    scoring = [(n, _score(case, n, particles[n], options, step)) for n in grew]
    fitting = [(n, call) for n, call in scoring if call is not None]
    scores = yield from every([call for _, call in fitting])
    for (n, _), reply in zip(fitting, scores, strict=True):
        particles[n] = replace(particles[n], score=_share(reply, options))
    return any_late(replies) or any_late(scores)


def _step(case: Case, n: int, particle: Particle, options: Options, step: int) -> Call:
    """Return the call for the next step of the `n`-th particle."""
    reply = particle.reply
    ended = reply is not None and reply.finish_reason != "length" and reply.stop != ""
    prefix = "" if reply is None else reply.raw + (options.stop if ended else "")
    most = options.tokens
    if case.max_tokens is not None:
        most = max(1, min(most, case.max_tokens - particle.spent))
    return replace(
        particle.call,
        name=f"{case.path}answer-{step}-{n}",
        round=case.round + 2 * step,
        prefix=prefix or None,
        params={
            "stop": [*case.stop, options.stop],
            "max_tokens": most,
            "max_completion_tokens": None,
        },
    )


def _score(case: Case, n: int, particle: Particle, options: Options, step: int) -> Call | None:
    assert particle.reply is not None
    name, round = f"judge-{step}-{n}", 2 * step + 1
    if options.scorer:
        return score_call(case, options.scorer, name, particle.reply, round=round)
    assert options.judge is not None
    prompt = (prompts.SCORE if particle.done else prompts.STEP, prompts.SCORE_END)
    return judge_call(
        case, options.judge, name, prompt, [drafting.said(particle.reply)],
        tokens=options.tokens, round=round,
    )[0]  # fmt: skip


def _share(reply: Reply, options: Options) -> float | None:
    score = score_of(reply)
    return score if score is None or options.scorer else (score - 1) / (HIGHEST - 1)
