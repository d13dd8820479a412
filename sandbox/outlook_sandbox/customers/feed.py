"""The line to Kafka: reads `appointment.changed`, publishes `appointment.status-reported`, bears its absence."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Iterator
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener
from aiokafka.errors import KafkaError

from outlook_sandbox.customers.appointments import Appointment, Appointments, BadMessage, Status
from outlook_sandbox.customers.reports import TOPIC as REPORTED
from outlook_sandbox.customers.reports import report
from outlook_sandbox.database import Database
from outlook_sandbox.settings import Settings

CHANGED = "appointment.changed.v1"
GROUP = "sandbox-customers"
LOOK_FOR_BROKER_EVERY = 2.0
PATIENCE = 5.0
AWAY = "The broker can’t be reached. Trying again…"
NO_TOPIC = f"The topic {CHANGED} does not exist yet. Waiting for it…"
NO_BROKER = "No broker is given: set KAFKA_BOOTSTRAP_SERVERS."

log = logging.getLogger(__name__)


class BrokerAway(Exception):
    """There is no line to Kafka now."""


class Feed:
    """`problem` is a sentence for people while there is no line to Kafka, else None."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.appointments = Appointments(database)
        self.problem: str | None = AWAY if settings.kafka_bootstrap_servers else NO_BROKER
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._topics: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read, in the background; returns at once."""
        if self._settings.kafka_bootstrap_servers:
            # aiokafka reports each failed attempt to connect; the page says it once.
            logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
            self._task = asyncio.create_task(self._run(), name="customers-feed")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def publish(self, appointment: Appointment, status: Status) -> str:
        """Report what the customer answered; gives the moment it was given. Raises BrokerAway."""
        if self._producer is None:
            raise BrokerAway(self.problem or AWAY)
        if REPORTED not in self._topics:
            raise BrokerAway(f"The topic {REPORTED} does not exist yet.")
        message = report(appointment, status, datetime.now(UTC))
        with _broker_may_vanish():
            async with asyncio.timeout(PATIENCE):
                await self._producer.send_and_wait(REPORTED, message.value, key=message.key, headers=message.headers)
        return message.occurred_at

    async def _run(self) -> None:
        while True:
            try:
                with _broker_may_vanish():
                    await self._connect_and_read()
            except BrokerAway as reason:
                if self.problem is None:
                    log.warning("the broker is away", extra={"reason": repr(reason.__cause__)})
                self.problem = AWAY
            await asyncio.sleep(1)

    async def _connect_and_read(self) -> None:
        servers = self._settings.kafka_bootstrap_servers
        consumer = AIOKafkaConsumer(
            bootstrap_servers=servers,
            group_id=GROUP,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=self._settings.kafka_session_timeout_ms,
            heartbeat_interval_ms=self._settings.kafka_heartbeat_interval_ms,
            fetch_max_wait_ms=self._settings.kafka_fetch_max_wait_ms,
        )
        producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", request_timeout_ms=int(PATIENCE * 1000))
        try:
            await consumer.start()
            await producer.start()
            await self._wait_for_topic(consumer)
            consumer.subscribe([CHANGED], listener=_FromTheStartIfEmpty(consumer, self.appointments))
            self._producer, self.problem = producer, None
            await self._read(consumer)
        finally:
            self._producer = None
            await _quietly(producer.stop())
            await _quietly(consumer.stop())

    async def _wait_for_topic(self, consumer: AIOKafkaConsumer) -> None:
        """Ask for all topics: asking for one by name might create it."""
        while CHANGED not in await self._look(consumer):
            self.problem = NO_TOPIC
            await asyncio.sleep(0.5)

    async def _look(self, consumer: AIOKafkaConsumer) -> set[str]:
        async with asyncio.timeout(PATIENCE):
            self._topics = await consumer.topics()
        return self._topics

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        """Read until the broker is away: a client that waits in silence would not notice."""
        loop = asyncio.get_running_loop()
        look_at = loop.time() + LOOK_FOR_BROKER_EVERY
        while True:
            for messages in (await consumer.getmany(timeout_ms=500)).values():
                for message in messages:
                    self._take(message)
                await consumer.commit()
            if loop.time() >= look_at:
                await self._look(consumer)
                look_at = loop.time() + LOOK_FOR_BROKER_EVERY

    def _take(self, message: Any) -> None:
        try:
            self.appointments.take(message.key, message.value, _time_of(message.headers))
        except BadMessage as reason:
            log.warning("skipped a bad message", extra={"offset": message.offset, "reason": str(reason)})


class _FromTheStartIfEmpty(ConsumerRebalanceListener):  # type: ignore[misc]
    """Where the page's own data were removed, what the group has committed is of no use."""

    def __init__(self, consumer: AIOKafkaConsumer, appointments: Appointments) -> None:
        self._consumer = consumer
        self._appointments = appointments

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Nothing to do: each batch is committed when it is taken."""

    async def on_partitions_assigned(self, assigned: Any) -> None:
        if assigned and not len(self._appointments):
            await self._consumer.seek_to_beginning(*assigned)


@contextlib.contextmanager
def _broker_may_vanish() -> Iterator[None]:
    """Whatever a broker's absence looks like becomes BrokerAway."""
    try:
        yield
    except (KafkaError, TimeoutError, OSError) as reason:
        raise BrokerAway(AWAY) from reason
    except asyncio.CancelledError as reason:
        # aiokafka cancels what waits on a connection that is cut, which reaches us as if we were cancelled ourselves.
        task = asyncio.current_task()
        if task and task.cancelling():
            raise
        raise BrokerAway(AWAY) from reason


async def _quietly(stopping: Awaitable[None]) -> None:
    with contextlib.suppress(BrokerAway), _broker_may_vanish():
        async with asyncio.timeout(PATIENCE):
            await stopping


def _time_of(headers: Any) -> datetime | None:
    for name, value in headers:
        if name == "ce_time":
            with contextlib.suppress(ValueError):
                told = datetime.fromisoformat(value.decode())
                return told if told.tzinfo else None
    return None
