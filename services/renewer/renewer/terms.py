"""What we ask of Graph for each subscription, and when it is renewed."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from common.errors import Refused
from common.graph import GraphSubscription
from common.store import Calendar
from renewer.refusals import is_too_long

SHORTEST = 45
"""Minutes. Graph raises what is shorter."""


@dataclass(frozen=True)
class Terms:
    """`base`: the gateway's public address. `minutes`: the life that we ask for."""

    base: str
    minutes: int

    @property
    def notification_url(self) -> str:
        return f"{self.base.rstrip('/')}/graph/notifications"

    @property
    def lifecycle_url(self) -> str:
        return f"{self.base.rstrip('/')}/graph/lifecycle"


def resource_of(calendar: Calendar) -> str:
    """Undocumented but in production use: the documented `/me/events` is said to speak of the default calendar only."""
    return f"/me/calendars/{calendar.graph_id}/events"


Ask = Callable[[datetime], Awaitable[GraphSubscription]]
"""Asks Graph for a subscription that ends then."""


async def ask_within_the_cap(ask: Ask, minutes: int, now: datetime) -> tuple[GraphSubscription, int]:
    """Halves the life for as long as Graph says that it is too long; returns the life that it took as well."""
    while True:
        try:
            return await ask(now + timedelta(minutes=minutes)), minutes
        except Refused as error:
            if not is_too_long(error) or minutes <= SHORTEST:
                raise
            minutes = max(SHORTEST, minutes // 2)


def renewal_of(expires_at: datetime, now: datetime) -> datetime:
    """A third of the life before its end, and up to a tenth of it earlier, so that what began together spreads out."""
    return now + (expires_at - now) * random.uniform(0.6, 2 / 3)  # noqa: S311
