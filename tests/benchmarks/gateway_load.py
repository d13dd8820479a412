"""Posts sent over keep-alive connections at times that are given, cheaply enough that the server is the limit."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from tests.benchmarks.gateway_posts import Post

ACCEPTED, EMPTY, END = b"HTTP/1.1 202 ", b"\r\ncontent-length: 0\r\n", b"\r\n\r\n"
FINEST = 0.001
"""Seconds that the loop's timers can tell apart. A post may leave so much too late, and it counts against the server."""


class NotAccepted(Exception):
    """The server answered something other than an empty 202, or closed a connection."""


@dataclass
class Sent:
    """What a run sent, all of it answered. `times`: seconds from when each post was due until its answer."""

    seconds: float = 0.0
    times: list[float] = field(default_factory=list)
    entries: int = 0
    calendars: int = 0

    @property
    def rate(self) -> float:
        """Posts per second."""
        return len(self.times) / self.seconds


class Load:
    """Connections to one server, each with one post in flight at most."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle: deque[_Connection] = deque()
        self._in_flight = 0
        self._waiting: asyncio.TimerHandle | None = None
        self._ended: asyncio.Future[None] = self._loop.create_future()

    @classmethod
    @asynccontextmanager
    async def on(cls, port: int, connections: int) -> AsyncIterator["Load"]:
        load, opened = cls(), list[asyncio.Transport]()
        try:
            for _ in range(connections):
                transport, connection = await load._loop.create_connection(lambda: _Connection(load), "127.0.0.1", port)
                opened.append(transport)
                load._idle.append(connection)
            yield load
        finally:
            for transport in opened:
                transport.abort()

    async def run(self, posts: Iterator[Post], due: Iterator[float]) -> Sent:
        """Sends one post at each of these times of the monotonic clock, or as soon after it as a connection is free.

        Raises NotAccepted.
        """
        self._posts, self._due, self._next = posts, due, next(due, None)
        self._sent, self._ended = Sent(), self._loop.create_future()
        began = time.monotonic()
        self._send()
        await self._ended
        self._sent.seconds = time.monotonic() - began
        return self._sent

    def _send(self) -> None:
        now = time.monotonic()
        while self._idle and self._next is not None and self._next <= now:
            post, connection = next(self._posts), self._idle.popleft()
            connection.post(post.request, self._next)
            self._in_flight += 1
            self._sent.entries += post.entries
            self._sent.calendars += post.calendars
            self._next = next(self._due, None)
        if self._next is None:
            if not self._in_flight and not self._ended.done():
                self._ended.set_result(None)
        elif self._idle and self._waiting is None:
            self._waiting = self._loop.call_later(max(self._next - now, FINEST), self._wake)

    def _wake(self) -> None:
        self._waiting = None
        self._send()

    def answered(self, connection: "_Connection") -> None:
        self._sent.times.append(time.monotonic() - connection.due)
        self._in_flight -= 1
        self._idle.append(connection)
        self._send()

    def failed(self, why: str) -> None:
        if not self._ended.done():
            self._ended.set_exception(NotAccepted(why))


class _Connection(asyncio.Protocol):
    due = 0.0

    def __init__(self, load: Load) -> None:
        self._load = load
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def post(self, request: bytes, due: float) -> None:
        self.due = due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._head += data
        if not self._head.startswith(ACCEPTED):
            self._load.failed(self._head.partition(b"\r\n")[0].decode(errors="replace"))
        elif self._head.endswith(END):
            if EMPTY not in self._head.lower():
                self._load.failed("202 with a body")
            self._head = b""
            self._load.answered(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.failed(f"a connection was lost ({exc or 'closed by the server'})")
