"""`make run` as a person meets it: one command, its lines, its end; and that nothing of it stays behind."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pymongo import MongoClient

from attendara_local.ports import Ports

LIMIT = 120.0
PARTS = ("mongod", "redis", "broker", "sandbox", "settings-web", "webhook-gateway", "auth", "sync-worker", "renewer")
SERVERS = {"mongod": "MONGODB_URL", "redis": "REDIS_URL", "broker": "KAFKA_BOOTSTRAP_SERVERS"}


class Run:
    """`python -m attendara_local` in a folder, with what it has printed so far."""

    def __init__(self, process: subprocess.Popen[str], ports: Ports) -> None:
        self.process, self.ports, self.lines = process, ports, list[str]()

    def read_until(self, words: str) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if words in line:
                return
        raise AssertionError(f"it ended without saying {words!r}: {self.lines}")

    def end(self) -> int:
        """Its exit code, with the rest of its lines read."""
        output, _ = self.process.communicate(timeout=LIMIT)
        self.lines += [line.strip() for line in output.splitlines()]
        return self.process.returncode


@contextmanager
def run(folder: Path, ports: Ports) -> Iterator[Run]:
    environment = os.environ | ports.environment()
    command = [sys.executable, "-m", "attendara_local"]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield Run(process, ports)
        finally:
            process.kill()


def descendants(pid: int) -> set[int]:
    """The living processes that this one started, and those that they did."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            parents[int(stat.parent.name)] = int(parent)
    found, generation = set[int](), {pid}
    while generation := {child for child, parent in parents.items() if parent in generation}:
        found |= generation
    return found


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def still_running(pids: set[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}").exists()}


def answers(port: int) -> int:
    connection = http.client.HTTPConnection("localhost", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


def mongodb(run: Run) -> MongoClient[dict[str, object]]:
    return MongoClient(os.environ.get("MONGODB_URL") or f"mongodb://localhost:{run.ports.mongodb}/?replicaSet=rs0")


def test_one_command_starts_everything_and_ctrl_c_ends_it(folder: Path) -> None:
    with run(folder, Ports.free()) as running:
        running.read_until("Customers")
        started = descendants(running.process.pid)
        ready = [line.split()[0] for line in running.lines if " ready in " in line]
        assert sorted(ready) == sorted(name for name in PARTS if not os.environ.get(SERVERS.get(name, "")))
        assert f"Settings    http://localhost:{running.ports.settings_web}" in running.lines
        assert f"Outlook     http://localhost:{running.ports.sandbox_http}/outlook" in running.lines
        for port in (running.ports.settings_web, running.ports.webhook_gateway, running.ports.sync_worker):
            assert answers(port) == 200
        with mongodb(running) as client:
            client["test_local_stack"]["kept"].replace_one({"_id": 1}, {"_id": 1}, upsert=True)

        running.process.send_signal(signal.SIGINT)

        assert running.end() == 0
        assert not still_running(started)


def test_data_survives_a_restart_and_a_part_that_dies_is_named(folder: Path) -> None:
    with run(folder, Ports.free()) as running:
        running.read_until("Customers")
        with mongodb(running) as client:
            assert client["test_local_stack"]["kept"].count_documents({}) == 1
            client.drop_database("test_local_stack")
        started = descendants(running.process.pid)
        worker = next(pid for pid in started if "sync_worker.app" in command_line(pid))

        os.kill(worker, signal.SIGKILL)

        assert running.end() == 1
        assert any(line.startswith("sync-worker ended by SIGKILL") for line in running.lines)
        assert not still_running(started)


def test_nothing_stays_behind_when_the_command_itself_is_killed(tmp_path: Path) -> None:
    with run(tmp_path, Ports.free()) as running:
        running.read_until("ready in")
        started = descendants(running.process.pid)
        assert started

        running.process.kill()

        limit = time.monotonic() + LIMIT
        while still_running(started) and time.monotonic() < limit:
            time.sleep(0.05)
        assert not still_running(started)


def test_a_port_in_use_is_one_line_before_anything_starts(tmp_path: Path) -> None:
    ports = Ports.free()
    with socket.create_server(("127.0.0.1", ports.renewer)), run(tmp_path, ports) as running:
        assert running.end() == 1
        wanted = f"Port {ports.renewer} is in use, and renewer wants it: free it, or choose another with RENEWER_PORT"
        assert wanted in running.lines
    assert not (tmp_path / ".data" / "logs").exists()
