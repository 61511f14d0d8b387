"""The methods by name. A new method is one file and one line; or an entry point of a package."""

from functools import cache

from ..suggest import unknown
from .adaptive import Adaptive
from .best_of import BestOf
from .escalate import Escalate
from .first_finish import FirstFinish
from .layers import Layers
from .majority import Majority
from .refine import Refine
from .seam import Method
from .steps import Steps
from .synthesize import Synthesize
from .temperatures import Temperatures
from .thinking_budget import ThinkingBudget
from .tournament import Tournament
from .weighted import Weighted

METHODS: dict[str, Method] = {
    "majority": Majority(),
    "adaptive": Adaptive(),
    "escalate": Escalate(),
    "first_finish": FirstFinish(),
    "weighted": Weighted(),
    "best_of": BestOf(),
    "tournament": Tournament(),
    "synthesize": Synthesize(),
    "refine": Refine(),
    "temperatures": Temperatures(),
    "thinking_budget": ThinkingBudget(),
    "steps": Steps(),
    "layers": Layers(),
}

GROUP = "input_time_scaling.methods"
"""The entry points by which other packages add methods."""


class MethodError(ValueError):
    """There is no such method, or the package that should bring it is broken."""


def find(name: str) -> Method:
    """Return the method `name`: one of ours, else the entry point of that name.

    Raises:
        MethodError: there is none, or it cannot be loaded.
    """
    method = METHODS.get(name)
    return _plugin(name) if method is None else method


def names() -> list[str]:
    """Return the names of all methods, ours first."""
    from importlib.metadata import entry_points  # 20 ms that only an unknown name costs

    return list(dict.fromkeys([*METHODS, *sorted(p.name for p in entry_points(group=GROUP))]))


@cache
def _plugin(name: str) -> Method:
    from importlib.metadata import entry_points

    found = list(entry_points(group=GROUP, name=name))
    if not found:
        raise MethodError(unknown("method", name, names()))
    point = found[0]
    at = f"The entry point {name!r} = {point.value!r} of {GROUP}"
    try:
        loaded = point.load()
        method: Method = loaded() if isinstance(loaded, type) else loaded
    except Exception as error:  # whatever somebody's package raises, the name of it must be told
        raise MethodError(f"{at} cannot be loaded: {type(error).__name__}: {error}") from error
    missing = [part for part in _PARTS if not hasattr(method, part)]
    if missing:
        raise MethodError(f"{at} is no method: it has no {', '.join(missing)}.")
    return method


_PARTS = ("options", "needs", "most_calls", "run")
