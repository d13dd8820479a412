"""The Customers page: what it believes, what it publishes, and how it bears a broker that is away."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from fastapi import FastAPI

from attendara_local import servers as local
from attendara_local.crew import Crew
from attendara_local.part import Recipe
from attendara_local.ports import Ports
from outlook_sandbox.clock import Clock
from outlook_sandbox.customers.appointments import Appointments, BadMessage
from outlook_sandbox.customers.feed import CHANGED, NO_BROKER, Feed
from outlook_sandbox.customers.reports import TOPIC, report
from outlook_sandbox.customers.routes import router
from outlook_sandbox.database import Database
from outlook_sandbox.settings import Settings
from tests.serving import until

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def told(identifier: str = "apt_1", sequence: int = 1, **changes: Any) -> dict[str, Any]:
    start = datetime.now(UTC) + timedelta(hours=1)
    return {
        "organization": "org_bergpraxis",
        "appointment": identifier,
        "sequence": sequence,
        "kind": "updated",
        "subject": "Massage",
        "start": start.isoformat(),
        "end": (start + timedelta(hours=1)).isoformat(),
        "all_day": False,
        "status": {"value": "pending", "occurred_at": None},
        "label": {"value": "none", "failed": None, "written_at": None},
        "a_field_of_tomorrow": 1,
    } | changes


def take(appointments: Appointments, message: dict[str, Any]) -> None:
    appointments.take(message["appointment"].encode(), json.dumps(message).encode(), None)


def subjects(appointments: Appointments) -> list[str | None]:
    return [known.subject for known in appointments.coming(datetime.now(UTC))]


def test_the_highest_sequence_wins() -> None:
    appointments = Appointments(Database())
    for sequence, subject in [(1, "first"), (3, "third"), (2, "second"), (3, "third again")]:
        take(appointments, told(sequence=sequence, subject=subject))
    assert subjects(appointments) == ["third"]


def test_what_is_removed_or_over_is_not_coming() -> None:
    appointments = Appointments(Database())
    yesterday = datetime.now(UTC) - timedelta(days=1)
    take(appointments, told("apt_1", removed=True))
    take(appointments, told("apt_2", start=yesterday.isoformat(), end=yesterday.isoformat()))
    take(appointments, told("apt_3", subject="comes"))
    assert subjects(appointments) == ["comes"]


def test_a_null_value_forgets_the_appointment() -> None:
    appointments = Appointments(Database())
    take(appointments, told())
    appointments.take(b"apt_1", None, None)
    assert appointments.get("apt_1") is None


@pytest.mark.parametrize("value", [b"{nonsense", b"[]", b"{}", b"\xff", json.dumps(told(start="2026-11-22T10:00:00")).encode()])
def test_a_bad_message_is_refused_and_changes_nothing(value: bytes) -> None:
    appointments = Appointments(Database())
    with pytest.raises(BadMessage):
        appointments.take(b"apt_1", value, None)
    assert appointments.version == 0


def test_appointments_survive_a_restart(tmp_path: Path) -> None:
    before = Database(tmp_path / "sandbox.db")
    take(Appointments(before), told(subject="kept"))
    before.close()
    after = Database(tmp_path / "sandbox.db")
    appointments = Appointments(after)
    take(appointments, told(sequence=0, subject="old"))
    assert subjects(appointments) == ["kept"]
    after.close()


def test_a_report_is_a_cloud_event_with_a_trace_of_its_own() -> None:
    appointments = Appointments(Database())
    take(appointments, told())
    known = appointments.get("apt_1")
    assert known is not None
    message = report(known, "confirmed", NOW)
    headers = {name: value.decode() for name, value in message.headers}
    assert (message.key, headers["ce_type"], headers["ce_specversion"]) == (b"apt_1", TOPIC, "1.0")
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", headers["traceparent"])
    assert json.loads(message.value) == {
        "organization": "org_bergpraxis",
        "appointment": "apt_1",
        "event": None,
        "status": "confirmed",
        "occurred_at": "2026-11-22T10:00:00.000000Z",
    }


@dataclass
class CustomersSandbox:
    clock: Clock
    feed: Feed


@pytest.fixture
def sandbox() -> CustomersSandbox:
    return CustomersSandbox(Clock(), Feed(Settings(kafka_bootstrap_servers=None), Database()))


@pytest.fixture
async def browser(sandbox: CustomersSandbox) -> AsyncIterator[httpx2.AsyncClient]:
    app = FastAPI()
    app.state.sandbox = sandbox
    app.include_router(router)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://localhost") as client:
        yield client


async def test_the_list_comes_again_only_when_it_has_changed(browser: httpx2.AsyncClient, sandbox: CustomersSandbox) -> None:
    take(sandbox.feed.appointments, told(private=True))
    body = (await browser.get("/customers/appointments")).json()
    assert [item["id"] for item in body["appointments"]] == ["apt_1"]
    again = await browser.get("/customers/appointments", params={"seen": body["version"]})
    assert "appointments" not in again.json()


async def test_without_a_broker_the_page_says_so_and_answers_are_refused(
    browser: httpx2.AsyncClient, sandbox: CustomersSandbox
) -> None:
    sandbox.feed.start()
    take(sandbox.feed.appointments, told())
    assert (await browser.get("/customers/appointments")).json()["problem"] == NO_BROKER
    refused = await browser.post("/customers/appointments/apt_1/status", json={"status": "confirmed"})
    assert (refused.status_code, refused.json()["detail"]) == (503, NO_BROKER)
    await sandbox.feed.stop()


@pytest.mark.parametrize(
    ("appointment", "body", "status"),
    [("apt_9", {"status": "confirmed"}, 404), ("apt_1", {"status": "perhaps"}, 422), ("apt_1", {}, 422)],
)
async def test_a_wrong_answer_is_refused(
    browser: httpx2.AsyncClient, sandbox: CustomersSandbox, appointment: str, body: dict[str, str], status: int
) -> None:
    take(sandbox.feed.appointments, told())
    response = await browser.post(f"/customers/appointments/{appointment}/status", json=body)
    assert response.status_code == status


class Broker:
    """A local broker of the test's own, so that it may be stopped: it comes back with nothing, as the local one does."""

    def __init__(self, folder: Path) -> None:
        ports = Ports.free()
        self.address = f"localhost:{ports.kafka}"
        given = {"MONGODB_URL": "given", "REDIS_URL": "given"}
        self._recipes: list[Recipe] = list(local.recipes(ports, folder, given))
        self._folder = folder

    def start(self) -> None:
        self._crew = Crew(self._folder)
        self._crew.start(self._recipes)

    def stop(self) -> None:
        self._crew.stop()

    async def create_topics(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        await admin.create_topics([NewTopic(name, 2, 1) for name in (CHANGED, TOPIC)])
        await admin.close()

    async def publish(self, *values: dict[str, Any] | bytes) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.address) as producer:
            for value in values:
                await producer.send_and_wait(CHANGED, value if isinstance(value, bytes) else json.dumps(value).encode())

    async def reported(self) -> Any:
        async with AIOKafkaConsumer(TOPIC, bootstrap_servers=self.address, auto_offset_reset="earliest") as consumer:
            return await consumer.getone()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    started = Broker(tmp_path)
    started.start()
    yield started
    started.stop()


@pytest.mark.kafka
async def test_the_feed_waits_for_its_topic_skips_bad_messages_and_outlives_the_broker(broker: Broker) -> None:
    settings = Settings(
        kafka_bootstrap_servers=broker.address,
        kafka_session_timeout_ms=1000,
        kafka_heartbeat_interval_ms=300,
        kafka_fetch_max_wait_ms=50,
    )
    feed = Feed(settings, Database())
    feed.start()
    await until(lambda: feed.problem and "does not exist yet" in feed.problem)
    await broker.create_topics()
    await until(lambda: feed.problem is None)

    await broker.publish(b"{nonsense", told(subject="arrives"))
    await until(lambda: subjects(feed.appointments) == ["arrives"])
    known = feed.appointments.get("apt_1")
    assert known is not None
    occurred_at = await feed.publish(known, "cancelled")
    message = await broker.reported()
    assert (message.key, json.loads(message.value)["occurred_at"]) == (b"apt_1", occurred_at)

    broker.stop()
    await until(lambda: feed.problem)
    broker.start()
    await broker.create_topics()
    await broker.publish(told(sequence=2, subject="arrives again"))
    await until(lambda: subjects(feed.appointments) == ["arrives again"])
    await feed.stop()
