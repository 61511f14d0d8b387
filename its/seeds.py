"""Seeds derived by SHA-256: the same in every process, whatever Python's hash seed is."""

import hashlib
from random import Random


def derive(*parts: str | int) -> int:
    """Return a seed in [0, 2**31) from `parts`; engines take no wider one."""
    return _digest(parts) % 2**31


def rng(*parts: str | int) -> Random:
    """Return a generator of its own, seeded by `parts`."""
    return Random(_digest(parts))


def _digest(parts: tuple[str | int, ...]) -> int:
    pieces: list[bytes] = []
    for part in parts:
        data = str(part).encode("utf-8", "surrogatepass")
        # The length in front keeps ("ab", "c") and ("a", "bc") apart.
        pieces += (len(data).to_bytes(8, "big"), data)
    return int.from_bytes(hashlib.sha256(b"".join(pieces)).digest(), "big")
