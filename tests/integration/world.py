"""sync-worker in this process, over real MongoDB, Redis and Kafka and a sandbox that listens: what its tests drive.

One `Worker` serves a whole module; each test gets a `World` of its own in it: an organization, a connection, an account.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx2
from aiokafka import AIOKafkaConsumer

from common.graph import AccessTokens
from common.graph import Graph as GraphClient
from common.graph.client import GateTransport, make_redis
from common.ids import new_id
from common.mailbox_gate import MailboxGate
from common.messages import (
    AppointmentChanged,
    AppointmentStatusReported,
    CalendarChanged,
    CalendarSyncRequested,
    NotificationReceived,
    parked_topic,
)
from common.messaging import Messaging, make_messaging
from common.store import AWAY, Database, Document
from common.tasks import end
from outlook_sandbox.accounts import new_account
from outlook_sandbox.app import make_sandbox
from outlook_sandbox.database import Database as SandboxDatabase
from outlook_sandbox.settings import Settings as SandboxSettings
from outlook_sandbox.state import Sandbox
from sync_worker.app import create_app
from sync_worker.settings import Settings
from tests.graph_contract import checked_app
from tests.servers import Kafka
from tests.serving import serving, until
from tests.unit.sandbox.graph_client import APP, EVERYTHING, Graph

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
"""The day of the graph_client's events, so that they lie in every window."""


class Clock:
    """Runs like ours, from `start` on; `shift` moves it."""

    def __init__(self, start: datetime) -> None:
        self.start = start
        self._begun = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.start + (datetime.now(UTC) - self._begun)

    def shift(self, by: timedelta) -> None:
        self.start += by


@dataclass
class Worker:
    """sync-worker, and what it speaks to. `published` is what other services read."""

    database: Database
    messaging: Messaging
    sandbox: Sandbox
    url: str
    clock: Clock
    tokens: dict[str, str] = field(default_factory=dict)
    published: list[Document] = field(default_factory=list)

    def hear(self, record: Any) -> None:
        if record.value:
            self.published.append(json.loads(record.value))


@dataclass
class World:
    """`outlook` is a person at their calendar."""

    worker: Worker
    organization: str
    connection: str
    outlook: Graph

    @property
    def database(self) -> Database:
        return self.worker.database

    @property
    def messaging(self) -> Messaging:
        return self.worker.messaging

    @property
    def clock(self) -> Clock:
        return self.worker.clock

    @property
    def mine(self) -> Document:
        return {"organization": self.organization}

    @property
    def published(self) -> list[Document]:
        return [said for said in self.worker.published if said["organization"] == self.organization]

    async def add_calendar(self, graph_id: str | None = None) -> str:
        """As settings-web does it: the document, then the message. Returns when the first round has ended."""
        calendar = new_id("cal")
        await self.database.calendars.insert_one(
            {
                "_id": calendar,
                "organization": self.organization,
                "connection": self.connection,
                "graph_id": graph_id or self.outlook.calendar,
                "name": "Praxis",
                "state": "active",
                "created_at": self.clock(),
            }
        )
        await self.tell_calendar(calendar, "added")
        await until(lambda: self.database.sync_states.find_one({"_id": calendar, "state": "current", "delta": {"$exists": False}}))
        return calendar

    async def tell_calendar(self, calendar: str, change: Any) -> None:
        said = CalendarChanged(organization=self.organization, connection=self.connection, calendar=calendar, change=change)
        await self.messaging.publish(said)

    async def notify(self, calendar: str, times: int = 1) -> None:
        note = NotificationReceived(calendar=calendar, subscription="s", received_at=self.clock())
        await self.messaging.publish(*[note] * times)

    async def ask_for_round(self, calendar: str, mode: Any) -> None:
        asked = CalendarSyncRequested(organization=self.organization, calendar=calendar, mode=mode, reason="manual")
        await self.messaging.publish(asked)

    async def report(self, appointment: str, status: Any, occurred_at: datetime | None = None) -> None:
        said = AppointmentStatusReported(
            organization=self.organization,
            appointment=appointment,
            status=status,
            occurred_at=occurred_at or self.clock(),
        )
        await self.messaging.publish(said)

    async def appointment(self, **query: Any) -> Document:
        """The one appointment that the query finds, once there is one."""
        found: Document = await until(lambda: self.database.appointments.find_one(self.mine | query))
        return found

    async def subjects(self) -> list[str]:
        return sorted([one["content"]["subject"] async for one in self.database.appointments.find(self.mine | {"removed": None})])

    async def said(self, kind: str, appointment: str | None = None, count: int = 1) -> list[Document]:
        """The `appointment.changed` of this kind, once there are `count` of them."""

        def matching() -> list[Document]:
            found = [said for said in self.published if said["kind"] == kind and appointment in (None, said["appointment"])]
            return found if len(found) >= count else []

        found: list[Document] = await until(matching)
        return found

    async def idle(self) -> None:
        """Until no mark is left that could still be worked off now."""

        async def quiet() -> bool:
            marked = [{path: {"$exists": True}} for path in ("delta", "full", "checks", "closing")]
            states = await self.database.sync_states.find_one(self.mine | {"$or": marked})
            open_ends = [{"label.mark": {"$exists": True}}, {"to_announce": {"$exists": True}}]
            labels = await self.database.appointments.find_one(self.mine | {"$or": open_ends})
            return states is None and labels is None

        await until(quiet)

    def immutable(self, event: str) -> str:
        """The id that stays, for the one that `outlook` was given."""
        found = self.outlook.mailbox.find(event)
        assert found is not None
        return found.id

    def move(self, event: str, calendar: str) -> None:
        """As a person moves an event to another calendar in Outlook."""
        found = self.outlook.mailbox.find(event)
        assert found is not None
        self.outlook.mailbox.move(found, calendar)

    def requests(self, method: str, part: str) -> list[int]:
        """The statuses of this account's requests, oldest first."""
        journal = [entry for entry in self.worker.sandbox.journal.entries(0) if entry.account == self.outlook.account.id]
        return [entry.status for entry in journal if entry.method == method and part in entry.path]


