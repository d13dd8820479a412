"""Renew a subscription before it ends; it is given a fresh access token by the way."""

from datetime import datetime

import msgspec
import structlog

from common import telemetry
from common.errors import Gone
from common.graph import GraphSubscription
from common.marks import Claim
from common.store import Document
from renewer.subscriptions import Held
from renewer.terms import ask_within_the_cap, renewal_of
from renewer.tools import Tools

log = structlog.get_logger()


async def renew(tools: Tools, claim: Claim, held: Held, graph_id: str, now: datetime) -> Held:
    """As it then stands: renewed, or without `graph_id` when Graph no longer has it."""
    mailbox = await tools.mailbox(held)
    minutes = min(held.minutes or tools.terms.minutes, tools.terms.minutes)

    async def ask(expires_at: datetime) -> GraphSubscription:
        return await mailbox.renew_subscription(graph_id, expires_at)

    try:
        renewed, minutes = await ask_within_the_cap(ask, minutes, now)
    except Gone:
        return await _lost(tools, claim, held)
    fields: Document = {
        "state": "active",
        "expires_at": renewed.expires_at,
        "renew_at": renewal_of(renewed.expires_at, now),
        "minutes": minutes,
        "checked_at": now,
        "last_error": None,
    }
    await tools.subscriptions.renewed(claim, held.renew_at, fields)
    if held.expires_at:
        telemetry.observe("subscription_time_left", (held.expires_at - now).total_seconds())
    return msgspec.structs.replace(held, **fields)


async def _lost(tools: Tools, claim: Claim, held: Held) -> Held:
    log.warning("Graph has lost a subscription", calendar=held.calendar, organization=held.organization)
    telemetry.count("subscriptions_lost")
    fields: Document = {"state": "wanted", "graph_id": None, "expires_at": None, "sync_reason": "missed"}
    await tools.subscriptions.write(claim, fields)
    return msgspec.structs.replace(held, **fields)
