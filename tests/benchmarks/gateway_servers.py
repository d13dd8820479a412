"""The servers of the gateway's benchmark on one core, and the broker on others."""

import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from honcho.environ import parse_procfile

from attendara_cli.settings import Settings
from attendara_cli.topics import create_topics
from attendara_local import servers as local
from attendara_local.crew import Crew
from attendara_local.part import Recipe
from attendara_local.ports import Ports
from attendara_local.ready import http_ready
from attendara_local.stack import PROCFILE
from common.messages import NotificationReceived
from tests.benchmarks import gateway_obvious
from tests.benchmarks.gateway_load import Sent
from tests.serving import until

GATEWAY = "webhook_gateway.app:make_app"


@dataclass(frozen=True)
class Server:
    """One of them. `topic`: where its messages go; `once`: each calendar of a post is one message, not each entry."""

    name: str
    port: int
    pid: int
    topic: str | None = None
    once: bool = True

    def messages(self, sent: Sent) -> int:
        return 0 if self.topic is None else sent.calendars if self.once else sent.entries


@dataclass(frozen=True)
class Standing:
    """`partitions`: how many each topic has. `broker`: its process, if it was started here."""

    servers: Sequence[Server]
    bootstrap_servers: str
    partitions: Mapping[str, int]
    broker: int | None


@asynccontextmanager
async def standing(folder: Path, core: int, client_state_key: str) -> AsyncIterator[Standing]:
    """The servers on this core, ready; the broker where this process may run, unless the environment names one."""
    crew, ports = Crew(folder), Ports.free()
    try:
        if not os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
            crew.start([local.broker(ports, folder)])
        addresses = local.addresses(ports, os.environ)
        bootstrap_servers = addresses["KAFKA_BOOTSTRAP_SERVERS"]
        partitions = await _topics(bootstrap_servers)
        servers = _start(crew, core, os.environ | addresses | {"CLIENT_STATE_KEYS": client_state_key})
        yield Standing(servers, bootstrap_servers, partitions, crew.parts["broker"].pid if "broker" in crew.parts else None)
    finally:
        crew.stop()


async def _topics(bootstrap_servers: str) -> dict[str, int]:
    """How many partitions each topic has that is published to here, once they are all there."""
    await create_topics(Settings(kafka_bootstrap_servers=bootstrap_servers), None)
    ours, obvious = NotificationReceived.topic, gateway_obvious.TOPIC
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()

    async def made() -> dict[str, int] | None:
        described = await admin.describe_topics([ours.name, obvious])
        partitions = {topic["topic"]: len(topic["partitions"]) for topic in described}
        return partitions if all(partitions.values()) else None

    try:
        if obvious not in await admin.list_topics():
            await admin.create_topics([NewTopic(obvious, ours.partitions, 1)])
        found: dict[str, int] = await until(made)
        return found
    finally:
        await admin.close()


def _start(crew: Crew, core: int, environment: Mapping[str, str]) -> list[Server]:
    """Each with the command by which the Procfile starts the gateway; its bounds on what a connection may send are ours alone."""
    command = f"taskset -c {core} {dict(parse_procfile(PROCFILE.read_text()).processes)['webhook-gateway']}"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])

    def start(name: str, app: str, topic: str | None = None, once: bool = True) -> Server:
        port = Ports.free().webhook_gateway
        own = {**environment, "PATH": path, "WEBHOOK_GATEWAY_PORT": str(port)}
        http = "" if app == GATEWAY else " --http httptools"
        crew.start([Recipe(name, f"{command.replace(GATEWAY, app)} --loop uvloop{http}", own, http_ready(port))])
        return Server(name, port, cast(int, crew.parts[name].pid), topic, once)

    return [
        start("bare", "tests.benchmarks.gateway_bare:make_app"),
        start("plain", "tests.benchmarks.gateway_bare:make_plain_app"),
        start("ours", GATEWAY, NotificationReceived.topic.name),
        start("obvious", "tests.benchmarks.gateway_obvious:make_app", gateway_obvious.TOPIC, once=False),
    ]
