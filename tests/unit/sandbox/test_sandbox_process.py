"""The sandbox as its own process: two listeners, a certificate, data that stays, one line for what is wrong."""

import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest


def free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        return first.getsockname()[1], second.getsockname()[1]


def environment(folder: Path, ports: tuple[int, int], **more: str) -> dict[str, str]:
    own = {"SANDBOX_DATA": str(folder), "SANDBOX_HTTP_PORT": str(ports[0]), "SANDBOX_HTTPS_PORT": str(ports[1])}
    return {name: value for name, value in os.environ.items() if not name.startswith("KAFKA")} | own | more


@contextmanager
def sandbox(folder: Path, ports: tuple[int, int], **more: str) -> Iterator[httpx2.Client]:
    with subprocess.Popen([sys.executable, "-m", "outlook_sandbox"], env=environment(folder, ports, **more)) as process:
        with httpx2.Client(base_url=f"http://127.0.0.1:{ports[0]}") as client:
            try:
                _wait_until_ready(client, process)
                yield client
            finally:
                process.terminate()
        assert process.wait(10) == 0


def _wait_until_ready(client: httpx2.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.05)
    raise AssertionError("the sandbox did not become ready")


def test_it_serves_http_and_https_and_keeps_its_data(tmp_path: Path) -> None:
    ports = free_ports()
    with sandbox(tmp_path, ports) as client:
        made = client.post("/sandbox/v1/accounts", json={"username": "tim@example.org", "name": "Tim", "events": 40})
        assert made.json()["calendars"][0]["events"] == 40
        trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        assert httpx2.get(f"https://localhost:{ports[1]}/readyz", verify=trust).status_code == 200
        authority = (tmp_path / "ca.pem").read_bytes()
    with sandbox(tmp_path, ports) as client:
        kept = client.get("/sandbox/v1/accounts/tim@example.org").json()
        assert kept == made.json()
        assert (tmp_path / "ca.pem").read_bytes() == authority


def test_programs_find_it_by_its_name_and_browsers_at_localhost(tmp_path: Path) -> None:
    ports = free_ports()
    with sandbox(tmp_path, ports):
        pass
    with sandbox(tmp_path, ports, SANDBOX_NAME="microsoft") as client:
        told = client.get("/common/v2.0/.well-known/openid-configuration").json()
        also = client.get("/attendara-id/.well-known/openid-configuration").json()
        trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        with socket.create_connection(("localhost", ports[1])) as plain:
            trust.wrap_socket(plain, server_hostname="microsoft").close()
    for named in (told, also):
        hosts = {urlsplit(value).hostname for name, value in named.items() if name.endswith(("_endpoint", "_uri", "issuer"))}
        assert hosts == {"microsoft", "localhost"}
        assert urlsplit(named["authorization_endpoint"]).hostname == "localhost"
        assert urlsplit(named["token_endpoint"]).hostname == "microsoft"


def test_a_second_sandbox_leaves_the_first_ones_data_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "outlook_sandbox"]
    with sandbox(tmp_path, free_ports()):
        done = subprocess.run(command, env=environment(tmp_path, free_ports()), capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert "another sandbox uses" in done.stderr
    assert "Traceback" not in done.stderr


def test_data_that_can_not_be_kept_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    command = [sys.executable, "-m", "outlook_sandbox"]
    env = environment(tmp_path / "file" / "folder", free_ports())
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30)
    assert "can't keep its data in" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("more", "reason"), [({}, "can't listen"), ({"SANDBOX_HOST": "0.0.0.0"}, "on this machine only")])  # noqa: S104
def test_what_is_wrong_at_start_is_one_clear_line(tmp_path: Path, more: dict[str, str], reason: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = (taken.getsockname()[1], free_ports()[0])
        command = [sys.executable, "-m", "outlook_sandbox"]
        done = subprocess.run(command, env=environment(tmp_path, ports, **more), capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert reason in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_wrong_settings_are_named_all_at_once_by_their_variables(tmp_path: Path) -> None:
    wrong = {"SANDBOX_HTTP_PORT": "hush", "SANDBOX_LATENCY_MS": "-1", "KAFKA_FETCH_MAX_WAIT_MS": "x"}
    env = environment(tmp_path, free_ports()) | wrong
    done = subprocess.run([sys.executable, "-m", "outlook_sandbox"], env=env, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    head, *lines = done.stderr.splitlines()
    assert head == "outlook-sandbox: the settings can't be used:"
    assert [line.split(":")[0].strip() for line in lines] == list(wrong)
    assert "hush" not in done.stderr
