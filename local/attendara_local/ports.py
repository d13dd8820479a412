"""The ports of the local stack: the usual ones, or free ones for a stack that stands beside others."""

import errno
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields
from typing import Self

from attendara_local.part import Recipe, StackError


@dataclass(frozen=True)
class Ports:
    settings_web: int = 8400
    webhook_gateway: int = 8401
    auth: int = 8402
    sync_worker: int = 8403
    renewer: int = 8404
    sandbox_http: int = 8410
    sandbox_https: int = 8411
    mongodb: int = 8420
    redis: int = 8421
    kafka: int = 8422

    @classmethod
    def given(cls, environment: Mapping[str, str]) -> Self:
        """The usual ports, each changed by its variable: `SETTINGS_WEB_PORT`, `SANDBOX_HTTP_PORT`, …"""
        chosen = {f.name: environment.get(f"{f.name.upper()}_PORT", "") for f in fields(cls)}
        wrong = [f"{name.upper()}_PORT={value}" for name, value in chosen.items() if value and not _is_port(value)]
        if wrong:
            raise StackError(f"Not a port: {', '.join(wrong)}")
        return cls(**{name: int(value) for name, value in chosen.items() if value})

    @classmethod
    def free(cls) -> Self:
        """Ports that nobody listens on now, for a stack beside others."""
        with ExitStack() as held:
            sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in fields(cls)]
            numbers = [one.getsockname()[1] for one in sockets]
        return cls(*numbers)

    def environment(self) -> dict[str, str]:
        """The same as variables, as the Procfile reads them."""
        return {f"{f.name.upper()}_PORT": str(getattr(self, f.name)) for f in fields(self)}


def check_free(recipes: list[Recipe]) -> None:
    """Raise, naming the port and who wants it, unless every port of these recipes is free."""
    for recipe in recipes:
        for variable, port in recipe.ports.items():
            if not _is_free(port):
                raise StackError(f"Port {port} is in use, and {recipe.name} wants it: free it, or choose another with {variable}")


def _is_free(port: int) -> bool:
    # Both: a browser that asks for localhost may meet the one or the other.
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            socket.create_server((host, port), family=family).close()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
    return True


def _is_port(text: str) -> bool:
    return text.isdecimal() and 0 < int(text) < 65536
