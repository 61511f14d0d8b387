"""Short two-step word problems with worked solutions, for models too small for GSM8K.

Run: `python -m eval.codesign.problems --out DIR --train 600 --test 1000`. It writes `train.jsonl`,
`test.jsonl` (no problem of one is in the other) and `numbers.jsonl`: our bank of personas, each
with a sentence of numbers that have nothing to do with any question, which distracts models.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from its import seeds
from its.personas import bank

NAMES = ("Ada", "Ben", "Chidi", "Dora", "Emre", "Fay", "Goran", "Hana", "Ivo", "Jun", "Kofi", "Lea")
THINGS = ("shells", "pens", "stamps", "apples", "buttons", "cards", "coins", "beads", "stones")

Worked = tuple[str, str, int]
"""A question, how it is solved, and its answer."""


def _bags(name: str, thing: str, rng: Random) -> Worked:
    own, bags, each = rng.randint(5, 40), rng.randint(2, 9), rng.randint(2, 12)
    total = own + bags * each
    return (
        f"{name} has {own} {thing} and buys {bags} bags of {each} {thing} each."
        f" How many {thing} does {name} have now?",
        f"{bags} bags hold {bags} * {each} = {bags * each}."
        f" Together {own} + {bags * each} = {total}.",
        total,
    )


def _shelf(name: str, thing: str, rng: Random) -> Worked:
    one, two = rng.randint(2, 20), rng.randint(2, 20)
    full = one + two + rng.randint(3, 40)
    left = full - one - two
    return (
        f"A box holds {full} {thing}. {name} takes {one} of them on Monday and {two} on Tuesday."
        f" How many {thing} are left?",
        f"Taken: {one} + {two} = {one + two}. Left: {full} - {one + two} = {left}.",
        left,
    )


def _share(name: str, thing: str, rng: Random) -> Worked:
    friends, each, found = rng.randint(2, 8), rng.randint(3, 12), rng.randint(2, 20)
    return (
        f"{name} shares {friends * each} {thing} evenly among {friends} friends. One friend then"
        f" finds {found} more. How many {thing} does that friend have?",
        f"One share is {friends * each} / {friends} = {each}."
        f" With the find that is {each} + {found} = {each + found}.",
        each + found,
    )


def _change(name: str, thing: str, rng: Random) -> Worked:
    count, price = rng.randint(2, 9), rng.randint(2, 9)
    paid = count * price + rng.randint(1, 30)
    return (
        f"{name} buys {count} {thing} for {price} dollars each and pays with {paid} dollars."
        " How many dollars come back?",
        f"They cost {count} * {price} = {count * price}."
        f" Back come {paid} - {count * price} = {paid - count * price}.",
        paid - count * price,
    )


def _more(name: str, thing: str, rng: Random) -> Worked:
    own, more = rng.randint(4, 40), rng.randint(2, 25)
    total = own + own + more
    return (
        f"{name} has {own} {thing}. A neighbour has {more} more than {name}."
        f" How many {thing} do they have together?",
        f"The neighbour has {own} + {more} = {own + more}."
        f" Together {own} + {own + more} = {total}.",
        total,
    )


def _bus(name: str, thing: str, rng: Random) -> Worked:
    full, off, on = rng.randint(20, 60), rng.randint(3, 19), rng.randint(3, 25)
    now = full - off + on
    return (
        f"A bus has {full} passengers. {off} get off where {name} sells {thing}, and {on} get on."
        " How many passengers are on the bus now?",
        f"After some left: {full} - {off} = {full - off}. Then {full - off} + {on} = {now}.",
        now,
    )


def _boxes(name: str, thing: str, rng: Random) -> Worked:
    boxes, each = rng.randint(2, 9), rng.randint(3, 10)
    red = rng.randint(1, boxes * each - 1)
    blue = boxes * each - red
    return (
        f"{name} packs {red} red and {blue} blue {thing} evenly into {boxes} boxes."
        f" How many {thing} are in each box?",
        f"Together {red} + {blue} = {boxes * each}. In each box {boxes * each} / {boxes} = {each}.",
        each,
    )


STORIES: tuple[Callable[[str, str, Random], Worked], ...] = (
    _bags, _shelf, _share, _change, _more, _bus, _boxes,
)  # fmt: skip

ASIDES = (
    "You own {a} umbrellas and live at number {b}.",
    "You have {a} cousins, and your bus leaves at {b} past.",
    "Your cat is {a} years old and weighs {b} pounds.",
    "You baked {a} pies last week and gave away {b} of them.",
    "Your street has {a} lamps, and {b} of them are broken.",
)


def worked(seed: int) -> Iterator[Worked]:
    """Yield different problems without end; the same seed yields the same ones."""
    seen: set[str] = set()
    draw = 0
    while True:
        rng = seeds.rng("codesign", seed, draw)
        found = STORIES[draw % len(STORIES)](rng.choice(NAMES), rng.choice(THINGS), rng)
        if found[0] not in seen:
            seen.add(found[0])
            yield found
        draw += 1


def write(folder: Path, train: int, test: int, seed: int) -> None:
    """Write the three files into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    every = worked(seed)
    rows = [
        {"id": f"train-{number}", "question": question,
         "solution": f"{solution}\n\\boxed{{{answer}}}"}
        for number, (question, solution, answer) in zip(range(train), every, strict=False)
    ]  # fmt: skip
    tests = [
        {"id": f"test-{number}", "problem": question, "answer": str(answer)}
        for number, (question, _, answer) in zip(range(test), every, strict=False)
    ]
    for name, lines in (("train", rows), ("test", tests), ("numbers", list(_with_numbers(seed)))):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, "utf-8")


def _with_numbers(seed: int) -> Iterator[dict[str, str]]:
    for number, persona in enumerate(bank.load().personas):
        rng = seeds.rng("numbers", seed, number)
        aside = rng.choice(ASIDES).format(a=rng.randint(2, 40), b=rng.randint(2, 40))
        yield {"persona": f"{persona.text} {aside}", "domain": persona.domain.name}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train", type=int, default=600)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    write(args.out, args.train, args.test, args.seed)


if __name__ == "__main__":
    main()
