"""Methods one after the other, each fed by the one before.

The layers of Archon (Saad-Falcon et al., arXiv 2409.15254, section 3) and Mixture-of-Agents (Wang
et al., arXiv 2406.04692, section 2.2). A layer hands on its drafts, best first, `keep` of them. A
method that chooses or writes takes them as its drafts; one that asks shows them to its members.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import msgspec
from msgspec.structs import replace

from ..types import Message
from . import drafts as drafting
from . import prompts
from .options import Nested, Voting, needs_of, nested
from .seam import Case, Grader, Need, Program, Reply, Verdict, stand_ins
from .votes import most_below, settle

Table = dict[str, Any]
ROUNDS = 200
"""Rounds that one layer may use: they only order the calls in the account."""

REPLY_TOKENS = 2_048


class Options(Voting, frozen=True, kw_only=True):
    """Tables with `method`, its options, and `members`, `samples` and `keep` of the layer."""

    layers: Annotated[list[Table], msgspec.Meta(min_length=1, max_length=10)]


class Layers:
    options = Options

    def needs(self, options: Options) -> frozenset[Need]:
        return needs_of(options)

    def most_calls(self, case: Case) -> int:
        total, drafts = 0, len(case.drafts)
        for layer, at in _layers(case):
            most = layer.method.most_calls(replace(at, drafts=stand_ins(drafts)))
            total += most
            drafts = min(layer.keep or drafts + most, max(drafts, most))
        return total + most_below(case, drafts)

    def run(self, case: Case, grader: Grader | None) -> Program:
        verdict = Verdict(None)
        told: list[dict[str, Any]] = []
        for layer, at in _layers(case):
            if told:
                at = replace(at, drafts=verdict.ranked, asked=_shown(at, verdict.ranked))
            inner = yield from layer.method.run(at, grader)
            told.append({"method": layer.name, **inner.account})
            if inner.winner is None:  # nothing came: what the layer before found stands
                verdict = replace(verdict, decided=False) if verdict.winner else verdict
                break
            verdict = replace(inner, ranked=inner.ranked[: layer.keep])
            if verdict.withheld:
                break
        verdict = replace(verdict, account={"layers": told})
        if verdict.withheld:
            return verdict
        return (yield from settle(case, verdict, grader, ROUNDS * len(told)))


def _layers(case: Case) -> Iterator[tuple[Nested, Case]]:
    """Yield each layer with its own case; only the last may show a call."""
    options: Options = case.options
    for n, table in enumerate(options.layers):
        layer = nested(table)
        last = n == len(options.layers) - 1 and not options.threshold
        at = layer.case(case, f"layer-{n}", ROUNDS * n, case.drafts if n == 0 else ())
        yield layer, replace(at, may_show=case.may_show and last)


def _shown(case: Case, drafts: Sequence[Reply]) -> tuple[Message, ...]:
    """Return the conversation with the drafts after it, as every member of a layer can read it."""
    least = min(case.members, key=lambda m: case.context_tokens.get(m, drafting.CONTEXT_TOKENS))
    texts = [drafting.said(draft) for draft in drafts]
    fenced = drafting.fence(case, least, texts, "Draft", reply_tokens=REPLY_TOKENS)
    text = drafting.asked(prompts.SYNTHESIZE, fenced, prompts.SYNTHESIZE_END)
    return prompts.after(case.messages, text)
