"""Flights to Kafka: what arrives while a batch of a partition is on its way shares the next one.

aiokafka spends some fifty microseconds on a message that is sent by itself, and a few on one in a batch.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError
from aiokafka.producer.message_accumulator import BatchBuilder

from common.errors import Transient

PATIENCE_SECONDS = 2.0
"""For an acknowledgement. Graph wants its answer within 3 seconds: https://learn.microsoft.com/graph/change-notifications-delivery-webhooks."""
REST_SECONDS = 0.005
"""Between two departures: each is a request to the broker, which costs as much as several posts. Nobody waits for the first."""

Headers = Sequence[tuple[str, bytes]]


class Waiting:
    """One post, until all flights that it is on have landed, or it has waited long enough."""

    __slots__ = ("done", "left")

    def __init__(self, flights: Collection["Flight"]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.left = len(flights)
        for flight in flights:
            flight.waiting.append(self)

    def late(self) -> None:
        self.landed(TimeoutError("no acknowledgement in time"))

    def landed(self, error: Exception | None) -> None:
        self.left -= 1
        if self.done.done():
            return
        if error:
            self.done.set_exception(error)
        elif not self.left:
            self.done.set_result(None)


class Flight:
    """Messages of one partition that travel together."""

    __slots__ = ("builder", "waiting")

    def __init__(self, builder: BatchBuilder) -> None:
        self.builder = builder
        self.waiting: list[Waiting] = []

    def wanted(self) -> bool:
        """Does anybody still wait for it? If not, Graph was told to post again, and it needn't fly."""
        return not all(post.done.done() for post in self.waiting)

    def land(self, error: Exception | None = None) -> None:
        for post in self.waiting:
            post.landed(error)


class Departures:
    """When flights leave: all lanes together, so that they share a request, and not sooner than REST_SECONDS after the last."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._last = 0.0

    async def next(self) -> None:
        since = self._clock() - self._last
        if REST_SECONDS / 5 < since < REST_SECONDS:
            await asyncio.sleep(REST_SECONDS - since)
            since = self._clock() - self._last
        if since >= REST_SECONDS:
            self._last = self._clock()


class Lane:
    """One partition. It has one flight in the air, so its order holds; refuses to load while that one is overdue."""

    def __init__(self, producer: AIOKafkaProducer, departures: Departures, topic: str, partition: int) -> None:
        self._producer = producer
        self._departures = departures
        self._topic = topic
        self._partition = partition
        self._clock = asyncio.get_running_loop().time
        self._loading = deque[Flight]()
        self._took_off: float | None = None
        self._pilot: asyncio.Task[None] | None = None

    def load(self, key: bytes, value: bytes, headers: Headers) -> Flight:
        """The flight that takes this message. Raises Transient."""
        if self.overdue():
            raise Transient("the broker does not acknowledge", reason="broker-away")
        if self._loading and self._loading[-1].builder.append(timestamp=None, key=key, value=value, headers=headers):
            return self._loading[-1]
        flight = Flight(self._producer.create_batch())
        flight.builder.append(timestamp=None, key=key, value=value, headers=headers)
        self._loading.append(flight)
        if self._pilot is None or self._pilot.done():
            self._pilot = asyncio.create_task(self._fly())
        return flight

    def overdue(self) -> bool:
        return self._took_off is not None and self._clock() - self._took_off > PATIENCE_SECONDS

    def close(self) -> None:
        """For when its producer has stopped: nobody will say what became of the flight in the air."""
        if self._pilot:
            self._pilot.cancel()

    async def _fly(self) -> None:
        while self._loading:
            await self._departures.next()
            flight = self._loading.popleft()
            if flight.wanted():
                self._took_off = self._clock()
                flight.land(await self._send(flight.builder))
                self._took_off = None

    async def _send(self, batch: BatchBuilder) -> Exception | None:
        """None when all in-sync replicas have it, else why it isn't known that they do."""
        batch.close()
        try:
            await (await self._producer.send_batch(batch, self._topic, partition=self._partition))
        except (Exception, asyncio.CancelledError) as error:  # aiokafka cancels its caller when a connection is cut
            return error if isinstance(error, Exception) else KafkaConnectionError("cut off")
        return None
