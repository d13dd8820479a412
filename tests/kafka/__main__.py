"""`make test-kafka`: the integration tests against one node of Apache Kafka, KRaft, idempotent producers on."""

import os
import shlex
import subprocess
import sys
import tempfile
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from attendara_local.crew import Crew
from attendara_local.part import Recipe, StackError
from attendara_local.ports import Ports
from attendara_local.ready import kafka_ready
from tests.kafka.jars import NoKafkaError, get

JAVA = ["java", "-Xmx512m", "-Xms256m", "-XX:TieredStopAtLevel=1", "-cp"]
CLIENTS = {
    "KAFKA_IDEMPOTENCE": "true",
    "KAFKA_SESSION_TIMEOUT_MS": "6000",
    "KAFKA_HEARTBEAT_INTERVAL_MS": "2000",
    "KAFKA_FETCH_MAX_WAIT_MS": "50",
}
NODE = """
node.id=1
process.roles=broker,controller
controller.quorum.voters=1@localhost:{controller}
listeners=PLAINTEXT://localhost:{broker},CONTROLLER://localhost:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
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


def main() -> int:
    try:
        jars = get()
        with tempfile.TemporaryDirectory(prefix="attendara-kafka-") as folder:
            return _test(jars, Path(folder))
    except (NoKafkaError, StackError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _test(jars: Path, folder: Path) -> int:
    ports, crew = Ports.free(), Crew(folder, _say)
    properties = folder / "server.properties"
    # One of the free ports that no service of ours takes here is the controller's.
    properties.write_text(NODE.format(broker=ports.kafka, controller=ports.auth, folder=folder))
    java = [*JAVA, f"{jars.absolute()}/*"]
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    _format([*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)])
    command = shlex.join([*java, "kafka.Kafka", str(properties)])
    try:
        crew.start([Recipe("kafka", command, os.environ, kafka_ready(ports.kafka))])
        environment = os.environ | CLIENTS | {"KAFKA_BOOTSTRAP_SERVERS": f"localhost:{ports.kafka}"}
        tests = [sys.executable, "-m", "pytest", "tests/integration", "-m", "kafka", *sys.argv[1:]]
        return subprocess.run(tests, env=environment, check=False).returncode
    finally:
        crew.stop()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _format(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise StackError(f"Kafka's storage can't be formatted: {' '.join(lines[:1])}")


if __name__ == "__main__":
    sys.exit(main())
