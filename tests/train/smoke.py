"""`make smoke-135m`: SmolLM2-135M, from its GGUF file to a checkpoint that the proxy takes.

Data is built, the model converted, trained in full and as an adapter, merged, checked; about ten
minutes on two cores. All of it lies in a folder of its own (the first argument, else `smoke/`).
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from its import manifest
from tests.conftest import ROOT

STRATEGY = "random"
PANELS = """
[engines.e]
base_url = "http://127.0.0.1:9/v1"
[members.full]
engine = "e"
model = "full"
strategy = "{strategy}"
manifest = "checkpoints/smoke-cpu"
[members.merged]
engine = "e"
model = "merged"
strategy = "{strategy}"
manifest = "checkpoints/smoke-cpu-lora/merged"
"""


def run(folder: Path, *args: object, ends: int = 0) -> None:
    """Run a module of ours in `folder`, and end if it ends otherwise than it should."""
    line = [sys.executable, "-m", *map(str, args)]
    print(f"\n$ its-{' '.join(map(str, args))}", flush=True)
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        "AXOLOTL_DO_NOT_TRACK": "1",
    }
    if subprocess.run(line, cwd=folder, env=env, check=False).returncode != ends:
        raise SystemExit(f"ended otherwise than with {ends}")


def main() -> None:
    """Run all of it."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "smoke").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    run(folder, "sft", "recipes", "smoke-cpu", "smoke-cpu-lora")
    rows = ("--source", ROOT / "sft/smoke.jsonl", "--rows", 64)
    run(folder, "sft", "build", *rows, "--strategy", STRATEGY, "--out", "data/smoke-r")
    from proxy.tools import models

    model = models.find("smollm2-135m", lambda message, done, total: None)
    run(folder, "sft", "convert", model, "models/smollm2-135m", "--dtype", "float32")
    for name in ("smoke-cpu", "smoke-cpu-lora"):
        run(folder, "sft", "train", f"sft/{name}.yml", "--launcher", "python")
    run(folder, "sft", "merge", "sft/smoke-cpu-lora.yml")
    panels = folder / "panels.toml"
    panels.write_text(PANELS.format(strategy=STRATEGY))
    run(folder, "proxy", "check", "--config", panels, "--explain")
    panels.write_text(PANELS.format(strategy="none"))
    run(folder, "proxy", "check", "--config", panels, ends=2)
    for name in ("smoke-cpu", "smoke-cpu-lora"):
        loss = manifest.read(folder / "checkpoints" / name).train.final_loss
        print(f"{name}: last loss {loss:.3f}")
    print(f"all of it in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
