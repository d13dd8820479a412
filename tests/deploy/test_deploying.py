"""What docs/deploying.md says, as far as it can be done without a cluster: its secrets and the example overlay fit the services."""

import base64
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from attendara_cli.settings import Settings as CliSettings
from attendara_local.configuration import SERVICES
from common.settings import Part, read_settings

ROOT = Path(__file__).parents[2]
KUBECTL = str(Path(sys.executable).with_name("kubectl"))
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / "docs/deploying.md").read_text(), re.MULTILINE | re.DOTALL)
READERS: dict[str, type[Part]] = {**SERVICES, "cli": CliSettings}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the page's own commands fill."""
    folder = tmp_path_factory.mktemp("deploying")
    (commands,) = (block for kind, block in BLOCKS if kind == "sh" and "mkdir -p secrets" in block)
    subprocess.run(["sh", "-eu"], input=commands, cwd=folder, text=True, check=True)
    return folder / "secrets"


@pytest.fixture(scope="module")
def resources() -> list[Any]:
    command = [KUBECTL, "kustomize", str(ROOT / "deploy/k8s/overlays/production")]
    return list(yaml.safe_load_all(subprocess.run(command, capture_output=True, check=True).stdout))


def _config_map(resources: list[Any], name: str) -> dict[str, str]:
    maps = [each for each in resources if each["kind"] == "ConfigMap" and each["metadata"]["name"].rpartition("-")[0] == name]
    return {key: value for each in maps for key, value in each["data"].items()}


@pytest.mark.parametrize("service", READERS)
def test_a_service_starts_with_the_secrets_of_the_page_and_the_example_overlay(
    service: str, secrets: Path, resources: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made by kubectl into a Secret, which is then mounted."""
    made = [KUBECTL, "create", "secret", "generic", service, f"--from-env-file={secrets / f'{service}.env'}"]
    secret = subprocess.run([*made, "--dry-run=client", "--output=yaml"], capture_output=True, check=True)
    for name, value in yaml.safe_load(secret.stdout)["data"].items():
        (tmp_path / name).write_bytes(base64.b64decode(value))
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    for name, value in (_config_map(resources, "servers") | _config_map(resources, service)).items():
        monkeypatch.setenv(name, value)
    read_settings(READERS[service])


def test_a_vault_is_asked_for_what_the_page_puts_there(secrets: Path, resources: list[Any]) -> None:
    wanted = {
        each["metadata"]["name"]: {entry["secretKey"] for entry in each["spec"]["data"]}
        for each in resources
        if each["kind"] == "ExternalSecret"
    }
    given = {file.stem: set(re.findall(r"^([A-Z_]+)=", file.read_text(), re.MULTILINE)) for file in secrets.iterdir()}
    assert wanted == given
