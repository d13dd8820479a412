"""`make test-docker`: builds every image, starts the whole with docker-compose.yml, tells it the e2e story, and stops it.

Then a few integration tests with their servers as containers. The words after the command go to pytest.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from attendara_local.ports import Ports
from attendara_local.ready import http_ready
from attendara_local.secrets_file import read_or_make
from tests.docker import stand_ins
from tests.docker.engine import Engine, NoEngineError, engine, run
from tests.e2e.otlp import collecting

ROOT = Path(__file__).parents[2]
PROJECT = "attendara-test"
SERVICES = {"settings-web": 8400, "webhook-gateway": 8401, "auth": 8402, "sync-worker": 8403, "renewer": 8404}
OURS = {"attendara_cli", "auth", "common", "outlook_sandbox", "renewer", "settings_web", "sync_worker", "webhook_gateway"}
CONTENT = """
import importlib.util, json, os, shutil, sys
found = [name for name in sys.argv[1].split(",") if importlib.util.find_spec(name)]
tools = [name for name in ("cc", "gcc", "uv") if shutil.which(name)]
print(json.dumps({"packages": found, "tools": tools, "root": os.getuid() == 0}))
"""
DRIVERS = {"httpx2", "msal", "pymongo", "redis"}
"""Other people's packages that not every image may have."""
WITH_CONTAINERS = ["test_messaging.py", "test_announce.py", "test_mailbox_gate.py", "test_servers.py"]
GRACE = 30


class FailedError(Exception):
    """What did not hold."""


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="attendara-docker-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        try:
            with engine(_made(folder / "engine")) as started:
                _test(started, folder)
        except NoEngineError as error:
            say(f"Without a Docker engine nothing was tested: {error}")
            return 1
        except FailedError as error:
            say(str(error))
            return 1
        say("All is well; taking the stand-ins and images away")
    return 0


def _test(engine: Engine, folder: Path) -> None:
    if engine.own:
        say("Making stand-ins for the official images")
        stand_ins.make(engine, _made(folder / "stand-ins"))
    with running(engine, folder) as system:
        system.check_images()
        with collecting(*system.collector):
            system.check_ends()
        system.pytest("tests/e2e/test_story.py", *sys.argv[1:])
        system.compose("run", "--rm", "cli", "announce")
    say("Integration tests with their servers as containers")
    servers = {"ATTENDARA_TEST_SERVERS": "containers"} | ({"TESTCONTAINERS_RYUK_DISABLED": "true"} if engine.own else {})
    _pytest(engine.environment | servers, *(f"tests/integration/{name}" for name in WITH_CONTAINERS), *sys.argv[1:])


