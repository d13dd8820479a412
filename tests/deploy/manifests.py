"""What `kubectl kustomize` makes of deploy/k8s, and what a container of it would find in its environment."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

import attendara_cli.settings
from attendara_local.configuration import SERVICES as SETTINGS
from common.settings import Part

Manifest = dict[str, Any]

K8S = Path(__file__).parents[2] / "deploy" / "k8s"
OVERLAYS = sorted(path.parent.relative_to(K8S).as_posix() for path in K8S.glob("overlays/*/kustomization.yaml"))
COMPONENTS = sorted(path.name for path in (K8S / "components").iterdir())
SERVICES = tuple(SETTINGS)
KINDS: Mapping[str, type[Part]] = {**SETTINGS, "cli": attendara_cli.settings.Settings}
"""What each container of ours reads."""
KUBECTL = str(Path(sys.executable).with_name("kubectl"))
NAME = "app.kubernetes.io/name"


@cache
def built(folder: Path) -> tuple[Manifest, ...]:
    """Everything in a kustomization."""
    done = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, f"kustomize warns: {done.stderr}"
    return tuple(yaml.safe_load_all(done.stdout))


def overlay(name: str) -> tuple[Manifest, ...]:
    return built(K8S / name)


def of_kind(manifests: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def name_of(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])


def named(manifests: Iterable[Manifest], kind: str, name: str) -> Manifest:
    return next(manifest for manifest in of_kind(manifests, kind) if name_of(manifest) == name)


def pod_templates(manifests: Iterable[Manifest]) -> Iterator[tuple[Manifest, Manifest]]:
    """Each workload with the template of its pods."""
    for manifest in of_kind(manifests, "Deployment", "StatefulSet", "Job"):
        yield manifest, manifest["spec"]["template"]
    for manifest in of_kind(manifests, "CronJob"):
        yield manifest, manifest["spec"]["jobTemplate"]["spec"]["template"]


def config_of(manifests: Iterable[Manifest], template: Manifest) -> dict[str, str]:
    """What stands in the environment of a template's container, but for what comes from Secrets."""
    (container,) = template["spec"]["containers"]
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            found |= named(manifests, "ConfigMap", source["configMapRef"]["name"])["data"]
    return found | {given["name"]: given.get("value", "") for given in container.get("env", [])}


def secrets_of(template: Manifest) -> list[str]:
    """The Secrets whose keys a template's container finds in its environment."""
    (container,) = template["spec"]["containers"]
    return [source["secretRef"]["name"] for source in container.get("envFrom", []) if "secretRef" in source]


def in_vault(manifests: Iterable[Manifest]) -> dict[str, set[str]]:
    """The keys of each Secret that an ExternalSecret makes."""
    return {
        one["spec"]["target"]["name"]: {entry["secretKey"] for entry in one["spec"]["data"]}
        for one in of_kind(manifests, "ExternalSecret")
    }


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector with `matchLabels` and `In` expressions chooses these labels; an empty one chooses all."""
    assert selector.keys() <= {"matchLabels", "matchExpressions"}
    expressions = selector.get("matchExpressions", [])
    assert all(expression["operator"] == "In" for expression in expressions)
    return all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items()) and all(
        labels.get(expression["key"]) in expression["values"] for expression in expressions
    )


def with_component(name: str, folder: Path) -> tuple[Manifest, ...]:
    """The base with one component, put together in `folder`."""
    here = os.path.relpath(K8S.resolve(), folder.resolve())
    kind = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    parts = {"resources": [f"{here}/base"], "components": [f"{here}/components/{name}"]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kind | parts))
    return built(folder)
