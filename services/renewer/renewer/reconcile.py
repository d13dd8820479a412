"""The one piece of work: compare the subscription that is wanted with the one that there is, and close the difference."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from common.errors import AttendaraError
from common.marks import Claim
from common.messages import CalendarSyncRequested
from common.store import Calendar, read
from renewer.create import create
from renewer.delete import delete, delete_at_graph
from renewer.renew import renew
from renewer.subscriptions import Held
from renewer.tools import Tools


@dataclass(frozen=True)
class Reconcile:
    tools: Tools

    async def __call__(self, claim: Claim, now: datetime) -> datetime | None:
        """When it is to be looked at again. Raises what Graph, auth or the broker had against it."""
        held = msgspec.convert(claim.document, Held)
        try:
            return await self._reconcile(claim, held, now)
        except AttendaraError as error:
            await self.tools.subscriptions.write(claim, {"last_error": f"{error.reason}: {error}"[:500]})
            raise

    async def _reconcile(self, claim: Claim, held: Held, now: datetime) -> datetime | None:
        calendar = await self._calendar(held)
        if calendar is None or calendar.state != "active":
            await delete(self.tools, claim, held, calendar)
            return None
        if held.graph_id and held.url not in (
            None,
            self.tools.terms.notification_url,
        ):  # the gateway has moved: no PATCH follows it
            await delete_at_graph(await self.tools.mailbox(held), held.graph_id)
            held = msgspec.structs.replace(held, graph_id=None)
        if held.graph_id and (held.renew_at is None or held.renew_at <= now):
            held = await renew(self.tools, claim, held, held.graph_id, now)
        if held.graph_id is None:
            held = await create(self.tools, claim, held, calendar, now)
        if held.graph_id and held.sync_reason:
            await self._ask_for_round(claim, held, held.sync_reason)
        return held.renew_at

    async def _calendar(self, held: Held) -> Calendar | None:
        query = {"_id": held.calendar, "organization": held.organization}
        document = await self.tools.database.calendars.find_one(query)
        return read(Calendar, document) if document else None

    async def _ask_for_round(self, claim: Claim, held: Held, reason: Literal["missed", "recreated"]) -> None:
        request = CalendarSyncRequested(organization=held.organization, calendar=held.calendar, reason=reason)
        await self.tools.messaging.publish(request)
        await self.tools.subscriptions.write(claim, {"sync_reason": None})
