"""Ports: the usual ones, chosen ones, free ones, and the line when one is taken."""

import socket
from dataclasses import astuple

import pytest

from attendara_local.part import Recipe, StackError
from attendara_local.ports import Ports, check_free


def recipe(name: str, variable: str, port: int) -> Recipe:
    return Recipe(name, "true", {}, lambda: None, {variable: port})


def test_a_port_is_changed_by_its_variable() -> None:
    ports = Ports.given({"AUTH_PORT": "9402", "PATH": "/bin"})

    assert (ports.auth, ports.settings_web) == (9402, 8400)


@pytest.mark.parametrize("wrong", ["0", "65536", "http", "-1"])
def test_what_is_no_port_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(StackError, match=f"Not a port: REDIS_PORT={wrong}"):
        Ports.given({"REDIS_PORT": wrong})


def test_free_ports_are_free_and_different() -> None:
    ports = Ports.free()

    assert len(set(astuple(ports))) == len(astuple(ports))
    check_free([recipe("any", variable, int(port)) for variable, port in ports.environment().items()])


def test_a_port_in_use_is_named_with_who_wants_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(StackError, match=f"Port {port} is in use, and renewer wants it.*RENEWER_PORT"):
            check_free([recipe("renewer", "RENEWER_PORT", port)])
