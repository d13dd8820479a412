"""The servers of the tests as containers, through testcontainers: ATTENDARA_TEST_SERVERS=containers."""

import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing

import docker
from docker.errors import DockerException
from testcontainers.core.container import DockerContainer

from attendara_local.ports import Ports
from attendara_local.ready import kafka_ready, mongodb_ready, redis_ready

MONGODB_IMAGE, REDIS_IMAGE, KAFKA_IMAGE = "mongo:7", "redis:7", "apache/kafka:4.1.0"
START_LIMIT = 120.0
"""Seconds from a pulled image to a server that answers."""
LINES_SHOWN = 20
"""Of what a container said that didn't get ready."""


def start(stack: ExitStack, given: Mapping[str, str]) -> dict[str, str]:
    """Start the servers whose address isn't given; they end with `stack`. The settings to reach them.

    MongoDB and Kafka tell their clients where they are, so each listens on the same port inside and outside.
    """
    _check_docker()
    ports = Ports.free()
    servers: dict[str, tuple[str, DockerContainer, Callable[[], str | None]]] = {
        "MONGODB_URL": (
            f"mongodb://localhost:{ports.mongodb}/?replicaSet=rs0",
            DockerContainer(MONGODB_IMAGE)
            .with_command(f"mongod --replSet rs0 --bind_ip_all --port {ports.mongodb}")
            .with_bind_ports(ports.mongodb, ports.mongodb),
            mongodb_ready(ports.mongodb),
        ),
        "REDIS_URL": (
            f"redis://localhost:{ports.redis}/0",
            DockerContainer(REDIS_IMAGE).with_bind_ports(6379, ports.redis),
            redis_ready(ports.redis),
        ),
        "KAFKA_BOOTSTRAP_SERVERS": (f"localhost:{ports.kafka}", _kafka(ports.kafka), kafka_ready(ports.kafka)),
    }
    for variable, value in given.items():
        if value:  # an empty one is as good as none, as it is for the local servers
            servers.pop(variable, None)
    for _, container, _ in servers.values():
        stack.enter_context(container)
    for variable, (_, container, wants) in servers.items():
        _wait(variable, container, wants)
    return {variable: address for variable, (address, _, _) in servers.items()}


def _check_docker() -> None:
    # The library leaves its socket open when nobody answers: we let it go here, or its warning buries our sentence.
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        missing = _no_docker()
    if missing:
        raise RuntimeError(f"ATTENDARA_TEST_SERVERS=containers needs a Docker engine: {missing}")


def _no_docker() -> str | None:
    try:
        with closing(docker.from_env()) as client:
            client.ping()
    except DockerException as error:
        return str(error)
    return None


def _kafka(port: int) -> DockerContainer:
    settings = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://localhost:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }
    container = DockerContainer(KAFKA_IMAGE).with_bind_ports(port, port)
    for name, value in settings.items():
        container.with_env(name, value)
    return container


def _wait(variable: str, container: DockerContainer, wants: Callable[[], str | None]) -> None:
    limit = time.monotonic() + START_LIMIT
    while missing := wants():
        container.reload()
        if container.status != "running" or time.monotonic() > limit:
            said = b"".join(container.get_logs()).decode(errors="replace").splitlines()[-LINES_SHOWN:]
            raise RuntimeError("\n".join([f"{container.image} ({container.status}) for {variable} isn't ready: {missing}", *said]))
        time.sleep(0.1)
