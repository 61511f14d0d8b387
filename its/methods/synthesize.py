"""Several drafts; then one member writes the answer from them, streamed as it comes.

The fuser of Archon (Saad-Falcon et al., arXiv 2409.15254, section 3.1), and ParaThinker's parallel
paths and summary (arXiv 2509.04475) by prompt instead of by training. For open questions, chat and
code, where a vote has nothing to count.
"""

from msgspec.structs import replace

from . import drafts as drafting
from . import prompts
from .options import Name, Tokens, Voting, needs_of
from .seam import Case, Grader, Need, Program, any_late, came, every, explained
from .votes import most_below, settle, unsure, vote


class Options(Voting, frozen=True, kw_only=True):
    """`writer` is the panel's first member if it is not set.

    `tokens` are kept free in its context for what it writes. `threshold` is held against the
    agreement of the drafts, before anything is written.
    """

    writer: Name | None = None
    tokens: Tokens = 2_048


class Synthesize:
    options = Options

    def needs(self, options: Options) -> frozenset[Need]:
        return needs_of(options)

    def most_calls(self, case: Case) -> int:
        below = most_below(case, drafting.number(case))
        return drafting.fresh(case) + max(1, below)

    def run(self, case: Case, grader: Grader | None) -> Program:
        options: Options = case.options
        replies = yield from drafting.have(case)
        drafts = came(replies)
        verdict = vote(drafts, grader, len(replies))
        if not drafts or (options.below != "answer" and unsure(case, verdict)):
            return (yield from settle(case, verdict, grader))
        writer = options.writer or case.members[0]
        texts = [drafting.said(draft) for draft in drafts]
        fenced = drafting.fence(case, writer, texts, "Draft", reply_tokens=options.tokens)
        text = drafting.asked(prompts.SYNTHESIZE, fenced, prompts.SYNTHESIZE_END)
        call = case.call(
            writer,
            "write",
            role="write",
            round=1,
            messages=prompts.after(case.messages, text),
            shown=True,
        )
        written = yield from every([call] if fenced.kept and not any_late(replies) else [])
        verdict = explained(
            verdict,
            written=bool(came(written)),
            left_out=fenced.left_out,
            prompt_sha256=prompts.sha256(prompts.SYNTHESIZE, prompts.SYNTHESIZE_END),
        )
        if not came(written):
            return replace(verdict, decided=False)  # the drafts' vote stands in
        return replace(verdict, winner=written[0], decided=None, ranked=tuple(written))
