"""Messaging on a real broker: what becomes of each message, and that none is lost or holds up the others."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from common.errors import NotFound, Permanent, Transient
from common.messages import Message, Topic, parked_topic
from common.messaging import Messaging, make_messaging
from common.taking import BRAKE_AFTER, Dropped
from tests.kafka_reading import settings_of
from tests.servers import Kafka
from tests.serving import until


class Said(Message, frozen=True, kw_only=True):
    topic: ClassVar = Topic("never-used")
    word: str


class Away(Exception):
    """Stands for a driver's exception that means "a server is away"."""


class Ears:
    """A handler that does as it was told for a word, and remembers what it heard."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.told: dict[str, list[Exception]] = {}

    async def __call__(self, said: Said) -> None:
        self.heard.append(said.word)
        if self.told.get(said.word):
            raise self.told[said.word].pop(0)


@pytest.fixture
def said(unique: str) -> type[Said]:
    class Own(Said, frozen=True, kw_only=True):
        topic: ClassVar = Topic(f"test.said.{unique}", partitions=1)

    return Own


@pytest.fixture
async def service(kafka: Kafka, unique: str) -> str:
    name = f"test-{unique}"
    await make_topic(kafka, parked_topic(name).name)
    return name


async def make_topic(kafka: Kafka, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1)])
    finally:
        await admin.close()


async def send(kafka: Kafka, topic: str, *values: str | bytes | None, headers: list[tuple[str, bytes]] | None = None) -> None:
    """As any other service might, well or badly."""
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, enable_idempotence=kafka.idempotence) as producer:
        for value in values:
            body = json.dumps({"word": value}).encode() if isinstance(value, str) else value
            await producer.send_and_wait(topic, body, key=b"k", headers=headers or [])


@asynccontextmanager
async def listening(
    kafka: Kafka, service: str, said: type[Said], handle: Callable[[Said], Awaitable[None]]
) -> AsyncIterator[Messaging]:
    messaging = make_messaging(service, settings_of(kafka), (Away,))
    messaging.subscribe(said, handle)
    async with messaging.running():
        yield messaging


async def parked(kafka: Kafka, service: str, count: int) -> list[ConsumerRecord[bytes, bytes]]:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    found: list[ConsumerRecord[bytes, bytes]] = []

    async def enough() -> bool:
        for records in (await consumer.getmany(timeout_ms=50)).values():
            found.extend(records)
        return len(found) >= count

    try:
        consumer.assign([TopicPartition(parked_topic(service).name, 0)])
        await until(enough)
    finally:
        await consumer.stop()
    return found


def reason_of(record: ConsumerRecord[bytes, bytes]) -> str:
    reason: bytes = dict(record.headers)["x-reason"]
    return reason.decode()


async def test_each_message_of_a_batch_has_its_own_outcome(kafka: Kafka, service: str, said: type[Said]) -> None:
    await make_topic(kafka, said.topic.name)
    await send(kafka, said.topic.name, "one", "dropped", "rejected", b"{", "permanent", None, "unforeseen", "last")
    ears = Ears()
    ears.told = {
        "dropped": [Dropped("not-ours")],
        "rejected": [NotFound("no such thing")],
        "permanent": [Permanent("never")],
        "unforeseen": [ZeroDivisionError("a bug")],
    }

    async with listening(kafka, service, said, ears) as messaging:
        await until(lambda: "last" in ears.heard)
        records = await parked(kafka, service, 4)
        assert await messaging.readiness() is None

    assert ears.heard == ["one", "dropped", "rejected", "permanent", "unforeseen", "last"]
    reasons = [reason_of(record) for record in records]
    assert [reason.split(":")[0] for reason in reasons] == ["not-found", "malformed", "failed", "unexpected"]
    assert "a bug" not in reasons[3]


async def test_a_malformed_message_is_parked_as_it_was_with_reason_and_origin(kafka: Kafka, service: str, said: type[Said]) -> None:
    await make_topic(kafka, said.topic.name)
    await send(kafka, said.topic.name, "fine", b'{"word": 7}', headers=[("ce_source", b"/somebody")])

    async with listening(kafka, service, said, Ears()):
        [record] = await parked(kafka, service, 1)

    headers = dict(record.headers)
    assert (record.key, record.value) == (b"k", b'{"word": 7}')
    assert headers["x-reason"].startswith(b"malformed: ")
    assert headers["x-origin"] == f"{said.topic.name}/0/1".encode()
    assert (headers["x-attempts"], headers["ce_source"]) == (b"1", b"/somebody")


@pytest.mark.parametrize("error", [Transient("later"), Away("gone")])
async def test_when_a_server_is_away_the_batch_is_read_again_and_nothing_is_lost(
    kafka: Kafka, service: str, said: type[Said], error: Exception
) -> None:
    await make_topic(kafka, said.topic.name)
    await send(kafka, said.topic.name, "one", "two", "three")
    ears = Ears()
    ears.told = {"two": [error, error]}

    async with listening(kafka, service, said, ears):
        await until(lambda: "three" in ears.heard)

    assert ears.heard == ["one", "two", "one", "two", "one", "two", "three"]


async def test_what_was_handled_is_not_handled_again_by_the_next_process(kafka: Kafka, service: str, said: type[Said]) -> None:
    await make_topic(kafka, said.topic.name)
    await send(kafka, said.topic.name, "one", "two")
    first, second = Ears(), Ears()
    async with listening(kafka, service, said, first):
        await until(lambda: first.heard == ["one", "two"])

    await send(kafka, said.topic.name, "three")
    async with listening(kafka, service, said, second):
        await until(lambda: "three" in second.heard)

    assert second.heard == ["three"]


async def test_what_was_in_hand_when_a_process_ended_is_handled_by_the_next(kafka: Kafka, service: str, said: type[Said]) -> None:
    await make_topic(kafka, said.topic.name)
    await send(kafka, said.topic.name, "one")
    begun = asyncio.Event()

    async def never_done(_: Said) -> None:
        begun.set()
        raise Transient("not yet")

    async with listening(kafka, service, said, never_done):
        await asyncio.wait_for(begun.wait(), 20)
    ears = Ears()
    async with listening(kafka, service, said, ears):
        await until(lambda: ears.heard == ["one"])


async def test_a_header_that_is_not_utf_8_stops_nothing(kafka: Kafka, service: str, said: type[Said]) -> None:
    await make_topic(kafka, said.topic.name)
    await send(kafka, said.topic.name, "odd", b"{", headers=[("x-odd", b"\xff\xfe"), ("traceparent", b"\xff")])
    await send(kafka, said.topic.name, "next")
    ears = Ears()

    async with listening(kafka, service, said, ears):
        await until(lambda: ears.heard == ["odd", "next"])
        [record] = await parked(kafka, service, 1)

    assert dict(record.headers)["x-odd"].decode() == "\ufffd\ufffd"


async def test_bugs_in_a_row_brake_the_topic_and_other_peoples_mistakes_do_not(
    kafka: Kafka, service: str, said: type[Said]
) -> None:
    await make_topic(kafka, said.topic.name)
    await send(kafka, said.topic.name, *[b"{"] * (BRAKE_AFTER + 1), *["bug"] * BRAKE_AFTER, "after")
    ears = Ears()
    ears.told = {"bug": [ZeroDivisionError()] * 100}

    async with listening(kafka, service, said, ears) as messaging:
        await until(lambda: messaging.braked == {said.topic.name})
        assert await messaging.readiness() == f"paused after errors in a row: {said.topic.name}"
        records = await parked(kafka, service, 2 * BRAKE_AFTER)

    assert [reason_of(record).split(":")[0] for record in records] == ["malformed"] * (BRAKE_AFTER + 1) + ["unexpected"] * (
        BRAKE_AFTER - 1
    )
    assert "after" not in ears.heard


async def test_it_waits_for_its_topics_and_says_so(kafka: Kafka, service: str, said: type[Said]) -> None:
    ears = Ears()
    async with listening(kafka, service, said, ears) as messaging:
        assert await messaging.readiness() == "not connected"
        with pytest.raises(Transient):
            await messaging.publish(said(word="too early"))

        await make_topic(kafka, said.topic.name)
        await until(lambda: messaging.started)
        await messaging.publish(said(word="now"))

        await until(lambda: ears.heard == ["now"])
        assert await messaging.readiness() is None


async def test_what_is_published_carries_the_envelope_of_cloudevents(kafka: Kafka, service: str, said: type[Said]) -> None:
    await make_topic(kafka, said.topic.name)
    ears = Ears()
    ears.told = {"look": [Permanent("so that it is parked with its headers")]}

    async with listening(kafka, service, said, ears) as messaging:
        await until(lambda: messaging.started)
        await messaging.publish(said(word="look"))
        [record] = await parked(kafka, service, 1)

    headers = dict(record.headers)
    assert json.loads(record.value or b"") == {"word": "look"}
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_type"] == said.topic.name.encode()
    assert headers["ce_source"] == f"/attendara/{service}".encode()
    assert headers["content-type"] == b"application/json"
    assert {"ce_id", "ce_time"} <= headers.keys()
