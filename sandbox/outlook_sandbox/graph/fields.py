"""Reading the events that clients send: types checked, unknown and read-only properties refused, values made whole."""

import uuid
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal
from zlib import crc32

import msgspec
from msgspec import UNSET, UnsetType, field

from outlook_sandbox.graph import texts
from outlook_sandbox.graph.errors import GraphError, body_refused, invalid_property, no_such_property
from outlook_sandbox.graph.extended import ExtendedProperty
from outlook_sandbox.graph.model import Moment, Span
from outlook_sandbox.graph.prefer import check_zone
from outlook_sandbox.graph.windows import EXCHANGE_YEARS
from outlook_sandbox.recurrence import Recurrence
from outlook_sandbox.zones import zone

NO_TIME = "0001-01-01T00:00:00Z"
READ_ONLY = frozenset(
    (
        "id", "changeKey", "createdDateTime", "lastModifiedDateTime", "type", "seriesMasterId", "isOrganizer",
        "organizer", "isCancelled", "isDraft", "hasAttachments", "webLink", "bodyPreview", "originalStart",
        "onlineMeeting", "onlineMeetingUrl", "cancelledOccurrences", "exceptionOccurrences", "instances",
    )
)  # fmt: skip
# Microsoft's own sample of an event PATCH sends these; Outlook keeps its own values.
IGNORED = frozenset(("originalStartTimeZone", "originalEndTimeZone", "responseStatus", "iCalUId", "@odata.type", "@odata.etag"))


