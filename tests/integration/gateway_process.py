"""The gateway as the Procfile starts it, a process of its own beside a broker that is there already."""

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from honcho.environ import parse_procfile

from attendara_local.crew import Crew
from attendara_local.part import Part, Recipe
from attendara_local.ports import Ports
from attendara_local.ready import http_ready
from attendara_local.stack import PROCFILE
from tests.servers import Kafka
from tests.serving import until

KEYS = {"k1": b"1" * 32, "k2": b"2" * 32}
"""Those that sign clientStates, by id."""


class Gateway:
    """A running one, and all that it logged once it has ended."""

    def __init__(self, part: Part, port: int) -> None:
        self._part = part
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def send(self, number: signal.Signals) -> None:
        self._part.send(number)

    async def ended(self) -> int:
        """Its exit code, or the negative number of the signal that ended it."""
        await until(lambda: self._part.returncode is not None)
        assert self._part.returncode is not None
        return self._part.returncode

    def logged(self) -> list[dict[str, Any]]:
        """Each line of its log, all of which are JSON: an exception that nobody caught is an entry of level `error`."""
        return [json.loads(line) for line in self._part.log.read_bytes().splitlines()]


@asynccontextmanager
async def gateway_process(folder: Path, kafka: Kafka, **settings: str) -> AsyncIterator[Gateway]:
    """Ready. `settings`: variables of its environment beside those that say where the broker is."""
    port = Ports.free().webhook_gateway
    environment = _environment(kafka) | settings | {"WEBHOOK_GATEWAY_PORT": str(port)}
    command = parse_procfile(PROCFILE.read_text()).processes["webhook-gateway"]
    crew = Crew(folder)
    try:
        await asyncio.to_thread(crew.start, [Recipe("webhook-gateway", command, environment, http_ready(port))])
        yield Gateway(crew.parts["webhook-gateway"], port)
    finally:
        await asyncio.to_thread(crew.stop)


def _environment(kafka: Kafka) -> dict[str, str]:
    broker = {
        "KAFKA_BOOTSTRAP_SERVERS" if name == "bootstrap_servers" else f"KAFKA_{name.upper()}": str(value).lower()
        for name, value in asdict(kafka).items()
    }
    keys = ",".join(f"{key_id}:{base64.b64encode(key).decode()}" for key_id, key in KEYS.items())
    path = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
    return broker | {"CLIENT_STATE_KEYS": keys, "PATH": path}
