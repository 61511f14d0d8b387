"""How a name that does not exist is told: the nearest one, and all that there are."""

from collections.abc import Iterable
from difflib import get_close_matches


def unknown(what: str, name: str, available: Iterable[str], of: str = "") -> str:
    """Return the message, such as "Unknown strategy 'simlar'. Did you mean 'similar'? ...".

    `of` says whose `what` it is, as in "Unknown option 'kinds' of the strategy 'noise'.".
    """
    names = list(available)
    near = get_close_matches(name[:100], names, 1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    whose = f" of {of}" if of else ""
    return f"Unknown {what} {name[:100]!r}{whose}.{meant} Available: {', '.join(names) or 'none'}."
