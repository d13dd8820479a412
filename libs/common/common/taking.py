"""What becomes of each message that was read: a batch is taken one by one, and each has an outcome of its own.

A handler returns (marked or done), or raises: `Dropped` is counted, `Rejected`/`Permanent` and anything unforeseen is
parked on `<service>.dead.v1`, `Transient` fails the batch, which is read again after a jittered wait. Unforeseen errors
in a row are a bug of ours: the subscriber then pauses (the brake) instead of parking everything, and `/readyz` says so.
"""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import msgspec
import structlog
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from common import telemetry
from common.errors import Permanent, Rejected, Transient
from common.messages import Message

log = structlog.get_logger()

BRAKE_AFTER = 5
"""Unforeseen errors in a row before a subscriber pauses."""

KEPT_LINKS = 32

Record: TypeAlias = ConsumerRecord[Any, Any]


class Dropped(Exception):
    """Raised by a handler: this message needs nothing from us. Counted under `reason`, never parked."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Malformed(Rejected):
    default_reason = "malformed"


class Taking:
    """One topic's records, taken one by one; the only place that decides what becomes of a message that failed."""

    def __init__(
        self,
        message: type[Message],
        handle: Callable[[Any], Awaitable[None]],
        *,
        together: bool,
        park: Callable[[Record, str], Awaitable[None]],
        away: tuple[type[Exception], ...],
        braked: set[str],
    ) -> None:
        """`braked` is shared by a service's subscribers: the topics that pause."""
        self._topic = message.topic.name
        self._decoder = msgspec.json.Decoder(message)
        self._handle = handle
        self._together = together
        self._park = park
        self._away = away
        self._braked = braked
        self._unforeseen = 0

    async def take(self, records: tuple[Record, ...]) -> None:
        if self._topic in self._braked:
            await asyncio.sleep(5)
            raise Transient(f"{self._topic} is paused")
        try:
            for record, others in self._grouped(records):
                outcome = await self._take_one(record, others)
                telemetry.count("messages_taken", 1 + len(others), topic=self._topic, outcome=outcome)
        except (Transient, KafkaError, *self._away) as error:
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
        except Malformed:
            return False

    def _decode(self, value: bytes) -> Any:
        try:
            return self._decoder.decode(value)
        except msgspec.MsgspecError as error:
            raise Malformed(str(error)) from error

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
            case _ if isinstance(error, self._away):
                raise error
            case Rejected() | Permanent():
                reason = f"{error.reason}: {error}"
            case _:
                reason = f"unexpected: {type(error).__name__}"
                self._brake(error)
        log.warning("message parked", topic=self._topic, offset=record.offset, reason=_without_content(reason))
        await self._park(record, reason)
        return "parked"

    def _brake(self, error: Exception) -> None:
        log.exception("unforeseen error in a handler", topic=self._topic, exc_info=error)
        self._unforeseen += 1
        if self._unforeseen >= BRAKE_AFTER:
            self._braked.add(self._topic)
            telemetry.count("subscribers_braked", topic=self._topic)
            raise Transient(f"{self._topic} pauses after {self._unforeseen} unforeseen errors in a row") from error


def _without_content(reason: str) -> str:
    """What a sender wrote doesn't belong in our log: msgspec quotes invalid values."""
    return re.sub(r"'[^']*'", "'…'", reason)[:200]


def _trace_of(record: Record) -> dict[str, str]:
    return {name: value.decode("ascii", "replace") for name, value in record.headers if name in telemetry.TRACE_HEADERS and value}


async def parse(records: tuple[Record, ...], original: Callable[..., Awaitable[Any]]) -> Any:
    """FastStream decodes all headers as UTF-8 and would re-read for ever a batch in which one isn't: it sees none."""
    message = await original(tuple(replace(record, headers=()) for record in records))
    message.raw_message = records
    return message


async def raw_records(message: Any) -> Any:
    """A subscriber's decoder: the records as they came."""
    return message.raw_message
