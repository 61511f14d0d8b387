"""What our launch scripts and manifests say, read by SGLang's own parsers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.sglang.conftest import environ, python

DOCKER = ROOT / "docker"
RUN = {"Deployment", "StatefulSet"}
READ = {
    "sglang.launch_server": "from sglang.srt.server_args import ServerArgs as A",
    "sglang_router.launch_router": "from sglang_router.router_args import RouterArgs as A",
}
PARSE = """
import argparse, json, sys
{imported}
parser = argparse.ArgumentParser(allow_abbrev=False)
if "sglang_router" in A.__module__:
    parser.add_argument("--host"); parser.add_argument("--port", type=int)
    A.add_cli_args(parser, exclude_host_port=True)
else:
    A.add_cli_args(parser)
print(json.dumps(vars(parser.parse_args(sys.argv[1:])), default=str))
"""
SHOW = "#!/usr/bin/env python3\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n"


def parsed(module: str, args: list[str]) -> dict[str, object]:
    """Return what the server's own parser makes of `args`."""
    program = PARSE.format(imported=READ[module])
    ran = subprocess.run(
        python("-c", program, *args), env=environ(), capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr[-1500:]
    found: dict[str, object] = json.loads(ran.stdout.splitlines()[-1])
    return found


def started(script: Path, bin_: Path, args: list[str], more: dict[str, str]) -> list[str]:
    """Return what a launch script would have run."""
    bin_.mkdir(exist_ok=True)
    shown = bin_ / "python3"
    shown.write_text(SHOW.replace("/usr/bin/env python3", sys.executable))
    shown.chmod(0o755)
    env = {**os.environ, **more, "PATH": f"{bin_}:{os.environ['PATH']}"}
    ran = subprocess.run([script, *args], env=env, capture_output=True, text=True, check=True)
    line: list[str] = json.loads(ran.stdout)
    return line


@pytest.mark.parametrize("name", ["1.5b", "7b", "32b", "lora"])
def test_launch_scripts(name: str, tmp_path: Path) -> None:
    args = ["/checkpoints/s", "m", *(["/s", "/u", "/r"] if name == "lora" else [])]
    more = {"TP": "2", "REASONING": "deepseek-r1", "REPRODUCIBLE": "1"}
    script = DOCKER / "sglang" / f"{name}.sh"
    _, module, *flags = started(script, tmp_path / "bin", args, more)
    found = parsed(module, flags)
    assert found["model_path"] == "/checkpoints/s"
    assert found["served_model_name"] == "m"
    assert found["tp_size"] == 2
    assert found["context_length"] == 32768
    assert found["reasoning_parser"] == "deepseek-r1"
    assert found["enable_cache_report"] is True
    assert found["enable_deterministic_inference"] is (name != "lora")


@pytest.mark.parametrize("file", ["engine/engine.yaml", "router/router.yaml"])
def test_manifests(file: str) -> None:
    things = yaml.safe_load_all((DOCKER / "k8s" / file).read_text("utf-8"))
    pod = next(thing["spec"]["template"]["spec"] for thing in things if thing["kind"] in RUN)
    container = pod["containers"][0]
    found = parsed(container["command"][-1], container["args"])
    assert found["port"] == 30000
    if file.startswith("router"):
        assert found["disable_circuit_breaker"] is True
        assert found["retry_max_retries"] == 1
        assert found["selector"] == ["role=engine", "member=$(MEMBER)"]


def test_an_unknown_flag_is_found() -> None:
    with pytest.raises(AssertionError, match="unrecognized arguments"):
        parsed("sglang.launch_server", ["--model-path", "m", "--no-such-flag"])
