"""The manifests for Kubernetes, rendered and held together; no cluster is faked."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT, require_or_skip
from tests.docker.panels import checked
from tests.environments import environment

K8S = ROOT / "docker" / "k8s"
VARIANTS = ("base", "fleet")
RUN = {"Deployment", "StatefulSet"}
BY_HAND = {("Secret", "its-keys")}
"""What base/kustomization.yaml tells people to make."""

Thing = dict[str, Any]


def render(variant: str) -> str:
    kubectl = shutil.which("kubectl")
    if not kubectl:
        require_or_skip("kubectl is not installed")
    ran = subprocess.run(
        [str(kubectl), "kustomize", K8S / variant], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert "deprecated" not in ran.stderr
    return ran.stdout


@pytest.fixture(scope="module", params=VARIANTS)
def things(request: pytest.FixtureRequest) -> list[Thing]:
    return list(yaml.safe_load_all(render(request.param)))


def pods(things: list[Thing]) -> dict[str, Thing]:
    """Return the pod templates by the name of what runs them."""
    return {t["metadata"]["name"]: t["spec"]["template"] for t in things if t["kind"] in RUN}


def containers(things: list[Thing]) -> dict[str, Thing]:
    """Return the one container of each pod."""
    return {name: pod["spec"]["containers"][0] for name, pod in pods(things).items()}


def matches(selector: Thing, labels: Thing) -> bool:
    return selector.items() <= labels.items()


@pytest.mark.parametrize("variant", VARIANTS)
def test_kubernetes_takes_them(variant: str, tmp_path: Path) -> None:
    validate = environment("kubernetes-validate", "1.37.0").with_name("kubernetes-validate")
    file = tmp_path / "rendered.yaml"
    file.write_text(render(variant), "utf-8")
    ran = subprocess.run([validate, "--strict", file], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_all_is_in_one_namespace_and_named_once(things: list[Thing]) -> None:
    assert {thing["metadata"]["namespace"] for thing in things} == {"its"}
    names = [(thing["kind"], thing["metadata"]["name"]) for thing in things]
    assert len(names) == len(set(names))


def test_services_lead_somewhere(things: list[Thing]) -> None:
    for service in (thing for thing in things if thing["kind"] == "Service"):
        led = [
            container
            for name, container in containers(things).items()
            if matches(service["spec"]["selector"], pods(things)[name]["metadata"]["labels"])
        ]
        assert len(led) == 1, service["metadata"]["name"]
        opened = led[0]["ports"][0]
        wanted = service["spec"]["ports"][0]
        assert wanted.get("targetPort", wanted["port"]) in (opened["name"], opened["containerPort"])


def test_what_pods_name_is_there(things: list[Thing]) -> None:
    there = {(thing["kind"], thing["metadata"]["name"]) for thing in things} | BY_HAND
    for pod in pods(things).values():
        spec = pod["spec"]
        if "serviceAccountName" in spec:
            assert ("ServiceAccount", spec["serviceAccountName"]) in there
        for volume in spec.get("volumes", []):
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            assert claim is None or ("PersistentVolumeClaim", claim) in there
            secret = volume.get("secret", {}).get("secretName")
            assert secret is None or ("Secret", secret) in there
            settings = volume.get("configMap", {}).get("name")
            assert settings is None or ("ConfigMap", settings) in there
    for thing in things:
        if thing["kind"] == "HorizontalPodAutoscaler":
            target = thing["spec"]["scaleTargetRef"]
            assert (target["kind"], target["name"]) in there
        if thing["kind"] == "RoleBinding":
            assert {s["namespace"] for s in thing["subjects"]} == {"its"}
            assert all((s["kind"], s["name"]) in there for s in thing["subjects"])


def reaches(things: list[Thing], role: str) -> set[str]:
    """Return the roles of the pods that may open a connection to pods of `role`."""
    policies = [thing["spec"] for thing in things if thing["kind"] == "NetworkPolicy"]
    assert any(p["podSelector"] == {} and not p.get("ingress") for p in policies), "default: nobody"
    allowed = set()
    for policy in policies:
        if policy["podSelector"].get("matchLabels") == {"role": role}:
            for rule in policy.get("ingress", []):
                for peer in rule.get("from", [{"podSelector": {"matchLabels": {"role": "*"}}}]):
                    allowed.add(peer["podSelector"]["matchLabels"]["role"])
    return allowed


def test_only_proxies_reach_engines() -> None:
    base, fleet = (list(yaml.safe_load_all(render(variant))) for variant in VARIANTS)
    assert reaches(base, "engine") == {"proxy"}
    assert reaches(fleet, "engine") == {"router"}
    assert reaches(fleet, "router") == {"proxy"}
    for things in (base, fleet):
        assert reaches(things, "redis") == {"proxy"}
        assert reaches(things, "proxy") == {"*"}


def test_pods_may_do_little(things: list[Thing]) -> None:
    for name, pod in pods(things).items():
        container = pod["spec"]["containers"][0]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name
        assert container["securityContext"]["allowPrivilegeEscalation"] is False, name
        assert {"requests", "limits"} <= container["resources"].keys(), name
        if not name.startswith("router"):
            assert pod["spec"]["automountServiceAccountToken"] is False, name
        if not name.startswith("engine"):
            assert pod["spec"]["securityContext"]["runAsNonRoot"] is True, name
        if name in ("its-proxy", "redis"):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, name


def test_answers_end_before_a_proxy_does(things: list[Thing]) -> None:
    panels = next(thing["data"]["panels.toml"] for thing in things if thing["kind"] == "ConfigMap")
    drain = float(re.search(r"^drain_seconds = (\d+)", panels, re.MULTILINE)[1])  # type: ignore[index]
    pod = pods(things)["its-proxy"]["spec"]
    waits = float(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > drain + waits


def test_engines_are_started_as_the_script_does(things: list[Thing]) -> None:
    script = (ROOT / "docker" / "sglang" / "32b.sh").read_text("utf-8")
    listed = script[script.index("arguments=(") : script.index("\n)")]
    known = dict(re.findall(r"(--[a-z-]+)(?: +([^\s#-]\S*))?", listed))
    for name in ("engine-s", "engine-u", "engine-r"):
        given = {flag.partition("=")[0]: flag.partition("=")[2] for flag in args(things, name)}
        assert given.keys() == known.keys()
        for flag in ("--dtype", "--context-length", "--mem-fraction-static", "--port"):
            assert given[flag] == known[flag], flag
        gpus = containers(things)[name]["resources"]["limits"]["nvidia.com/gpu"]
        assert given["--tp-size"] == gpus


def args(things: list[Thing], name: str) -> list[str]:
    return list(containers(things)[name]["args"])


def test_the_proxy_takes_their_configuration(things: list[Thing], tmp_path: Path) -> None:
    panels = next(thing["data"]["panels.toml"] for thing in things if thing["kind"] == "ConfigMap")
    services = {thing["metadata"]["name"] for thing in things if thing["kind"] == "Service"}
    named = set(re.findall(r"(?:http|redis)://([a-z-]+):", panels))
    assert named <= services
    assert len(named) == 4
    said = checked(panels, tmp_path)
    assert said.count("co-design verified") == 3, said


def test_the_secret_that_people_make_has_every_key(things: list[Thing]) -> None:
    panels = next(thing["data"]["panels.toml"] for thing in things if thing["kind"] == "ConfigMap")
    keys = tomllib.loads(panels)["keys"]
    assert [name for name, key in keys.items() if key.get("metrics")] == ["prometheus"]
    named = {key["secret"].removeprefix("file:/run/secrets/its/") for key in keys.values()}
    for told in (K8S / "base" / "kustomization.yaml", ROOT / "docs" / "deployment.md"):
        assert set(re.findall(r"--from-literal=([a-z]+)=", told.read_text("utf-8"))) == named, told
