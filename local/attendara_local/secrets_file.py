"""The secrets of a local stack: made once and kept, so that what they encrypted can be read after a restart.

Run as a script, which needs Python alone, it prints fresh ones for docker-compose.yml.
"""

import base64
import os
import secrets
import sys
from pathlib import Path

CALLERS = ("settings-web", "sync-worker", "renewer", "cli")
"""Who has a credential of its own, shown at the internal doors of others."""


def read_or_make(path: Path) -> dict[str, str]:
    """The secrets of this file, which is written (readable by its owner alone) when it isn't there."""
    if not path.exists():
        _write(path, _make())
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def credential_variable(caller: str) -> str:
    """Where the file keeps the credential of one caller."""
    return f"CREDENTIAL_{caller.upper().replace('-', '_')}"


def _make() -> dict[str, str]:
    keys = {name: f"local:{base64.b64encode(os.urandom(32)).decode()}" for name in ("TOKEN_KEYS", "CLIENT_STATE_KEYS")}
    credentials = {credential_variable(caller): f"{caller}:{secrets.token_urlsafe(32)}" for caller in CALLERS}
    return keys | credentials


def _write(path: Path, made: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.writelines(_lines(made))
    fresh.replace(path)


def _lines(made: dict[str, str]) -> list[str]:
    return [f"{name}={value}\n" for name, value in made.items()]


if __name__ == "__main__":
    sys.stdout.writelines(_lines(_make()))
