"""Two-step word problems of our own, made by a seeded generator: no data set, no licence.

Each template is a story whose solution takes two operations. The numbers are drawn so that a
model of half a billion parameters solves about half of the problems, the stories so that it
says so in some 170 tokens.
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


def _cinema(rng: Random) -> tuple[str, int]:
    seats, adults, children = rng.randint(310, 480), rng.randint(115, 198), rng.randint(46, 97)
    return (
        f"A cinema has {seats} seats. It sells {adults} tickets to adults and {children} to"
        " children. How many seats stay empty?",
        seats - adults - children,
    )


def _taxi(rng: Random) -> tuple[str, int]:
    base, rate, distance = rng.randint(6, 19), rng.randint(12, 38), rng.randint(13, 46)
    return (
        f"A taxi costs {base} dollars plus {rate} dollars for every mile."
        f" How many dollars does a ride of {distance} miles cost?",
        base + rate * distance,
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


def _marbles(rng: Random) -> tuple[str, int]:
    own, times = rng.randint(24, 87), rng.randint(6, 17)
    return (
        f"Tom has {own} marbles and Ana has {times} times as many."
        " How many marbles do they have together?",
        own * (times + 1),
    )


def _rope(rng: Random) -> tuple[str, int]:
    pieces, each = rng.randint(7, 19), rng.randint(13, 29)
    rope = pieces * each + rng.randint(15, 140)
    return (
        f"A rope is {rope} metres long. A sailor cuts {pieces} pieces of {each} metres from it."
        " How many metres are left?",
        rope - pieces * each,
    )


TEMPLATES: tuple[Template, ...] = (
    _bakery,
    _savings,
    _cinema,
    _taxi,
    _bus,
    _orchard,
    _marbles,
    _rope,
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
