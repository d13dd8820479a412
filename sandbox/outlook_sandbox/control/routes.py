"""`/sandbox/v1`: what a test or a person does to this little Microsoft from behind. It has no sign-in: loopback only."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from outlook_sandbox import seed
from outlook_sandbox.accounts import new_account
from outlook_sandbox.faults import AnyFault, Armed
from outlook_sandbox.graph.mailbox import Mailbox
from outlook_sandbox.graph.model import Calendar
from outlook_sandbox.graph.render import calendar_json
from outlook_sandbox.graph.subscriptions import subscription_json
from outlook_sandbox.ics import BadCalendar, load_calendar
from outlook_sandbox.state import Sandbox

router = APIRouter(prefix="/sandbox/v1", tags=["control"])


class NewAccount(BaseModel):
    """`events` made-up events over the weeks around today go into the account's own calendar."""

    model_config = ConfigDict(extra="forbid")

    username: str = Field(min_length=3, max_length=200)
    name: str = Field(min_length=1, max_length=200)
    kind: Literal["work", "personal"] = "work"
    tid: str | None = None
    events: int = Field(default=0, ge=0, le=200_000)


class Move(BaseModel):
    model_config = ConfigDict(extra="forbid")

    event: str
    calendar: str


class Wish(BaseModel):
    """An access token as sign-in and consent would give it, for tests that have no browser."""

    model_config = ConfigDict(extra="forbid")

    app: str
    scopes: list[str]


class Advance(BaseModel):
    model_config = ConfigDict(extra="forbid")

    seconds: float = Field(gt=0)


@router.get("/accounts")
async def list_accounts(request: Request) -> list[dict[str, Any]]:
    sandbox = _sandbox(request)
    return [_account(sandbox.mailboxes.of(account)) for account in sandbox.accounts.all()]


@router.post("/accounts", status_code=201)
async def create_account(request: Request, wanted: NewAccount) -> dict[str, Any]:
    sandbox = _sandbox(request)
    if sandbox.accounts.named(wanted.username) is not None:
        raise HTTPException(409, f"There is an account named {wanted.username} already.")
    account = sandbox.accounts.add(new_account(wanted.kind, wanted.username, wanted.name, wanted.tid, wanted.events))
    return _account(sandbox.mailboxes.of(account))


@router.post("/accounts/{account}/token")
async def token(request: Request, account: str, wish: Wish) -> dict[str, str]:
    owner = _mailbox(request, account).account
    issued = _sandbox(request).tokens.issue(owner.id, wish.app, frozenset(wish.scopes))
    return {"access_token": issued.access_token}


@router.post("/accounts/{account}/move")
async def move(request: Request, account: str, wanted: Move) -> dict[str, str]:
    """Move an event into another calendar, as a person does in Outlook; takes either of its ids."""
    mailbox = _mailbox(request, account)
    event = mailbox.find(wanted.event)
    if event is None:
        raise HTTPException(404, "There is no such event.")
    _calendar(mailbox, wanted.calendar)
    mailbox.move(event, wanted.calendar)
    return {"id": event.ordinary_id, "immutableId": event.id}


@router.post("/accounts/{account}/calendars/{calendar}/ics", status_code=201)
async def load_ics(request: Request, account: str, calendar: str) -> dict[str, Any]:
    """Load an .ics file (the body, text/calendar): all of it, or 400 with the reason and nothing."""
    if not request.headers.get("content-type", "").startswith("text/calendar"):
        raise HTTPException(415, "The body has to be text/calendar.")
    mailbox = _mailbox(request, account)
    found = _calendar(mailbox, calendar)
    try:
        loaded = load_calendar(mailbox, found, await request.body(), _sandbox(request).clock.now())
    except BadCalendar as reason:
        raise HTTPException(400, str(reason)) from reason
    return {"calendar": found.id, "loaded": len(loaded)}


