"""What `its-sft build` takes: time and memory on synthetic rows as long as OpenThoughts'.

Run: `python -m tests.bench.build [ROWS ...]` (20,000 by default; 114,000 rows are 2 GB). The disk's
own share is shown beside it: the same bytes read twice, copied once and hashed once.
"""

import hashlib
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = [
    "the",
    "sum",
    "of",
    "all",
    "real",
    "numbers",
    "such",
    "that",
    "every",
    "prime",
    "divides",
    "a",
    "side",
    "of",
    "this",
    "triangle",
    "and",
]
ANSWER_CHARACTERS = 17_000
TESTS = 600


def question(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randrange(20, 120))) + f" ${rng.random()}$?"


def write_rows(path: Path, rows: int) -> None:
    rng = random.Random(0)
    long = " ".join(rng.choices(WORDS, k=2 * ANSWER_CHARACTERS // 4))
    with path.open("w") as file:
        for number in range(rows):
            begin = rng.randrange(len(long) // 2)
            length = rng.randrange(ANSWER_CHARACTERS // 2, 3 * ANSWER_CHARACTERS // 2)
            row = {
                "problem": question(rng),
                "deepseek_reasoning": f"{number} {long[begin : begin + length]}",
                "deepseek_solution": "The final answer is \\boxed{4}.",
                "domain": "math",
            }
            file.write(json.dumps(row) + "\n")


def write_tests(path: Path) -> None:
    rng = random.Random(1)
    rows = [json.dumps({"id": i, "problem": question(rng)}) for i in range(TESTS)]
    path.write_text("\n".join(rows) + "\n")


def disk_seconds(path: Path, copy: Path) -> float:
    """Return how long the bytes alone take."""
    began = time.perf_counter()
    shutil.copyfile(path, copy)
    whole = hashlib.sha256()
    with copy.open("rb") as file:
        while block := file.read(1 << 20):
            whole.update(block)
    copy.unlink()
    return time.perf_counter() - began


def measure(rows: int, folder: Path) -> str:
    """Return one row of the table."""
    source, tests = folder / "rows.jsonl", folder / "tests.jsonl"
    write_rows(source, rows)
    write_tests(tests)
    disk = disk_seconds(source, folder / "copy")
    line = [
        sys.executable, "-m", "sft", "build", "--source", "open-thoughts", "--from", str(source),
        "--strategy", "similar", "--decontaminate", str(tests), "--filter", "final-answer",
        "--filter", "boxed", "--out", str(folder / "out"),
    ]  # fmt: skip
    began = time.perf_counter()
    subprocess.run(line, check=True, stderr=subprocess.DEVNULL)
    took = time.perf_counter() - began
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    size = source.stat().st_size / 1e6
    source.unlink()
    shutil.rmtree(folder / "out")
    return f"| {rows:,} ({size:,.0f} MB) | {took:.1f} | {disk:.1f} | {most:,.0f} |"


def main() -> None:
    """Print the table."""
    print(f"`python -m tests.bench.build`, Python {sys.version.split()[0]}, two shared cores:\n")
    print("| rows | seconds | the bytes alone | most memory, MB |\n|---|--:|--:|--:|")
    for rows in map(int, sys.argv[1:] or ["20000"]):
        with tempfile.TemporaryDirectory() as folder:
            print(measure(rows, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
