"""Requests about events: list, view, read, create, change, delete."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from outlook_sandbox.faults import DeletedAnswers
from outlook_sandbox.graph import ids
from outlook_sandbox.graph.calendars import calendar_of, editable
from outlook_sandbox.graph.errors import GraphError, not_found, stale_change_key
from outlook_sandbox.graph.expand import EXCEPTIONS, EXTENDED_PROPERTIES, extended_json, read_expand
from outlook_sandbox.graph.fields import read_event
from outlook_sandbox.graph.filter import chosen
from outlook_sandbox.graph.model import Item
from outlook_sandbox.graph.occurrences import exceptions, in_window, occurrence, whole
from outlook_sandbox.graph.operations import METADATA, READ_BASIC, READ_CALENDARS, WRITE_CALENDARS, Answer, Call, operations
from outlook_sandbox.graph.paging import PAGING, SELECT, page, select
from outlook_sandbox.graph.properties import EVENT
from outlook_sandbox.graph.render import cancelled_occurrences, event_json
from outlook_sandbox.graph.windows import WINDOW, read_window
from outlook_sandbox.graph.writing import change_event, change_occurrence, create_event

LISTED = PAGING | {"$expand"}
UNSHOWN = frozenset((EXTENDED_PROPERTIES, EXCEPTIONS, "cancelledOccurrences", "instances", "extensions", "calendar"))
ONE = ("/me/events/*", "/me/calendar/events/*", "/me/calendars/*/events/*")


@operations.on("GET", "/me/events", "/me/calendar/events", "/me/calendars/*/events", scopes=READ_CALENDARS, query=LISTED)
def list_events(call: Call) -> Answer:
    """Single events and series masters; of the whole mailbox for `/me/events`."""
    everywhere = call.segments[1] == "events"
    events = call.mailbox.events.values() if everywhere else call.mailbox.in_calendar(calendar_of(call).id)
    return _page(call, [whole(event) for event in events])


VIEW = ("/me/calendarView", "/me/calendar/calendarView", "/me/calendars/*/calendarView")


@operations.on("GET", *VIEW, scopes=READ_BASIC, query=LISTED | WINDOW)
def calendar_view(call: Call) -> Answer:
    """Single events, occurrences and exceptions in a window; never masters."""
    start, end = read_window(call)
    events = call.mailbox.in_calendar(calendar_of(call).id)
    return _page(call, [item for event in events for item in in_window(event, start, end)])


@operations.on("GET", *(f"{path}/instances" for path in ONE), scopes=READ_CALENDARS, query=LISTED | WINDOW)
def list_instances(call: Call) -> Answer:
    item = _item(call)
    if item.type != "seriesMaster":
        raise GraphError(400, "ErrorInvalidRequest", "Instances can be listed of a series master only.")
    return _page(call, list(in_window(item.event, *read_window(call))))


@operations.on("GET", *ONE, scopes=READ_CALENDARS, query=SELECT | {"$expand"})
def get_event(call: Call) -> Answer:
    item = _deleted(call) or _item(call)
    expand = read_expand(call, EXTENDED_PROPERTIES, EXCEPTIONS)
    shown, master = _entity(call, item), item.type == "seriesMaster"
    if master and "cancelledOccurrences" in call.query.get("$select", ""):
        shown["cancelledOccurrences"] = cancelled_occurrences(item.event, call.preferences)
    shown = select(call, shown, UNSHOWN)
    if master and expand.exceptions:
        shown[EXCEPTIONS] = [event_json(call.mailbox, each, call.preferences) for each in exceptions(item.event)]
    return Answer(200, shown | expand.extended(item))


@operations.on("POST", "/me/events", "/me/calendar/events", "/me/calendars/*/events", scopes=WRITE_CALENDARS)
def post_event(call: Call) -> Answer:
    calendar = editable(calendar_of(call))
    sandbox = call.sandbox
    event = create_event(call.mailbox, calendar, read_event(call.json()), sandbox.clock.now(), sandbox.settling)
    return Answer(201, _entity(call, whole(event)))


@operations.on("PATCH", *ONE, scopes=WRITE_CALENDARS)
def patch_event(call: Call) -> Answer:
    item = _writable(call)
    body = read_event(call.json())
    if item.day is None:
        changed = whole(change_event(call.mailbox, item.event, body))
    else:
        changed = change_occurrence(call.mailbox, item, item.day, body, call.sandbox.clock.now())
    return Answer(200, _entity(call, changed))


@operations.on("DELETE", *ONE, scopes=WRITE_CALENDARS)
def delete_event(call: Call) -> Answer:
    """A deleted occurrence only changes its series: Outlook tells of it as an update of the master."""
    item = _writable(call)
    if item.day is None:
        call.mailbox.remove(item.event)
    else:
        item.event.cancelled |= {item.day.isoformat()}
        item.event.exceptions.pop(item.day.isoformat(), None)
        call.mailbox.update(item.event)
    return Answer(204)


def find_item(call: Call, identifier: str) -> Item | None:
    """The event, occurrence or exception with this id."""
    master, day = ids.split_id(identifier)
    event = call.mailbox.find(master)
    if event is None:
        return None
    return whole(event) if day is None else occurrence(event, day)


def _item(call: Call) -> Item:
    item = find_item(call, call.names[-1])
    if item is None or (call.segments[1] != "events" and item.event.calendar != calendar_of(call).id):
        raise not_found()
    return item


def _deleted(call: Call) -> Item | None:
    """A deleted event asked for by its immutable id, where a fault has Deleted Items answer."""
    event = call.mailbox.deleted(call.names[-1]) if call.segments[1] == "events" else None
    faults, account = call.sandbox.faults, call.mailbox.account.id
    if event is None or faults.strike(DeletedAnswers, account) is None:
        return None
    return whole(event)


def _writable(call: Call) -> Item:
    """The item, if it may be written and is still what If-Match says."""
    item = _item(call)
    editable(call.mailbox.calendars[item.event.calendar])
    wanted = call.headers.get("if-match")
    key = item.event.key if item.exception is None else item.exception.key
    if wanted is not None and wanted.strip() not in ("*", call.mailbox.etag(key)):
        raise stale_change_key()
    return item


def _page(call: Call, items: Sequence[Item]) -> Answer:
    """By their start, unless $orderby wants it otherwise; filters read times in UTC, whatever zone is preferred."""
    mailbox, preferences = call.mailbox, call.preferences
    in_utc = replace(preferences, zone="UTC")
    expand = read_expand(call, EXTENDED_PROPERTIES)

    def whole_json(item: Item) -> dict[str, Any]:
        return event_json(mailbox, item, in_utc) | {EXTENDED_PROPERTIES: extended_json(item)}

    def write(item: Item) -> dict[str, Any]:
        return call.readable(select(call, event_json(mailbox, item, preferences), UNSHOWN) | expand.extended(item))

    listed = sorted(items, key=lambda item: (item.start, item.event.id, item.day or date.min))
    return page(call, chosen(call, listed, EVENT, whole_json), write, "Collection(event)")


def _entity(call: Call, item: Item) -> dict[str, Any]:
    context = {"@odata.context": f"{METADATA}users('{call.mailbox.account.id}')/events/$entity"}
    return context | event_json(call.mailbox, item, call.preferences)
