"""The Dockerfile, docker-compose.yml and .env.example say what the services, the Procfile and the ports of `make run` say."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from honcho.environ import parse_procfile

from attendara_local.configuration import CLI
from attendara_local.configuration import SERVICES as SETTINGS
from attendara_local.ports import Ports
from attendara_local.secrets_file import read_or_make
from outlook_sandbox.settings import Settings as SandboxSettings
from tests.containers import KAFKA_IMAGE, MONGODB_IMAGE, REDIS_IMAGE

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)["services"]
OURS = [name for name, service in COMPOSE.items() if "build" in service]
PROCFILE: dict[str, str] = dict(parse_procfile((ROOT / "Procfile").read_text()).processes)
NOT_FIELDS = ("UVICORN_", "OTEL_", "LOG_")
SECRET = re.compile(r"SECRET|_KEYS$|CREDENTIAL")


def stages() -> dict[str, str]:
    """The last stages of the Dockerfile, by the value of SERVICE."""
    parts = re.split(r"^FROM runtime AS (\S+)$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def port_of(name: str) -> int:
    return int(getattr(Ports(), "sandbox_http" if name == "sandbox" else name.replace("-", "_")))


def variables(text: str) -> set[str]:
    """What Compose takes from its environment."""
    return set(re.findall(r"\$\{(\w+)", text))


def test_every_part_of_the_procfile_has_its_image_and_its_entry() -> None:
    assert stages().keys() == PROCFILE.keys() | {"cli"}
    assert set(OURS) == PROCFILE.keys() | {"cli", "topics"}
    for name in OURS:
        service = COMPOSE[name]
        assert service["image"] == f"attendara/{service['build']['args']['SERVICE']}"
        assert service["build"]["args"]["SERVICE"] == ("cli" if name == "topics" else name)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_service_starts_and_listens_as_it_does_locally(name: str) -> None:
    application = re.search(r"uvicorn --factory (\S+)", PROCFILE[name])
    assert application
    assert f"ENV UVICORN_APP={application[1]} UVICORN_PORT={port_of(name)}\nEXPOSE {port_of(name)}\n" in stages()[name]


def test_published_ports_are_those_of_make_run_and_for_this_machine_alone() -> None:
    published = [port for service in COMPOSE.values() for port in service.get("ports", ())]
    usual = Ports().environment() | {"GRAFANA_PORT": "8430"}
    for port in published:
        variable, default = re.findall(r"^127\.0\.0\.1:\$\{(\w+):-(\d+)\}:", port)[0]
        assert usual[variable] == default
    assert not any(COMPOSE[name].get("ports") for name in ("auth", "sync-worker", "renewer"))


@pytest.mark.parametrize("name", OURS)
def test_our_containers_may_do_little(name: str) -> None:
    service = COMPOSE[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_gateway_and_the_sandbox_reach_neither_mongodb_nor_redis() -> None:
    inside = {name for name, service in COMPOSE.items() if "stores" in service.get("networks", ["default"])}
    assert inside == {"settings-web", "auth", "sync-worker", "renewer", "mongodb", "replica-set", "redis"}


@pytest.mark.parametrize("name", [*SETTINGS, "cli"])
def test_a_service_is_told_what_it_needs_and_nothing_that_it_does_not_read(name: str) -> None:
    kinds = CLI if name == "cli" else [SETTINGS[name]]
    fields = {field: described for kind in kinds for field, described in kind.model_fields.items()}
    told = {variable.lower() for variable in COMPOSE[name]["environment"] if not variable.startswith(NOT_FIELDS)}
    assert told <= fields.keys()
    assert {field for field, described in fields.items() if described.is_required()} <= told


def test_the_sandbox_is_told_nothing_that_it_does_not_read() -> None:
    known = {f"SANDBOX_{field.upper()}" for field in SandboxSettings.model_fields} | {"KAFKA_BOOTSTRAP_SERVERS", "UVICORN_PORT"}
    assert COMPOSE["sandbox"]["environment"].keys() <= known


@pytest.mark.parametrize("name", [*SETTINGS, "cli"])
def test_addresses_of_other_services_lead_to_them(name: str) -> None:
    for variable, value in COMPOSE[name]["environment"].items():
        for address in re.findall(r"https?://[\w.-]+:\d+", str(value)):
            found = urlsplit(address)
            if found.hostname in COMPOSE and found.hostname != "sandbox":
                assert found.port == port_of(found.hostname), variable


def test_no_secret_stands_in_the_file() -> None:
    for service in COMPOSE.values():
        for variable, value in service.get("environment", {}).items():
            if SECRET.search(variable):
                assert re.fullmatch(r"(\$\{\w+(:\?[^}]*)?\},?)+", value), variable


def test_the_example_names_what_is_used_and_nothing_else(tmp_path: Path) -> None:
    named = re.findall(r"^#?([A-Z][A-Z_]*)=", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
    made = read_or_make(tmp_path / "secrets.env").keys()
    assert len(named) == len(set(named))
    assert {*named, *made} == variables(TEXT)
    assert not made & set(named)


def test_the_examples_defaults_are_those_of_the_file() -> None:
    example = dict(re.findall(r"^#([A-Z_]+_(?:PORT|IMAGE))=(\S+)$", (ROOT / ".env.example").read_text(), flags=re.MULTILINE))
    assert example.items() == {(name, value) for name, value in re.findall(r"\$\{(\w+_(?:PORT|IMAGE)):-([^}]+)\}", TEXT)}


def test_the_servers_are_those_of_the_tests() -> None:
    images = {re.sub(r"\$\{\w+:-(.*)\}", r"\1", service["image"]) for name, service in COMPOSE.items() if name not in OURS}
    assert images >= {KAFKA_IMAGE, MONGODB_IMAGE, REDIS_IMAGE}
