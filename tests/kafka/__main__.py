"""`make test-kafka`: the integration tests against Apache Kafka, idempotent producers on; how one comes in; and when it breaks."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from attendara_local.part import StackError
from attendara_local.ports import Ports
from tests.kafka.jars import NoKafkaError
from tests.kafka.node import node

CLIENTS = {
    "KAFKA_IDEMPOTENCE": "true",
    "KAFKA_SESSION_TIMEOUT_MS": "6000",
    "KAFKA_HEARTBEAT_INTERVAL_MS": "2000",
    "KAFKA_FETCH_MAX_WAIT_MS": "50",
}

TESTS = ("tests/integration", "tests/kafka/access.py", "tests/kafka/breaking.py")
"""`make test` doesn't find the last two: they start brokers of their own, and need Java."""


def main() -> int:
    try:
        with tempfile.TemporaryDirectory(prefix="attendara-kafka-") as folder, node(Path(folder), Ports.free()) as address:
            environment = os.environ | CLIENTS | {"KAFKA_BOOTSTRAP_SERVERS": address}
            tests = [sys.executable, "-m", "pytest", *TESTS, "-m", "kafka", *sys.argv[1:]]
            return subprocess.run(tests, env=environment, check=False).returncode
    except (NoKafkaError, StackError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
