"""docs/configuration.md says what is so, and a service that is started with mistakes names them all and ends."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from attendara_local.configuration import PAGE, SERVICES, TABLE, table
from attendara_local.ports import Ports
from attendara_local.secrets_file import read_or_make
from tests.serving import until


@asynccontextmanager
async def started(service: str, given: Mapping[str, str]) -> AsyncIterator[Process]:
    """As images and the Procfile start it, with nothing in its environment but what is given."""
    command = ["-m", "uvicorn", "--factory", f"{service.replace('-', '_')}.app:make_app"]
    process = await asyncio.create_subprocess_exec(sys.executable, *command, env={"PATH": os.defpath, **given}, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def test_the_table_of_settings_is_the_one_that_make_docs_would_write() -> None:
    found = TABLE.search(PAGE.read_text())
    assert found
    assert found[0] == table(), "docs/configuration.md is stale: run `make docs`"


def test_every_secret_is_marked_as_one_in_the_table() -> None:
    marked = set(re.findall(r"^\| `(\w+)` .* \| secret \|", table(), re.MULTILINE))
    assert marked == {
        "CLIENT_STATE_KEYS",
        "KAFKA_SASL_PASSWORD",
        "MICROSOFT_CLIENT_SECRET",
        "MONGODB_URL",
        "OIDC_CLIENT_SECRET",
        "REDIS_URL",
        "SERVICE_CREDENTIAL",
        "SERVICE_CREDENTIALS",
        "TOKEN_KEYS",
    }


@pytest.mark.parametrize("page", ["README.md", "docs/deploying.md", "docs/microsoft.md"])
def test_every_variable_that_a_page_names_is_on_the_page_of_all(page: str) -> None:
    named = re.compile(r"\b(?!AADSTS)[A-Z]{2,}(?:_[A-Z]+)+\b")
    known = set(named.findall(PAGE.read_text())) | {"ATTENDARA_TEST_SERVERS", "SETTINGS_WEB_PORT"}
    assert set(named.findall((PAGE.parents[1] / page).read_text())) <= known


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_with_mistakes_names_every_variable_and_ends(service: str) -> None:
    async with started(service, {"KAFKA_BOOTSTRAP_SERVERS": "hush-hush", "LOG_LEVEL": "LOUD"}) as process:
        _, written = await process.communicate()
    head, *lines = written.decode().splitlines()
    required = {name.upper() for name, field in SERVICES[service].model_fields.items() if field.is_required()}
    assert head == "The settings can't be used:"
    assert {line.split(":")[0].strip() for line in lines if ": " in line} == required | {"KAFKA_BOOTSTRAP_SERVERS", "LOG_LEVEL"}
    assert ("  MICROSOFT_CLIENT_SECRET or MICROSOFT_CLIENT_CERTIFICATE is missing" in lines) == (service == "auth")
    assert "hush-hush" not in written.decode()
    assert process.returncode == 1


async def test_a_service_starts_with_its_secrets_in_mounted_files(tmp_path: Path) -> None:
    made = read_or_make(tmp_path / "made.env")
    secrets = {
        "TOKEN_KEYS": made["TOKEN_KEYS"],
        "service_credentials": made["CREDENTIAL_CLI"],
        "MICROSOFT_CLIENT_SECRET": "a-secret",
    }
    folder = tmp_path / "secrets"
    (folder / "..now").mkdir(parents=True)
    (folder / "..data").symlink_to("..now")
    for name, value in secrets.items():
        (folder / "..now" / name).write_text(f"{value}\n")
        (folder / name).symlink_to(f"..data/{name}")
    port = str(Ports.free().auth)
    given = {
        "SECRETS_DIR": str(folder),
        "UVICORN_PORT": port,
        "MICROSOFT_CLIENT_ID": "an-app",
        "MICROSOFT_REDIRECT_URI": "http://localhost:8400/connect/microsoft/return",
        "MICROSOFT_AUTHORITY": "https://localhost:1/common",
        "KAFKA_BOOTSTRAP_SERVERS": "localhost:1",
        "MONGODB_URL": "mongodb://localhost:1",
        "REDIS_URL": "redis://localhost:1/0",
    }
    async with started("auth", given) as process, httpx2.AsyncClient(base_url=f"http://localhost:{port}") as http:

        async def alive() -> bool:
            assert process.returncode is None
            try:
                return (await http.get("/livez")).is_success
            except httpx2.TransportError:
                return False

        await until(alive)
