"""How long, and in how much memory, `its-eval report` and `compare` read large runs.

Run: `python tests/bench/report.py [--samples 20000] [--megabytes 400]`. It writes two runs of that
many samples, and one of a few samples that is as large, into a temporary folder. Status 1: 20,000
samples took more than 10 s or 500 MB, or a large run much more than a small one.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

SECONDS, MEGABYTES = 10.0, 500.0
GROWTH_MEGABYTES = 60.0
"""What a run of long answers may need more than one of short ones, as it is read row by row."""


def write_run(folder: Path, samples: int, megabytes: float, seed: int = 0) -> Path:
    """Write a run of `samples`, 16 of a problem, whose texts have `megabytes` in all."""
    folder.mkdir(parents=True)
    each, problems = 16, max(1, samples // 16)
    settings = {"task": "t", "problems": problems, "samples": each, "model": "m"}
    (folder / "run.json").write_text(json.dumps({"settings": settings}))
    rng, text = random.Random(seed), "x" * int(megabytes * 1e6 / samples)
    with (folder / "samples.jsonl").open("w") as file:
        for number in range(problems * each):
            key, sample = divmod(number, each)
            right = rng.random() < (key % 10) / 10
            answer = str(key if right else rng.randint(0, 5))
            row = {
                "id": f"p{key}", "sample": sample, "seed": number, "gold": str(key),
                "prompt": f"What is {key}?", "text": text, "answer": answer, "correct": right,
                "finish_reason": "stop", "tokens": rng.randint(100, 9000), "seconds": 1.0,
            }  # fmt: skip
            file.write(json.dumps(row) + "\n")
    return folder


def measured(*words: object) -> tuple[float, float]:
    """Return the CPU seconds and megabytes of an `its-eval` command: others may be at work here."""
    line = [sys.executable, "-m", "eval", *map(str, words)]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(line)} ended with {status}")
    return used.ru_utime + used.ru_stime, _megabytes(used)


def _megabytes(used: resource.struct_rusage) -> float:
    return used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--megabytes", type=float, default=400.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        many = [write_run(place / n, args.samples, 40.0, seed) for seed, n in enumerate("ab")]
        short = [write_run(place / f"s{n}", 160, 0.1, seed) for seed, n in enumerate("ab")]
        long = [
            write_run(place / f"l{n}", 160, args.megabytes, seed) for seed, n in enumerate("ab")
        ]
        raise SystemExit(_judged(many, short, long))


def _judged(many: list[Path], short: list[Path], long: list[Path]) -> int:
    fault = 0
    for command, count in (("report", 1), ("compare", 2)):
        seconds, size = measured(command, *many[:count])
        small = measured(command, *short[:count])[1]
        large = measured(command, *long[:count])[1]
        slow = seconds > SECONDS or size > MEGABYTES or large > small + GROWTH_MEGABYTES
        fault = fault or int(slow)
        told = {
            "command": command, "samples_seconds": round(seconds, 1), "samples_mb": round(size),
            "short_answers_mb": round(small), "long_answers_mb": round(large), "good": not slow,
        }  # fmt: skip
        print(json.dumps(told))
    return fault


if __name__ == "__main__":
    main()
