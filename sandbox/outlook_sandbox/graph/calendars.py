"""The list of calendars."""

from typing import Any

from outlook_sandbox.graph.errors import GraphError, access_denied, body_refused, not_found
from outlook_sandbox.graph.filter import chosen
from outlook_sandbox.graph.model import Calendar
from outlook_sandbox.graph.operations import METADATA, READ_BASIC, WRITE_CALENDARS, Answer, Call, operations
from outlook_sandbox.graph.paging import PAGING, SELECT, page, select
from outlook_sandbox.graph.properties import CALENDAR
from outlook_sandbox.graph.render import HEX_COLORS, calendar_json


@operations.on("GET", "/me/calendars", scopes=READ_BASIC, query=PAGING)
def list_calendars(call: Call) -> Answer:
    account = call.mailbox.account
    address = f"https://graph.microsoft.com/v1.0/users('{account.id}@{account.tid}')/calendars"
    calendars = call.mailbox.calendars.values()
    shown = [{"@odata.id": f"{address}('{calendar.id}')"} | calendar_json(call.mailbox, calendar) for calendar in calendars]
    listed = chosen(call, shown, CALENDAR, lambda calendar: calendar)
    return page(call, listed, lambda calendar: select(call, calendar), "me/calendars")


@operations.on("POST", "/me/calendars", scopes=WRITE_CALENDARS)
def create_calendar(call: Call) -> Answer:
    name, color = _name_and_color(call)
    if not name:
        raise GraphError(400, "ErrorInvalidRequest", "A calendar needs a name.")
    if any(calendar.name.casefold() == name.casefold() for calendar in call.mailbox.calendars.values()):
        raise GraphError(409, "ErrorFolderExists", "A folder with the specified name already exists.")
    return Answer(201, _entity(call, call.mailbox.add_calendar(name, color=color or "auto")))


@operations.on("GET", "/me/calendar", "/me/calendars/*", scopes=READ_BASIC, query=SELECT)
def get_calendar(call: Call) -> Answer:
    return Answer(200, select(call, _entity(call, calendar_of(call))))


@operations.on("PATCH", "/me/calendar", "/me/calendars/*", scopes=WRITE_CALENDARS)
def update_calendar(call: Call) -> Answer:
    calendar = editable(calendar_of(call))
    name, color = _name_and_color(call)
    calendar.name, calendar.color = name or calendar.name, color or calendar.color
    call.mailbox.store_calendar(calendar)
    return Answer(200, _entity(call, calendar))


@operations.on("DELETE", "/me/calendars/*", scopes=WRITE_CALENDARS)
def delete_calendar(call: Call) -> Answer:
    calendar = calendar_of(call)
    if calendar.is_default:
        raise GraphError(400, "ErrorDeleteDistinguishedFolder", "Distinguished folders cannot be deleted.")
    call.mailbox.remove_calendar(calendar)
    return Answer(204)


def calendar_of(call: Call) -> Calendar:
    """The calendar that the path names: the default one, or one by its id. Raises GraphError 404."""
    named = call.segments[1] == "calendars"
    calendar = call.mailbox.calendars.get(call.names[0]) if named else call.mailbox.default_calendar
    if calendar is None:
        raise not_found()
    return calendar


def editable(calendar: Calendar) -> Calendar:
    if not calendar.can_edit:
        raise access_denied()
    return calendar


def _name_and_color(call: Call) -> tuple[str | None, str | None]:
    sent = call.json()
    unknown = sorted(sent.keys() - {"name", "color", "@odata.type"})
    if unknown:
        raise body_refused(f"The property '{unknown[0]}' can't be set on type 'microsoft.graph.calendar'.")
    name, color = sent.get("name"), sent.get("color")
    if not isinstance(name, str | None) or color not in (None, *HEX_COLORS):
        raise body_refused("The calendar's name or color is not valid.")
    return name, color


def _entity(call: Call, calendar: Calendar) -> dict[str, Any]:
    return {"@odata.context": f"{METADATA}me/calendars/$entity"} | calendar_json(call.mailbox, calendar)
