"""How figures are written, in every table and on the page. Pure."""

from collections.abc import Sequence


def percent(share: float) -> str:
    return f"{share:.1%}"


def signed(difference: float) -> str:
    """Return a difference of shares in points, with its sign."""
    return f"{difference:+.1%}"


def interval(ends: Sequence[float]) -> str:
    return f"{ends[0]:.1%}-{ends[1]:.1%}"


def signed_interval(ends: Sequence[float]) -> str:
    return f"{ends[0]:+.1%} to {ends[1]:+.1%}"


def p_value(p: float) -> str:
    """Return a p-value to three digits, however small it is."""
    return f"{p:.3g}"


def count(mean: float) -> str:
    """Return a mean of counts as a whole number, without separators."""
    return f"{mean:.0f}"
