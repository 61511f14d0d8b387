"""What our layer of the proxy's image adds to its base: the wheels that it installs, and our code.

Run: `python -m tests.docker.size`.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.conftest import ROOT

OURS = ("its", "proxy", "sft", "eval")
EXTRAS = "redis,otel"
"""As docker/proxy.Dockerfile installs."""


def wheels(folder: Path) -> dict[str, int]:
    """Return the bytes of each wheel by its name.

    Raises:
        subprocess.CalledProcessError: the package index cannot be reached.
    """
    line = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    wanted = ["-c", str(ROOT / "constraints" / "base.txt"), "-d", str(folder)]
    subprocess.run(
        [*line, *wanted, f"{ROOT}[{EXTRAS}]"],
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
    )
    return {path.name: path.stat().st_size for path in folder.glob("*.whl")}


def code() -> int:
    """Return the bytes of our packages as a compressed layer."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w:gz") as tar:
        for name in OURS:
            tar.add(ROOT / name, name, filter=_without_caches)
    return len(layer.getvalue())


def _without_caches(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in member.name else member


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = wheels(Path(folder))
    for name, size in sorted(found.items(), key=lambda item: -item[1])[:8]:
        print(f"{size / 1e6:6.1f} MB  {name}")
    print(f"{sum(found.values()) / 1e6:6.1f} MB  {len(found)} wheels in all")
    print(f"{code() / 1e6:6.1f} MB  our code")


if __name__ == "__main__":
    main()
