"""From the gateway to Kafka: what arrives while a batch is on its way shares the next one, partition by partition.

aiokafka spends some fifty microseconds on a message that is sent by itself, and a few on one in a batch.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import lru_cache

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder

from common import telemetry
from common.errors import Transient
from common.messages import Message, Topic
from common.messaging import envelope, producer_options
from common.settings import ServiceSettings
from common.tasks import end

log = structlog.get_logger()

PATIENCE_SECONDS = 2.0
"""For an acknowledgement. Graph wants its answer within 3 seconds: https://learn.microsoft.com/graph/change-notifications-delivery-webhooks."""
LARGEST_BATCH = 256 * 1024
"""Bytes; brokers take a megabyte unless they are told otherwise."""

_encode = msgspec.json.Encoder().encode
_hash = lru_cache(maxsize=50_000)(murmur2)

Headers = Sequence[tuple[str, bytes]]


class Flight:
    """Messages of one partition that travel together. `landed`: acknowledged, or failed."""

    __slots__ = ("builder", "landed", "posts")

    def __init__(self, builder: BatchBuilder) -> None:
        self.builder = builder
        self.landed = asyncio.get_running_loop().create_future()
        self.posts = 0
        """How many posts wait for it. Nobody left: Graph was told to post again, so it needn't fly."""


class Lane:
    """One partition. It has one flight in the air, so its order holds; refuses to load while that one is overdue."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, partition: int) -> None:
        self._producer = producer
        self._topic = topic
        self._partition = partition
        self._clock = asyncio.get_running_loop().time
        self._loading = deque[Flight]()
        self._took_off: float | None = None
        self._pilot: asyncio.Task[None] | None = None

    def load(self, key: bytes, value: bytes, headers: Headers) -> Flight:
        """The flight that takes this message. Raises Transient."""
        if self._took_off is not None and self._clock() - self._took_off > PATIENCE_SECONDS:
            raise Transient("the broker does not acknowledge", reason="broker-away")
        if not self._loading or self._loading[-1].builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
            self._loading.append(Flight(self._producer.create_batch()))
            self._loading[-1].builder.append(timestamp=None, key=key, value=value, headers=headers)
        if self._pilot is None or self._pilot.done():
            self._pilot = asyncio.create_task(self._fly())
        return self._loading[-1]

    async def _fly(self) -> None:
        while self._loading:
            flight = self._loading.popleft()
            if not flight.posts:
                continue
            flight.builder.close()
            self._took_off = self._clock()
            try:
                await (await self._producer.send_batch(flight.builder, self._topic, partition=self._partition))
            except (Exception, asyncio.CancelledError) as error:  # aiokafka cancels its caller when a connection is cut
                flight.landed.set_exception(error if isinstance(error, Exception) else KafkaConnectionError("cut off"))
                flight.landed.exception()  # those who waited may have given up: then nobody asks for it
            else:
                flight.landed.set_result(None)
            finally:
                self._took_off = None


class Publisher:
    """Publishes what readers made of one post: messages of one topic. Partitions are looked up when it connects, not later."""

    def __init__(self, service: str, settings: ServiceSettings, topics: Sequence[Topic]) -> None:
        self._service = service
        self._settings = settings
        self._topics = [topic.name for topic in topics]
        self._lanes: dict[str, list[Lane]] = {}
        self._producer: AIOKafkaProducer | None = None
        self._spoiled = asyncio.Event()

    async def publish(self, *messages: Message) -> None:
        """Returns when all in-sync replicas have all of them. Raises Transient: what was published then, nobody knows."""
        topic = messages[0].topic.name
        with telemetry.span(f"send {topic}", kind="producer", attributes={"messaging.batch.message_count": len(messages)}):
            flights = self._load(topic, messages)
            for flight in flights:
                flight.posts += 1
            _, late = await asyncio.wait([flight.landed for flight in flights], timeout=PATIENCE_SECONDS)
            for flight in flights:
                flight.posts -= 1
            if late:
                raise Transient("no acknowledgement in time", reason="broker-away")
            for flight in flights:
                if error := flight.landed.exception():
                    if not getattr(error, "retriable", False):
                        self._spoiled.set()
                    raise Transient(f"the broker did not take a message: {error!r}", reason="broker-away") from error

    def _load(self, topic: str, messages: Sequence[Message]) -> set[Flight]:
        lanes = self._lanes.get(topic)
        if not lanes:
            raise Transient("not connected to the broker yet", reason="broker-away")
        shared = envelope(topic, self._service) | telemetry.carrier()
        post = shared.pop("ce_id")
        headers = [(name, value.encode()) for name, value in shared.items()]
        flights = set()
        for number, message in enumerate(messages):
            key = (message.key or "").encode()
            lane = lanes[(_hash(key) & 0x7FFFFFFF) % len(lanes)]  # as every client of Kafka does by default
            flights.add(lane.load(key, _encode(message), [*headers, ("ce_id", f"{post}.{number}".encode())]))
        return flights

    async def readiness(self) -> str | None:
        if self._producer is None:
            return "not connected"
        await self._producer.client.fetch_all_metadata()
        return None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connects in the background, trying until broker and topics are there; sends what is loaded before it ends."""
        keeping = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            await end(keeping)
            await self._disconnect()

    async def _keep(self) -> None:
        """A producer which the broker fenced, or whose sequence has a gap, never works again: there must be a new one."""
        while True:
            try:
                await self._connect()
            except Exception as error:  # whatever it is, a gateway without a broker has nothing better to do than try again
                log.warning("waiting for the broker", error=str(error) or repr(error))
                await asyncio.sleep(random.uniform(0.5, 1.5))  # noqa: S311
                continue
            await self._spoiled.wait()
            self._spoiled.clear()
            log.warning("the producer can't go on; connecting again")
            await self._disconnect()

    async def _connect(self) -> None:
        producer = AIOKafkaProducer(max_batch_size=LARGEST_BATCH, **producer_options(self._service, self._settings))
        try:
            await producer.start()
            known = await producer.client.fetch_all_metadata()
            missing = [topic for topic in self._topics if topic not in known.topics()]
            if missing:
                raise Transient(f"topics are missing: {', '.join(missing)}")
            for topic in self._topics:
                partitions = sorted(await producer.partitions_for(topic))
                self._lanes[topic] = [Lane(producer, topic, partition) for partition in partitions]
        except BaseException:
            await _stop(producer)
            raise
        self._producer = producer

    async def _disconnect(self) -> None:
        self._lanes.clear()
        producer, self._producer = self._producer, None
        if producer:
            await _stop(producer)


async def _stop(producer: AIOKafkaProducer) -> None:
    """It would wait for ever for a broker that is away; Graph posts again what was not acknowledged."""
    with suppress(Exception):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await producer.stop()
