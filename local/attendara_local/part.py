"""One process of the stack: started, logged, asked whether it is ready, and gone when we are."""

import os
import re
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from honcho.printer import Message, Printer
from honcho.process import Process

COLOURS = re.compile(rb"\x1b\[[0-9;]*m")
LEASH = Path(__file__).with_name("leash.py")
STOP_PATIENCE = 10.0
"""Seconds that a process has to end by itself before it is killed."""


class StackError(Exception):
    """What stops the local stack, said in one line for the person at the terminal."""


@dataclass(frozen=True)
class Recipe:
    """How a part is run; `wants()` is None when it is ready, else what is still missing."""

    name: str
    command: str
    environment: Mapping[str, str]
    wants: Callable[[], str | None]
    ports: Mapping[str, int] = field(default_factory=dict)
    """The ports it listens on, by the environment variable that sets each."""


class Part:
    """A running recipe. Its output goes to `log`, and to `printer` if there is one."""

    def __init__(self, recipe: Recipe, log: Path, printer: Printer | None = None, colour: str | None = None) -> None:
        self.recipe, self.name, self.log = recipe, recipe.name, log
        self.pid: int | None = None
        self.returncode: int | None = None
        self.last_line = ""
        self._printer = printer
        self._process = Process(_leashed(recipe.command), self.name, colour, env=dict(recipe.environment))
        self._began = threading.Event()
        # The thread that starts a process must live as long as it: the kernel's leash is held by that very thread.
        self._thread = threading.Thread(target=self._process.run, args=(self,), name=self.name, daemon=True)

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._out = self.log.open("ab")
        self._thread.start()
        self._began.wait()

    def put(self, message: Message) -> None:
        """Take what honcho's process reports, in its own thread: its start, each line, its end."""
        if message.type == "start":
            self.pid = message.data["pid"]
            self._began.set()
        elif message.type == "stop":
            self.returncode = message.data["returncode"]
            self._out.close()
        else:
            self._keep(message)

    def _keep(self, message: Message) -> None:
        plain = COLOURS.sub(b"", message.data)
        self._out.write(plain)
        self._out.flush()
        self.last_line = plain.decode(errors="replace").strip() or self.last_line
        if self._printer:
            self._printer.write(message)

    def check(self) -> None:
        """Raise if it has ended by itself."""
        if self.returncode is not None:
            last = f": {self.last_line}" if self.last_line else ""
            raise StackError(f"{self.name} ended {_how(self.returncode)}{last}{_advice(self.last_line)} (log: {self.log})")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and to whatever it started."""
        if self.pid is not None and self.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def join(self, until: float) -> bool:
        """Wait for its end until the given monotonic time; say whether it came."""
        self._thread.join(max(0.0, until - time.monotonic()))
        return not self._thread.is_alive()


def stop(parts: Iterable[Part], patience: float = STOP_PATIENCE) -> None:
    """End these parts together: asked first, also the paused ones; killed when patience is over."""
    started = [part for part in parts if part.pid is not None]
    for part in started:
        part.send(signal.SIGTERM)
        part.send(signal.SIGCONT)
    until = time.monotonic() + patience
    for part in started:
        if not part.join(until):
            part.send(signal.SIGKILL)
            part.join(time.monotonic() + patience)


def _leashed(command: str) -> str:
    leash = shlex.join([sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), "/bin/sh", "-c", f"exec {command}"])
    return f"exec {leash}"


def _how(returncode: int) -> str:
    return f"with code {returncode}" if returncode >= 0 else f"by {signal.Signals(-returncode).name}"


def _advice(last_line: str) -> str:
    """A server of a bare machine may miss a library of its system."""
    return "; `make run` as root installs it on Debian" if "error while loading shared libraries" in last_line else ""
