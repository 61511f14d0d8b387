"""Unfinished answers that grow step by step, and which of them are continued."""

import math
from collections.abc import Sequence
from random import Random

import msgspec
from msgspec.structs import replace

from .drafts import tokens
from .seam import Call, Case, Grader, Reply, Verdict
from .votes import vote


class Particle(msgspec.Struct, frozen=True):
    """An answer so far: `reply` is its last step's, with all before it; `score` is 0 to 1.

    `spent` is how many tokens its steps have written.
    """

    call: Call
    reply: Reply | None = None
    score: float | None = None
    done: bool = False
    spent: int = 0


def grown(particle: Particle, reply: Reply, case: Case) -> Particle:
    """Return the particle with its new step; a call that failed leaves it as it is.

    The client's own `stop` and `max_tokens` finish it as the model's end does. An engine that does
    not say what ended the step leaves one guess: the answer is finished if the step holds a box, if
    it is empty, or if the client has stop sequences, which the answer must not go past.
    """
    if not reply.ok:
        return particle
    added = reply.raw[len(reply.call.prefix or "") :]
    if reply.stop is None:
        done = not added.strip() or "\\boxed" in added or bool(case.stop)
    else:
        done = reply.stop == "" or reply.stop in case.stop
    used = tokens(added) if reply.completion_tokens is None else reply.completion_tokens
    spent = particle.spent + used
    done = done and reply.finish_reason != "length"
    full = case.max_tokens is not None and spent >= case.max_tokens
    return replace(particle, reply=reply, spent=spent, done=done or full)


def weights_of(particles: Sequence[Particle], temperature: float) -> list[float]:
    """Return the softmax of the scores; a particle without one counts as the mean of the others."""
    known = [p.score for p in particles if p.score is not None]
    mean = math.fsum(known) / len(known) if known else 0.0
    logits = [(mean if p.score is None else p.score) / temperature for p in particles]
    top = max(logits)
    powers = [
        math.exp(logit - top) if p.reply else 0.0
        for logit, p in zip(logits, particles, strict=True)
    ]
    total = math.fsum(powers) or 1.0
    return [power / total for power in powers]


def resampled(
    particles: Sequence[Particle], weights: Sequence[float], beams: int | None, rng: Random
) -> list[Particle]:
    """Return as many particles: drawn systematically by `weights`, or the best `beams` in turn."""
    number = len(particles)
    if not any(weights):
        return list(particles)
    if beams is not None:
        best = sorted(range(number), key=lambda n: -weights[n])[:beams]
        return [particles[best[n % len(best)]] for n in range(number)]
    start, reached = rng.random() / number, 0.0
    drawn: list[Particle] = []
    for particle, weight in zip(particles, weights, strict=True):
        reached += weight
        while len(drawn) < number and start + len(drawn) / number < reached:
            drawn.append(particle)
    return drawn + [particles[weights.index(max(weights))]] * (number - len(drawn))


def verdict_on(
    particles: Sequence[Particle], weights: Sequence[float], grader: Grader | None, planned: int
) -> Verdict:
    """Return the weighted vote of the finished particles; of all, undecided, if none finished."""
    some = any(particle.done for particle in particles)
    held: dict[str, tuple[Reply, float]] = {}
    for particle, weight in zip(particles, weights, strict=True):
        if particle.reply is not None and particle.done >= some:
            name = particle.reply.call.name  # copies of a finished particle are one ballot
            held[name] = (particle.reply, weight + held.get(name, (None, 0.0))[1])
    cast = [weight for _, weight in held.values()]
    verdict = vote([reply for reply, _ in held.values()], grader, planned, cast)
    return replace(verdict, decided=some and verdict.decided)