class System:
    """The whole of docker-compose.yml with the sandbox, on free ports, under a name of its own."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine, self._ports = engine, Ports.free()
        gateway = engine.client.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"]
        # Some of the free ports are for what is not published: one of them is the collector's.
        self.collector = (gateway, self._ports.auth)
        address = f"{gateway}:{self._ports.auth}"
        self._environment = engine.environment | self._ports.environment()
        self._environment |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{address}",
            "COMPOSE_PROJECT_NAME": PROJECT,
            "COMPOSE_PROFILES": "sandbox",
        }
        settings = folder / "settings.env"
        secrets = read_or_make(folder / "secrets.env")
        settings.write_text((ROOT / ".env.example").read_text() + "".join(f"{k}={v}\n" for k, v in secrets.items()))
        override = folder / "override.json"
        override.write_text(json.dumps(_override(folder)))
        files = ["--file", str(ROOT / "docker-compose.yml"), "--file", str(override), "--env-file", str(settings)]
        self._command = [*engine.compose, "--project-directory", str(ROOT), *files]

    def compose(self, *arguments: str) -> None:
        done = run([*self._command, *arguments], self._environment)
        if done.returncode:
            raise FailedError(f"docker compose {' '.join(arguments)} failed:\n{done.stdout[-4000:]}")

    def container(self, service: str) -> Any:
        return self._engine.client.containers.get(f"{PROJECT}-{service}-1")

    def check_images(self) -> None:
        """Each image has its own packages and no others, no compiler, and nobody in it is root."""
        for service in (*SERVICES, "cli", "sandbox"):
            image = self._engine.client.images.get(f"attendara/{service}")
            asked = ["-c", CONTENT, ",".join(sorted(OURS | DRIVERS))]
            options: dict[str, Any] = {"entrypoint": "python", "network_mode": "none", "read_only": True, "remove": True}
            content = json.loads(self._engine.client.containers.run(image, asked, **options))
            above = sum(layer["Size"] for layer in image.history() if "/app" in layer["CreatedBy"])
            sizes = f"{image.attrs['Size'] / 1e6:4.0f} MB, {above / 1e6:.0f} of them above Python"
            say(f"  {service:<16} {sizes}; {', '.join(content['packages'])}")
            ours = OURS & set(content["packages"])
            wanted = {"sandbox": {"outlook_sandbox"}, "cli": {"attendara_cli", "common"}}
            if ours != wanted.get(service, {service.replace("-", "_"), "common"}):
                raise FailedError(f"The image of {service} has {ours}")
            if service == "webhook-gateway" and DRIVERS & set(content["packages"]):
                raise FailedError(f"The image of the gateway has {content['packages']}")
            if content["tools"] or content["root"]:
                raise FailedError(f"The image of {service} has {content['tools']}, root: {content['root']}")

    def check_ends(self) -> None:
        """SIGTERM ends each service within its grace period, with code 0; it is ready again soon after its start."""
        for service, port in SERVICES.items():
            container = self.container(service)
            began = time.monotonic()
            container.stop(timeout=GRACE)
            ended = time.monotonic() - began
            container.reload()
            if container.attrs["State"]["ExitCode"] != 0:
                raise FailedError(f"{service} ended with code {container.attrs['State']['ExitCode']}")
            began = time.monotonic()
            container.start()
            container.reload()
            address = container.attrs["NetworkSettings"]["Networks"][f"{PROJECT}_default"]["IPAddress"]
            self._await(http_ready(port, host=address))
            say(f"  {service:<16} ended in {ended:.1f} s, ready again in {time.monotonic() - began:.1f} s")

    def _await(self, wants: Callable[[], str | None]) -> None:
        limit = time.monotonic() + 60
        while missing := wants():
            if time.monotonic() > limit:
                raise FailedError(missing)
            time.sleep(0.02)

    def pytest(self, *arguments: str) -> None:
        own = {"ATTENDARA_TEST_SYSTEM": "running", "ATTENDARA_TEST_COLLECTOR": "{}:{}".format(*self.collector)}
        _pytest(self._environment | own, *arguments)


@contextmanager
def running(engine: Engine, folder: Path) -> Iterator[System]:
    system = System(engine, folder)
    try:
        say("Building the images")
        system.compose("build")
        say("Starting everything")
        began = time.monotonic()
        system.compose("up", "--detach", "--wait")
        say(f"  healthy after {time.monotonic() - began:.0f} s")
        yield system
    except FailedError:
        say(run([*system._command, "logs", "--tail", "20"], system._environment).stdout[-8000:])
        raise
    finally:
        run([*system._command, "down", "--volumes", "--timeout", str(GRACE)], system._environment)


def _override(folder: Path) -> dict[str, Any]:
    """Where this machine gets packages from, as secrets of the builds; nothing of it is in an image."""
    given = {"packages": folder / "packages.env", "authority": folder / "authority.pem"}
    authority = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE") or _pip("global.cert")
    index = os.environ.get("PIP_INDEX_URL") or _pip("global.index-url")
    lines = {"PIP_INDEX_URL": index, "UV_DEFAULT_INDEX": os.environ.get("UV_DEFAULT_INDEX") or index}
    if authority:
        shutil.copy(authority, given["authority"])
        lines |= {"PIP_CERT": "/run/secrets/authority", "SSL_CERT_FILE": "/run/secrets/authority"}
    else:
        given["authority"].touch()
    given["packages"].write_text("".join(f"{name}='{value}'\n" for name, value in lines.items() if value))
    declared = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    changed = {"build": {"secrets": list(given)}, "environment": {"OTEL_BSP_SCHEDULE_DELAY": "200"}}
    builds = {name: changed for name, service in declared.items() if "build" in service}
    return {"services": builds, "secrets": {name: {"file": str(path)} for name, path in given.items()}}


def _pip(setting: str) -> str:
    """What pip is told on this machine, or nothing."""
    if not shutil.which("pip"):
        return ""
    return subprocess.run(["pip", "config", "get", setting], capture_output=True, text=True, check=False).stdout.strip()


def _pytest(environment: Mapping[str, str], *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", *arguments], env=dict(environment), cwd=ROOT, check=False)
    if done.returncode:
        raise FailedError(f"pytest {' '.join(arguments)} failed")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
