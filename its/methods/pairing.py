"""Who won against whom, and which pair to compare next."""

from dataclasses import dataclass, field
from itertools import combinations

from .seam import Reply


@dataclass
class Table:
    """The candidates, and for each pair that was compared the winner's index, or `None`."""

    drafts: list[Reply]
    votes: list[int]
    results: dict[tuple[int, int], int | None] = field(default_factory=dict)
    left_out: int = 0

    def rating(self, n: int) -> float:
        """Return the share of comparisons won, a silent one being half, with one half added."""
        played = [result for pair, result in self.results.items() if n in pair]
        won = sum(0.5 if result is None else float(result == n) for result in played)
        return (won + 0.5) / (len(played) + 1)

    def next_round(self, left: int) -> list[tuple[int, int]]:
        """Return pairs that share no draft: those of the closest rating, not compared so far."""
        games = [sum(n in pair for pair in self.results) for n in range(len(self.drafts))]
        rating = [self.rating(n) for n in range(len(self.drafts))]
        pairs = [p for p in combinations(range(len(self.drafts)), 2) if p not in self.results]
        pairs.sort(key=lambda p: (abs(rating[p[0]] - rating[p[1]]), games[p[0]] + games[p[1]], p))
        taken: list[tuple[int, int]] = []
        for pair in pairs:
            if not any(set(pair) & set(other) for other in taken):
                taken.append(pair)
        return taken[:left]

    @property
    def account(self) -> dict[str, object]:
        """What was compared, as JSON: names of calls, and the winner's or `None`."""
        names = [draft.call.name for draft in self.drafts]
        return {
            "ratings": {name: round(self.rating(n), 4) for n, name in enumerate(names)},
            "comparisons": [
                [names[a], names[b], None if won is None else names[won]]
                for (a, b), won in self.results.items()
            ],
            "left_out": {"drafts": 0, "tokens": self.left_out},
        }
