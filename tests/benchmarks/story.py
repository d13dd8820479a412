"""How long both ways take on this machine, through the whole system: `make bench`.

In: an event is changed at Graph → `appointment.changed` is on Kafka; beside it, in the same run, a reader that asks Graph's
delta once a second instead of being notified. Out: a status is published → Graph has answered the PATCH, and
that is on Kafka.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from attendara_local.ports import Ports
from attendara_local.stack import Stack
from tests.outlook import Outlook, new_outlook
from tests.serving import until
from tests.settings_pages import settings_pages

ACCOUNT, ORGANIZATION = "bench@bergpraxis.example", "org_bergpraxis"
BETWEEN = 2.0
"""Seconds between two changes, so long that the round for a label's echo and the rest after it are over: no burst is measured."""


async def measure(stack: Stack, rounds: int) -> None:
    async with settings_pages(stack.settings_url) as pages, new_outlook(stack.sandbox_url, ACCOUNT) as person:
        await pages.sign_in()
        calendar = await pages.add_calendar(await pages.connect(ACCOUNT), person.calendar)
        await until(lambda: _current(pages, calendar), 60)
        async with changes(stack) as heard, asking(person) as polled:
            event = await person.create("Round", datetime.now(UTC) + timedelta(days=3))
            appointment = (await _once(heard, "Round"))["appointment"]
            await asyncio.sleep(BETWEEN)
            notified, asked, labelled = [], [], []
            for number in range(rounds):
                subject, began = f"Round {number}", time.monotonic()
                await person.rename(event, subject)
                notified.append((await _once(heard, subject))["at"] - began)
                asked.append(await _once(polled, subject) - began)
                await asyncio.sleep(BETWEEN)
                labelled.append(await _answer(stack, heard, appointment, number))
                await asyncio.sleep(BETWEEN)
    _print("notification → announced", notified)
    _print("asked once a second", asked)
    _print("status → label", labelled)


async def _once(seen: dict[str, Any], subject: str) -> Any:
    return await until(lambda: seen.get(subject))


async def _current(pages: Any, calendar: str) -> bool:
    listed = await pages.ask("GET", "/api/v1/calendars")
    return any(one["id"] == calendar and one["state"] == "up-to-date" for one in listed)


@asynccontextmanager
async def changes(stack: Stack) -> AsyncIterator[dict[str, Any]]:
    """The newest `appointment.changed` by subject, with when it was read."""
    environment = stack.environment("cli")
    consumer = AIOKafkaConsumer(
        "appointment.changed.v1", bootstrap_servers=environment["KAFKA_BOOTSTRAP_SERVERS"], fetch_max_wait_ms=20
    )
    heard: dict[str, Any] = {}

    async def read() -> None:
        async for record in consumer:
            if record.value:
                said = json.loads(record.value)
                heard[said["subject"]] = said | {"at": time.monotonic()}

    await consumer.start()
    task = asyncio.create_task(read())
    yield heard
    task.cancel()
    await consumer.stop()


@asynccontextmanager
async def asking(person: Outlook) -> AsyncIterator[dict[str, float]]:
    """The alternative without push: the listing is asked for once a second."""
    seen: dict[str, float] = {}

    async def ask() -> None:
        while True:
            for standing in (await person.listed()).values():
                seen.setdefault(standing.subject or "", time.monotonic())
            await asyncio.sleep(1)

    task = asyncio.create_task(ask())
    yield seen
    task.cancel()


async def _answer(stack: Stack, heard: dict[str, Any], appointment: str, number: int) -> float:
    status = ("confirmed", "cancelled")[number % 2]
    producer = AIOKafkaProducer(bootstrap_servers=stack.environment("cli")["KAFKA_BOOTSTRAP_SERVERS"], acks="all")
    await producer.start()
    began = time.monotonic()
    said = {
        "organization": ORGANIZATION,
        "appointment": appointment,
        "status": status,
        "occurred_at": datetime.now(UTC).isoformat(),
    }
    await producer.send_and_wait("appointment.status-reported.v1", json.dumps(said).encode(), key=appointment.encode())

    def written() -> Any:
        mine = (one for one in heard.values() if one["appointment"] == appointment and one["at"] > began)
        return next((one for one in mine if one["label"]["value"] == status), None)

    at = (await until(written, 20))["at"]
    await producer.stop()
    return float(at - began)


def _print(name: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    p50, p99 = statistics.median(ordered), ordered[min(len(ordered) - 1, round(len(ordered) * 0.99))]
    sys.stdout.write(f"{name:26} p50_ms={p50 * 1000:.0f} p99_ms={p99 * 1000:.0f} n={len(ordered)}\n")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with tempfile.TemporaryDirectory() as folder, Stack(Ports.free(), Path(folder), os.environ) as stack:
        asyncio.run(measure(stack, rounds))


if __name__ == "__main__":
    main()
