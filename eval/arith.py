"""Two-step word problems of our own, made by a seeded generator: no data set, no licence.

Each template is a story whose solution takes two operations. The numbers are drawn so that a
model of half a billion parameters solves about half of the problems.
"""

from collections.abc import Callable
from random import Random

from its import seeds

from .problem import Problem

Template = Callable[[Random], tuple[str, int]]


def _bakery(rng: Random) -> tuple[str, int]:
    trays, rolls = rng.randint(6, 19), rng.randint(12, 29)
    sold = rng.randint(20, trays * rolls - 10)
    return (
        f"A baker fills {trays} trays with {rolls} rolls each and sells {sold} of the rolls."
        " How many rolls are left?",
        trays * rolls - sold,
    )


def _savings(rng: Random) -> tuple[str, int]:
    weekly, weeks = rng.randint(13, 48), rng.randint(7, 24)
    bike = weekly * weeks + rng.randint(15, 195)
    return (
        f"Priya saves {weekly} dollars every week for {weeks} weeks. The bicycle she wants"
        f" costs {bike} dollars. How many dollars does she still need?",
        bike - weekly * weeks,
    )


def _garden(rng: Random) -> tuple[str, int]:
    rows, plants, dead = rng.randint(9, 24), rng.randint(14, 28), rng.randint(2, 9)
    return (
        f"A gardener plants {rows} rows of {plants} seedlings. In every row {dead} seedlings die."
        " How many seedlings survive?",
        rows * (plants - dead),
    )


def _pool(rng: Random) -> tuple[str, int]:
    litres, minutes, start = rng.randint(12, 38), rng.randint(11, 35), rng.randint(80, 470)
    return (
        f"A pool holds {start} litres. A pump adds {litres} litres a minute for {minutes} minutes."
        " How many litres does the pool hold then?",
        start + litres * minutes,
    )


def _bus(rng: Random) -> tuple[str, int]:
    full, got_off, got_on = rng.randint(180, 390), rng.randint(78, 169), rng.randint(45, 98)
    return (
        f"A train leaves with {full} passengers. At the first stop {got_off} get off and"
        f" {got_on} get on. How many passengers are on the train now?",
        full - got_off + got_on,
    )


def _orchard(rng: Random) -> tuple[str, int]:
    crates, each, rotten = rng.randint(4, 12), rng.randint(13, 34), rng.randint(14, 65)
    return (
        f"A farmer picks {crates * each + rotten} apples, throws away {rotten} rotten ones and"
        f" packs the rest evenly into {crates} crates. How many apples are in each crate?",
        each,
    )


def _stadium(rng: Random) -> tuple[str, int]:
    blocks, rows, seats = rng.randint(3, 9), rng.randint(8, 15), rng.randint(11, 24)
    return (
        f"A stadium has {blocks} blocks. Every block has {rows} rows of {seats} seats."
        " How many seats does the stadium have?",
        blocks * rows * seats,
    )


def _printer(rng: Random) -> tuple[str, int]:
    rate, first, second = rng.randint(12, 34), rng.randint(8, 25), rng.randint(6, 18)
    return (
        f"A press prints {rate} posters a minute. It runs {first} minutes in the morning and"
        f" {second} minutes in the afternoon. How many posters does it print?",
        rate * (first + second),
    )


TEMPLATES: tuple[Template, ...] = (
    _bakery,
    _savings,
    _garden,
    _pool,
    _bus,
    _orchard,
    _stadium,
    _printer,
)


def problems(count: int, seed: int) -> list[Problem]:
    """Return `count` different problems; the same seed gives the same ones, and a prefix of more.

    Answers are positive integers.
    """
    found: dict[str, Problem] = {}
    draw = 0
    while len(found) < count:
        template = TEMPLATES[draw % len(TEMPLATES)]
        text, answer = template(seeds.rng("arith", seed, draw))
        found.setdefault(text, Problem(f"arith-{seed}-{draw}", text, str(answer)))
        draw += 1
    return list(found.values())
