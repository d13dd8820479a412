"""The whole system on one machine: servers, topics, the sandbox, the services; each awaited until it is ready."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from honcho.environ import parse_procfile
from honcho.printer import Printer

from attendara_local import servers
from attendara_local.crew import Crew, silent
from attendara_local.environment import compose, needs_sandbox
from attendara_local.part import Recipe, StackError
from attendara_local.ports import Ports, check_free
from attendara_local.ready import http_ready

PROCFILE = Path(__file__).parents[2] / "Procfile"
COMMAND_LIMIT = 60.0
"""Seconds that a command of the operator may take."""


class Stack:
    """Every part of the system.

    `given` (the environment of this process if left out) goes before what is composed; `printer` gets what the sandbox
    and the services log: the servers' own logs would drown it.
    """

    def __init__(
        self,
        ports: Ports,
        folder: Path,
        given: Mapping[str, str] | None = None,
        say: Callable[[str], None] = silent,
        printer: Printer | None = None,
    ) -> None:
        self.ports, self.folder = ports, folder.absolute()
        self.given = dict(os.environ if given is None else given)
        self.servers, self.services = Crew(self.folder, say), Crew(self.folder, say, printer)

    @property
    def settings_url(self) -> str:
        return f"http://localhost:{self.ports.settings_web}"

    @property
    def gateway_url(self) -> str:
        return f"http://localhost:{self.ports.webhook_gateway}"

    @property
    def sandbox_url(self) -> str:
        return f"http://localhost:{self.ports.sandbox_http}"

    def environment(self, part: str) -> dict[str, str]:
        """What a part runs with, by its name in the Procfile, or `cli`."""
        return compose(self.ports, self.folder, self.given)[part]

    def start(self) -> None:
        """Start everything, in order; all is stopped again when a part fails."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        own = servers.recipes(self.ports, self.folder, self.given)
        sandbox, services = self.sandbox_recipes(), self.service_recipes()
        check_free([*own, *sandbox, *services])
        self.servers.start(own)
        self.command("topics")
        # The services come after the sandbox: it makes the certificate that auth reads.
        self.services.start(sandbox)
        self.services.start(services)
        self.command("announce")

    def sandbox_recipes(self) -> list[Recipe]:
        """The sandbox, unless a Microsoft is given."""
        if not needs_sandbox(self.given):
            return []
        ports = {"SANDBOX_HTTP_PORT": self.ports.sandbox_http, "SANDBOX_HTTPS_PORT": self.ports.sandbox_https}
        return [self._recipe("sandbox", ports)]

    def service_recipes(self) -> list[Recipe]:
        """The five services."""
        names = [name for name in _procfile() if name != "sandbox"]
        variables = {name: f"{name.upper().replace('-', '_')}_PORT" for name in names}
        ports = self.ports.environment()
        return [self._recipe(name, {variable: int(ports[variable])}) for name, variable in variables.items()]

    def _recipe(self, name: str, ports: dict[str, int]) -> Recipe:
        ready = http_ready(next(iter(ports.values())))
        return Recipe(name, _procfile()[name], self.environment(name), ready, ports)

    def command(self, *arguments: str) -> str:
        """Run the operator's command against this stack; what it printed."""
        program = Path(sys.executable).with_name("attendara")
        done = subprocess.run(  # noqa: S603 - our own command
            [program, *arguments],
            env=self.environment("cli"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT,
            check=False,
        )
        if done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise StackError(f"`attendara {' '.join(arguments)}` failed: {''.join(last)}")
        return done.stdout

    def watch(self) -> NoReturn:
        """Stay until a part ends by itself, which is raised."""
        while True:
            self.servers.check()
            self.services.check()
            time.sleep(0.2)

    def stop(self) -> None:
        """End everything: the sandbox and the services first, then the servers that they still speak to."""
        self.services.stop()
        self.servers.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def _procfile() -> dict[str, str]:
    return dict(parse_procfile(PROCFILE.read_text()).processes)
