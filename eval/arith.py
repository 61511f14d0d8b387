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
        f"A baker fills {trays} trays with {rolls} rolls each and sells {sold} of the rolls"
        " before noon. How many rolls are left?",
        trays * rolls - sold,
    )


def _tickets(rng: Random) -> tuple[str, int]:
    adults, children, price = rng.randint(12, 48), rng.randint(15, 60), rng.randint(7, 14)
    return (
        f"A puppet theatre admits {adults} adults at {price} dollars each and {children} children"
        f" at {price - 4} dollars each. How many dollars does it take in?",
        adults * price + children * (price - 4),
    )


def _savings(rng: Random) -> tuple[str, int]:
    weekly, weeks = rng.randint(13, 37), rng.randint(7, 18)
    bike = weekly * weeks + rng.randint(15, 95)
    return (
        f"Priya saves {weekly} dollars every week for {weeks} weeks. The bicycle she wants costs"
        f" {bike} dollars. How many dollars is she still short of?",
        bike - weekly * weeks,
    )


def _library(rng: Random) -> tuple[str, int]:
    shelves, books = rng.randint(11, 24), rng.randint(18, 35)
    boxes = rng.randint(3, 9)
    return (
        f"A library has {shelves} shelves with {books} books on each. {boxes} boxes arrive with"
        f" {books - 6} books in each. How many books does the library have now?",
        shelves * books + boxes * (books - 6),
    )


def _orchard(rng: Random) -> tuple[str, int]:
    crates, each = rng.randint(6, 15), rng.randint(14, 32)
    pickers = rng.choice([2, 3, 4, 5, 6])
    total = crates * each * pickers
    return (
        f"{pickers} pickers bring in {total} apples in all, each of them the same number. Each"
        f" picker packs the apples evenly into {crates} crates. How many apples are in a crate?",
        each,
    )


def _train(rng: Random) -> tuple[str, int]:
    first, second = rng.randint(2, 6), rng.randint(2, 5)
    fast, slow = rng.randint(85, 140), rng.randint(45, 80)
    return (
        f"A train runs {first} hours at {fast} kilometres an hour and then {second} hours at"
        f" {slow} kilometres an hour. How many kilometres does it cover?",
        first * fast + second * slow,
    )


def _garden(rng: Random) -> tuple[str, int]:
    rows, plants = rng.randint(9, 21), rng.randint(13, 26)
    dead = rng.randint(2, plants - 4)
    return (
        f"A gardener plants {rows} rows of {plants} tomato seedlings. In every row {dead}"
        " seedlings die in a late frost. How many seedlings survive?",
        rows * (plants - dead),
    )


def _pool(rng: Random) -> tuple[str, int]:
    pumps, litres, minutes = rng.randint(2, 5), rng.randint(24, 58), rng.randint(12, 35)
    return (
        f"{pumps} pumps fill a pool, each at {litres} litres a minute. After {minutes} minutes"
        f" the pool holds how many litres, if it held {litres * 3} litres at the start?",
        pumps * litres * minutes + litres * 3,
    )


TEMPLATES: tuple[Template, ...] = (
    _bakery,
    _tickets,
    _savings,
    _library,
    _orchard,
    _train,
    _garden,
    _pool,
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
