"""Numbers that set no limit: `nan` and the infinities, which TOML, YAML, JSON and options take.

No comparison with `nan` holds, so that it passes a check such as "at least 0".
"""

from collections.abc import Iterable, Mapping
from math import isfinite


def not_finite(value: object, key: str = "") -> str | None:
    """Return the key of the first number in `value` that is not finite; `None`: there is none.

    `value` is anything that was read from a file; `key` is where it stands.
    """
    if isinstance(value, float):
        return None if isfinite(value) else key
    inside: Iterable[tuple[object, object]] = ()
    if isinstance(value, Mapping):
        inside = value.items()
    elif isinstance(value, list):
        inside = enumerate(value)
    found = (not_finite(each, f"{key}.{name}" if key else str(name)) for name, each in inside)
    return next((key for key in found if key is not None), None)
