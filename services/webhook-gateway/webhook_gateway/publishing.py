"""From the gateway to Kafka: each message on the lane of its partition, and a producer that is replaced when it can't go on."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import lru_cache

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2
from ulid import ULID

from common import telemetry
from common.errors import Transient
from common.messages import Message, Topic
from common.messaging import envelope, producer_options, time_now
from common.settings import ServiceSettings
from common.tasks import end
from webhook_gateway.deadlines import Deadlines
from webhook_gateway.lanes import PATIENCE_SECONDS, Departures, Flight, Headers, Lane, Waiting

log = structlog.get_logger()

LARGEST_BATCH = 256 * 1024
"""Bytes; brokers take a megabyte unless they are told otherwise."""
CONNECT_SECONDS = 60.0
LOOK_SECONDS = 10.0
"""From one look at the producer to the next."""
BAD_LOOKS = 3
"""In a row, after which there is a new producer."""

_encode = msgspec.json.Encoder().encode


@lru_cache(maxsize=50_000)
def _place(key: bytes) -> int:
    """Modulo the number of partitions: where every client of Kafka puts this key by default."""
    return int(murmur2(key)) & 0x7FFFFFFF


class Publisher:
    """Publishes what readers made of one post: messages of one topic. Partitions are looked up when it connects, not later."""

    def __init__(self, service: str, settings: ServiceSettings, topics: Sequence[Topic]) -> None:
        self._service = service
        self._settings = settings
        self._headers = {topic.name: _fixed_headers(topic.name, service) for topic in topics}
        self._ids = _ids()
        self._lanes: dict[str, list[Lane]] = {}
        self._producer: AIOKafkaProducer | None = None
        self._spoiled = asyncio.Event()
        self._deadlines = Deadlines(PATIENCE_SECONDS)

    async def publish(self, *messages: Message) -> None:
        """Returns when all in-sync replicas have all of them. Raises Transient: what was published then, nobody knows."""
        if not messages:
            return
        topic = messages[0].topic.name
        with telemetry.span(f"send {topic}", kind="producer", attributes={"messaging.batch.message_count": len(messages)}):
            producer, post = self._producer, Waiting(self._load(topic, messages))
            self._deadlines.set(post)
            try:
                await post.done
            except Exception as error:
                if producer is self._producer and not getattr(error, "retriable", isinstance(error, TimeoutError)):
                    self._spoiled.set()
                raise Transient(f"the broker did not take a message: {error!r}", reason="broker-away") from error
            finally:
                self._deadlines.take_back(post)

    def _load(self, topic: str, messages: Sequence[Message]) -> set[Flight]:
        lanes = self._lanes.get(topic)
        if not lanes:
            raise Transient("not connected to the broker yet", reason="broker-away")
        of_post = {"ce_time": time_now()} | telemetry.carrier()
        headers = [*self._headers[topic], *((name, value.encode()) for name, value in of_post.items()), ("ce_id", b"")]
        flights = set()
        for message in messages:
            headers[-1] = ("ce_id", next(self._ids))
            key = (message.key or "").encode()
            flights.add(lanes[_place(key) % len(lanes)].load(key, _encode(message), headers))
        return flights

    async def readiness(self) -> str | None:
        if self._producer is None or self._spoiled.is_set():
            return "not connected"
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._producer.client.fetch_all_metadata()
        except (KafkaError, TimeoutError) as error:
            return f"no answer: {error!r}"
        return None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connects in the background, trying until broker and topics are there; what is in the air when it ends still lands."""
        keeping = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            await end(keeping)
            await self._replace(None, {})

    async def _keep(self) -> None:
        """What aiokafka doesn't get over by itself, a new producer does. The former one goes when the new one is there."""
        while True:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    producer, lanes = await self._connect()
                await self._replace(producer, lanes)
                await self._worn_out()
                log.warning("the producer can't go on; connecting again")
            except Exception as error:  # whatever it is, a gateway without a broker has nothing better to do than try again
                log.warning("waiting for the broker", error=str(error) or repr(error))
            await asyncio.sleep(random.uniform(0.5, 1.5))  # noqa: S311

    async def _worn_out(self) -> None:
        """Returns once it never works again (fenced, or a gap in its sequence), or has hung for a while.

        It may hang for long: on a connection whose other end is gone without a word, or knowing only brokers that have moved.
        """
        bad_looks = 0
        while bad_looks < BAD_LOOKS:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._spoiled.wait()
                return
            except TimeoutError:
                hangs = any(lane.overdue() for lanes in self._lanes.values() for lane in lanes) or await self.readiness()
                bad_looks = bad_looks + 1 if hangs else 0

    async def _connect(self) -> tuple[AIOKafkaProducer, dict[str, list[Lane]]]:
        producer = AIOKafkaProducer(max_batch_size=LARGEST_BATCH, **producer_options(self._service, self._settings))
        try:
            await producer.start()
            known = await producer.client.fetch_all_metadata()
            missing = [topic for topic in self._headers if topic not in known.topics()]
            if missing:
                raise Transient(f"topics are missing: {', '.join(missing)}")
            departures, lanes = Departures(), {}
            for topic in self._headers:
                partitions = sorted(await producer.partitions_for(topic))
                lanes[topic] = [Lane(producer, departures, topic, partition) for partition in partitions]
        except BaseException:
            await _stop(producer)
            raise
        return producer, lanes

    async def _replace(self, producer: AIOKafkaProducer | None, lanes: dict[str, list[Lane]]) -> None:
        """The former one sends what it has, if it can."""
        former, former_lanes = self._producer, self._lanes
        self._producer, self._lanes = producer, lanes
        self._spoiled.clear()
        if former:
            await _stop(former)
        for lane in itertools.chain.from_iterable(former_lanes.values()):
            lane.close()


def _ids() -> Iterator[bytes]:
    """Unlike any other process's."""
    own = ULID().hex.encode()
    return (b"%s.%d" % (own, number) for number in itertools.count())


def _fixed_headers(topic: str, service: str) -> Headers:
    return [(name, value.encode()) for name, value in envelope(topic, service).items() if name not in ("ce_id", "ce_time")]


async def _stop(producer: AIOKafkaProducer) -> None:
    """It would wait for ever for a broker that is away; made to give up, it leaves its parts running: they are stopped then."""
    for stop in (producer.stop, producer._sender.close, producer.client.close):
        with suppress(Exception):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await stop()
