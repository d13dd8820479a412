"""Containers are told what their service knows, all that it needs, and no secret that stands in this repository."""

import subprocess
from pathlib import Path

import pytest
import trustme
import yaml

import outlook_sandbox.settings
from common.settings import read_settings
from tests.deploy.manifests import (
    K8S,
    KINDS,
    NAME,
    OVERLAYS,
    SERVICES,
    Manifest,
    config_of,
    in_vault,
    named,
    of_kind,
    overlay,
    pod_templates,
    secrets_of,
    with_component,
)

NOT_SETTINGS = {"POD_NAME", "SECRETS_DIR", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_EXPORTER_OTLP_ENDPOINT"}
"""OpenTelemetry's own variables, what they are made of, and where secrets are."""
STORES = {
    "MONGODB_URL": "mongodb://auth:word@mongodb.example.com:27017/?replicaSet=rs0",
    "REDIS_URL": "rediss://redis.example.com:6379/0",
}

Secrets = dict[str, dict[str, str]]
"""Of each service by its name."""


@pytest.fixture(scope="module")
def made() -> Secrets:
    """The Secrets that the local overlay's script prints."""
    printed = subprocess.run([K8S / "overlays/local/secrets.sh"], capture_output=True, check=True).stdout
    return {secret["metadata"]["name"]: secret["stringData"] for secret in yaml.safe_load_all(printed) if secret}


def templates_of(manifests: tuple[Manifest, ...], name: str) -> list[Manifest]:
    return [template for _, template in pod_templates(manifests) if template["metadata"]["labels"][NAME] == name]


@pytest.mark.parametrize("name", KINDS)
def test_every_variable_is_a_setting_of_its_service(manifests: tuple[Manifest, ...], made: Secrets, name: str) -> None:
    known = {field.upper() for field in KINDS[name].model_fields} | NOT_SETTINGS

    assert made[name].keys() <= known
    assert in_vault(manifests).get(name, set()) <= known
    for template in templates_of(manifests, name):
        assert config_of(manifests, template).keys() <= known


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("folder", OVERLAYS)
def test_a_service_is_told_all_that_it_needs(
    folder: str, name: str, made: Secrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifests = overlay(folder)
    authority = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(authority))
    for template in templates_of(manifests, name):
        given = config_of(manifests, template)
        for secret in secrets_of(template):
            keys = in_vault(manifests).get(secret, made[secret].keys())
            given |= {key: (STORES | made[secret])[key] for key in keys}
        for field in KINDS[name].model_fields:
            monkeypatch.delenv(field.upper(), raising=False)
        for variable, value in given.items():
            monkeypatch.setenv(variable, str(authority) if variable.endswith("_CA_FILE") else value)
        settings = read_settings(KINDS[name])
        assert not any(value == "localhost:9092" for value in settings.model_dump().values())


def test_the_sandbox_is_told_what_it_knows() -> None:
    (template,) = templates_of(overlay("overlays/local"), "sandbox")
    fields = outlook_sandbox.settings.Settings.model_fields
    known = {str(field.validation_alias or f"SANDBOX_{name.upper()}") for name, field in fields.items()}

    assert config_of(overlay("overlays/local"), template).keys() <= known


def test_no_secret_is_committed(manifests: tuple[Manifest, ...]) -> None:
    assert not of_kind(manifests, "Secret")
    hidden = {
        field.upper() for kind in KINDS.values() for field, info in kind.model_fields.items() if "Secret" in str(info.annotation)
    }
    for given in of_kind(manifests, "ConfigMap"):
        # Without passwords: a cluster on one machine has none.
        assert given["data"].keys() & hidden <= {"MONGODB_URL", "REDIS_URL"}
        assert not any("@" in value for value in given["data"].values())


def test_what_callers_show_is_what_the_doors_accept(made: Secrets) -> None:
    shown = {name: secret["SERVICE_CREDENTIAL"] for name, secret in made.items() if "SERVICE_CREDENTIAL" in secret}
    accepted = {
        name: set(secret["SERVICE_CREDENTIALS"].split(",")) for name, secret in made.items() if "SERVICE_CREDENTIALS" in secret
    }

    assert accepted["auth"] == {shown[name] for name in ("settings-web", "sync-worker", "renewer", "cli")}
    assert shown["cli"] in accepted["settings-web"] & accepted["sync-worker"]
    assert made["renewer"]["CLIENT_STATE_KEYS"] == made["webhook-gateway"]["CLIENT_STATE_KEYS"]


@pytest.mark.parametrize("service", SERVICES)
def test_secret_files_are_the_services_own_and_stand_nowhere_else(service: str, tmp_path: Path) -> None:
    spec = named(with_component("secret-files", tmp_path), "Deployment", service)["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    (mounted,) = container["volumeMounts"]

    assert {"name": "SECRETS_DIR", "value": mounted["mountPath"]} in container["env"]
    assert {volume["name"]: volume["secret"]["secretName"] for volume in spec["volumes"]} == {mounted["name"]: service}
    assert not any("secretRef" in source for source in container["envFrom"])
