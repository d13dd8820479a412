"""The gateway answers as its OpenAPI says: schemathesis makes right and wrong posts of it.

OpenAPI can't say "a token in the query, or else a body". So its two halves are looked at by themselves: whatever has a token
is answered as a handshake, and whatever has none as a post.
"""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.integration.gateway_process import Gateway, gateway_process
from tests.servers import Kafka

Description = dict[str, Any]

EXAMPLES = "30"
"""For each address, after those that schemathesis makes of every bound."""


@pytest.fixture(scope="module")
async def gateway(topics: Kafka, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with gateway_process(tmp_path_factory.mktemp("gateway"), topics) as running:
        yield running


def posts(operation: Description) -> Description:
    responses = {status: said for status, said in operation["responses"].items() if status != "200"}
    return operation | {"parameters": [], "requestBody": operation["requestBody"] | {"required": True}, "responses": responses}


def handshakes(operation: Description) -> Description:
    responses = {status: operation["responses"][status] for status in ("200", "400")}
    without_body = {name: said for name, said in operation.items() if name != "requestBody"}
    return without_body | {"parameters": [operation["parameters"][0] | {"required": True}], "responses": responses}


@pytest.mark.parametrize("half", [posts, handshakes])
async def test_it_answers_as_it_is_described(gateway: Gateway, tmp_path: Path, half: Callable[[Description], Description]) -> None:
    async with httpx2.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        described = (await client.get("/openapi.json")).json()
    described["paths"] = {path: {"post": half(item["post"])} for path, item in described["paths"].items()}
    (tmp_path / "openapi.json").write_text(json.dumps(described))

    program = str(Path(sys.executable).with_name("schemathesis"))
    options = ["--phases", "examples,coverage,fuzzing", "--checks", "all", "--max-examples", EXAMPLES, "--no-color"]
    command = [program, "run", "openapi.json", "--url", gateway.url, *options]
    running = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, stdout=PIPE, stderr=STDOUT)
    said, _ = await running.communicate()

    assert running.returncode == 0, said.decode()
    assert b"Tested: 2" in said
