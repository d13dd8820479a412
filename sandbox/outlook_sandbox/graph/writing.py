"""Creating and changing events: the work behind POST and PATCH, the sandbox's pages and its seed."""

from datetime import date, datetime, timedelta

import msgspec
from msgspec import UNSET

from outlook_sandbox import recurrence as series
from outlook_sandbox.graph import ids
from outlook_sandbox.graph.errors import GraphError, invalid_property
from outlook_sandbox.graph.extended import merged
from outlook_sandbox.graph.fields import DateTimeTimeZone, EventBody, blank, content, read_span
from outlook_sandbox.graph.mailbox import Mailbox
from outlook_sandbox.graph.model import Calendar, Event, Exceptional, Item, Moment, Span
from outlook_sandbox.graph.occurrences import occurrence
from outlook_sandbox.graph.prefer import zone_not_supported
from outlook_sandbox.graph.render import new_uid
from outlook_sandbox.graph.settling import Settling
from outlook_sandbox.recurrence import BadRecurrence, Recurrence
from outlook_sandbox.zones import UnknownZone, wall_clock

NEIGHBOURS = timedelta(days=4000)


def create_event(mailbox: Mailbox, calendar: Calendar, body: EventBody, now: datetime, settling: Settling | None = None) -> Event:
    """Make an event; a repeated transactionId gives the event that the first one made. Without `settling` it is final."""
    transaction = body.transaction_id or None if body.transaction_id is not UNSET else None
    if transaction and (before := mailbox.made_by(transaction)) is not None:
        return before
    if body.start is UNSET or body.end is UNSET:
        raise invalid_property("The properties 'start' and 'end' are required.")
    all_day = body.is_all_day if body.is_all_day is not UNSET else False
    identifier = ids.new_id(ids.IMMUTABLE)
    event = Event(
        id=identifier,
        ordinary_id=ids.new_id(ids.ORDINARY),
        calendar=calendar.id,
        uid=new_uid(identifier),
        span=read_span(body.start, body.end, all_day),
        fields=blank(calendar.owner_name, calendar.owner_address) | content(body),
        created=now,
        modified=now,
        extended=_extended(None, body),
        transaction=transaction,
    )
    if body.recurrence is not UNSET and body.recurrence is not None:
        make_series(event, body.recurrence)
    mailbox.add(event, settled=not settling)
    if settling:
        settling.add(mailbox, event)
    return event


def change_event(mailbox: Mailbox, event: Event, body: EventBody) -> Event:
    """Change what the body sets. New times or a new pattern undo the exceptions of a series, as in Outlook."""
    _refuse_transaction(body)
    span = _new_span(event.span, body)
    fields, extended = event.fields | content(body), _extended(event.extended, body)
    rule = event.recurrence
    if body.recurrence is not UNSET:
        rule = body.recurrence
    changed_times = span != event.span or rule != event.recurrence
    if changed_times and rule is not None:
        trial = msgspec.structs.replace(event, span=span, exceptions={}, cancelled=frozenset())
        if rule == event.recurrence and span.start.wall.date() != event.span.start.wall.date():
            moved = msgspec.structs.replace(rule.range, start_date=span.start.wall.date())
            rule = msgspec.structs.replace(rule, range=moved)
        make_series(trial, rule)
        event.span, event.recurrence = trial.span, trial.recurrence
        event.exceptions, event.cancelled = {}, frozenset()
    elif changed_times:
        event.span, event.recurrence = span, None
        event.exceptions, event.cancelled = {}, frozenset()
    event.fields, event.extended = fields, extended
    return mailbox.update(event)


def change_occurrence(mailbox: Mailbox, item: Item, day: date, body: EventBody, now: datetime) -> Item:
    """Change one occurrence, which makes an exception of it."""
    _refuse_transaction(body)
    if body.recurrence is not UNSET and body.recurrence is not None:
        raise GraphError(400, "ErrorInvalidRequest", "An occurrence can't have a recurrence of its own.")
    span = _new_span(item.span, body)
    event = item.event
    _refuse_crossing(event, day, span)
    kept, tagged = (item.exception.fields, item.exception.extended) if item.exception else ({}, None)
    exceptional = Exceptional(span=span, fields=kept | content(body), key=0, modified=now, extended=_extended(tagged, body))
    event.exceptions[day.isoformat()] = exceptional
    exceptional.key = mailbox.key + 1
    mailbox.update(event)
    mailbox.tell_of_occurrence(event, day, exceptional.key)
    return Item(event, *span.seconds, span, day, exceptional)


def make_series(event: Event, rule: Recurrence) -> None:
    """Give an event its pattern; the master then lies where the first occurrence does. Raises GraphError 400."""
    zone = rule.range.recurrence_time_zone or event.span.start.zone
    rule = msgspec.structs.replace(rule, range=msgspec.structs.replace(rule.range, recurrence_time_zone=zone))
    try:
        series.check(rule)
    except BadRecurrence as reason:
        raise invalid_property(str(reason)) from reason
    if rule.range.type == "endDate" and rule.range.end_date > series.LATEST_END:
        raise GraphError(400, "ErrorRecurrenceEndDateTooBig", "Recurrence end date can not exceed Sep 1, 4500 00:00:00.")
    event.recurrence = rule
    event.span = _in_zone(event.span, zone).on(next(series.all_dates(rule)))


def _in_zone(span: Span, name: str) -> Span:
    """The same instants by the clocks of the series' own zone, whose summer time it follows."""
    if span.all_day or name == span.start.zone:
        return span
    try:
        start, end = (Moment(wall_clock(seconds, name), name) for seconds in span.seconds)
    except UnknownZone as reason:
        raise zone_not_supported(name) from reason
    return Span(start, end)


def _new_span(span: Span, body: EventBody) -> Span:
    if body.start is UNSET and body.end is UNSET and body.is_all_day is UNSET:
        return span
    start = body.start if body.start is not UNSET else _sent(span.start.wall, span.start.zone)
    end = body.end if body.end is not UNSET else _sent(span.end.wall, span.end.zone)
    return read_span(start, end, body.is_all_day if body.is_all_day is not UNSET else span.all_day)


def _sent(wall: datetime, zone: str) -> DateTimeTimeZone:
    return DateTimeTimeZone(date_time=wall.isoformat(), time_zone=zone)


def _extended(before: dict[str, str] | None, body: EventBody) -> dict[str, str] | None:
    sent = body.single_value_extended_properties
    return merged(before or {}, sent) if sent is not UNSET else before


def _refuse_transaction(body: EventBody) -> None:
    if body.transaction_id is not UNSET:
        raise GraphError(400, "ErrorInvalidPropertySet", "The property 'transactionId' can't be changed.")


def _refuse_crossing(event: Event, day: date, span: Span) -> None:
    """An occurrence may not be moved past its neighbours."""
    if event.recurrence is None:
        return
    start, end = span.seconds
    days = series.dates(event.recurrence, day - NEIGHBOURS, day + NEIGHBOURS)
    before = _nearest(event, [other for other in reversed(days) if other < day])
    after = _nearest(event, [other for other in days if other > day])
    if (before is not None and start < before.end) or (after is not None and end > after.start):
        raise GraphError(
            400,
            "ErrorOccurrenceCrossingBoundary",
            "Modified occurrence is crossing or overlapping adjacent occurrence.",
        )


def _nearest(event: Event, days: list[date]) -> Item | None:
    """The first of these days' occurrences that is still there."""
    return next((item for day in days if (item := occurrence(event, day)) is not None), None)
