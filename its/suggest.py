"""How a name that does not exist is told: the nearest one, and all that there are."""

from collections.abc import Iterable
from difflib import get_close_matches


def unknown(what: str, name: str, available: Iterable[str], of: str = "") -> str:
    """Return the message, such as "Unknown strategy 'simlar'. Did you mean 'similar'? ...".

    `of` says whose `what` it is, as in "Unknown option 'kinds' of the strategy 'noise'.".
    """
    names = list(available)
    near = nearest(name, names)
    meant = f" Did you mean {near!r}?" if near else ""
    whose = f" of {of}" if of else ""
    return f"Unknown {what} {name[:100]!r}{whose}.{meant} Available: {', '.join(names) or 'none'}."


def nearest(name: str, available: Iterable[str]) -> str | None:
    """Return the name that `name` may be a misspelling of; `None` if none is close."""
    by_folded = {each.casefold(): each for each in available}
    near = get_close_matches(name[:100].casefold(), by_folded, 1)
    return by_folded[near[0]] if near else None