@router.post("/accounts/{account}/calendars/{calendar}/invalidate-delta")
async def invalidate_delta(request: Request, account: str, calendar: str) -> dict[str, int]:
    """Forget the calendar's sync states: every link given so far is answered with 410."""
    mailbox = _mailbox(request, account)
    found = _calendar(mailbox, calendar)
    found.generation += 1
    mailbox.store_calendar(found)
    return {"generation": found.generation}


@router.get("/journal")
async def journal(
    request: Request,
    since: int = 0,
    account: str | None = None,
    method: str | None = None,
    contains: Annotated[str | None, Field(description="part of the path")] = None,
    status: int | None = None,
) -> Response:
    """The requests that came, oldest first; `since` is the number of the last one seen."""
    found = [
        entry
        for entry in _sandbox(request).journal.entries(since)
        if account in (None, entry.account)
        and method in (None, entry.method)
        and status in (None, entry.status)
        and (contains is None or contains in entry.path)
    ]
    return Response(msgspec.json.encode({"entries": found}), media_type="application/json")


@router.get("/subscriptions")
async def subscriptions(request: Request) -> list[dict[str, Any]]:
    return [subscription_json(entry, with_state=True) for entry in _sandbox(request).subscriptions.all()]


@router.get("/clock")
async def clock(request: Request) -> dict[str, datetime]:
    return {"now": _sandbox(request).clock.now()}


@router.post("/clock/advance")
async def advance(request: Request, by: Advance) -> dict[str, datetime]:
    sandbox = _sandbox(request)
    sandbox.clock.advance(timedelta(seconds=by.seconds))
    return {"now": sandbox.clock.now()}


class FaultShown(BaseModel):
    """A fault that is on, and how often it has struck."""

    id: str
    struck: int
    fault: AnyFault


@router.get("/faults")
async def list_faults(request: Request) -> list[FaultShown]:
    return [_fault(armed) for armed in _sandbox(request).faults.all()]


@router.post("/faults", status_code=201)
async def add_fault(request: Request, fault: AnyFault) -> FaultShown:
    """Switch a fault on; it works from the next request."""
    if fault.account is not None:
        fault = fault.model_copy(update={"account": _mailbox(request, fault.account).account.id})
    return _fault(_sandbox(request).faults.add(fault))


@router.delete("/faults/{fault}", status_code=204)
async def remove_fault(request: Request, fault: str) -> None:
    if not _sandbox(request).faults.remove(fault):
        raise HTTPException(404, "There is no such fault.")


@router.delete("/faults", status_code=204)
async def remove_faults(request: Request) -> None:
    _sandbox(request).faults.clear()


@router.post("/reset", status_code=204)
async def reset(request: Request) -> None:
    """Forget everything and begin again with the practice's week."""
    sandbox = _sandbox(request)
    for part in (
        sandbox.accounts, sandbox.mailboxes, sandbox.subscriptions, sandbox.tokens, sandbox.journal, sandbox.faults, sandbox.clock,
    ):  # fmt: skip
        part.clear()
    seed.practice(sandbox)


def _sandbox(request: Request) -> Sandbox:
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox


def _mailbox(request: Request, account: str) -> Mailbox:
    sandbox = _sandbox(request)
    found = sandbox.accounts.get(account) or sandbox.accounts.named(account)
    if found is None:
        raise HTTPException(404, "There is no such account.")
    return sandbox.mailboxes.of(found)


def _calendar(mailbox: Mailbox, identifier: str) -> Calendar:
    found = mailbox.calendars.get(identifier)
    if found is None:
        raise HTTPException(404, "There is no such calendar.")
    return found


def _fault(armed: Armed) -> FaultShown:
    return FaultShown(id=armed.id, struck=armed.struck, fault=armed.fault)


def _account(mailbox: Mailbox) -> dict[str, Any]:
    account = mailbox.account
    return {
        "id": account.id,
        "tid": account.tid,
        "username": account.username,
        "name": account.name,
        "kind": account.kind,
        "calendars": [
            calendar_json(mailbox, calendar) | {"events": len(mailbox.in_calendar(calendar.id))}
            for calendar in mailbox.calendars.values()
        ],
    }
