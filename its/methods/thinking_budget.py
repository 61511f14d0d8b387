"""Thinking that is ended at a number of tokens, or made to go on, before the answer.

Budget forcing, s1: Simple test-time scaling (Muennighoff et al., arXiv 2501.19393, section 3.1):
the end-of-thinking mark is written for the model when `tokens` are spent; where it stops earlier,
"Wait" is appended, up to `waits` times. It continues a prefix, so its members' engines must.

Several drafts go on side by side, and vote at the end.
"""

from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec.structs import replace

from . import prompts
from .drafts import tokens
from .options import Name, Tokens, Voting, needs_of
from .seam import Call, Case, Grader, Need, Program, Reply, came, every, explained
from .votes import most_below, settle, vote, why


class Options(Voting, frozen=True, kw_only=True):
    """`tokens` of thinking; `opens` and `closes` are the model's marks around it."""

    tokens: Tokens = 4_096
    waits: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    wait: Name = "\nWait"
    opens: str = "<think>\n"
    closes: Name = "\n</think>\n\n"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.closes.strip():
            raise ValueError("`closes` is blank: it is the mark that ends the model's thinking")


class ThinkingBudget:
    options = Options

    def needs(self, options: Options) -> frozenset[Need]:
        return needs_of(options, "prefix")

    def most_calls(self, case: Case) -> int:
        stages = int(case.options.waits) + 2
        return case.planned * stages + most_below(case, case.planned)

    def run(self, case: Case, grader: Grader | None) -> Program:
        options: Options = case.options
        minds = [_Mind(call, options.opens, options.tokens) for call in case.answers(case.planned)]
        thinking, round = list(minds), 0
        while thinking:
            replies = yield from every([_think(mind, options, round) for mind in thinking])
            pairs = zip(thinking, replies, strict=True)
            thinking = [mind for mind, reply in pairs if _goes_on(mind, reply, options)]
            round += 1
        # A mind whose thinking failed answers from what it has thought so far.
        shown = len(minds) == 1 and not options.threshold and case.may_show
        last = yield from every([_answer(mind, options, round, shown) for mind in minds])
        answers = came(last)
        # An engine that ignores `stop` has answered with its thoughts: better than nothing.
        said = answers or [mind.said for mind in minds if mind.said is not None]
        verdict = vote(said, grader, len(minds))
        if len(minds) == 1 and answers:
            verdict = replace(verdict, decided=None)
        verdict = explained(
            replace(verdict, decided=verdict.decided if answers else False),
            thinking={mind.call.name: options.tokens - max(0, mind.left) for mind in minds},
            waits={mind.call.name: mind.waits for mind in minds},
            stopped=why(last, minds),
        )
        return (yield from settle(case, verdict, grader, round + 1))


@dataclass(slots=True)
class _Mind:
    """One draft: its thoughts so far, with the opening mark, and the tokens it has left."""

    call: Call
    thoughts: str
    left: int
    waits: int = 0
    said: Reply | None = None


def _think(mind: _Mind, options: Options, round: int) -> Call:
    """Return the call that goes on thinking, up to the mark or the end of the budget."""
    return replace(
        mind.call,
        name=f"{mind.call.name}-think-{round}",
        round=mind.call.round + round,
        prefix=mind.thoughts or None,
        params={
            **prompts.FREE,
            "stop": [options.closes.strip()],
            "max_tokens": mind.left,
            "max_completion_tokens": None,
        },
    )


def _goes_on(mind: _Mind, reply: Reply, options: Options) -> bool:
    """Add what was thought, and tell whether this mind is made to think on."""
    if not reply.ok:
        return False
    # Some engines return the stop sequence: it must not stay.
    thought = reply.raw.partition(options.closes.strip())[0].rstrip()
    used = reply.completion_tokens
    mind.left -= tokens(thought) - tokens(mind.thoughts) if used is None else max(0, used)
    mind.thoughts = max(mind.thoughts, thought, key=len)
    mind.said = reply if reply.text else mind.said
    if not reply.complete or mind.left <= 0 or mind.waits >= options.waits:
        return False
    mind.waits += 1
    mind.thoughts += options.wait
    return True


def _answer(mind: _Mind, options: Options, round: int, shown: bool) -> Call:
    call = mind.call
    return replace(
        call,
        round=call.round + round,
        prefix=mind.thoughts + options.closes,
        thoughts=mind.thoughts.removeprefix(options.opens).strip(),
        # SGLang's parser of reasoning does not see the end of thinking that stands in the prefix.
        params={"separate_reasoning": False},
        shown=shown,
    )