class _Part(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    odata_type: str | UnsetType = field(default=UNSET, name="@odata.type")


class ItemBody(_Part):
    content: str | None = ""
    content_type: Literal["text", "html", "Text", "HTML"] = "text"


class DateTimeTimeZone(_Part):
    date_time: str = ""
    time_zone: str | None = None


class EmailAddress(_Part):
    address: str | None = None
    name: str | None = None


class ResponseStatus(_Part):
    response: Literal["none", "organizer", "tentativelyAccepted", "accepted", "declined", "notResponded"] = "none"
    time: str | None = NO_TIME


class TimeSlot(_Part):
    start: DateTimeTimeZone
    end: DateTimeTimeZone


class Attendee(_Part):
    """With their answer, which at Outlook only they themselves can give."""

    email_address: EmailAddress
    type: Literal["required", "optional", "resource"] = "required"
    status: ResponseStatus | None = None
    proposed_new_time: TimeSlot | None = None


class Location(_Part):
    display_name: str | None = ""
    location_type: str | None = "default"
    location_uri: str | None = None
    location_email_address: str | None = None
    unique_id: str | None = None
    unique_id_type: str | None = None
    address: dict[str, Any] | None = None
    coordinates: dict[str, Any] | None = None


class EventBody(_Part):
    """The properties of an event that a client may send."""

    subject: str | UnsetType | None = UNSET
    body: ItemBody | UnsetType | None = UNSET
    categories: list[str] | UnsetType | None = UNSET
    start: DateTimeTimeZone | UnsetType = UNSET
    end: DateTimeTimeZone | UnsetType = UNSET
    is_all_day: bool | UnsetType = UNSET
    location: Location | UnsetType | None = UNSET
    locations: list[Location] | UnsetType | None = UNSET
    attendees: list[Attendee] | UnsetType | None = UNSET
    recurrence: Recurrence | UnsetType | None = UNSET
    sensitivity: Literal["normal", "personal", "private", "confidential"] | UnsetType = UNSET
    show_as: Literal["unknown", "free", "tentative", "busy", "oof", "workingElsewhere"] | UnsetType = UNSET
    importance: Literal["low", "normal", "high"] | UnsetType = UNSET
    is_reminder_on: bool | UnsetType = UNSET
    reminder_minutes_before_start: int | UnsetType = UNSET
    response_requested: bool | UnsetType = UNSET
    allow_new_time_proposals: bool | UnsetType = UNSET
    hide_attendees: bool | UnsetType = UNSET
    is_online_meeting: bool | UnsetType = UNSET
    online_meeting_provider: Literal["unknown", "teamsForBusiness", "skypeForBusiness", "skypeForConsumer"] | UnsetType = UNSET
    transaction_id: str | UnsetType | None = UNSET
    single_value_extended_properties: list[ExtendedProperty] | UnsetType = UNSET


def read_event(sent: dict[str, Any]) -> EventBody:
    """Check a body; raises GraphError 400."""
    forbidden = sorted(READ_ONLY & sent.keys())
    if forbidden:
        raise GraphError(400, "ErrorInvalidPropertySet", f"The property '{forbidden[0]}' is read-only and can't be set.")
    try:
        return msgspec.convert({name: sent[name] for name in sent if name not in IGNORED}, EventBody)
    except msgspec.ValidationError as reason:
        raise _in_graphs_words(str(reason)) from reason


def content(body: EventBody) -> dict[str, Any]:
    """The content properties that the body sets, as they are stored and shown."""
    fields: dict[str, Any] = {}
    for name, value in (
        ("importance", body.importance),
        ("sensitivity", body.sensitivity),
        ("showAs", body.show_as),
        ("isReminderOn", body.is_reminder_on),
        ("reminderMinutesBeforeStart", body.reminder_minutes_before_start),
        ("responseRequested", body.response_requested),
        ("allowNewTimeProposals", body.allow_new_time_proposals),
        ("hideAttendees", body.hide_attendees),
        ("categories", body.categories if body.categories is not None else []),
    ):
        if value is not UNSET:
            fields[name] = value
    if body.subject is not UNSET:
        fields["subject"] = body.subject or ""
    if body.body is not UNSET:
        fields |= body_fields(body.body)
    if body.location is not UNSET or body.locations is not UNSET:
        fields |= _location_fields(body)
    if body.attendees is not UNSET:
        fields["attendees"] = [_attendee(attendee) for attendee in body.attendees or ()]
    if body.is_online_meeting is not UNSET:
        fields |= online_meeting(body.is_online_meeting)
    return fields


@lru_cache(maxsize=1024)
def blank(organizer_name: str, organizer_address: str, is_organizer: bool = True) -> dict[str, Any]:
    """The content of an event about which nothing was said; whoever asks gets the same one, and must not change it."""
    return {
        "subject": "",
        **body_fields(None),
        "importance": "normal",
        "sensitivity": "normal",
        "showAs": "busy",
        "isCancelled": False,
        "isOrganizer": is_organizer,
        "isDraft": False,
        "hasAttachments": False,
        "isReminderOn": True,
        "reminderMinutesBeforeStart": 15,
        "responseRequested": True,
        "allowNewTimeProposals": True,
        "hideAttendees": False,
        **online_meeting(False),
        "categories": [],
        **place(""),
        "attendees": [],
        "organizer": {"emailAddress": {"name": organizer_name, "address": organizer_address}},
        "responseStatus": {"response": "organizer" if is_organizer else "notResponded", "time": NO_TIME},
    }


def body_fields(body: ItemBody | None) -> dict[str, Any]:
    sent = body or ItemBody()
    shown = {"contentType": sent.content_type.lower(), "content": sent.content or ""}
    return {"body": shown, "bodyPreview": texts.preview(shown)}


def place(name: str) -> dict[str, Any]:
    """One location by its name, or none."""
    if not name:
        return {"location": {"displayName": "", "locationType": "default", "uniqueIdType": "unknown"}, "locations": []}
    shown = {"displayName": name, "locationType": "default", "uniqueId": name, "uniqueIdType": "private"}
    return {"location": shown, "locations": [shown]}


def online_meeting(wanted: bool, link: str = "") -> dict[str, Any]:
    """With a link of its own if none is given, and numbers to call."""
    link = link or f"https://teams.microsoft.com/l/meetup-join/19%3ameeting_{uuid.uuid4().hex}%40thread.v2/0"
    joining = {"joinUrl": link, "conferenceId": f"{crc32(link.encode()):010}", "tollNumber": "+41 44 000 00 00"}
    return {
        "isOnlineMeeting": wanted,
        "onlineMeetingProvider": "teamsForBusiness" if wanted else "unknown",
        "onlineMeeting": joining if wanted else None,
        "onlineMeetingUrl": None,
    }


def read_span(start: DateTimeTimeZone, end: DateTimeTimeZone, all_day: bool) -> Span:
    """When an event is to be; raises GraphError 400 for an impossible time."""
    span = Span(_moment(start, "Start"), _moment(end, "End"), all_day)
    first, last = span.seconds
    if first > last:
        raise invalid_property("The event's end must not be before its start.")
    if span.too_long:
        raise GraphError(400, "ErrorCalendarDurationIsTooLong", "Calendar item duration is too long.")
    midnights = span.start.wall.time() == span.end.wall.time() == datetime.min.time()
    if all_day and not (midnights and span.start.zone == span.end.zone and first < last):
        raise invalid_property(
            "The Event.Start property for an all-day event needs to be set to midnight, as does Event.End, a day or "
            "more later in the same time zone.",
        )
    return span


def _moment(sent: DateTimeTimeZone, name: str) -> Moment:
    zone_name = sent.time_zone or "UTC"
    check_zone(zone_name)
    try:
        wall = datetime.fromisoformat(sent.date_time)
    except ValueError as reason:
        raise invalid_property(f"The value '{sent.date_time}' of {name}.DateTime is invalid.") from reason
    if wall.year not in EXCHANGE_YEARS:
        raise invalid_property(f"The value '{sent.date_time}' of {name}.DateTime is out of range.")
    if wall.tzinfo is not None:
        wall = wall.astimezone(zone(zone_name)).replace(tzinfo=None)
    return Moment(wall.replace(microsecond=0), zone_name)


def _location_fields(body: EventBody) -> dict[str, Any]:
    places = body.locations if body.locations is not UNSET else ([body.location] if body.location else [])
    shown = [_location(location) for location in places or () if location and location.display_name]
    return {"location": shown[0], "locations": shown} if shown else place("")


def _location(location: Location) -> dict[str, Any]:
    plain = {name: value for name, value in msgspec.to_builtins(location).items() if value is not None}
    return {"uniqueId": location.display_name, "uniqueIdType": "private"} | plain


def _attendee(attendee: Attendee) -> dict[str, Any]:
    status = attendee.status or ResponseStatus()
    address = attendee.email_address
    proposed = {"proposedNewTime": msgspec.to_builtins(attendee.proposed_new_time)} if attendee.proposed_new_time else {}
    return {
        "type": attendee.type,
        "status": {"response": status.response, "time": status.time or NO_TIME},
        **proposed,
        "emailAddress": {"name": address.name or address.address or "", "address": address.address or ""},
    }


def _in_graphs_words(reason: str) -> GraphError:
    if "unknown field" in reason:
        return no_such_property(reason.split("`")[1], "event")
    return body_refused(f"Cannot read the request body: {reason}")
