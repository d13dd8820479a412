"""How a connect ended, if not well: a page of its own for each ending, kept for the session, so that it may be loaded again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import msgspec
from redis.asyncio import Redis

from settings_web.auth_door import Finished
from settings_web.sessions import Session, redis_translated

KEPT = timedelta(hours=12)
"""An administrator may take the whole day to approve."""


@dataclass(frozen=True)
class Manner:
    """What the page adds to auth's own sentences. `again`: on the button that begins anew; none where that can't help."""

    title: str
    again: str | None = "Connect again"


MANNERS: Mapping[str, Manner] = {
    "declined": Manner("Nothing was connected"),
    "wrong-account": Manner("This is not the right account"),
    "admin-consent-needed": Manner("An administrator has to approve Attendara"),
    "conditional-access": Manner("Your organization’s rules don’t allow it yet"),
    "no-mailbox": Manner("This account has no calendar"),
    "expired": Manner("The sign-in was not finished"),
    "mismatch": Manner("This sign-in belongs elsewhere"),
    "microsoft-away": Manner("Microsoft can’t be reached", "Try again"),
    "app-misconfigured": Manner("Attendara can’t connect accounts right now", None),
}
NOT_CONNECTED = Manner("The account was not connected")
"""For what a newer auth may say, and for our own troubles."""


def manner_of(finished: Finished) -> Manner:
    return MANNERS.get(finished.outcome, NOT_CONNECTED)


@dataclass
class Endings:
    """One at a time for each session: the last."""

    redis: Redis

    async def keep(self, session: Session, finished: Finished) -> None:
        with redis_translated():
            await self.redis.set(_key(session), msgspec.json.encode(finished), ex=KEPT)

    async def last(self, session: Session) -> Finished | None:
        with redis_translated():
            kept = await self.redis.get(_key(session))
        return msgspec.json.decode(kept, type=Finished) if kept else None


def _key(session: Session) -> str:
    return f"ending:{session.key}"
