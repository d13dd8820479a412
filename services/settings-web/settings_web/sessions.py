"""Who is signed in, kept in Redis: a random id in the browser's cookie, and here only its hash.

Whoever reads Redis can so take over nobody's session. Redis away is Transient: the pages say so and ask to try again.
"""

import hashlib
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from common.errors import Transient

NOTICE_LIFETIME = timedelta(minutes=10)
NAME_LIFETIME = timedelta(days=180)
"""How long the name of somebody who signed in is known to those who read what they did."""


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """A user of Attendara, as the OpenID provider tells it. `may_change`: an admin of the organization."""

    user: str
    name: str
    email: str | None
    organization: str
    organization_name: str
    may_change: bool


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One signed-in browser. `key` names it to others (it is the hash of the id); `csrf` must come with every change."""

    key: str
    who: Who
    csrf: str


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence for the next page, and what to do next."""

    kind: Literal["success", "info", "warning", "danger"]
    text: str
    next_step: str = ""


@dataclass
class Sessions:
    redis: Redis
    lifetime: timedelta

    async def start(self, who: Who, previous: str | None = None) -> str:
        """Returns the cookie's value, always a new one; whatever the browser had before ends."""
        await self.end(previous)
        cookie = secrets.token_urlsafe(32)
        session = Session(key=hashed(cookie), who=who, csrf=secrets.token_urlsafe(32))
        with redis_translated():
            await self.redis.set(_session(session.key), msgspec.json.encode(session), ex=self.lifetime)
            await self.redis.set(_name(who.organization, who.user), msgspec.json.encode(who.name), ex=NAME_LIFETIME)
        return cookie

    async def find(self, cookie: str | None) -> Session | None:
        if not cookie:
            return None
        with redis_translated():
            kept = await self.redis.get(_session(hashed(cookie)))
        return msgspec.json.decode(kept, type=Session) if kept else None

    async def end(self, cookie: str | None) -> None:
        if cookie:
            with redis_translated():
                await self.redis.delete(_session(hashed(cookie)), _notices(hashed(cookie)))

    async def names(self, organization: str, users: Collection[str]) -> dict[str, str]:
        """Those that are known: of who signed in within the last months."""
        if not users:
            return {}
        ordered = sorted(users)
        with redis_translated():
            found = await self.redis.mget([_name(organization, user) for user in ordered])
        return {user: msgspec.json.decode(name, type=str) for user, name in zip(ordered, found, strict=True) if name}

    async def tell(self, session: Session, notice: Notice) -> None:
        """Keeps a notice for the next page that this session looks at."""
        with redis_translated():
            await self.redis.set(_notices(session.key), msgspec.json.encode(notice), ex=NOTICE_LIFETIME)

    async def told(self, session: Session) -> Notice | None:
        with redis_translated():
            kept = await self.redis.getdel(_notices(session.key))
        return msgspec.json.decode(kept, type=Notice) if kept else None


def hashed(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()


@contextmanager
def redis_translated() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise Transient(f"Redis: {type(error).__name__}", reason="sessions-away") from error


def _session(key: str) -> str:
    return f"session:{key}"


def _notices(key: str) -> str:
    return f"notice:{key}"


def _name(organization: str, user: str) -> str:
    return f"name:{hashed(repr((organization, user)))}"
