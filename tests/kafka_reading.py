"""Reading what services published, on the broker that all tests share: each test picks what is its own."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from common.messages import Message
from common.messaging import Messaging, make_messaging
from common.settings import ServiceSettings
from tests.servers import Kafka
from tests.serving import until

M = TypeVar("M", bound=Message)


def settings_of(kafka: Kafka) -> ServiceSettings:
    return ServiceSettings(
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        kafka_idempotence=kafka.idempotence,
        kafka_session_timeout_ms=kafka.session_timeout_ms,
        kafka_heartbeat_interval_ms=kafka.heartbeat_interval_ms,
        kafka_fetch_max_wait_ms=kafka.fetch_max_wait_ms,
    )


@asynccontextmanager
async def speaking(kafka: Kafka) -> AsyncIterator[Messaging]:
    """Another service, as far as publishing goes."""
    messaging = make_messaging("tests", settings_of(kafka))
    async with messaging.running():
        await until(lambda: messaging.started)
        yield messaging


class Reading(Generic[M]):
    """All messages of a topic, from its beginning."""

    def __init__(self, kind: type[M], consumer: AIOKafkaConsumer) -> None:
        self._kind = kind
        self._consumer = consumer
        self._read: list[tuple[M, ConsumerRecord[bytes, bytes]]] = []

    async def records(self, wanted: Callable[[M], bool], at_least: int = 1) -> list[tuple[M, ConsumerRecord[bytes, bytes]]]:
        """Those that are wanted, once there are enough of them."""

        async def enough() -> list[tuple[M, ConsumerRecord[bytes, bytes]]] | None:
            for records in (await self._consumer.getmany(timeout_ms=50)).values():
                self._read += [(msgspec.json.decode(record.value, type=self._kind), record) for record in records if record.value]
            found = [(message, record) for message, record in self._read if wanted(message)]
            return found if len(found) >= at_least else None

        found: list[tuple[M, ConsumerRecord[bytes, bytes]]] = await until(enough)
        return found

    async def of(self, wanted: Callable[[M], bool], at_least: int = 1) -> list[M]:
        return [message for message, _ in await self.records(wanted, at_least)]


@asynccontextmanager
async def reading(kafka: Kafka, kind: type[M]) -> AsyncIterator[Reading[M]]:
    consumer = AIOKafkaConsumer(
        kind.topic.name,
        bootstrap_servers=kafka.bootstrap_servers,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=kafka.fetch_max_wait_ms,
    )
    await consumer.start()
    try:
        yield Reading(kind, consumer)
    finally:
        await consumer.stop()
