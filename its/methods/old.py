"""Majority vote over equal answers.

Self-Consistency (Wang et al., arXiv 2203.11171) across the members of a panel; the three-model
vote of Input-Time Scaling (arXiv 2508.13654, section 4).
"""

from collections import Counter
from collections.abc import Sequence

from ..answers import Judge, cluster, key_of
from ..types import Ballot, Call, Cluster, Verdict


class Majority:
    """The largest cluster of equal answers wins; ties go to the configured order."""

    def plan(self, members: Sequence[str], samples: int) -> list[Call]:
        """Ask every member once, then all again: `samples` rounds in the configured order."""
        return [Call(member, sample) for sample in range(samples) for member in members]

    def settled(self, ballots: Sequence[Ballot], planned: int, judge: Judge | None = None) -> bool:
        """Tell whether answers written alike hold more than half of *all planned* calls.

        Nothing weaker is sound: a late ballot can draw an answer away from a cluster, as equality
        is not transitive (5 is 5%, 5% is 0.05). Answers written alike stay together.
        """
        keys = Counter(key_of(ballot.answer) for ballot in ballots if ballot.answer is not None)
        return any(2 * count > planned for count in keys.values())

    def decide(
        self, ballots: Sequence[Ballot], planned: Sequence[Call], judge: Judge | None = None
    ) -> Verdict:
        """Return the verdict on `ballots` (at least one), whatever order they arrived in.

        An abstention never beats an answer; where all abstain (a chat question) the first ballot
        in configured order stands with agreement 0.
        """
        order = {call: position for position, call in enumerate(planned)}
        cast = sorted(ballots, key=lambda ballot: order[ballot.completion.call])
        groups = cluster([ballot.answer for ballot in cast], judge)
        tally = [_cluster([cast[i] for i in group]) for group in groups]
        tally.sort(key=lambda cluster: -len(cluster.ballots))  # stable: ties keep the order
        if not tally:
            return Verdict(cast[0], [], cast, 0.0)
        votes = tally[0].ballots
        return Verdict(votes[0], tally, cast, len(votes) / len(planned))


def _cluster(ballots: Sequence[Ballot]) -> Cluster:
    answer = ballots[0].answer
    assert answer is not None, "an abstention is in no cluster"
    return Cluster(answer, ballots)