@asynccontextmanager
async def world_in(worker: Worker) -> AsyncIterator[World]:
    """A new account in the sandbox, connected to a new organization."""
    unique = secrets.token_hex(6)
    account = worker.sandbox.accounts.add(new_account("work", f"{unique}@ting.example", "Tess Ting"))
    token = worker.sandbox.tokens.issue(account.id, APP, EVERYTHING).access_token
    default = worker.sandbox.mailboxes.of(account).default_calendar
    assert default is not None
    async with httpx2.AsyncClient(base_url=worker.url) as client:
        here = World(worker, f"org_{unique}", new_id("con"), Graph(worker.sandbox, account, client, default.id, token))
        worker.tokens[here.connection] = token
        await worker.database.connections.insert_one(_connection(here))
        yield here


@asynccontextmanager
async def worker(database: Database, redis_url: str, kafka: Kafka, **given: Any) -> AsyncIterator[Worker]:
    settings = Settings(
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        kafka_idempotence=kafka.idempotence,
        kafka_session_timeout_ms=kafka.session_timeout_ms,
        kafka_heartbeat_interval_ms=kafka.heartbeat_interval_ms,
        kafka_fetch_max_wait_ms=kafka.fetch_max_wait_ms,
        redis_url=redis_url,
        service_credential="sync-worker:test",
        service_credentials="cli:test",
        **given,
    )
    messaging = make_messaging("sync-worker", settings, AWAY)
    messaging.group = f"sync-worker-{secrets.token_hex(6)}"
    async with AsyncExitStack() as stack:
        sandbox, url = await _sandbox(stack)
        made = Worker(database, messaging, sandbox, url, Clock(NOON))
        app = create_app(settings, database, _graph_client(settings, made), messaging, made.clock)
        changed = AppointmentChanged.topic.name
        await stack.enter_async_context(reading(changed, kafka.bootstrap_servers, made.hear))
        await stack.enter_async_context(serving(lambda _: app))
        await until(lambda: messaging.started, 60)
        yield made


async def _sandbox(stack: AsyncExitStack) -> tuple[Sandbox, str]:
    made: list[Sandbox] = []

    def make(url: str) -> Any:
        made.append(make_sandbox(SandboxSettings(http_port=urlsplit(url).port), SandboxDatabase()))
        return checked_app(made[0])

    url = await stack.enter_async_context(serving(make))
    return made[0], url


def _connection(here: World) -> Document:
    return {
        "_id": here.connection,
        "organization": here.organization,
        "tid": here.outlook.account.tid,
        "oid": here.outlook.account.id,
        "username": here.outlook.account.username,
        "name": "Praxis",
        "state": "active",
        "since": here.clock(),
        "created_at": here.clock(),
    }


def _graph_client(settings: Settings, worker: Worker) -> GraphClient:
    """The real client; only auth's door is played, since its own tests are elsewhere."""

    def auth(request: httpx2.Request) -> httpx2.Response:
        token = worker.tokens[request.url.path.split("/")[-2]]
        expires = (worker.clock() + timedelta(hours=1)).isoformat()
        return httpx2.Response(200, json={"access_token": token, "expires_at": expires})

    tokens = AccessTokens(httpx2.AsyncClient(transport=httpx2.MockTransport(auth), base_url="http://auth"), worker.clock)
    transport = GateTransport(MailboxGate(make_redis(settings)), httpx2.AsyncHTTPTransport())
    return GraphClient(f"{worker.url}/v1.0", httpx2.AsyncClient(transport=transport), tokens)


@asynccontextmanager
async def reading(topic: str, bootstrap_servers: str, sink: Callable[[Any], None]) -> AsyncIterator[None]:
    """Hands every record of a topic, from its beginning, to `sink`."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap_servers, fetch_max_wait_ms=50, auto_offset_reset="earliest")

    async def read() -> None:
        async for record in consumer:
            sink(record)

    await consumer.start()
    task = asyncio.create_task(read())
    try:
        yield
    finally:
        await end(task)
        await consumer.stop()


@asynccontextmanager
async def parked_by(kafka: Kafka, service: str) -> AsyncIterator[list[Any]]:
    """What a service couldn't handle, as it comes."""
    parked: list[Any] = []
    async with reading(parked_topic(service).name, kafka.bootstrap_servers, parked.append):
        yield parked
