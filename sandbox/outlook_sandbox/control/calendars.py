"""What Graph has no request for but people do in Outlook, and files in and out."""

from fastapi import APIRouter, HTTPException, Request, Response

from outlook_sandbox.control.finding import TheCalendar, TheMailbox, TheSandbox, calendar_in
from outlook_sandbox.control.models import CalendarShown, Generation, Loaded, Move, Moved, NewCalendar, Owner
from outlook_sandbox.control.problems import refusals
from outlook_sandbox.graph.mailbox import Mailbox
from outlook_sandbox.graph.model import Calendar
from outlook_sandbox.ics.export import export_calendar
from outlook_sandbox.ics.loading import BadCalendar, load_calendar

ICS = "text/calendar"

router = APIRouter(tags=["calendars"])


@router.post("/accounts/{account}/calendars", status_code=201, responses=refusals(404, 409))
async def create_calendar(mailbox: TheMailbox, wanted: NewCalendar) -> CalendarShown:
    """A calendar of the account's own, or one that somebody else shares with it."""
    if any(calendar.name.casefold() == wanted.name.casefold() for calendar in mailbox.calendars.values()):
        raise HTTPException(409, f"There is a calendar named {wanted.name} already.")
    owner = (wanted.owner.name, wanted.owner.address) if wanted.owner else None
    made = mailbox.add_calendar(wanted.name, color=wanted.color, owner=owner, can_edit=wanted.can_edit)
    return calendar_shown(mailbox, made)


@router.post("/accounts/{account}/move", responses=refusals(404))
async def move_event(mailbox: TheMailbox, wanted: Move) -> Moved:
    """Move an event into another calendar, as a person does in Outlook."""
    event = mailbox.find(wanted.event)
    if event is None:
        raise HTTPException(404, "There is no such event.")
    calendar = calendar_in(mailbox, wanted.calendar)
    mailbox.move(event, calendar.id)
    return Moved(id=event.ordinary_id, immutable_id=event.id)


@router.post(
    "/accounts/{account}/calendars/{calendar}/ics",
    status_code=201,
    responses=refusals(404, 415),
    openapi_extra={"requestBody": {"required": True, "content": {ICS: {"schema": {"type": "string"}}}}},
)
async def load_ics(request: Request, sandbox: TheSandbox, mailbox: TheMailbox, calendar: TheCalendar) -> Loaded:
    """Load an .ics file: all of it, or 400 with the reason and nothing."""
    if not request.headers.get("content-type", "").startswith(ICS):
        raise HTTPException(415, f"The body has to be {ICS}.")
    try:
        loaded = load_calendar(mailbox, calendar, await request.body(), sandbox.clock.now())
    except BadCalendar as reason:
        raise HTTPException(400, str(reason)) from reason
    return Loaded(calendar=calendar.id, loaded=len(loaded))


@router.get(
    "/accounts/{account}/calendars/{calendar}/ics",
    response_class=Response,
    responses=refusals(404) | {200: {"description": "The file", "content": {ICS: {"schema": {"type": "string"}}}}},
)
async def export_ics(mailbox: TheMailbox, calendar: TheCalendar) -> Response:
    """The whole calendar as Outlook would write it into a file."""
    return Response(export_calendar(mailbox, calendar), media_type=ICS)


@router.post("/accounts/{account}/calendars/{calendar}/invalidate-delta", responses=refusals(404))
async def invalidate_delta(mailbox: TheMailbox, calendar: TheCalendar) -> Generation:
    """Forget the calendar's sync states: every link given so far is answered with 410."""
    calendar.generation += 1
    mailbox.store_calendar(calendar)
    return Generation(generation=calendar.generation)


def calendar_shown(mailbox: Mailbox, calendar: Calendar) -> CalendarShown:
    """A calendar with the number of its events."""
    return CalendarShown(
        id=calendar.id,
        name=calendar.name,
        color=calendar.color,
        can_edit=calendar.can_edit,
        is_default_calendar=calendar.is_default,
        owner=Owner(name=calendar.owner_name, address=calendar.owner_address),
        events=len(mailbox.in_calendar(calendar.id)),
    )
