"""Stands between clients and servers: their connections can be cut while these live on, and one of several can be away."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CHUNK = 64 * 1024


class Proxy:
    """Listens on `port` and passes each connection on to one of `targets` that takes it, in turn; all on loopback.

    `delay`: seconds that what is passed on takes, each way.
    """

    def __init__(self, port: int, *targets: int) -> None:
        self.delay = 0.0
        self._port, self._targets, self._turn = port, targets, itertools.cycle(targets)
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self._port)

    async def cut(self) -> None:
        """Drop every connection, and refuse others until `listen`."""
        if self._server:
            self._server.close()
            self._server = None
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._passing.add(task)
        try:
            await self._both_ways(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # either side has gone, or we cut it
        finally:
            writer.transport.abort()
            self._passing.discard(task)

    async def _both_ways(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await self._connect()
        ways = [asyncio.create_task(self._copy(reader, back)), asyncio.create_task(self._copy(there, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            back.transport.abort()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for target in itertools.islice(self._turn, len(self._targets)):
            with suppress(ConnectionRefusedError):
                return await asyncio.open_connection("127.0.0.1", target)
        raise ConnectionRefusedError("nobody listens on any of the targets")

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                await asyncio.sleep(self.delay)
                writer.write(chunk)
                await writer.drain()


@asynccontextmanager
async def proxied(port: int, *targets: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(port, *targets)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.cut()
