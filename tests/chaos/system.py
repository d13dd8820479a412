"""The whole system as processes of its own, with one account connected; how to break its servers, and what must come true."""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from aiokafka import AIOKafkaProducer
from pymongo import AsyncMongoClient

from attendara_local import servers
from attendara_local.crew import Crew
from attendara_local.part import Part, Recipe
from attendara_local.ports import Ports
from attendara_local.stack import Stack
from common.messages import AppointmentStatusReported, Status
from common.store import Database, Document
from outlook_sandbox.client import SandboxControl
from tests.chaos.proxy import Proxy, proxied
from tests.outlook import Outlook, Standing, new_outlook
from tests.servers import ADDRESSES
from tests.serving import until
from tests.settings_pages import settings_pages

BrokerRecipe = Callable[[Ports, Path, int], Recipe]
"""Of a broker that tells its clients to use the port."""
SERVICES = ("auth", "renewer", "settings-web", "sync-worker", "webhook-gateway")
ORGANIZATION = "org_bergpraxis"
LIMIT = 90.0
"""Seconds in which everything must have come together again: a crashed one's lease lasts 15, a post's next try may be 16 away."""
GRACE = 30.0
"""Seconds that a service has to end before it would be killed: fewer than a deployment gives it."""
GRAPH_LATENCY_MS = "150"
"""Long enough for crashes to come in the middle of requests."""


def own_environment() -> dict[str, str]:
    """Ours without given servers: whoever breaks servers brings their own."""
    return {name: value for name, value in os.environ.items() if name not in ADDRESSES}


@dataclass
class System:
    """The broker is behind `line`, which can be cut; `answers` is what was last reported for each event."""

    stack: Stack
    brokers: Crew
    line: Proxy
    database: Database
    outlook: Outlook
    producer: AIOKafkaProducer
    http: httpx2.AsyncClient
    connection: str = ""
    calendar: str = ""
    answers: dict[str, Status] = field(default_factory=dict)
    appointments: dict[str, str] = field(default_factory=dict)
    unsent: list[asyncio.Future[Any]] = field(default_factory=list)

    @property
    def broker(self) -> Part:
        return self.brokers.parts["broker"]

    async def report(self, event: str, status: Status) -> None:
        """As another service does it; returns before the broker has it, which `settled` waits for."""
        said = AppointmentStatusReported(
            organization=ORGANIZATION, appointment=await self._appointment(event), status=status, occurred_at=datetime.now(UTC)
        )
        self.answers[event] = status
        key, value = (said.key or "").encode(), msgspec.json.encode(said)
        self.unsent.append(asyncio.ensure_future(self.producer.send_and_wait(said.topic.name, value, key)))

    async def _appointment(self, event: str) -> str:
        """Remembered, so that it is known while MongoDB is away."""
        if event not in self.appointments:
            found = await until(lambda: self.database.appointments.find_one({"event_id": event}), LIMIT)
            self.appointments[event] = found["_id"]
        return self.appointments[event]

    async def notify(self) -> int:
        """Post to the gateway as Graph does, for our calendar; the status of the answer."""
        async with SandboxControl(self.stack.sandbox_url) as sandbox:
            subscribed = (await sandbox.subscriptions())[0]
        entry = {"subscriptionId": subscribed.id, "clientState": subscribed.client_state}
        posted = await self.http.post(f"{self.stack.gateway_url}/graph/notifications", json={"value": [entry]})
        return posted.status_code

    async def settled(self) -> None:
        """Until Outlook, MongoDB and the Customers feed say the same, labels included; fails with what differs."""
        found = ["not looked yet"]

        async def nothing_differs() -> bool:
            found[:] = await self._differences()
            return not found

        await asyncio.wait_for(asyncio.gather(*self.unsent), LIMIT)
        self.unsent.clear()
        try:
            await until(nothing_differs, LIMIT)
        except AssertionError as error:
            raise AssertionError(f"not settled; the first of what differs: {found[:5]}") from error

    async def _differences(self) -> list[str]:
        outlook = await self.outlook.listed()
        documents = await self.database.appointments.find({"organization": ORGANIZATION, "removed": None}).to_list()
        self.appointments |= {document["event_id"]: document["_id"] for document in documents}
        stored = {document["event_id"]: _stored(document) for document in documents}
        feed = await self._fed({document["_id"]: document["event_id"] for document in documents})
        wanted = {event: msgspec.structs.replace(seen, label=self._label(event)) for event, seen in outlook.items()}
        return [
            f"{event}: wanted {wanted.get(event)}, {place} has {seen.get(event)}"
            for place, seen in (("Outlook", outlook), ("MongoDB", stored), ("the feed", feed))
            for event in wanted.keys() | seen.keys()
            if wanted.get(event) != seen.get(event)
        ]

    def _label(self, event: str) -> str:
        answer = self.answers.get(event, "pending")
        return "none" if answer == "pending" else answer

    async def _fed(self, events: dict[str, str]) -> dict[str, Standing]:
        """What the Customers page, a reader of `appointment.changed`, has by now."""
        told = (await self.http.get(f"{self.stack.sandbox_url}/customers/appointments")).json()["appointments"]
        return {events.get(one["id"], f"unknown {one['id']}"): _told(one) for one in told}

    async def get(self, service: str, path: str) -> httpx2.Response:
        return await self.http.get(f"http://localhost:{port_of(self.stack.ports, service)}{path}")

    async def not_ready(self, service: str, *missing: str) -> None:
        """Until it says that exactly these are missing; it lives all the while."""

        async def says_so() -> bool:
            answer = await self.get(service, "/readyz")
            return answer.status_code == 503 and set(answer.json()) == {"status", *missing}

        await until(says_so)
        assert (await self.get(service, "/livez")).status_code == 200

    async def ready(self, *services: str) -> None:
        """Until these (all, if none is named) are ready."""

        async def all_say_so() -> bool:
            answers = [await self.get(service, "/readyz") for service in services or SERVICES]
            return all(answer.status_code == 200 for answer in answers)

        await until(all_say_so, LIMIT)


