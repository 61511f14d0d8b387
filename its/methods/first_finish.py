"""The first complete answer wins, and the rest is cancelled.

First Finish Search (Agarwal et al., arXiv 2505.18149, section 3): a reasoning model that is done
early is more often right. With `votes = m` it is short-m@k (Hassid et al., arXiv 2505.17813,
"Don't Overthink it", section 4): the first m vote, and a tie goes to the one that finished first.

Only for samples of one reasoning member: across different models the shortest answer is a bad
choice. The verdict depends on the order of arrival, as the method means it to.
"""

from collections.abc import Sequence

from .options import Count, Voting, needs_of
from .seam import Case, Grader, Need, Program, Reply, Verdict, any_late, explained, until
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
        arrived: dict[str, Reply] = {}  # in order of arrival

        def enough(replies: Sequence[Reply]) -> bool:
            arrived.update({r.call.name: r for r in replies if r.call.name not in arrived})
            return sum(reply.complete for reply in replies) >= wanted

        replies = yield from until(calls, enough)
        first = list(arrived.values())
        finished = [reply for reply in first if reply.complete][:votes]
        # What was cut at its token limit is used only if nothing finished.
        verdict: Verdict = vote(finished or first, grader, votes if finished else len(calls))
        if votes == 1 and finished:
            verdict = Verdict(finished[0], verdict.clusters, None, None, ranked=verdict.ranked)
        stopped = "finished" if len(finished) == votes else "all asked"
        stopped = "deadline" if any_late(replies) else stopped
        finishers = [reply.call.name for reply in finished]
        verdict = explained(verdict, finished=finishers, stopped=stopped)
        return (yield from settle(case, verdict, grader))
