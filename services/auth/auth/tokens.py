"""Hands out access tokens, and refreshes them: one at a time per connection over all replicas, and stored before used.

The lease only saves requests; what keeps it right is the version of the cache: a refresh that was overtaken is thrown
away, and no connection is called dead for a cache that is no longer the stored one.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from weakref import WeakValueDictionary

import structlog
from ulid import ULID

from auth.connections import Connections, Opened
from auth.microsoft import AccessToken, Microsoft, Refreshed, kept_token
from auth.refusals import SignInNeeded
from common import telemetry
from common.errors import AdminConsentNeeded, Permanent, ReconnectNeeded, Transient
from common.runner import Clock, utc_now

log = structlog.get_logger()

PATIENCE_SECONDS = 15.0
"""How long a caller waits for somebody else's refresh; callers themselves wait 20 s."""
LOOK_AGAIN_SECONDS = 0.2
MARGIN = timedelta(minutes=5)
"""A token is handed out only if it lives at least this long: callers keep it as long."""
LONGEST_LIFE = timedelta(minutes=50)
"""The most that may be asked for: Microsoft's tokens live for an hour, or longer, so that a new one always has it."""

Refusal = SignInNeeded | AdminConsentNeeded


@dataclass(frozen=True)
class Wish:
    """`refused`: fingerprint of a token that Graph answered 401; `claims`: what a new token must satisfy (a challenge).

    `life`: how long it must live at least. `new`: whatever is kept won't do.
    """

    refused: str | None = None
    claims: str | None = None
    life: timedelta = MARGIN
    new: bool = False

    def is_met_by(self, token: AccessToken, now: datetime) -> bool:
        """A challenge says of which token it speaks; alone, it can only be met by a new one."""
        if self.new or token.expires_at <= now + max(self.life, MARGIN):
            return False
        return token.fingerprint != self.refused if self.refused else self.claims is None


@dataclass
class Tokens:
    connections: Connections
    microsoft: Microsoft
    clock: Clock = utc_now
    _locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def get(self, connection_id: str, wish: Wish) -> AccessToken:
        """Raises NotFound, ReconnectNeeded, AdminConsentNeeded, Transient."""
        if kept := await self._kept(connection_id, wish):
            return kept
        async with self._alone(connection_id) as deadline:
            while time.monotonic() < deadline:
                token = await self._kept(connection_id, wish) or await self._refreshed(connection_id, wish)
                if token:
                    return token
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
        raise Transient("another refresh of this connection takes long", reason="refresh-in-progress")

    @asynccontextmanager
    async def _alone(self, connection_id: str) -> AsyncIterator[float]:
        """One caller of this process at a time; yields the monotonic time at which patience ends."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        lock = self._locks.setdefault(connection_id, asyncio.Lock())
        try:
            await asyncio.wait_for(lock.acquire(), PATIENCE_SECONDS)
        except TimeoutError:
            raise Transient("another refresh of this connection takes long", reason="refresh-in-progress") from None
        try:
            yield deadline
        finally:
            lock.release()

    async def _kept(self, connection_id: str, wish: Wish) -> AccessToken | None:
        return _usable(await self.connections.open(connection_id), wish, self.clock())

    async def _refreshed(self, connection_id: str, wish: Wish) -> AccessToken | None:
        """None when another replica is at it, or has overtaken us: look again."""
        holder = str(ULID())
        leased = await self.connections.lease(connection_id, holder, self.clock())
        if leased is None:
            return None
        try:
            return _usable(leased, wish, self.clock()) or await self._refresh(leased, wish)
        finally:
            await self.connections.release(connection_id, holder)

    async def _refresh(self, opened: Opened, wish: Wish) -> AccessToken | None:
        try:
            with telemetry.span("refresh", kind="client", attributes={"attendara.connection": opened.connection.id}):
                refreshed = await self._ask(opened, wish.claims)
        except (SignInNeeded, AdminConsentNeeded) as refusal:
            if await self._declare_dead(opened, refusal):
                raise _dead(opened.connection.id, refusal) from None
            return None
        telemetry.count("tokens_refreshed", outcome="done")
        kept = await self.connections.keep_cache(opened, refreshed.cache, self.clock(), scopes=refreshed.scopes)
        return refreshed.token if kept else None

    async def _ask(self, opened: Opened, claims: str | None) -> Refreshed:
        """A refusal counts only when Microsoft repeats it to a second request on the wire."""
        try:
            return await self.microsoft.refresh(opened.cache, claims=claims)
        except (SignInNeeded, AdminConsentNeeded):
            return await self.microsoft.refresh(opened.cache, claims=claims)

    async def _declare_dead(self, opened: Opened, refusal: Refusal) -> bool:
        connection = opened.connection
        if connection.state == "removing":
            return True
        claims = refusal.claims if isinstance(refusal, SignInNeeded) else None
        if not await self.connections.declare_dead(opened, _state(refusal), refusal.reason, self.clock(), claims=claims):
            return False
        log.warning("connection refused by Microsoft", connection=connection.id, state=_state(refusal), reason=refusal.reason)
        telemetry.count("tokens_refreshed", outcome=_state(refusal))
        await self.connections.announce(connection.id)
        return True


def _usable(opened: Opened, wish: Wish, now: datetime) -> AccessToken | None:
    match opened.connection.state:
        case "needs-reconnect":
            raise ReconnectNeeded(f"the owner of {opened.connection.id} must sign in again: {opened.connection.reason}")
        case "needs-admin-consent":
            raise AdminConsentNeeded(f"an administrator must approve {opened.connection.id}: {opened.connection.reason}")
    kept = kept_token(opened.cache)
    return kept if kept and wish.is_met_by(kept, now) else None


def _state(refusal: Refusal) -> Literal["needs-reconnect", "needs-admin-consent"]:
    return "needs-admin-consent" if isinstance(refusal, AdminConsentNeeded) else "needs-reconnect"


def _dead(connection_id: str, refusal: Refusal) -> Permanent:
    """For the callers: they branch on the kind, whose `reason` is its default; Microsoft's words stay readable."""
    kind = AdminConsentNeeded if isinstance(refusal, AdminConsentNeeded) else ReconnectNeeded
    return kind(f"{connection_id}: {refusal} ({refusal.reason})")
