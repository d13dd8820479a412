"""The gate before each mailbox: Microsoft allows 4 requests at once per app and mailbox, over all our processes.

Slots are leases in a Redis sorted set, so that a process that died gives its slots back; a `Retry-After` seen by one
is kept beside them and obeyed by all. Bulk work counts among all and, at most 2, among its own, so that others can't
starve it nor it the others. While Redis is away each process lets through one request at a time.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from ulid import ULID

from common import telemetry
from common.errors import Throttled

log = structlog.get_logger()

SLOTS = 4
BULK_SLOTS = 2
LEASE_SECONDS = 70.0
"""Longer than any request of ours may take."""
PATIENCE_SECONDS = 30.0

# Answers 0 when the slot is ours, else how many milliseconds to wait before asking again.
_ACQUIRE = """
local now = redis.call('TIME'); now = now[1] * 1000 + math.floor(now[2] / 1000)
local penalty = redis.call('PTTL', KEYS[2])
if penalty > 0 then return penalty end
local function taken(key) redis.call('ZREMRANGEBYSCORE', key, '-inf', now); return redis.call('ZCARD', key) end
if taken(KEYS[1]) >= tonumber(ARGV[2]) then return -1 end
if KEYS[3] and taken(KEYS[3]) >= tonumber(ARGV[4]) then return -1 end
for _, key in ipairs({KEYS[1], KEYS[3]}) do
  redis.call('ZADD', key, now + tonumber(ARGV[3]), ARGV[1])
  redis.call('PEXPIRE', key, ARGV[3])
end
return 0
"""


class MailboxGate:
    """`async with gate.slot(mailbox)` around each request to Graph."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._acquire = redis.register_script(_ACQUIRE)
        self._alone: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def slot(self, mailbox: str, *, bulk: bool = False) -> AsyncIterator[None]:
        """Waits for a place; raises Throttled when there is none within patience, or a penalty lasts longer."""
        token = str(ULID())
        try:
            await self._wait_for_place(mailbox, token, bulk)
        except RedisError as error:
            log.warning("mailbox gate without Redis", error=type(error).__name__)
            async with self._alone.setdefault(mailbox, asyncio.Lock()):
                yield
            return
        try:
            yield
        finally:
            await self._give_back(mailbox, token, bulk)

    async def punish(self, mailbox: str, seconds: float) -> None:
        """Microsoft asked for a pause of this mailbox: all processes keep it."""
        telemetry.count("mailbox_throttled")
        try:
            await self._redis.set(_penalty(mailbox), "1", px=max(1, round(seconds * 1000)))
        except RedisError as error:
            log.warning("can't share a Retry-After", error=type(error).__name__)

    async def _wait_for_place(self, mailbox: str, token: str, bulk: bool) -> None:
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while True:
            keys = [_slots(mailbox), _penalty(mailbox), *([_bulk_slots(mailbox)] if bulk else [])]
            wait = int(await self._acquire(keys=keys, args=[token, SLOTS, int(LEASE_SECONDS * 1000), BULK_SLOTS]))
            if wait == 0:
                return
            seconds = wait / 1000 if wait > 0 else random.uniform(0.01, 0.03)  # noqa: S311
            if asyncio.get_running_loop().time() + seconds > deadline:
                raise Throttled("no place at the mailbox's gate", retry_after=max(seconds, 1.0))
            await asyncio.sleep(seconds)

    async def _give_back(self, mailbox: str, token: str, bulk: bool) -> None:
        try:
            await self._redis.zrem(_slots(mailbox), token)
            if bulk:
                await self._redis.zrem(_bulk_slots(mailbox), token)
        except RedisError as error:
            log.warning("slot left to its lease", error=type(error).__name__)


def _slots(mailbox: str) -> str:
    return f"gate:{{{mailbox}}}:slots"


def _bulk_slots(mailbox: str) -> str:
    return f"gate:{{{mailbox}}}:bulk"


def _penalty(mailbox: str) -> str:
    return f"gate:{{{mailbox}}}:penalty"
