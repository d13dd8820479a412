"""Create a calendar's subscription at Graph, or find that there can be none."""

from datetime import datetime, timedelta

import msgspec
import structlog

from common import telemetry
from common.errors import AttendaraError, Conflict
from common.graph import GraphSubscription, Mailbox
from common.marks import Claim
from common.store import Calendar, Document
from renewer.delete import delete_at_graph, delete_others
from renewer.refusals import duplicate_of, means_no_push
from renewer.subscriptions import Held
from renewer.terms import ask_within_the_cap, renewal_of, resource_of
from renewer.tools import Tools

log = structlog.get_logger()

TRY_AGAIN = timedelta(days=1)
"""Roughly how often a calendar without push is tried again."""


async def create(tools: Tools, claim: Claim, held: Held, calendar: Calendar, now: datetime) -> Held:
    """As it then stands: active, or `no-push` with the time of the next try."""
    mailbox = await tools.mailbox(held)
    try:
        made, minutes = await _create_at_graph(tools, mailbox, held, calendar, now)
    except AttendaraError as error:
        if not means_no_push(error):
            raise
        return await _without_push(tools, claim, held, error, now)
    fields: Document = {
        "state": "active",
        "graph_id": made.id,
        "expires_at": made.expires_at,
        "renew_at": renewal_of(made.expires_at, now),
        "minutes": minutes,
        "checked_at": now,
        "key": tools.client_states.active,
        "url": tools.terms.notification_url,
        "last_error": None,
        # Kept until the round was asked for: what changed between the last one and this subscription came unannounced.
        "sync_reason": held.sync_reason or "recreated",
    }
    try:
        await _store(tools, claim, held, fields, now, said="push-restored" if held.state == "no-push" else None)
    except Conflict:
        await delete_at_graph(mailbox, made.id)
        raise
    telemetry.count("subscriptions_created")
    return msgspec.structs.replace(held, **fields)


async def _create_at_graph(
    tools: Tools, mailbox: Mailbox, held: Held, calendar: Calendar, now: datetime
) -> tuple[GraphSubscription, int]:
    """One that is in the way stems from an answer that we never got. Its clientState can't be read: it is replaced."""
    terms, client_state = tools.terms, tools.client_states.sign(calendar.id)
    minutes = min(held.minutes or terms.minutes, terms.minutes)

    async def ask(expires_at: datetime) -> GraphSubscription:
        resource = resource_of(calendar)
        return await mailbox.create_subscription(resource, terms.notification_url, terms.lifecycle_url, client_state, expires_at)

    try:
        return await ask_within_the_cap(ask, minutes, now)
    except Conflict as error:
        await delete_others(tools, mailbox, held, calendar, duplicate_of(error))
    return await ask_within_the_cap(ask, minutes, now)


async def _without_push(tools: Tools, claim: Claim, held: Held, error: AttendaraError, now: datetime) -> Held:
    """The safety rounds carry on; that push is missing is said once, and tried again daily."""
    log.warning("no push for this calendar", calendar=held.calendar, organization=held.organization, error=str(error))
    renew_at = renewal_of(now + TRY_AGAIN * 1.5, now)
    why = f"{error.reason}: {error}"[:500]
    fields: Document = {"state": "no-push", "renew_at": renew_at, "checked_at": now, "last_error": why}
    await _store(tools, claim, held, fields, now, said=None if held.state == "no-push" else "push-lost")
    return msgspec.structs.replace(held, **fields)


async def _store(tools: Tools, claim: Claim, held: Held, fields: Document, now: datetime, *, said: str | None) -> None:
    if said is None:
        await tools.subscriptions.write(claim, fields)
        return
    await tools.subscriptions.say(claim, fields | {"change": said}, now)
    await tools.announcer.announce({"_id": held.id})
