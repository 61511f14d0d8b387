"""Where the contexts of a run came from: a run that mixes sources measures none of them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from ..samples import EvalSample

MOST_MIXED = 0.2
"""Share of contexts that may be from other sources than most are, where nobody says otherwise.

A model's texts are refused now and then, and the bank serves instead. A busy or failing writer
leaves many more to the bank.
"""

Sources: TypeAlias = Mapping[str, Mapping[str, float]]
"""For each member, and each strategy that it drew: the share of contexts by source (0 to 1)."""


def sources_of(samples: Iterable[EvalSample]) -> Sources:
    """Return the shares; empty where no sample has a context."""
    counts: dict[str, Counter[str]] = {}
    for sample in samples:
        for asked in _asked(sample):
            if asked.get("source"):
                strategy = asked.get("drawn") or asked.get("strategy")
                name = f"{asked.get('member') or 'model'}, {strategy}"
                counts.setdefault(name, Counter())[asked["source"]] += 1
    return {
        name: {source: number / found.total() for source, number in found.most_common()}
        for name, found in counts.items()
    }


def _asked(sample: EvalSample) -> Iterator[Mapping[str, Any]]:
    """Yield what the proxy says of each call that was answered."""
    if sample.error is not None:
        return
    yield from sample.input_time.get("ballots") or [sample.input_time]


def told(shares: Mapping[str, float]) -> str:
    """Return shares as text: `generate 80.0%, bank 20.0%`."""
    return ", ".join(f"{source} {share:.1%}" for source, share in shares.items())


def mixed_fault(sources: Sources, most: float) -> str | None:
    """Say which contexts are mixed beyond `most` (0 to 1), and what helps; `None` if none are."""
    for name, shares in sources.items():
        if 1 - max(shares.values()) > most:
            return (
                f"the contexts of {name} are mixed: {told(shares)}. At most {most:.0%} may be from"
                " another source than the rest, or the figures describe neither. If the model that"
                " writes was busy or down, run again with --fresh; to accept it, raise the limit"
                " (--max-mixed, or max_mixed in a plan)"
            )
    return None
