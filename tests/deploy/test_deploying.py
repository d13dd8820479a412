"""What docs/deploying.md says, as far as it can be done without a cluster: its secrets and the example overlay fit the services."""

import base64
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from common.settings import read_settings
from tests.deploy.manifests import KINDS, KUBECTL, Manifest, in_vault, name_of, of_kind, overlay

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / "docs/deploying.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the page's own commands fill."""
    folder = tmp_path_factory.mktemp("deploying")
    (commands,) = (block for kind, block in BLOCKS if kind == "sh" and "mkdir -p secrets" in block)
    subprocess.run(["sh", "-eu"], input=commands, cwd=folder, text=True, check=True)
    return folder / "secrets"


def _config_map(manifests: tuple[Manifest, ...], name: str) -> dict[str, str]:
    maps = [each for each in of_kind(manifests, "ConfigMap") if name_of(each).rpartition("-")[0] == name]
    return {key: value for each in maps for key, value in each["data"].items()}


@pytest.mark.parametrize("service", KINDS)
def test_a_service_starts_with_the_secrets_of_the_page_and_the_example_overlay(
    service: str, secrets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made by kubectl into a Secret, which is then mounted."""
    made = [KUBECTL, "create", "secret", "generic", service, f"--from-env-file={secrets / f'{service}.env'}"]
    secret = subprocess.run([*made, "--dry-run=client", "--output=yaml"], capture_output=True, check=True)
    for name, value in yaml.safe_load(secret.stdout)["data"].items():
        (tmp_path / name).write_bytes(base64.b64decode(value))
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    production = overlay("overlays/production")
    for name, value in (_config_map(production, "servers") | _config_map(production, service)).items():
        monkeypatch.setenv(name, value)
    read_settings(KINDS[service])


def test_a_vault_is_asked_for_what_the_page_puts_there(secrets: Path) -> None:
    given = {file.stem: set(re.findall(r"^([A-Z_]+)=", file.read_text(), re.MULTILINE)) for file in secrets.iterdir()}
    assert in_vault(overlay("overlays/production")) == given
