"""Memory and CPU of each service, idle and under load, with telemetry on: `python -m tests.deploy.measure`.

What requests and limits in deploy/k8s come from: CPU in millicores over each phase, memory as it is and at its highest.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from pydantic import SecretStr

from attendara_local.ports import Ports
from attendara_local.stack import Stack
from common.client_state import ClientStates
from common.ids import new_id
from tests.deploy.manifests import SERVICES
from tests.e2e.otlp import collecting
from tests.outlook import Outlook, new_outlook
from tests.serving import until
from tests.settings_pages import settings_pages

ACCOUNT = "bench@bergpraxis.example"
EVENTS, EDITS = 2_000, 500
SECONDS = 15.0
"""Of the phases that have no end of their own."""
AT_ONCE = 16


@dataclass(frozen=True)
class Use:
    """Of one process: resident memory and its highest, in MiB; CPU seconds since its start."""

    memory: float
    highest: float
    cpu: float

    @classmethod
    def of(cls, pid: int) -> "Use":
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[11:13]
        memory, highest = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
        return cls(memory, highest, (int(user) + int(system)) / os.sysconf("SC_CLK_TCK"))


def process_of(pid: int) -> int:
    """The service's own process: what was started is a shell that may still stand before it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return process_of(int(children[0])) if children else pid


@asynccontextmanager
async def phase(name: str, pids: Mapping[str, int]) -> AsyncIterator[None]:
    before, began = {service: Use.of(pid) for service, pid in pids.items()}, time.monotonic()
    yield
    seconds = time.monotonic() - began
    for service, pid in pids.items():
        use = Use.of(pid)
        cpu = 1000 * (use.cpu - before[service].cpu) / seconds
        sys.stdout.write(f"{name:14} {service:16} memory_mib={use.memory:.0f} highest_mib={use.highest:.0f} cpu_m={cpu:.0f}\n")


async def measure(stack: Stack) -> None:
    pids = {service: process_of(stack.services.parts[service].pid or 0) for service in SERVICES}
    async with settings_pages(stack.settings_url) as pages, new_outlook(stack.sandbox_url, ACCOUNT) as person:
        async with phase("idle", pids):
            await asyncio.sleep(SECONDS)
        await pages.sign_in()
        events = await _together([_event(person, number) for number in range(EVENTS)])
        async with phase("first sync", pids):
            calendar = await pages.add_calendar(await pages.connect(ACCOUNT), person.calendar)
            await until(lambda: _current(pages, calendar), 120)
        async with phase("edits", pids):
            await _together([person.rename(event, "Renamed") for event in events[:EDITS]])
        async with phase("notifications", pids):
            await _for_a_while(_posting(stack))
        async with phase("pages", pids):
            await _for_a_while(lambda _: pages.ask("GET", "/api/v1/calendars"))


async def _together(work: list[Any]) -> list[Any]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(piece: Any) -> Any:
        async with gate:
            return await piece

    return await asyncio.gather(*map(one, work))


async def _event(person: Outlook, number: int) -> str:
    return await person.create(f"Event {number}", datetime.now(UTC) + timedelta(days=1 + number % 300, minutes=number % 600))


async def _current(pages: Any, calendar: str) -> bool:
    listed = await pages.ask("GET", "/api/v1/calendars")
    return any(one["id"] == calendar and one["state"] == "up-to-date" for one in listed)


def _posting(stack: Stack) -> Any:
    """Genuine notifications for calendars that nobody has, so that the gateway alone has work."""
    keys = stack.environment("webhook-gateway")["CLIENT_STATE_KEYS"].split(",")
    signed = ClientStates([SecretStr(key) for key in keys]).sign(new_id("cal"))
    entry = {"subscriptionId": "one", "clientState": signed, "changeType": "updated", "resource": "me/events/one"}

    async def post(http: httpx2.AsyncClient) -> None:
        answer = await http.post(f"{stack.gateway_url}/graph/notifications", json={"value": [entry]})
        answer.raise_for_status()

    return post


async def _for_a_while(ask: Any) -> None:
    ends, count = time.monotonic() + SECONDS, 0

    async def keep_asking(http: httpx2.AsyncClient) -> None:
        nonlocal count
        while time.monotonic() < ends:
            await ask(http)
            count += 1

    async with httpx2.AsyncClient(timeout=20) as http:
        await asyncio.gather(*(keep_asking(http) for _ in range(AT_ONCE)))
    sys.stdout.write(f"{count / SECONDS:.0f} requests a second\n")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, collecting() as collector:
        given = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.address}
        with Stack(Ports.free(), Path(folder), given) as stack:
            asyncio.run(measure(stack))


if __name__ == "__main__":
    main()
