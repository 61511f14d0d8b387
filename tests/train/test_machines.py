"""Training by `its-sft train` from another environment, and on more than one machine."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from its import manifest
from tests.conftest import PLAIN, ROOT


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def started(work: Path, *args: object, **more: str) -> subprocess.Popen[str]:
    """Start `its-sft` as a shell does that has no environment activated."""
    path = os.pathsep.join(
        place
        for place in os.environ["PATH"].split(os.pathsep)
        if Path(place) != Path(sys.executable).parent
    )
    env = {**os.environ, **PLAIN, "PATH": path, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "sft", *map(str, args)],
        cwd=work, env=env | more, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


ON_A_CPU = """
from axolotl.integrations.base import BasePlugin
class OnCpu(BasePlugin):
    def load_datasets(self, cfg, preprocess=False):
        cfg["device_map"] = {"": "cpu"}  # Axolotl gives each process the GPU of its number
"""


def test_two_machines_train_one_model(work: Path, configured: Callable[..., Path]) -> None:
    """Two launchers on this machine meet as two machines would."""
    (work / "on_a_cpu.py").write_text(ON_A_CPU)
    plugins = ["sft.training.plugin.InputTimePlugin", "on_a_cpu.OnCpu"]
    config = configured("machines", micro_batch_size=2, plugins=plugins)
    flags = ("--nnodes", 2, "--nproc-per-node", 1, "--rdzv-endpoint", f"127.0.0.1:{free_port()}")
    more = {"GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": f"{ROOT}{os.pathsep}{work}"}
    both = [
        started(work, "train", config.name, *flags, "--node-rank", rank, **more) for rank in (0, 1)
    ]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert "--rdzv_id=machines" in said[0].replace("\n", "")
    known = manifest.read(work / "checkpoints" / "machines")
    assert known.train.strategy == "random"
    assert (known.train.world_size, known.train.batch, known.train.steps) == (2, 4, 16)


def test_another_base_is_trained_without_a_change_of_the_file(
    work: Path, tiny: Path, configured: Callable[..., Path]
) -> None:
    config = configured("other", base_model="models/not-there")
    refused = started(work, "train", config.name)
    told = refused.communicate(timeout=60)[0].replace("\n", " ")
    assert refused.returncode == 1
    assert "other.yml: base_model: models/not-there is no folder with a model" in told
    made = started(work, "train", config.name, "--base-model", tiny, "--launcher", "python")
    told = made.communicate(timeout=300)[0]
    assert made.returncode == 0, told
    assert manifest.read(work / "checkpoints" / "other").base_model == str(tiny)


def test_what_a_file_needs_and_the_environment_lacks_is_named(
    work: Path, configured: Callable[..., Path]
) -> None:
    config = configured("deep", deepspeed="sft/deepspeed/zero3.json")
    ended = started(work, "train", config.name)
    told = ended.communicate(timeout=60)[0].replace("\n", " ")
    assert ended.returncode == 2
    assert "deep.yml: deepspeed: needs deepspeed, which" in told
    assert "-m pip install 'axolotl[deepspeed]==0.21.0'" in told


@pytest.mark.parametrize("flag", ["--nnodes=2", "--rdzv-endpoint=h:1"])
def test_torchrun_s_flags_are_not_given_to_another_launcher(flag: str, work: Path) -> None:
    ended = started(work, "train", "x.yml", flag, "--launcher", "python")
    told = ended.communicate(timeout=60)[0]
    assert ended.returncode == 2
    assert "is torchrun's" in told
