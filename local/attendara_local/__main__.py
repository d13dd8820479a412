"""`make run`: the whole system in this terminal, until Ctrl-C."""

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from honcho.printer import Printer

from attendara_local.part import StackError
from attendara_local.ports import Ports
from attendara_local.stack import Stack

READY = """
  Everything is ready. Open

    Settings    {stack.settings_url}
    Outlook     {stack.sandbox_url}/outlook
    Customers   {stack.sandbox_url}/customers

  Logs are in {logs}. Ctrl-C stops everything.
"""
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Asked(Exception):
    """Somebody wants us to end."""


def main() -> int:
    for ending in ENDINGS:
        signal.signal(ending, _ask)
    try:
        _run()
    except Asked:
        return 0
    except StackError as error:
        say(f"\n  {error}")
        return 1


def _run() -> NoReturn:
    folder = Path(".data")
    printer = Printer(sys.stdout, width=16) if os.environ.get("VERBOSE") else None
    stack = Stack(Ports.given(os.environ), folder, say=say, printer=printer)
    try:
        stack.start()
        say(READY.format(stack=stack, logs=folder / "logs"))
        stack.watch()
    finally:
        _ignore_endings()  # once is enough, and stopping must not be broken off
        if stack.servers.parts or stack.services.parts:
            say("\n  Stopping …")
        stack.stop()


def _ask(number: int, frame: FrameType | None) -> None:
    _ignore_endings()
    raise Asked


def _ignore_endings() -> None:
    for ending in ENDINGS:
        signal.signal(ending, signal.SIG_IGN)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
