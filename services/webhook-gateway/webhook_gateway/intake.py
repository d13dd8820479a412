"""How much is taken in at one time: past its bounds, and while draining, a post is refused at once rather than answered late."""

import asyncio
import gc
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from types import FrameType
from typing import Any, cast

import structlog
from starlette.types import Receive, Scope

from webhook_gateway.deadlines import Deadlines
from webhook_gateway.settings import Settings

log = structlog.get_logger()

LARGE = 64 * 1024
"""Bytes. A larger body is read in a thread: of a forger's smallest entries it may hold so many that others' answers would wait."""


class Unwanted(Exception):
    """A post that isn't taken; `status`: the answer. `unread`: some of its body was not received."""

    def __init__(self, status: HTTPStatus, *, unread: bool = True) -> None:
        super().__init__(status.phrase)
        self.status = status
        self.unread = unread


class Disconnected(Exception):
    """The client left in the middle of its post: there is nobody to answer."""


class Intake:
    """What is being taken in. `draining`: nothing new is, this process is to end; Graph posts again what is refused.

    `large`: for reading large posts one after the other, since one may become a hundred megabytes while it is read.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.deadlines = Deadlines(settings.post_read_seconds)
        self.posts = 0
        self.bytes = 0
        self.large = asyncio.Lock()
        self.draining = False

    def drain(self) -> None:
        self.draining = True
        log.info("draining", posts_in_flight=self.posts)

    async def readiness(self) -> str | None:
        return "draining" if self.draining else None

    @contextmanager
    def obeying_signals(self) -> Iterator[None]:
        """SIGUSR1 drains; SIGTERM drains and then does what it did before."""
        loop = asyncio.get_running_loop()
        before = signal.getsignal(signal.SIGTERM)

        def terminate(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self.drain)
            if callable(before):
                before(number, frame)

        loop.add_signal_handler(signal.SIGUSR1, self.drain)
        if callable(before):
            signal.signal(signal.SIGTERM, terminate)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGUSR1)
            signal.signal(signal.SIGTERM, before)


@contextmanager
def sparing_collections() -> Iterator[None]:
    """Posts in flight are many young objects and no cycles: to look through them at each few hundred takes a sixth of the time."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


class Post:
    """One post's share of the intake, from its first byte until `release`."""

    __slots__ = ("_bytes", "_counted", "_intake", "_reading")

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._bytes = 0
        self._counted = False
        self._reading: asyncio.Task[Any] | None = None

    async def read(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body, which then counts as in flight. Raises Unwanted, Disconnected."""
        intake, settings = self._intake, self._intake.settings
        if intake.draining:
            raise Unwanted(HTTPStatus.SERVICE_UNAVAILABLE)
        if _declared(scope) > settings.post_largest_bytes:
            raise Unwanted(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        body = await self._in_time(receive)
        if intake.posts >= settings.posts_in_flight:
            raise Unwanted(HTTPStatus.SERVICE_UNAVAILABLE, unread=False)
        intake.posts += 1
        self._counted = True
        return body

    async def _in_time(self, receive: Receive) -> bytes:
        """What asyncio.timeout does, which would be a tenth of the work on a post."""
        self._reading = asyncio.current_task()
        self._intake.deadlines.set(self)
        try:
            return await self._receive(receive)
        except asyncio.CancelledError as error:
            if self._reading is not None or cast(asyncio.Task[None], asyncio.current_task()).uncancel():
                raise
            raise Unwanted(HTTPStatus.REQUEST_TIMEOUT) from error
        finally:
            self._intake.deadlines.take_back(self)

    def late(self) -> None:
        """Ends the reading."""
        reading, self._reading = self._reading, None
        if reading:
            reading.cancel()

    async def _receive(self, receive: Receive) -> bytes:
        """Holds no more than the bounds allow, whatever length was declared."""
        intake, settings, chunks, more = self._intake, self._intake.settings, [], True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            chunk, more = message.get("body", b""), message.get("more_body", False)
            self._bytes += len(chunk)
            intake.bytes += len(chunk)
            if self._bytes > settings.post_largest_bytes:
                raise Unwanted(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            if intake.bytes > self._room():
                raise Unwanted(HTTPStatus.SERVICE_UNAVAILABLE)
            chunks.append(chunk)
        return b"".join(chunks)

    def _room(self) -> int:
        """A few large posts, sent slowly, must not keep out the small ones that Graph sends: half of the room is theirs."""
        room = self._intake.settings.post_bytes_in_flight
        return room // 2 if LARGE < self._bytes < self._intake.bytes else room

    def release(self) -> None:
        self._intake.bytes -= self._bytes
        self._intake.posts -= self._counted


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0
