"""Counting ballots, and what happens where they agree too little."""

import math
from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from ..answers import cluster, key_of
from ..answers.faults import FAULTS
from .options import Voting, nested
from .seam import (
    Case,
    Cluster,
    Grader,
    Program,
    Reply,
    Verdict,
    any_late,
    came,
    explained,
    stand_ins,
)


def vote(
    replies: Sequence[Reply],
    grader: Grader | None,
    planned: int,
    weights: Sequence[float] | None = None,
) -> Verdict:
    """Return the verdict on `replies`, which are in configured order: ties go to it.

    `weights` belong to `replies`. An abstention never beats an answer; where all abstain (a chat
    question) the first reply stands. `agreement` is the best cluster's ballots divided by the
    `planned` calls; where ballots have weights, its weight divided by that of all `replies`.
    """
    ballots = came(replies)
    if weights is None:
        cast = [1.0] * len(ballots)
    else:
        pairs = zip(replies, weights, strict=True)
        cast = [weight for reply, weight in pairs if reply.outcome == "ok"]
    clusters = _tally(ballots, grader, cast)
    read = [reply for group in clusters for reply in group.ballots]
    names = {reply.call.name for reply in read}
    ranked = (*read, *(reply for reply in ballots if reply.call.name not in names))
    return Verdict(
        winner=ranked[0] if ranked else None,
        clusters=clusters,
        decided=leads(clusters) and (len(clusters[0].ballots) > 1 or _weighed(weights, read)),
        agreement=_agreement(clusters, planned if weights is None else math.fsum(weights)),
        ranked=ranked,
        account={"votes": [len(group.ballots) for group in clusters]},
    )


def _agreement(clusters: Sequence[Cluster], whole: float) -> float:
    return min(1.0, clusters[0].weight / whole) if clusters and whole > 0 else 0.0


def _tally(
    ballots: Sequence[Reply], grader: Grader | None, weights: Sequence[float]
) -> tuple[Cluster, ...]:
    """Return the clusters of equal answers, heaviest first; ties keep the order of `ballots`."""
    clusters = []
    for group in _groups(ballots, grader):
        answer = ballots[group[0]].answer
        if answer is not None:
            held = tuple(ballots[i] for i in group)
            clusters.append(Cluster(answer, held, math.fsum(weights[i] for i in group)))
    return tuple(sorted(clusters, key=lambda group: -group.weight))


def _groups(ballots: Sequence[Reply], grader: Grader | None) -> list[list[int]]:
    """Cluster the answers. If that raises an error, only those written alike are equal."""
    try:
        return cluster([ballot.answer for ballot in ballots], grader)
    except Exception as error:  # a model's text that nobody thought of must not end the request
        FAULTS.note("method", type(error).__name__)
        alike: dict[object, list[int]] = {}
        for index, ballot in enumerate(ballots):
            if ballot.answer is not None:
                alike.setdefault((ballot.answer.kind, ballot.answer.text), []).append(index)
        return list(alike.values())


def leads(clusters: Sequence[Cluster]) -> bool:
    """Tell whether one cluster is heavier than every other."""
    return bool(clusters) and (len(clusters) == 1 or clusters[0].weight > clusters[1].weight)


def _weighed(weights: Sequence[float] | None, read: Sequence[Reply]) -> bool:
    """Tell whether a cluster of one ballot may lead by its weight: not if it is the only one."""
    return weights is not None and len(read) > 1


def settled(replies: Sequence[Reply], case: Case, planned: int, threshold: float = 0.0) -> bool:
    """Tell whether answers written alike hold more than half of *all planned* calls.

    Nothing weaker is sound: a late ballot can draw an answer away from a cluster, as equality
    is not transitive (5 is 5%, 5% is 0.05). Answers written alike stay together. The quorum
    counts replies, not readable answers.
    """
    if not case.early_stop:
        return False
    cast = came(replies)
    if len(cast) < min(case.quorum or 0, planned):
        return False
    most = max(_keys(cast).values(), default=0)
    return 2 * most > planned and most / planned >= threshold


def same_key(replies: Sequence[Reply]) -> object:
    """Return what the answers share that are written alike most often."""
    return max(_keys(came(replies)).items(), key=lambda item: item[1], default=(None, 0))[0]


def _keys(cast: Sequence[Reply]) -> Counter[object]:
    return Counter(key_of(reply.answer) for reply in cast if reply.answer is not None)


def why(replies: Sequence[Reply], calls: Sequence[object]) -> str:
    """Return why a round of `calls` ended, for the account."""
    if any_late(replies):
        return "deadline"
    return "settled" if len(replies) < len(calls) else "all asked"


def unsure(case: Case, verdict: Verdict) -> bool:
    """Tell whether the verdict's agreement is below the panel's threshold."""
    return verdict.agreement is not None and verdict.agreement < case.options.threshold


def settle(case: Case, verdict: Verdict, grader: Grader | None, round: int = 1) -> Program:
    """Hold `verdict` to the panel's threshold: return it, withhold it, or ask another method.

    The other method gets the drafts that are there; `round` is the first one that it may use. If
    it gets nothing, the verdict stands, undecided.
    """
    options: Voting = case.options
    if verdict.winner is None or not unsure(case, verdict):
        return verdict
    verdict = explained(verdict, below_threshold=True)
    if options.below == "answer":
        return verdict
    if options.below == "abstain":
        return replace(verdict, withheld=True, decided=False)
    other = nested(options.below)
    inner = yield from other.method.run(
        other.case(case, "below", round, verdict.ranked[: other.keep]), grader
    )
    account = {"method": other.name, **inner.account}
    if inner.winner is None:
        return explained(replace(verdict, decided=False), below=account)
    return replace(inner, account={**verdict.account, "below": account})


def most_below(case: Case, drafts: int) -> int:
    """Return the calls that a nested method may add where `drafts` are handed to it."""
    below = getattr(case.options, "below", "answer")
    if below in ("answer", "abstain"):
        return 0
    other = nested(below)
    return other.method.most_calls(other.case(case, "below", 1, stand_ins(drafts)[: other.keep]))
