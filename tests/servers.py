"""Real servers for the tests: given by environment, in containers when asked, else the local ones from wheels."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from attendara_local import servers as local
from attendara_local.crew import Crew
from attendara_local.ports import Ports

ADDRESSES = ("MONGODB_URL", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS")


@dataclass(frozen=True)
class Kafka:
    """Where the broker is, and the client settings that fit it."""

    bootstrap_servers: str
    idempotence: bool
    session_timeout_ms: int
    heartbeat_interval_ms: int
    fetch_max_wait_ms: int


@dataclass(frozen=True)
class Servers:
    """The addresses of MongoDB, Redis and Kafka, as the environment of a service has them."""

    environment: dict[str, str]

    @property
    def mongodb_url(self) -> str:
        return self.environment["MONGODB_URL"]

    @property
    def redis_url(self) -> str:
        return self.environment["REDIS_URL"]

    @property
    def kafka(self) -> Kafka:
        given = self.environment
        return Kafka(
            bootstrap_servers=given["KAFKA_BOOTSTRAP_SERVERS"],
            idempotence=given.get("KAFKA_IDEMPOTENCE", "true") == "true",
            session_timeout_ms=int(given.get("KAFKA_SESSION_TIMEOUT_MS", "10000")),
            heartbeat_interval_ms=int(given.get("KAFKA_HEARTBEAT_INTERVAL_MS", "3000")),
            fetch_max_wait_ms=int(given.get("KAFKA_FETCH_MAX_WAIT_MS", "500")),
        )


@contextmanager
def running(folder: Path) -> Iterator[Servers]:
    """The servers of this test run; those that are started here end with it."""
    with ExitStack() as stack:
        if os.environ.get("ATTENDARA_TEST_SERVERS") == "containers":
            from tests.containers import start  # its library looks for Docker when imported

            given = os.environ | start(stack, os.environ)
        else:
            given = dict(os.environ)
        ports, crew = Ports.free(), Crew(folder)
        stack.callback(crew.stop)
        crew.start(local.recipes(ports, folder, given))
        yield Servers(local.addresses(ports, given))