def port_of(ports: Ports, service: str) -> int:
    return int(getattr(ports, service.replace("-", "_")))


@asynccontextmanager
async def paused(part: Part) -> AsyncIterator[None]:
    """A server that hangs: its connections stand, and nothing answers."""
    part.send(signal.SIGSTOP)
    try:
        yield
    finally:
        part.send(signal.SIGCONT)


@asynccontextmanager
async def killed(crew: Crew, name: str) -> AsyncIterator[None]:
    """A part that crashed, started again and ready when left."""
    await asyncio.to_thread(crew.kill, name)
    try:
        yield
    finally:
        await asyncio.to_thread(crew.restart, name)


@asynccontextmanager
async def terminated(crew: Crew, name: str) -> AsyncIterator[str]:
    """What a part logged while it ended because it was asked to: in time, with code 0. Started again and ready when left."""
    log = crew.parts[name].log
    before = log.stat().st_size
    code = await asyncio.to_thread(crew.terminate, name, GRACE)
    told = log.read_bytes()[before:].decode()
    assert code == 0, f"{name} ended with {code}: {told[-2000:]}"
    try:
        yield told
    finally:
        await asyncio.to_thread(crew.restart, name)


@asynccontextmanager
async def cut(line: Proxy) -> AsyncIterator[None]:
    """A server that nobody reaches: its connections are gone, and new ones refused."""
    await line.cut()
    try:
        yield
    finally:
        await line.listen()


@asynccontextmanager
async def slow(line: Proxy) -> AsyncIterator[None]:
    """A server that is far away, so that something is always under way to it."""
    line.delay = 0.1
    try:
        yield
    finally:
        line.delay = 0.0


@asynccontextmanager
async def running_system(folder: Path, recipe: BrokerRecipe | None = None) -> AsyncIterator[System]:
    """Everything is started, an account connected, its calendar added and in step."""
    async with AsyncExitStack() as leaving:
        brokers, line, kafka = await leaving.enter_async_context(broker_on_a_line(folder, recipe))
        stack = _Deployed(Ports.free(), folder, own_environment() | kafka | {"SANDBOX_LATENCY_MS": GRAPH_LATENCY_MS})
        leaving.push_async_callback(asyncio.to_thread, stack.stop)
        await asyncio.to_thread(stack.start)
        outlook = await leaving.enter_async_context(new_outlook(stack.sandbox_url, f"{secrets.token_hex(4)}@ting.example"))
        environment = stack.environment("sync-worker")
        client = await leaving.enter_async_context(AsyncMongoClient[Document](environment["MONGODB_URL"], tz_aware=True))
        http = await leaving.enter_async_context(httpx2.AsyncClient(timeout=20))
        servers_of_kafka = environment["KAFKA_BOOTSTRAP_SERVERS"]
        producer = AIOKafkaProducer(bootstrap_servers=servers_of_kafka, acks="all", request_timeout_ms=60_000)
        await producer.start()
        leaving.push_async_callback(producer.stop)
        system = System(stack, brokers, line, client["attendara"], outlook, producer, http)
        await _connect(system)
        yield system


@asynccontextmanager
async def broker_on_a_line(folder: Path, recipe: BrokerRecipe | None = None) -> AsyncIterator[tuple[Crew, Proxy, dict[str, str]]]:
    """The local broker or the one of a recipe, the line to it, and the settings with which services use it."""
    ports, front, crew = Ports.free(), Ports.free().kafka, Crew(folder)
    profile = {} if recipe else servers.KAFKA_PROFILE
    try:
        await asyncio.to_thread(crew.start, [(recipe or servers.broker)(ports, folder, front)])
        async with proxied(front, ports.kafka) as line:
            yield crew, line, {**profile, "KAFKA_BOOTSTRAP_SERVERS": f"localhost:{front}"}
    finally:
        await asyncio.to_thread(crew.stop)


class _Deployed(Stack):
    """Services have as long to end as in a deployment."""

    def service_recipes(self) -> list[Recipe]:
        grace = "--timeout-graceful-shutdown"
        return [replace(one, command=one.command.replace(f"{grace} 5", f"{grace} 20")) for one in super().service_recipes()]


async def _connect(system: System) -> None:
    async with settings_pages(system.stack.settings_url) as pages:
        await pages.sign_in()
        system.connection = await pages.connect(system.outlook.username)
        system.calendar = await pages.add_calendar(system.connection, system.outlook.calendar)
    subscribed = {"calendar": system.calendar, "state": "active", "to_announce": {"$exists": False}}
    await until(lambda: system.database.subscriptions.find_one(subscribed), LIMIT)
    await until(lambda: system.database.sync_states.find_one({"_id": system.calendar, "state": "current"}), LIMIT)
    await system.settled()


def _stored(document: Document) -> Standing:
    content = document["content"]
    return Standing(content["subject"], content["start"], content["end"], document["label"]["value"])


def _told(one: dict[str, Any]) -> Standing:
    times = {name: datetime.fromisoformat(one[name]) for name in ("start", "end")}
    return Standing(one["subject"], times["start"], times["end"], one["label"])
