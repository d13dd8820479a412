"""Refreshes what nobody uses: Microsoft lets a grant die that rests for 90 days.

Each connection has a mark that comes up once in the time that it may rest; finding what is due costs the same however
many aren't. A few are refreshed at once in each replica, so that many which were connected together don't ask together.
"""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from auth.tokens import Tokens, Wish
from common import telemetry
from common.errors import AdminConsentNeeded, NotFound, ReconnectNeeded
from common.marks import Claim

log = structlog.get_logger()

EARLIEST = 0.8
"""Of the time that a connection may rest: from then on it is refreshed at any moment."""


@dataclass
class Idle:
    """`rest`: for how long a connection may go without a refresh, as far as we are concerned."""

    tokens: Tokens
    rest: timedelta

    async def refresh(self, claim: Claim, now: datetime) -> datetime | None:
        """When it is to be looked at again. Raises what a refresh raises that may work later."""
        state, refreshed_at = claim.document["state"], claim.document["refreshed_at"]
        if state in ("removing", "removed"):
            return None
        if state != "active":  # until its people have signed in again
            return now + self.rest
        if now < refreshed_at + EARLIEST * self.rest:
            return self._next(refreshed_at)
        try:
            await self.tokens.get(claim.id, Wish(new=True))
        except (AdminConsentNeeded, NotFound, ReconnectNeeded) as error:
            log.info("an idle connection is no longer good", connection=claim.id, reason=error.reason)
            return now + self.rest
        telemetry.count("idle_connections_refreshed")
        return self._next(now)

    def _next(self, refreshed_at: datetime) -> datetime:
        return refreshed_at + random.uniform(EARLIEST, 1) * self.rest  # noqa: S311
