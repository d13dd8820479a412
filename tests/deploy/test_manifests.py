"""What every overlay and every component makes is valid, restricted, and judged by kube-score; a rolling update loses nothing."""

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate
import pytest
import yaml
from kubernetes_validate.utils import all_versions, major_minor

from tests.deploy.manifests import NAME, SERVICES, Manifest, matches, name_of, named, of_kind, overlay, pod_templates

VERSIONS = sorted({major_minor(version) for version in all_versions()}, key=lambda version: [*map(int, version.split("."))])[-3:]
SCHEMAS = {path.stem: path for path in (Path(__file__).parent / "schemas").glob("*.json")}
DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"


@cache
def check(manifest: str, version: str) -> None:
    """Raises unless the manifest (JSON) is as this version of Kubernetes, or a custom resource's own schema, wants it."""
    read = json.loads(manifest)
    if read["kind"] in SCHEMAS:
        jsonschema_rs.validate(json.loads(SCHEMAS[read["kind"]].read_text()), read)
    else:
        kubernetes_validate.validate(read, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_valid_for_the_three_newest_versions_of_kubernetes(manifests: tuple[Manifest, ...], version: str) -> None:
    for manifest in manifests:
        check(json.dumps(manifest, sort_keys=True), version)


def test_what_no_version_knows_is_refused() -> None:
    deployment = json.loads(json.dumps(named(overlay("overlays/local"), "Deployment", "auth")))
    deployment["spec"]["template"]["spec"]["containers"][0]["livenessProbes"] = {}
    scaled = json.loads(json.dumps(named(overlay("overlays/production"), "ScaledObject", "sync-worker")))
    scaled["spec"]["maxReplicas"] = 3

    with pytest.raises(kubernetes_validate.ValidationError):
        check(json.dumps(deployment), VERSIONS[-1])
    with pytest.raises(jsonschema_rs.ValidationError):
        check(json.dumps(scaled), VERSIONS[-1])


def test_kube_score_finds_nothing(manifests: tuple[Manifest, ...], kube_score: Path) -> None:
    # Topology spread does for us what it asks of anti-affinity.
    command: list[str | Path] = [
        kube_score,
        "score",
        "-",
        "--output-format",
        "ci",
        "--ignore-test",
        "deployment-has-host-podantiaffinity",
    ]
    command += ["--kubernetes-version", f"v{VERSIONS[-1]}"]
    done = subprocess.run(command, input=yaml.safe_dump_all(manifests), capture_output=True, text=True, timeout=60, check=False)

    findings = [line for line in done.stdout.splitlines() if not line.startswith(("[OK]", "[SKIPPED]"))]
    assert done.stdout
    assert not findings
    assert done.returncode == 0, done.stderr


def test_every_pod_is_restricted_and_has_no_token(manifests: tuple[Manifest, ...]) -> None:
    for workload, template in pod_templates(manifests):
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False, name_of(workload)
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))
        assert all(volume.keys() & {"secret", "emptyDir", "persistentVolumeClaim"} for volume in spec.get("volumes", []))
        for container in spec["containers"]:
            locked = container["securityContext"]
            assert locked["allowPrivilegeEscalation"] is False
            assert locked["capabilities"] == {"drop": ["ALL"]}
            assert locked["readOnlyRootFilesystem"] is (name_of(workload) != "kafka")


def test_every_namespace_lets_in_only_restricted_pods(manifests: tuple[Manifest, ...]) -> None:
    for namespace in of_kind(manifests, "Namespace"):
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("service", SERVICES)
def test_a_rolling_update_takes_a_pod_away_only_after_its_successor_answers_and_the_way_to_it_is_gone(
    manifests: tuple[Manifest, ...], service: str
) -> None:
    deployment = named(manifests, "Deployment", service)
    spec = deployment["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    away = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    finishing = int(_variable("UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN"))

    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert deployment["spec"].get("replicas", 2) >= 2
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == container["startupProbe"]["httpGet"]["path"] == "/livez"
    assert away >= 5
    assert spec["terminationGracePeriodSeconds"] >= away + finishing + 20, "consumers leave after the last answer"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_listens_where_its_image_does_and_evictions_leave_one(manifests: tuple[Manifest, ...], service: str) -> None:
    (container,) = named(manifests, "Deployment", service)["spec"]["template"]["spec"]["containers"]
    labels = named(manifests, "Deployment", service)["spec"]["template"]["metadata"]["labels"]
    exposed = named(manifests, "Service", service)["spec"]
    budget = named(manifests, "PodDisruptionBudget", service)["spec"]

    port = int(_variable("UVICORN_PORT", stage=service))
    assert container["ports"] == [{"name": "http", "containerPort": port}]
    assert exposed["ports"] == [{"name": "http", "port": port, "targetPort": "http"}]
    assert matches({"matchLabels": exposed["selector"]}, labels)
    assert matches(budget["selector"], labels)
    assert budget["maxUnavailable"] == 1


@pytest.mark.parametrize("service", SERVICES)
def test_replicas_are_spread_over_zones_and_nodes_by_service_and_version(manifests: tuple[Manifest, ...], service: str) -> None:
    template = named(manifests, "Deployment", service)["spec"]["template"]
    spread: list[dict[str, Any]] = template["spec"]["topologySpreadConstraints"]

    assert [rule["topologyKey"] for rule in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert all(rule["matchLabelKeys"] == [NAME, "pod-template-hash"] for rule in spread)
    assert all(matches(rule["labelSelector"], template["metadata"]["labels"]) for rule in spread)


def _variable(name: str, stage: str = "runtime") -> str:
    """What a stage of the Dockerfile sets a variable to."""
    (text,) = re.findall(rf"^FROM \S+ AS {stage}\n(.*?)(?=^FROM |\Z)", DOCKERFILE.read_text(), re.DOTALL | re.MULTILINE)
    (value,) = re.findall(rf"\b{name}=(\S+)", text)
    return str(value)
