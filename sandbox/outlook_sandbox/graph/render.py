"""Events and calendars as Graph writes them, in the zone, the ids and the body format that a request prefers."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from outlook_sandbox.graph import ids, texts
from outlook_sandbox.graph.mailbox import Mailbox
from outlook_sandbox.graph.model import Calendar, Category, Event, Item, Moment, Span
from outlook_sandbox.graph.prefer import Preferences
from outlook_sandbox.recurrence import Recurrence
from outlook_sandbox.zones import wall_clock

EVENT_TYPE = "#microsoft.graph.event"
HEX_COLORS = {
    "auto": "",
    "lightBlue": "#a6d1f5",
    "lightGreen": "#87d28e",
    "lightOrange": "#fcab73",
    "lightGray": "#c0c0c0",
    "lightYellow": "#f0eb8c",
    "lightTeal": "#4adacc",
    "lightPink": "#f08cc0",
    "lightBrown": "#cba287",
    "lightRed": "#f88c9b",
}


def calendar_json(mailbox: Mailbox, calendar: Calendar) -> dict[str, Any]:
    work = mailbox.account.kind == "work"
    own = mailbox.owns(calendar)
    return {
        "id": calendar.id,
        "name": calendar.name,
        "color": calendar.color,
        "hexColor": HEX_COLORS[calendar.color],
        "isDefaultCalendar": calendar.is_default,
        "changeKey": mailbox.change_key(calendar.key),
        "canShare": own and calendar.can_edit,
        "canViewPrivateItems": own,
        "canEdit": calendar.can_edit,
        "allowedOnlineMeetingProviders": ["teamsForBusiness"] if work else [],
        "defaultOnlineMeetingProvider": "teamsForBusiness" if work else "unknown",
        "isTallyingResponses": calendar.is_default,
        "isRemovable": not calendar.is_default,
        "owner": {"name": calendar.owner_name, "address": calendar.owner_address},
    }


def category_json(category: Category) -> dict[str, Any]:
    return {"id": category.id, "displayName": category.name, "color": category.color}


def event_json(mailbox: Mailbox, item: Item, preferences: Preferences) -> dict[str, Any]:
    """A whole event; occurrences take from their series what they don't say themselves."""
    event, exception = item.event, item.exception
    fields = event.fields if exception is None else event.fields | exception.fields
    key = event.key if exception is None else exception.key
    identifier = item_id(item, preferences.immutable_ids)
    part = item.day is not None
    return {
        "@odata.etag": mailbox.etag(key),
        "id": identifier,
        "createdDateTime": timestamp(event.created),
        "lastModifiedDateTime": timestamp(event.modified if exception is None else exception.modified),
        "changeKey": mailbox.change_key(key),
        "transactionId": None if part else event.transaction,
        "originalStartTimeZone": item.span.start.zone,
        "originalEndTimeZone": item.span.end.zone,
        "iCalUId": event.uid if item.day is None else f"{event.uid}{item.day:%Y%m%d}",
        **fields,
        "body": _body(fields["body"], preferences.text_bodies),
        "isAllDay": item.span.all_day,
        "type": item.type,
        "seriesMasterId": event.identity(preferences.immutable_ids) if part else None,
        "webLink": f"https://outlook.office365.com/owa/?itemid={identifier}&exvsurl=1&path=/calendar/item",
        "recurrence": recurrence_json(event.recurrence) if event.recurrence and not part else None,
        "originalStart": _original_start(item),
        **_start_and_end(item.span, item.start, item.end, preferences.zone),
    }


def skeleton_json(mailbox: Mailbox, item: Item, preferences: Preferences) -> dict[str, Any]:
    """An ordinary occurrence as delta gives it: Outlook leaves out all that its series master already said."""
    return {
        "@odata.type": EVENT_TYPE,
        "@odata.etag": mailbox.etag(item.event.key),
        "id": item_id(item, preferences.immutable_ids),
        "seriesMasterId": item.event.identity(preferences.immutable_ids),
        "type": "occurrence",
        **_start_and_end(item.span, item.start, item.end, preferences.zone),
    }


def cancelled_occurrences(event: Event, preferences: Preferences) -> list[str]:
    """The deleted occurrences of a series, which Graph gives only to who selects them."""
    return [f"OID.{event.identity(preferences.immutable_ids)}.{day}" for day in sorted(event.cancelled)]


def item_id(item: Item, immutable: bool) -> str:
    identifier = item.event.identity(immutable)
    return identifier if item.day is None else ids.occurrence_id(identifier, item.day)


def recurrence_json(recurrence: Recurrence) -> dict[str, Any]:
    pattern, extent = recurrence.pattern, recurrence.range
    return {
        "pattern": {
            "type": pattern.type,
            "interval": pattern.interval,
            "month": pattern.month,
            "dayOfMonth": pattern.day_of_month,
            **({"daysOfWeek": list(pattern.days_of_week)} if pattern.days_of_week else {}),
            "firstDayOfWeek": pattern.first_day_of_week,
            "index": pattern.index,
        },
        "range": {
            "type": extent.type,
            "startDate": extent.start_date.isoformat(),
            "endDate": extent.end_date.isoformat(),
            "recurrenceTimeZone": extent.recurrence_time_zone,
            "numberOfOccurrences": extent.number_of_occurrences,
        },
    }


def timestamp(moment: datetime) -> str:
    """With the seven digits of a second that Microsoft writes."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"


def _start_and_end(span: Span, start: int, end: int, zone: str) -> dict[str, Any]:
    return {"start": _moment(span.start, span.all_day, start, zone), "end": _moment(span.end, span.all_day, end, zone)}


def _moment(moment: Moment, all_day: bool, seconds: int, zone: str) -> dict[str, str]:
    wall = moment.wall if all_day or moment.zone == zone else wall_clock(seconds, zone)
    return {"dateTime": f"{wall.isoformat(timespec='seconds')}.0000000", "timeZone": zone}


def _body(body: dict[str, str], as_text: bool) -> dict[str, str]:
    if as_text and body["contentType"] == "html":
        return {"contentType": "text", "content": texts.to_text(body["content"])}
    if not as_text and body["contentType"] == "text":
        return {"contentType": "html", "content": texts.to_html(body["content"])}
    return body


def _original_start(item: Item) -> str | None:
    """Only parts of a series have one; Exchange keeps it to the minute."""
    if item.day is None:
        return None
    start, _ = item.event.span.on(item.day).seconds
    return f"{datetime.fromtimestamp(start - start % 60, UTC):%Y-%m-%dT%H:%M:%SZ}"


def new_uid(seed: str) -> str:
    return "040000008200E00074C5B7101A82E008" + hashlib.sha256(seed.encode()).hexdigest()[:80].upper()
