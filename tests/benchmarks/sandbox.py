"""How many requests to Graph the sandbox serves on one core: `python -m tests.benchmarks.sandbox [SECONDS]`.

The sandbox is a process of its own, which this one asks over keep-alive connections. What one core serves follows from the
processor time that the sandbox takes for a request, so that the asking takes nothing from it; the rate is what came about
meanwhile, with both on the same machine.
"""

import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from attendara_local.ports import Ports

MAILBOXES, EVENTS = 40, 200
CONNECTIONS = 8
SCOPES = ["User.Read", "Calendars.ReadWrite"]
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Mailbox:
    """What the requests need to know of one; on `day` it has twenty events."""

    token: str
    events: list[str]
    day: date
    delta: str

    def request(self, method: str, address: str, body: Any = None) -> bytes:
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {address} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.token}\r\n"
            f'Prefer: IdType="ImmutableId", outlook.timezone="UTC"\r\nContent-Type: application/json\r\n'
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content


def kinds(mailbox: Mailbox) -> dict[str, Iterator[bytes]]:
    """Endless requests of each kind."""
    events = itertools.cycle(mailbox.events)
    view = mailbox.request("GET", f"/v1.0/me/calendarView?{_window(mailbox.day, 1)}&$top=20")
    steps = [{"id": str(number), "method": "GET", "url": f"/me/events/{event}"} for number, event in enumerate(mailbox.events[:20])]
    colors = itertools.cycle(("Red category", "Blue category"))
    patches = (
        mailbox.request("PATCH", f"/v1.0/me/events/{event}", {"categories": [color]})
        for event, color in zip(events, colors, strict=False)
    )
    return {
        "GET event": (mailbox.request("GET", f"/v1.0/me/events/{event}") for event in events),
        "calendarView, 20 events": itertools.repeat(view),
        "delta, nothing new": itertools.repeat(mailbox.request("GET", mailbox.delta)),
        "$batch of 20 GETs": itertools.repeat(mailbox.request("POST", "/v1.0/$batch", {"requests": steps})),
        "PATCH categories": patches,
    }


async def measure(address: str, pid: int, seconds: float) -> None:
    async with httpx2.AsyncClient(base_url=address, timeout=60) as client:
        mailboxes = [await _mailbox(client, number) for number in range(MAILBOXES)]
    sys.stdout.write(f"{MAILBOXES} mailboxes of {EVENTS} events, {CONNECTIONS} connections, {seconds:g} s each\n")
    for kind in kinds(mailboxes[0]):
        for warming in (True, False):
            deadline = time.monotonic() + (0.3 if warming else seconds)
            used, began = _processor_seconds(pid), time.monotonic()
            counts = await asyncio.gather(
                *(_ask(address, mailboxes[start::CONNECTIONS], kind, deadline) for start in range(CONNECTIONS))
            )
            used, took = _processor_seconds(pid) - used, time.monotonic() - began
        each = used / sum(counts)
        rate = sum(counts) / took
        sys.stdout.write(f"{kind:24} {1 / each:6.0f}/s on one core ({each * 1e6:.0f} µs each); {rate:.0f}/s came about\n")


async def _ask(address: str, mailboxes: list[Mailbox], kind: str, deadline: float) -> int:
    """Ask for these mailboxes in turn, one request at a time over one connection; how many were answered."""
    reader, writer = await asyncio.open_connection(urlsplit(address).hostname, urlsplit(address).port)
    requests = itertools.cycle([kinds(mailbox)[kind] for mailbox in mailboxes])
    count = 0
    while time.monotonic() < deadline:
        writer.write(next(next(requests)))
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]))
        assert head.startswith(b"HTTP/1.1 200"), head
        count += 1
    writer.close()
    return count


async def _mailbox(client: httpx2.AsyncClient, number: int) -> Mailbox:
    wanted = {"username": f"bench{number}@example.org", "name": f"Bench {number}", "events": EVENTS}
    account = (await client.post("/sandbox/v1/accounts", json=wanted)).raise_for_status().json()["id"]
    given = await client.post(f"/sandbox/v1/accounts/{account}/token", json={"app": "bench", "scopes": SCOPES})
    headers = {"Authorization": f"Bearer {given.json()['access_token']}", "Prefer": 'IdType="ImmutableId", odata.maxpagesize=1000'}
    around = _window(datetime.now(UTC).date() - timedelta(days=200), 400)
    page = (await client.get(f"/v1.0/me/calendarView/delta?{around}", headers=headers)).raise_for_status().json()
    link = urlsplit(page["@odata.deltaLink"])
    days = Counter(date.fromisoformat(item["start"]["dateTime"][:10]) for item in page["value"])
    events = [item["id"] for item in page["value"]]
    return Mailbox(given.json()["access_token"], events, days.most_common(1)[0][0], f"{link.path}?{link.query}")


def _window(first: date, days: int) -> str:
    return f"startDateTime={first}T00:00:00Z&endDateTime={first + timedelta(days=days)}T00:00:00Z"


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


@contextmanager
def sandbox(folder: Path) -> Iterator[tuple[str, int]]:
    """A sandbox process of its own: its address and its id."""
    ports = Ports.free()
    http, https = str(ports.sandbox_http), str(ports.sandbox_https)
    own = {"SANDBOX_DATA": str(folder), "SANDBOX_HTTP_PORT": http, "SANDBOX_HTTPS_PORT": https}
    others = {name: value for name, value in os.environ.items() if not name.startswith("KAFKA")}
    with subprocess.Popen([sys.executable, "-m", "outlook_sandbox"], env=others | own) as process:
        address = f"http://127.0.0.1:{http}"
        try:
            while process.poll() is None:
                try:
                    httpx2.get(f"{address}/readyz")
                    break
                except httpx2.ConnectError:
                    time.sleep(0.05)
            yield address, process.pid
        finally:
            process.terminate()


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    with tempfile.TemporaryDirectory() as folder, sandbox(Path(folder)) as (address, pid):
        asyncio.run(measure(address, pid, seconds))


if __name__ == "__main__":
    main()
