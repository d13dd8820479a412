"""`outlook-sandbox`: the sandbox as one process with two listeners, http for browsers and Graph, https for tokens."""

import asyncio
import contextlib
import fcntl
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
import uvloop

from outlook_sandbox.app import create_app, make_sandbox
from outlook_sandbox.certificates import certificates
from outlook_sandbox.database import Database
from outlook_sandbox.guard import is_loopback
from outlook_sandbox.settings import Settings, read_settings

GRACE = 2

command = typer.Typer(add_completion=False, help="A local Microsoft 365 for one developer.")


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to us: two servers share the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@command.command()
def serve(
    log_level: Annotated[str, typer.Option(help="uvicorn's log level")] = "warning",
) -> None:
    """Serve until Ctrl-C. Settings come from SANDBOX_* variables."""
    settings = read_settings()
    if not (is_loopback(settings.host) or settings.allow_other_hosts):
        raise SystemExit(
            f"outlook-sandbox: SANDBOX_HOST={settings.host}: the sandbox has no passwords, so it listens on this machine only "
            "(SANDBOX_ALLOW_OTHER_HOSTS=true if you mean it)."
        )
    with (
        _listener(settings.host, settings.http_port) as http,
        _listener(settings.host, settings.https_port) as https,
        _own(settings.data),
    ):
        uvloop.run(_serve(settings, log_level, http, https))


async def _serve(settings: Settings, log_level: str, http: socket.socket, https: socket.socket) -> None:
    paths = certificates(settings.data, settings.name)
    app = create_app(make_sandbox(settings, Database(settings.data / "sandbox.sqlite")))
    plain = uvicorn.Config(app, log_level=log_level, access_log=False, lifespan="on", timeout_graceful_shutdown=GRACE)
    secure = uvicorn.Config(
        app,
        log_level=log_level,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE,
        ssl_certfile=str(paths.chain),
        ssl_keyfile=str(paths.key),
    )
    servers = [_Server(plain), _Server(secure)]
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop, servers)
    await asyncio.gather(servers[0].serve(sockets=[http]), servers[1].serve(sockets=[https]))


def _listener(host: str, port: int) -> socket.socket:
    """Taken before anything else, so that a second sandbox ends with one line and leaves the first one's data alone."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048)
    except OSError as reason:
        raise SystemExit(f"outlook-sandbox: can't listen on {host}:{port}: {reason.strerror}") from reason


@contextlib.contextmanager
def _own(data: Path) -> Iterator[None]:
    """The folder is this sandbox's alone: each keeps in memory what it wrote there."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / "lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as reason:
        raise SystemExit(f"outlook-sandbox: another sandbox uses {data}; give this one its own (SANDBOX_DATA).") from reason
    except OSError as reason:
        raise SystemExit(f"outlook-sandbox: can't keep its data in {data}: {reason.strerror}") from reason
    with lock:
        yield


def _stop(servers: list[_Server]) -> None:
    for server in servers:
        server.should_exit = True


def main() -> None:
    command()


if __name__ == "__main__":
    main()
