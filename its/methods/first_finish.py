"""The first complete answer wins, and the rest is cancelled.

First Finish Search (Agarwal et al., arXiv 2505.18149, section 3): a reasoning model that is done
early is more often right. With `votes = m` it is short-m@k (Hassid et al., arXiv 2505.17813,
"Don't Overthink it", section 4): the first m vote, and a tie goes to the one that finished first.

Only for samples of one reasoning member: across different models the shortest answer is a bad
choice. The verdict depends on the order of arrival, as the method means it to.
"""

from collections.abc import Generator, Sequence

from .options import Count, Voting, needs_of
from .seam import Call, Case, Grader, Need, Program, Reply, Verdict, any_late, explained
from .votes import most_below, settle, vote


class Options(Voting, frozen=True, kw_only=True):
    votes: Count = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.threshold and self.votes == 1:
            raise ValueError("`threshold` needs `votes` of at least 2: one answer agrees with none")


class FirstFinish:
    options = Options

    def needs(self, options: Options) -> frozenset[Need]:
        return needs_of(options, "one_member")

    def most_calls(self, case: Case) -> int:
        return case.planned + most_below(case, case.planned)

    def run(self, case: Case, grader: Grader | None) -> Program:
        options: Options = case.options
        calls = case.answers(case.planned)
        votes = min(options.votes, len(calls))
        wanted = max(votes, min(case.quorum or 0, len(calls)))
        arrived = yield from _arriving(calls, wanted)
        finished = [reply for reply in arrived if reply.complete][:votes]
        # What was cut at its token limit is used only if nothing finished.
        verdict: Verdict = vote(finished or arrived, grader, votes if finished else len(calls))
        if votes == 1 and finished:
            verdict = Verdict(finished[0], verdict.clusters, None, None, ranked=verdict.ranked)
        stopped = "finished" if len(finished) == votes else "all asked"
        stopped = "deadline" if any_late(arrived) else stopped
        finishers = [reply.call.name for reply in finished]
        verdict = explained(verdict, finished=finishers, stopped=stopped)
        return (yield from settle(case, verdict, grader))


def _arriving(calls: Sequence[Call], wanted: int) -> Generator[Sequence[Call], Reply, list[Reply]]:
    """Ask `calls` and return the replies in order of arrival, until `wanted` are complete."""
    arrived: list[Reply] = []
    todo: Sequence[Call] = calls
    while len(arrived) < len(calls) and sum(reply.complete for reply in arrived) < wanted:
        arrived.append((yield todo))
        todo = ()
    return arrived
