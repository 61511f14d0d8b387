"""What this machine lacks for training on a GPU; run by `make train-env`."""

import shutil
import sys
from importlib.metadata import PackageNotFoundError, version


def lacks() -> list[str]:
    """Return what is missing, each with what it is for."""
    import torch

    found = []
    if not torch.cuda.is_available():
        found.append("no GPU is seen: only checks and CPU runs will work")
    for name, why in (
        ("deepspeed", "files with `deepspeed:`; pip install 'axolotl[deepspeed]==0.21.0'"),
        ("flash-attn", "files with `flash_attention_2`; pip install flash-attn"),
        ("liger-kernel", "files with the Liger plugin"),
    ):
        try:
            version(name)
        except PackageNotFoundError:
            found.append(f"{name} is missing: {why}")
    if shutil.which("nvcc") is None:
        found.append("nvcc is missing: DeepSpeed's offloading compiles its optimizer with it")
    return found


def main() -> None:
    """Print it."""
    print(
        f"Python {sys.version.split()[0]}, axolotl {version('axolotl')}, torch {version('torch')}"
    )
    for line in lacks():
        print(f"- {line}")


if __name__ == "__main__":
    main()
