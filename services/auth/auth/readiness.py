"""Is auth ready? Indexes are made and every key that stored connections need is there; MongoDB may come late."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis

from auth.connections import Connections
from auth.vault import Unreadable

log = structlog.get_logger()

TRY_AGAIN_SECONDS = 1.0


@dataclass
class Preparation:
    """What must be done once before auth serves, tried until it succeeds; `missing` says in words what is in the way."""

    connections: Connections
    missing: str | None = "not prepared yet"

    async def readiness(self) -> str | None:
        return self.missing

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._prepare(), name="prepare")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _prepare(self) -> None:
        while self.missing:
            try:
                await self.connections.create_indexes()
                await self.connections.check_keys()
                self.missing = None
            except Unreadable as error:
                self.missing = str(error)
                log.error("TOKEN_KEYS do not fit what is stored", error=str(error))
                return
            except Exception as error:
                self.missing = f"waiting for MongoDB: {type(error).__name__}"
                log.warning("waiting for MongoDB", error=repr(error)[:200])
                await asyncio.sleep(TRY_AGAIN_SECONDS)


def redis_readiness(redis: Redis) -> Callable[[], Awaitable[str | None]]:
    async def readiness() -> str | None:
        await redis.ping()
        return None

    return readiness
