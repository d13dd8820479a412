"""One node of Apache Kafka, KRaft, for as long as it is needed."""

import os
import shlex
import subprocess
import sys
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attendara_local.crew import Crew
from attendara_local.part import Recipe, StackError
from attendara_local.ports import Ports
from attendara_local.ready import kafka_ready
from tests.kafka.jars import get

JAVA = ["java", "-Xmx512m", "-Xms256m", "-XX:TieredStopAtLevel=1", "-cp"]
NODE = """
node.id=1
process.roles=broker,controller
controller.quorum.voters=1@localhost:{controller}
listeners=PLAINTEXT://localhost:{broker},CONTROLLER://localhost:{controller}{listeners}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
log.dirs={folder}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
"""


@contextmanager
def node(folder: Path, ports: Ports, *, listeners: str = "", more: str = "", users: tuple[str, ...] = ()) -> Iterator[str]:
    """Its address without TLS; else as `recipe`."""
    crew = Crew(folder, _say)
    try:
        crew.start([recipe(folder, ports, listeners=listeners, more=more, users=users)])
        yield f"localhost:{ports.kafka}"
    finally:
        crew.stop()


def recipe(folder: Path, ports: Ports, *, listeners: str = "", more: str = "", users: tuple[str, ...] = ()) -> Recipe:
    """With storage in the folder. `ports.kafka` and, which no service of ours takes here, `ports.auth` are its own.

    `listeners`: besides that one. `more`: lines for its properties. `users`: as Kafka's StorageTool takes them for `--add-scram`.
    Raises NoKafkaError, StackError.
    """
    java = [*JAVA, f"{get().absolute()}/*"]
    properties = folder / "server.properties"
    properties.write_text(NODE.format(broker=ports.kafka, controller=ports.auth, listeners=listeners, folder=folder) + more)
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    added = [argument for user in users for argument in ("--add-scram", user)]
    _format([*java, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(properties), *added])
    return Recipe("kafka", shlex.join([*java, "kafka.Kafka", str(properties)]), os.environ, kafka_ready(ports.kafka))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _format(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise StackError(f"Kafka's storage can't be formatted: {' '.join(lines[:1])}")
