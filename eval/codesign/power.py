"""What a number of problems can show, reckoned before anything is run.

Run: `python -m eval.codesign.power --problems 1000`. Two cells differ on a share `d` of the
problems; their paired difference then has the standard error sqrt(d / problems) under no effect
(McNemar's test; Connor 1987, Biometrics 43:207). Means over several cells have less: the figure
for groups takes the cells' noise as independent, so the truth lies between the two. Training seeds
add a spread that problems cannot show.
"""

import argparse
import json
from math import sqrt
from statistics import NormalDist

DISCORDANT = (0.10, 0.25)


def detectable(problems: int, discordant: float, both: int = 1, one: int = 1) -> float:
    """Return the difference of two shares that a two-sided 5 % test finds four times in five.

    `both` and `one` are the numbers of cells whose means are compared.
    """
    if problems < 1 or not 0 < discordant <= 1 or both < 1 or one < 1:
        raise ValueError("needs problems and cells >= 1, and a discordant share in (0, 1]")
    z = NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)
    return z * sqrt(discordant / problems * (1 / both + 1 / one) / 2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", type=int, required=True)
    parser.add_argument("--both", type=int, default=9, help="cells with a context in both stages")
    parser.add_argument("--one", type=int, default=3, help="cells with a context in one stage")
    args = parser.parse_args()
    found = {
        f"discordant {share:.0%}": {
            "two cells": detectable(args.problems, share),
            "two groups": detectable(args.problems, share, args.both, args.one),
        }
        for share in DISCORDANT
    }
    print(json.dumps({"problems": args.problems, "detectable": found}, indent=2))


if __name__ == "__main__":
    main()
