"""The sandbox as a whole: its time, its beginning."""

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, HTTPException

from outlook_sandbox import seed
from outlook_sandbox.control.finding import TheSandbox
from outlook_sandbox.control.models import Advance, Now
from outlook_sandbox.control.problems import refusals

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
    sandbox.clock.clear()
    return Now(now=sandbox.clock.now())


@router.post("/reset", status_code=204)
async def reset(sandbox: TheSandbox) -> None:
    """Forget everything and begin again with the practice's week. The journal's numbers go on."""
    for part in (
        sandbox.faults, sandbox.limits, sandbox.settling, sandbox.lifecycle, sandbox.delivery, sandbox.subscriptions,
        sandbox.mailboxes, sandbox.tokens, sandbox.apps, sandbox.tenants, sandbox.accounts, sandbox.feed.appointments,
        sandbox.journal, sandbox.clock,
    ):  # fmt: skip
        part.clear()
    seed.practice(sandbox)
