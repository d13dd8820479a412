"""A Docker engine: the one that answers here, else one of our own, which root can start from Debian's docker.io."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import DockerException

KEPT = Path(".make/docker").absolute()
"""What is made once: Compose where there is none, the base of the stand-ins."""
COMPOSE_MODULE = "github.com/docker/compose/v2@v2.40.3"
START_LIMIT = 60.0


class NoEngineError(Exception):
    """Why there is no Docker engine on this machine, in one line."""


@dataclass(frozen=True)
class Engine:
    """`own`: started by us, so that its images are nobody else's. `environment`: of programs that shall use it."""

    client: docker.DockerClient
    compose: list[str]
    environment: dict[str, str]
    own: bool


@contextmanager
def engine(folder: Path) -> Iterator[Engine]:
    """An engine of our own keeps everything in `folder`, and ends with this. Raises NoEngineError."""
    if answers(os.environ.get("DOCKER_HOST")):
        with closing(docker.from_env()) as client:
            yield Engine(client, compose(), dict(os.environ), own=False)
        return
    with _dockerd(folder) as address, closing(docker.DockerClient(address)) as client:
        yield Engine(client, compose(), os.environ | {"DOCKER_HOST": address}, own=True)


def answers(address: str | None) -> bool:
    try:
        with closing(docker.DockerClient(address) if address else docker.from_env()) as client:
            return bool(client.ping())
    except DockerException:
        return False


@contextmanager
def _dockerd(folder: Path) -> Iterator[str]:
    if os.geteuid() != 0:
        raise NoEngineError("no Docker engine answers, and only root can start one")
    install("dockerd", "docker.io")
    address = f"unix://{folder}/docker.sock"
    folders = [f"--data-root={folder}/data", f"--exec-root={folder}/run", f"--pidfile={folder}/pid"]
    command = ["dockerd", f"--host={address}", "--bip=172.17.0.1/16", *folders]
    log = folder / "dockerd.log"
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True) as process:
        try:
            limit = time.monotonic() + START_LIMIT
            while not answers(address):
                if process.poll() is not None or time.monotonic() > limit:
                    raise NoEngineError(f"dockerd does not start here: {log.read_text().strip().splitlines()[-1:]}")
                time.sleep(0.2)
            yield address
        finally:
            process.terminate()


def install(program: str, package: str) -> None:
    """Have this program, from Debian's package where it is missing. Raises NoEngineError."""
    if shutil.which(program):
        return
    if not shutil.which("apt-get"):
        raise NoEngineError(f"{program} is not on this machine, and it isn't Debian")
    for step in (["update"], ["install", "--yes", "--no-install-recommends", package]):
        done = run(["apt-get", "-qq", *step], os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
        if done.returncode:
            raise NoEngineError(f"{package} can't be installed: {done.stdout.strip().splitlines()[-1:]}")


def compose() -> list[str]:
    """Docker Compose as a command: the plugin or the program that is here, else built from its Go module."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and " v1." not in (told := run([*command, "version"])).stdout and not told.returncode:
            return command
    program = KEPT / "docker-compose"
    if not program.exists():
        _build_compose(program)
    return [str(program)]


def _build_compose(program: Path) -> None:
    if not shutil.which("go"):
        raise NoEngineError("Docker Compose is not on this machine, nor Go, with which it could be built")
    sys.stdout.write(f"Building {COMPOSE_MODULE}\n")
    program.parent.mkdir(parents=True, exist_ok=True)
    sources = run(["go", "mod", "download", "-json", COMPOSE_MODULE])
    folder = next((line.split('"')[3] for line in sources.stdout.splitlines() if '"Dir"' in line), None)
    if not folder:
        raise NoEngineError(f"{COMPOSE_MODULE} can't be had: {sources.stdout.strip().splitlines()[-1:]}")
    done = run(["go", "-C", folder, "build", "-mod=mod", "-trimpath", "-o", str(program), "./cmd"])
    if done.returncode:
        raise NoEngineError(f"Docker Compose can't be built: {done.stdout.strip().splitlines()[-1:]}")


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """What it said, errors and all, is its `stdout`."""
    return subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
