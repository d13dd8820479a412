"""Kafka, through FastStream: how a message is published, and how each message of a batch gets its own outcome.

A handler returns (marked or done), or raises: `Dropped` is counted, `Rejected`/`Permanent` and anything unforeseen is
parked on `<service>.dead.v1`, `Transient` fails the batch, which is read again after a jittered wait. Unforeseen errors
in a row are a bug of ours: the subscriber then pauses (the brake) instead of parking everything, and `/readyz` says so.
"""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec
import structlog
from aiokafka import ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from ulid import ULID

from common import telemetry
from common.errors import AttendaraError, Permanent, Rejected, Transient
from common.messages import Message, parked_topic
from common.settings import ServiceSettings
from common.tasks import end

log = structlog.get_logger()

M = TypeVar("M", bound=Message)

BRAKE_AFTER = 5
"""Unforeseen errors in a row before a subscriber pauses."""

KEPT_LINKS = 32

Record: TypeAlias = ConsumerRecord[Any, Any]

_encode = msgspec.json.Encoder().encode


class Dropped(Exception):
    """Raised by a handler: this message needs nothing from us. Counted under `reason`, never parked."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


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
        subscription = _Subscription(self, message, handle, together)
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
            parser=_parse,
            decoder=_raw_records,
        )(subscription.take)

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
            await self.broker.stop()

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
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka_bootstrap_servers, client_id=self.service)
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
        client_id=service,
        acks="all",
        enable_idempotence=settings.kafka_idempotence,
        request_timeout_ms=10_000,
        retry_backoff_ms=100,
        metadata_max_age_ms=30_000,
        graceful_timeout=10,
        allow_auto_create_topics=False,
        apply_types=False,
        logger=None,
    )
    return Messaging(service, broker, settings, away)


def envelope(topic: str, source: str) -> dict[str, str]:
    return {
        "ce_specversion": "1.0",
        "ce_id": str(ULID()),
        "ce_source": f"/attendara/{source}",
        "ce_type": topic,
        "ce_time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "content-type": "application/json",
    }


class _Subscription:
    """One topic's records, taken one by one; the only place that decides what becomes of a message that failed."""

    def __init__(
        self, messaging: Messaging, message: type[Message], handle: Callable[[Any], Awaitable[None]], together: bool
    ) -> None:
        self._together = together
        self._messaging = messaging
        self._topic = message.topic.name
        self._decode = msgspec.json.Decoder(message).decode
        self._handle = handle
        self._unforeseen = 0

    async def take(self, records: tuple[Record, ...]) -> None:
        if self._topic in self._messaging.braked:
            await asyncio.sleep(5)
            raise Transient(f"{self._topic} is paused")
        try:
            for record, others in self._grouped(records):
                outcome = await self._take_one(record, others)
                telemetry.count("messages_taken", 1 + len(others), topic=self._topic, outcome=outcome)
        except (Transient, KafkaError, *self._messaging.away) as error:
            log.warning("batch will be read again", topic=self._topic, error=str(error))
            await asyncio.sleep(random.uniform(0.5, 3))  # noqa: S311
            raise

    def _grouped(self, records: tuple[Record, ...]) -> list[tuple[Record, list[Record]]]:
        if not self._together:
            return [(record, []) for record in records]
        groups: dict[object, tuple[Record, list[Record]]] = {}
        for record in records:
            key = record.key if record.key is not None and self._is_sound(record) else (record.partition, record.offset)
            if key in groups:
                groups[key][1].append(record)
            else:
                groups[key] = (record, [])
        return list(groups.values())

    def _is_sound(self, record: Record) -> bool:
        """A message that will be parked must not speak for others."""
        try:
            return self._decode(record.value or b"") is not None
        except msgspec.MsgspecError:
            return False

    async def _take_one(self, record: Record, others: list[Record]) -> str:
        if record.value is None:
            return "null"
        links = [_trace_of(other) for other in others[:KEPT_LINKS]]
        with telemetry.span(f"process {self._topic}", kind="consumer", parent=_trace_of(record), links=links):
            try:
                await self._handle(self._decode(record.value))
            except Exception as error:
                return await self._outcome(record, error)
        self._unforeseen = 0
        return "done"

    async def _outcome(self, record: Record, error: Exception) -> Literal["dropped", "parked"]:
        match error:
            case Dropped():
                log.info("message dropped", topic=self._topic, reason=error.reason)
                telemetry.count("messages_dropped", topic=self._topic, reason=error.reason)
                return "dropped"
            case Transient() | KafkaError():
                raise error
            case _ if isinstance(error, self._messaging.away):
                raise error
            case msgspec.MsgspecError():
                reason = f"malformed: {error}"
            case Rejected() | Permanent():
                reason = f"{error.reason}: {error}"
            case _:
                reason = f"unexpected: {type(error).__name__}"
                self._brake(error)
        log.warning("message parked", topic=self._topic, offset=record.offset, reason=_without_content(reason))
        await self._messaging.park(record, reason)
        return "parked"

    def _brake(self, error: Exception) -> None:
        log.exception("unforeseen error in a handler", topic=self._topic, exc_info=error)
        self._unforeseen += 1
        if self._unforeseen >= BRAKE_AFTER:
            self._messaging.braked.add(self._topic)
            telemetry.count("subscribers_braked", topic=self._topic)
            raise Transient(f"{self._topic} pauses after {self._unforeseen} unforeseen errors in a row") from error


def _without_content(reason: str) -> str:
    """What a sender wrote doesn't belong in our log: msgspec quotes invalid values."""
    return re.sub(r"'[^']*'", "'…'", reason)[:200]


def _trace_of(record: Record) -> dict[str, str]:
    return {name: value.decode("ascii", "replace") for name, value in record.headers if name in telemetry.TRACE_HEADERS and value}


async def _parse(records: tuple[Record, ...], original: Callable[..., Awaitable[Any]]) -> Any:
    """FastStream decodes all headers as UTF-8 and would re-read for ever a batch in which one isn't: it sees none."""
    message = await original(tuple(replace(record, headers=()) for record in records))
    message.raw_message = records
    return message


async def _raw_records(message: Any) -> Any:
    return message.raw_message


def reason_of(error: BaseException) -> str:
    return error.reason if isinstance(error, AttendaraError) else type(error).__name__
