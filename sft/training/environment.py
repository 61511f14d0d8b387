"""Where Axolotl lives: beside this interpreter, on the PATH, or in the cache of `make train-env`.

Axolotl cannot share an environment with the proxy's demo or with SGLang, so people have two. A
command that needs Axolotl finds the other one by itself.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from its import cache

from ..errors import NoAxolotlError

GPU, CPU = "axolotl-0.21.0", "axolotl-0.21.0-cpu"
"""The folders that `make train-env` and `make test-train` make."""

LENT = "ITS_SFT_ENVIRONMENT"
"""Set where a command already runs in another environment than it was started in."""

NEEDS: Mapping[str, tuple[str, str]] = {
    "deepspeed": ("deepspeed", "'axolotl[deepspeed]==0.21.0'"),
    "use_ray": ("ray", "'axolotl[ray]==0.21.0'"),
    "load_in_4bit": ("bitsandbytes", "bitsandbytes"),
    "load_in_8bit": ("bitsandbytes", "bitsandbytes"),
    "liger_rope": ("liger_kernel", "liger-kernel"),
    "use_wandb": ("wandb", "wandb"),
    "wandb_project": ("wandb", "wandb"),
    "use_tensorboard": ("tensorboard", "tensorboard"),
    "use_trackio": ("trackio", "trackio"),
}
"""Keys of a training file: the module that each needs, and what pip installs for it."""


def axolotl() -> Path:
    """Return the program `axolotl`.

    Raises:
        NoAxolotlError: there is none.
    """
    activated = shutil.which("axolotl")
    places = [
        Path(sys.executable).with_name("axolotl"),
        *([Path(activated)] if activated else []),
        *(cache.folder() / name / "bin" / "axolotl" for name in (GPU, CPU)),
    ]
    for place in places:
        if place.exists():
            return place
    raise NoAxolotlError(
        f"there is no axolotl beside {sys.executable}, on the PATH or in {cache.folder()}. Make an"
        " environment for it: `make train-env` (GPUs, Python >= 3.12) or `make test-train` (CPU)"
    )


def variables(program: Path) -> dict[str, str]:
    """Return the environment variables with which `program` is run.

    Axolotl starts `accelerate` and `torchrun` by name, so its own folder comes first in the PATH.
    A file of the current folder, such as json.py, takes the place of no module, in Axolotl's own
    children neither.
    """
    root = Path(__file__).parents[2]
    # A project's folder may be lent to another Python; a folder of installed packages may not.
    ours = [str(root)] if (root / "pyproject.toml").is_file() else []
    paths = [os.environ.get("PYTHONPATH", ""), *ours]
    return {
        "AXOLOTL_DO_NOT_TRACK": "1",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",  # else Ray's workers do not find the file's relative paths
        **os.environ,
        "PATH": os.pathsep.join([str(program.parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONSAFEPATH": "1",
    }


def check(program: Path, config: Path, content: Mapping[str, Any]) -> None:
    """Hold the environment of `program` to what the training file `config` switches on.

    Raises:
        NoAxolotlError: a package is missing.
    """
    wanted = {key: NEEDS[key] for key in NEEDS if content.get(key)}
    python = program.with_name("python")
    if not wanted or not python.exists():
        return
    missing = _missing(python, sorted({module for module, _ in wanted.values()}))
    for key, (module, package) in wanted.items():
        if module in missing:
            raise NoAxolotlError(
                f"{config}: {key}: needs {module}, which {python.parent.parent} lacks:"
                f" {python} -m pip install {package}"
            )


def _missing(python: Path, modules: Sequence[str]) -> set[str]:
    code = (
        "import sys; from importlib.util import find_spec;"
        " print(*(m for m in sys.argv[1:] if find_spec(m) is None))"
    )
    ran = subprocess.run([python, "-c", code, *modules], capture_output=True, text=True)
    return set(ran.stdout.split())


def borrow(*modules: str) -> None:
    """Run this very command in the environment of Axolotl, where `modules` are missing here.

    Returns where nothing is missing, or where there is no such environment; the caller then says
    what is missing.
    """
    if all(find_spec(name) for name in modules) or os.environ.get(LENT):
        return
    try:
        program = axolotl()
    except NoAxolotlError:
        return
    python = program.with_name("python")
    if not python.exists() or python.parent == Path(sys.executable).parent:
        return
    variables_ = {**variables(program), LENT: str(python.parent.parent)}
    sys.stdout.flush()  # execve replaces the process, and what Python has buffered would be lost
    os.execve(python, [str(python), "-m", "sft", *sys.argv[1:]], variables_)
