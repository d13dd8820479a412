"""`attendara check webhook`: Graph's handshake and a signed probe at the webhook gateway's public address, as Graph posts them."""

import asyncio
import ipaddress
import socket
import ssl
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, quote_plus, urlsplit

import httpx2

from attendara_cli.check.answers import handshake_trouble, probe_trouble
from attendara_cli.check.posting import Answer, Unanswered, Unreachable, graphs_client, post
from attendara_cli.check.probe import lifecycle_probe, notification_probe
from common.client_state import PROBE_CALENDAR, ClientStates

PROBES = {"/graph/notifications": notification_probe, "/graph/lifecycle": lifecycle_probe}


@dataclass(frozen=True)
class Limits:
    """Seconds. All but `connecting` are Graph's: https://learn.microsoft.com/graph/change-notifications-delivery-webhooks."""

    connecting: float = 5
    slow: float = 3
    answer: float = 10


GRAPHS = Limits()


@dataclass(frozen=True)
class Finding:
    """One line of what the command says. A note changes nothing about whether all is well."""

    outcome: Literal["ok", "failed", "note"]
    words: str

    @property
    def line(self) -> str:
        return f"{self.outcome:7} {self.words}"


def address_of(text: str) -> SplitResult:
    """Raises ValueError, in words, for what is no address that could be posted to."""
    try:
        url, address = httpx2.URL(text), urlsplit(text)
        usable = url.scheme in ("https", "http") and url.host and not url.userinfo and not url.fragment
    except (httpx2.InvalidURL, ValueError):
        usable = False
    if not usable:
        raise ValueError("an address is like https://gateway.example, with a path or a query string if there is one")
    return address


async def check_webhook(
    address: SplitResult, client_states: ClientStates, trust: ssl.SSLContext, limits: Limits = GRAPHS
) -> AsyncIterator[Finding]:
    """Each check at both paths, or at the one that `address` ends with; only one finding when it can't be reached."""
    if address.scheme == "http" and not _is_this_machine(address):
        yield Finding("failed", "address: Graph posts to https alone: put TLS in front, and give the https address")
        return
    async with graphs_client(trust, limits.connecting) as client:
        try:
            for path, probe in _probes(address):
                at = address._replace(path=path)
                yield await _handshake(client, at, limits)
                yield await _probe(client, at, probe(client_states.sign(PROBE_CALENDAR)), client_states.active, limits)
        except Unreachable as error:
            yield Finding("failed", f"connection: {error}")
            if urllib.request.getproxies().get(address.scheme):
                yield Finding(
                    "note",
                    "this machine's proxy wasn't used, as Graph won't use it: if there is no way without, run this elsewhere",
                )
    for note in await _notes(address):
        yield Finding("note", note)


async def say_all(findings: AsyncIterator[Finding], say: Callable[[str], None]) -> bool:
    """Each as it comes. Returns whether all is well."""
    well = True
    async for finding in findings:
        say(finding.line)
        well = well and finding.outcome != "failed"
    return well


async def _handshake(client: httpx2.AsyncClient, address: SplitResult, limits: Limits) -> Finding:
    """The token holds what has to be URL-decoded, and what HTML would escape."""
    token = f"Validation: Attendara's check of this address & of its path, Request-Id: {uuid.uuid4()}+a/b="
    name, url = f"handshake {_shown(address)}", _with(address, f"validationToken={quote_plus(token)}").geturl()
    try:
        answer = await post(client, url, b"", "text/plain", limits.answer)
    except Unanswered as error:
        return Finding("failed", f"{name}: {error}")
    finding = _finding(name, answer, handshake_trouble(answer, url, token), limits)
    if finding.outcome == "ok" and answer.headers.get("x-content-type-options", "").lower() != "nosniff":
        return Finding("ok", f"{finding.words}; the gateway's X-Content-Type-Options: nosniff was taken away on the way")
    return finding


async def _probe(client: httpx2.AsyncClient, address: SplitResult, body: bytes, key: str, limits: Limits) -> Finding:
    name, url = f"probe {_shown(address)}", address.geturl()
    try:
        answer = await post(client, url, body, "application/json", limits.answer)
    except Unanswered as error:
        return Finding("failed", f"{name}: {error}")
    return _finding(name, answer, probe_trouble(answer, url, key), limits)


def _finding(name: str, answer: Answer, trouble: str | None, limits: Limits) -> Finding:
    took = f"{answer.seconds:.2f} seconds"
    if trouble:
        return Finding("failed", f"{name}: {trouble}")
    if answer.seconds > limits.slow:
        late = f"Graph waits {limits.slow:g} for a notification to be answered, and slows down where answers are late"
        return Finding("failed", f"{name}: answered well, but after {took}: {late}")
    return Finding("ok", f"{name}: {took}")


def _probes(address: SplitResult) -> list[tuple[str, Callable[[str], bytes]]]:
    """Each path to check, with what makes its probe of a clientState."""
    below = address.path.rstrip("/")
    for path, probe in PROBES.items():
        if below.endswith(path):
            return [(below, probe)]
    return [(below + path, probe) for path, probe in PROBES.items()]


async def _notes(address: SplitResult) -> list[str]:
    """What is well from here and may not be for Microsoft."""
    found = await _addresses(address)
    hidden = sorted({ip for ip in found if not ipaddress.ip_address(ip).is_global})
    notes = [
        f"{address.hostname} leads to {ip} from here, where Microsoft can't reach it: check it from outside, too" for ip in hidden
    ]
    if address.scheme == "http":
        notes.append("http will do on this machine; Graph posts to https alone")
    return notes


async def _addresses(address: SplitResult) -> set[str]:
    """The IP addresses that the host has from here; none where the DNS has none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(address.hostname, None, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        return set()
    return {str(where[0]) for *_, where in found}


def _is_this_machine(address: SplitResult) -> bool:
    host = address.hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _with(address: SplitResult, query: str) -> SplitResult:
    """Graph keeps the query string that an address has."""
    return address._replace(query=f"{address.query}&{query}" if address.query else query)


def _shown(address: SplitResult) -> str:
    """Without the query string: it may hold a secret."""
    return address._replace(query="").geturl()
