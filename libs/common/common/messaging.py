"""Kafka, through FastStream: how messages are published and subscribed to, and how a service comes to its broker.

What becomes of each message that was read is decided in `taking.py`.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from ulid import ULID

from common import telemetry
from common.errors import Transient
from common.kafka_access import access_options, security_of
from common.messages import Message, parked_topic
from common.settings import ServiceSettings
from common.taking import Record, Taking, parse, raw_records
from common.tasks import end

log = structlog.get_logger()

M = TypeVar("M", bound=Message)

FINISHING_SECONDS = 10
"""For the messages in hand when a service ends."""
STOPPING_SECONDS = 15
"""For that, and for sending and committing the last: fewer than a deployment gives a service after its requests."""

_encode = msgspec.json.Encoder().encode


@dataclass
class Messaging:
    """One service's side of Kafka. `service` is the `ce_source` of what it publishes and begins its consumer groups' names.

    Each topic is read by a group of its own (`<group>.<topic>`), so that one topic's rebalance or brake is not another's.

    `away`: foreign exceptions that mean "a server is away" (store.AWAY), so that the batch is read again.
    """

    service: str
    broker: KafkaBroker
    settings: ServiceSettings
    away: tuple[type[Exception], ...] = ()
    group: str = ""
    topics: set[str] = field(default_factory=set)
    braked: set[str] = field(default_factory=set)
    started: bool = False

    async def publish(self, *messages: Message) -> None:
        """Returns when the broker has acknowledged all of them; raises Transient when it can't within its patience."""
        try:
            await asyncio.gather(*(self._send(message) for message in messages))
        except KafkaError as error:
            raise Transient(f"the broker did not take a message: {error!r}", reason="broker-away") from error
        except Exception as error:
            if not self.started:
                raise Transient("not connected to the broker yet", reason="broker-away") from error
            raise

    async def _send(self, message: Message) -> None:
        topic = message.topic.name
        with telemetry.span(f"send {topic}", kind="producer"):
            await self.broker.publish(
                _encode(message),
                topic,
                key=message.key.encode() if message.key else None,
                headers=envelope(topic, self.service) | telemetry.carrier(),
            )

    def subscribe(self, message: type[M], handle: Callable[[M], Awaitable[None]], *, together: bool = False) -> None:
        """`handle` is called for each message, inside the message's own trace.

        `together`: messages of one batch with the same key are handled once, by the first; its span links to the others.
        """
        taking = Taking(message, handle, together=together, park=self.park, away=self.away, braked=self.braked)
        self.topics.add(message.topic.name)
        self.broker.subscriber(
            message.topic.name,
            batch=True,
            max_records=500,
            group_id=f"{self.group or self.service}.{message.topic.name}",
            ack_policy=AckPolicy.NACK_ON_ERROR,
            auto_offset_reset="earliest",
            session_timeout_ms=self.settings.kafka_session_timeout_ms,
            heartbeat_interval_ms=self.settings.kafka_heartbeat_interval_ms,
            fetch_max_wait_ms=self.settings.kafka_fetch_max_wait_ms,
            parser=parse,
            decoder=raw_records,
        )(taking.take)

    async def park(self, record: Record, reason: str, attempts: int = 1) -> None:
        headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
        headers |= {
            "x-reason": reason[:500],
            "x-origin": f"{record.topic}/{record.partition}/{record.offset}",
            "x-attempts": str(attempts),
        }
        await self.broker.publish(record.value or b"", parked_topic(self.service).name, key=record.key, headers=headers)

    async def park_late(self, message: Message, reason: str) -> None:
        """Parks a message that was taken, waited for something, and waited in vain."""
        headers = envelope(message.topic.name, self.service) | {"x-reason": reason[:500], "x-attempts": "1"}
        key = message.key.encode() if message.key else None
        await self.broker.publish(_encode(message), parked_topic(self.service).name, key=key, headers=headers)

    async def readiness(self) -> str | None:
        if self.braked:
            return f"paused after errors in a row: {', '.join(sorted(self.braked))}"
        if not self.started:
            return "not connected"
        return None if await self.broker.ping(timeout=1.5) else "no answer"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connects in the background, trying until the broker is there; stops when left, giving back what isn't done."""
        connecting = asyncio.create_task(self._connect())
        try:
            yield
        finally:
            await end(connecting)
            await self._stop()

    async def _stop(self) -> None:
        """A broker that is away would be waited for; its groups then see us leave when our sessions end."""
        try:
            async with asyncio.timeout(STOPPING_SECONDS):
                await self.broker.stop()
        except TimeoutError:
            log.warning("left the broker without its answer")

    async def _connect(self) -> None:
        while not self.started:
            try:
                await self._look_for_topics()
                await self._start_subscribers()
                self.started = True
            except Exception as error:  # whatever it is, a service without a broker has nothing better to do than try again
                log.warning("waiting for the broker", error=str(error) or repr(error))
                with suppress(Exception):
                    await self.broker.stop()
                await asyncio.sleep(random.uniform(0.5, 1.5))  # noqa: S311

    async def _look_for_topics(self) -> None:
        """Raises KafkaError without a broker, Transient without our topics. FastStream would leave an open producer behind."""
        admin = AIOKafkaAdminClient(client_id=self.service, **access_options(self.settings))
        try:
            await admin.start()
            missing = self.topics - set(await admin.list_topics())
        finally:
            await admin.close()
        if missing:
            raise Transient(f"topics are missing: {', '.join(sorted(missing))}")

    async def _start_subscribers(self) -> None:
        """What `broker.start()` does, but all at once: joining a group takes a while, and there is one for each topic."""
        await self.broker.connect()
        outcomes = await asyncio.gather(*(each.start() for each in self.broker.subscribers), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        self.broker.running = True


def make_messaging(service: str, settings: ServiceSettings, away: tuple[type[Exception], ...] = ()) -> Messaging:
    """Acknowledged by all in-sync replicas; idempotent unless the broker can't (the local one)."""
    broker = KafkaBroker(
        settings.kafka_bootstrap_servers,
        security=security_of(settings),
        **_options(service, settings),
        graceful_timeout=FINISHING_SECONDS,
        allow_auto_create_topics=False,
        apply_types=False,
        logger=None,
    )
    return Messaging(service, broker, settings, away)


def producer_options(service: str, settings: ServiceSettings) -> dict[str, Any]:
    """As aiokafka names them."""
    return access_options(settings) | _options(service, settings)


def _options(service: str, settings: ServiceSettings) -> dict[str, Any]:
    """Those that FastStream's broker and aiokafka's producer name alike."""
    return {
        "client_id": service,
        "acks": "all",
        "enable_idempotence": settings.kafka_idempotence,
        "request_timeout_ms": 10_000,
        "retry_backoff_ms": 100,
        "metadata_max_age_ms": 30_000,
    }


def envelope(topic: str, source: str) -> dict[str, str]:
    return {
        "ce_specversion": "1.0",
        "ce_id": ULID().hex,
        "ce_source": f"/attendara/{source}",
        "ce_type": topic,
        "ce_time": time_now(),
        "content-type": "application/json",
    }


def time_now() -> str:
    """As CloudEvents writes times (RFC 3339)."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
