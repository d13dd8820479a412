"""Sign-ins on their way: kept in Redis under their state, for ten minutes and one use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from common.errors import Transient

LIFETIME_SECONDS = 600
LONGEST_STATE = 200


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """Whose sign-in it is: the organization, user and session, and (by `binding`) the browser that began it.

    `connection`: the one to reconnect, `tenant`: its account's. `microsoft`: what MSAL needs to redeem the code.
    """

    organization: str
    user: str
    session: str
    binding: str
    return_to: str | None
    connection: str | None
    tenant: str | None
    microsoft: dict[str, Any]


@dataclass
class Flows:
    redis: Redis

    async def keep(self, state: str, flow: Flow) -> None:
        """Raises Transient when Redis is away."""
        async with _translated():
            await self.redis.set(_name(state), msgspec.json.encode(flow), ex=LIFETIME_SECONDS)

    async def take(self, state: str) -> Flow | None:
        """The flow, for this once. Raises Transient when Redis is away."""
        if not 0 < len(state) <= LONGEST_STATE:
            return None
        async with _translated():
            kept = await self.redis.getdel(_name(state))
        return msgspec.json.decode(kept, type=Flow) if kept else None

    async def readiness(self) -> str | None:
        await self.redis.ping()
        return None


def _name(state: str) -> str:
    return f"auth:flow:{state}"


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except RedisError as error:
        raise Transient(f"Redis: {type(error).__name__}", reason="redis-away") from None
