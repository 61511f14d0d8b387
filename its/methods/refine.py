"""Rounds of parallel drafts; notes distilled from each round lead the next.

Parallel-Distill-Refine, Rethinking Thinking Tokens: LLMs as Improvement Operators (Madaan et al.,
arXiv 2510.01123, section 3): the notes, not the whole drafts, carry over, so that the context
stays short however many rounds there are. The last call is one answer, streamed as it comes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from ..types import Message
from . import drafts as drafting
from . import prompts
from .options import Name, Rounds, Tokens, Voting, needs_of
from .seam import Case, Grader, Need, Program, Reply, Round, any_late, came, every, explained
from .votes import most_below, settle, unsure, vote


class Options(Voting, frozen=True, kw_only=True):
    """`rounds` of drafts and notes, then one answer; `writer` distils (else the first member).

    `threshold` is held against the agreement of the last drafts, before the last answer.
    """

    rounds: Rounds = 2
    writer: Name | None = None
    tokens: Tokens = 2_048


@dataclass(slots=True)
class _Progress:
    drafts: list[Reply]
    asked: tuple[Message, ...] | None = None
    rounds: int = 0
    left_out: int = 0


class Refine:
    options = Options

    def needs(self, options: Options) -> frozenset[Need]:
        return needs_of(options)

    def most_calls(self, case: Case) -> int:
        rounds = int(case.options.rounds)
        later = (rounds - 1) * case.planned
        last = max(1, most_below(case, max(drafting.number(case), case.planned)))
        return drafting.fresh(case) + later + rounds + last

    def run(self, case: Case, grader: Grader | None) -> Program:
        options: Options = case.options
        now = _Progress([])
        late = False
        while now.rounds < options.rounds and not late:
            replies = yield from _drafts(case, now)
            now.drafts = came(replies) or now.drafts
            late = any_late(replies) or not now.drafts
            if not late:
                notes = yield from _notes(case, options, now)
                late = any_late(notes)
                now.rounds += 1
        verdict = vote(now.drafts, grader, max(len(now.drafts), case.planned))
        verdict = explained(
            verdict, rounds=now.rounds, left_out={"drafts": 0, "tokens": now.left_out}, **_hash()
        )
        round = 2 * options.rounds
        if late or (options.below != "answer" and unsure(case, verdict)):
            verdict = replace(verdict, decided=False) if late else verdict
            return (yield from settle(case, verdict, grader, round))
        call = case.call(
            case.members[0], "answer-last", round=round, messages=now.asked, shown=True
        )
        last = came((yield from every([call])))
        if not last:
            return replace(verdict, decided=False)
        return replace(verdict, winner=last[0], decided=None, ranked=tuple(last))


def _drafts(case: Case, now: _Progress) -> Round:
    """Return the drafts of this round; in the first, those that are there already."""
    if now.rounds == 0:
        return (yield from drafting.have(case))
    led = replace(case, asked=now.asked)
    first = now.rounds * case.planned
    return (yield from every(led.answers(case.planned, first, round=2 * now.rounds)))


def _notes(case: Case, options: Options, now: _Progress) -> Round:
    """Have the drafts distilled, and put the notes where the next round reads them.

    If no notes came, the drafts themselves lead the next round.
    """
    writer = options.writer or case.members[0]
    texts = [drafting.said(draft) for draft in now.drafts]
    fenced = drafting.fence(case, writer, texts, "Attempt", reply_tokens=options.tokens)
    now.left_out += fenced.left_out["tokens"]
    text = drafting.asked(prompts.NOTES, fenced, prompts.NOTES_END)
    call = case.call(
        writer,
        f"notes-{now.rounds}",
        role="write",
        round=2 * now.rounds + 1,
        messages=prompts.after(case.messages, text),
        params={**prompts.PLAIN, "max_tokens": fenced.reply_tokens},
    )
    replies = yield from every([call] if fenced.kept else [])
    notes = [drafting.said(reply) for reply in came(replies)]
    now.asked = _led(case, options, notes or texts)
    return replies


def _led(case: Case, options: Options, texts: Sequence[str]) -> tuple[Message, ...]:
    """Return the conversation with notes after it, cut to what every member can read."""
    least = min(case.members, key=lambda m: case.context_tokens.get(m, drafting.CONTEXT_TOKENS))
    fenced = drafting.fence(case, least, texts, "Notes", reply_tokens=options.tokens)
    return prompts.after(case.messages, drafting.asked(prompts.AGAIN, fenced, prompts.AGAIN_END))


def _hash() -> dict[str, str]:
    used = (prompts.NOTES, prompts.NOTES_END, prompts.AGAIN, prompts.AGAIN_END)
    return {"prompt_sha256": prompts.sha256(*used)}
