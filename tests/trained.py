"""Data sets and manifests of every strategy, with a system text and an instruction, for parity."""

import json
from pathlib import Path

from its import manifest, strategies
from its.manifest import Manifest
from sft.commands.options import PlacementOption, contexts_of, with_texts
from sft.data import record as records
from sft.data.build import BuildOptions, build

SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."
INSTRUCTION = "Answer in one line: {no} more.\n"
ROWS = [
    ("Ann has 3 pens and buys 4 more. How many pens has she?", "She has 3 + 4 = 7.\n\\boxed{7}"),
    ("  Let $\\frac{1}{2}x = 3$ in {braces}.\n\n\nFind x. \n", "<think>\nso\n</think>\n\n6"),
    ("\u00bd of \u4eca\u65e5 \U0001f600 is 12,\twhat is all?", "24"),
    (f"2 + 2 = \n\n{INSTRUCTION}", "4"),
]
NOTES = [
    {"text": "Add what is bought to what was there.", "question": "Bo has 5 pens. He buys 9 more."},
    {"text": "To find x, divide by the fraction.", "question": "Let $2x = 8$. Find x."},
    {"text": "A half twice is all of it.", "question": "A third of it is 9, what is all?"},
]


def write_all(folder: Path) -> str:
    """Build `folder/STRATEGY` for each strategy; return the members' tables (`{engine}` is theirs).

    The placements of context and instruction take turns, so that all four occur.
    """
    rows, notes = folder / "rows.jsonl", folder / "notes.jsonl"
    lines = [{"question": question, "solution": answer} for question, answer in ROWS]
    for file, content in ((rows, lines), (notes, NOTES)):
        file.write_text("".join(json.dumps(line) + "\n" for line in content), "utf-8")
    places = (PlacementOption.before, PlacementOption.after)
    tables = ["[personas]", *(f'{need} = "{notes}"' for need in ("notes", "examples", "concepts"))]
    for number, (name, strategy) in enumerate(strategies.STRATEGIES.items()):
        how = contexts_of(name, places[number % 2], notes=notes if strategy.needs else None)
        how = with_texts(how, SYSTEM, INSTRUCTION, places[number // 2 % 2])
        assert build(BuildOptions(source=str(rows)), how, folder / name)
        train = records.read(folder / name).train
        manifest.write(Manifest(manifest.SCHEMA, "base", train), folder / name / manifest.NAME)
        tables += [f"[members.m-{name}]", "{engine}", f'manifest = "{folder / name}"']
    return "\n".join(tables) + "\n"
