"""Asks a server whether it is ready, in its own protocol: None when it is, else what is still missing."""

import http.client
import socket
import struct
from collections.abc import Callable

import redis
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

PATIENCE = 2.0
"""Seconds that one question may take."""

NOT_YET_INITIALIZED = 94


def http_ready(port: int, path: str = "/readyz", host: str = "localhost") -> Callable[[], str | None]:
    """A service or the sandbox: GET /readyz (or `path`) answers 200."""

    def wants() -> str | None:
        connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return None if answer.status == 200 else f"{path} says {answer.status} {answer.read(200).decode()}"
        except (OSError, http.client.HTTPException) as error:
            return f"{path}: {error}"
        finally:
            connection.close()

    return wants


def redis_ready(port: int) -> Callable[[], str | None]:
    """Redis: PING answers."""

    def wants() -> str | None:
        client = redis.Redis(port=port, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
        try:
            client.ping()
        except (redis.RedisError, OSError) as error:
            return str(error)
        finally:
            client.close()
        return None

    return wants


def mongodb_ready(port: int) -> Callable[[], str | None]:
    """mongod: primary of its own replica set, which is initiated here when it isn't yet."""

    def wants() -> str | None:
        patience = int(PATIENCE * 1000)
        client: MongoClient[dict[str, object]] = MongoClient(
            "localhost", port, directConnection=True, serverSelectionTimeoutMS=patience, socketTimeoutMS=patience
        )
        try:
            if client.admin.command("hello").get("isWritablePrimary"):
                return None
            return _initiate(client, f"localhost:{port}")
        except PyMongoError as error:
            return str(error)[:200]
        finally:
            client.close()

    return wants


def _initiate(client: MongoClient[dict[str, object]], host: str) -> str:
    """Make the one-node replica set; data that last ran on another port takes the new one."""
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != NOT_YET_INITIALIZED:
            raise
        config = {"_id": "rs0", "members": [{"_id": 0, "host": host}]}
        client.admin.command("replSetInitiate", config)
        return "the replica set has no primary yet"
    if config["members"][0]["host"] != host:
        config["members"][0]["host"] = host
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)
    return "the replica set has no primary yet"


def kafka_ready(port: int) -> Callable[[], str | None]:
    """A Kafka broker: it answers ApiVersions, the first thing that every client asks."""

    def wants() -> str | None:
        api_versions, version, correlation = 18, 0, 7
        request = struct.pack(">hhih", api_versions, version, correlation, -1)
        try:
            with socket.create_connection(("localhost", port), timeout=PATIENCE) as connection:
                connection.sendall(struct.pack(">i", len(request)) + request)
                answer = connection.recv(8)
        except OSError as error:
            return str(error)
        return None if answer[4:] == struct.pack(">i", correlation) else "it does not speak Kafka's protocol"

    return wants
