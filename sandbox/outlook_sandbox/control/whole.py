"""The sandbox as a whole: its time, its settings, its beginning."""

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, HTTPException

from outlook_sandbox import seed
from outlook_sandbox.control.finding import TheSandbox
from outlook_sandbox.control.models import Advance, Limits, Now, SettingsShown
from outlook_sandbox.control.problems import refusals
from outlook_sandbox.graph.batch import MOST_REQUESTS
from outlook_sandbox.graph.limits import MOST_AT_ONCE
from outlook_sandbox.graph.subscriptions import LONGEST, MOST_PER_MAILBOX, SHORTEST

LATEST = datetime(2200, 1, 1, tzinfo=UTC)

router = APIRouter(tags=["whole"])


@router.get("/clock")
async def read_clock(sandbox: TheSandbox) -> Now:
    """What time it is here."""
    return Now(now=sandbox.clock.now())


@router.post("/clock/advance", responses=refusals(409))
async def advance_clock(sandbox: TheSandbox, by: Advance) -> Now:
    """Move all time forward."""
    ahead = timedelta(seconds=by.seconds)
    if sandbox.clock.now() + ahead > LATEST:
        raise HTTPException(409, f"The clock can't go beyond {LATEST:%Y}.")
    sandbox.clock.advance(ahead)
    return Now(now=sandbox.clock.now())


@router.post("/clock/reset")
async def reset_clock(sandbox: TheSandbox) -> Now:
    """Back to the real time; what has ended meanwhile stays ended."""
    before = sandbox.clock.now()
    sandbox.clock.clear()
    for part in (sandbox.tokens, sandbox.subscriptions, sandbox.lifecycle):
        part.time_went_back(before)
    return Now(now=sandbox.clock.now())


@router.get("/settings")
async def read_settings(sandbox: TheSandbox) -> SettingsShown:
    """How this sandbox was started; the environment says it, and nothing here changes it."""
    settings = sandbox.settings
    return SettingsShown(
        http_port=settings.http_port,
        https_port=settings.https_port,
        client_id=settings.client_id,
        redirect_uris=sorted(settings.microsoft_redirects),
        longest_view_days=settings.longest_view_days,
        settle_seconds=settings.settle_seconds,
        latency_ms=settings.latency_ms,
        kafka_bootstrap_servers=settings.kafka_bootstrap_servers,
        limits=Limits(
            requests_at_once=MOST_AT_ONCE,
            requests_per_10_minutes=settings.requests_per_10_minutes,
            batch_requests=MOST_REQUESTS,
            subscriptions_per_mailbox=MOST_PER_MAILBOX,
            subscription_minutes_shortest=int(SHORTEST.total_seconds() / 60),
            subscription_minutes_longest=int(LONGEST.total_seconds() / 60),
        ),
    )


@router.post("/reset", status_code=204)
async def reset(sandbox: TheSandbox) -> None:
    """Forget everything and begin again with the practice's week. The journal's numbers go on."""
    for part in (
        sandbox.faults, sandbox.limits, sandbox.settling, sandbox.lifecycle, sandbox.delivery, sandbox.subscriptions,
        sandbox.mailboxes, sandbox.tokens, sandbox.apps, sandbox.tenants, sandbox.accounts, sandbox.feed.appointments,
        sandbox.provider, sandbox.journal, sandbox.clock,
    ):  # fmt: skip
        part.clear()
    seed.practice(sandbox)
