"""A calendar as an .ics file, as Outlook writes one: series with their exceptions, time zones, Microsoft's own properties."""

from calendar import monthrange
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import icalendar
from icalendar.timezone import tzp
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from outlook_sandbox.graph import texts
from outlook_sandbox.graph.mailbox import Mailbox
from outlook_sandbox.graph.model import Calendar, Event, Item, Moment, Span
from outlook_sandbox.graph.occurrences import exceptions, whole
from outlook_sandbox.recurrence import POSITIONS, Recurrence
from outlook_sandbox.zones import instant, zone

BUSY: Final = {
    "free": "FREE", "tentative": "TENTATIVE", "busy": "BUSY", "oof": "OOF", "workingElsewhere": "WORKINGELSEWHERE",
}  # fmt: skip
CLASSES: Final = {"normal": "PUBLIC", "personal": "X-PERSONAL", "private": "PRIVATE", "confidential": "CONFIDENTIAL"}
IMPORTANCE: Final = {"low": (0, 9), "normal": (1, 5), "high": (2, 1)}
KINDS: Final = {"singleInstance": 0, "seriesMaster": 1, "occurrence": 2, "exception": 3}
ROLES: Final = {"required": "REQ-PARTICIPANT", "optional": "OPT-PARTICIPANT", "resource": "NON-PARTICIPANT"}
ANSWERS: Final = {
    "accepted": "ACCEPTED", "organizer": "ACCEPTED", "declined": "DECLINED", "tentativelyAccepted": "TENTATIVE",
    "notResponded": "NEEDS-ACTION",
}  # fmt: skip
CONTROL: Final = {number: None for number in (*range(32), 127) if number not in (9, 10)}
FIRST, LAST = icalendar.Timezone.DEFAULT_FIRST_DATE, icalendar.Timezone.DEFAULT_LAST_DATE
SHORTEST_MONTH = 28


class Text(icalendar.vText):
    """Text in which nothing gets lost but control characters, which a file can't hold.

    The library's own takes a backslash before an N for a line break.
    """

    _ESCAPED = CONTROL | str.maketrans({"\\": r"\\", ";": r"\;", ",": r"\,", "\n": r"\n"})

    def to_ical(self) -> bytes:
        return str(self).translate(self._ESCAPED).encode()


def export_calendar(mailbox: Mailbox, calendar: Calendar) -> bytes:
    """The whole calendar; times stand in the zones in which the events were made."""
    made = icalendar.Calendar()
    made.add("PRODID", "-//Outlook sandbox//EN")
    made.add("VERSION", "2.0")
    made.add("METHOD", "PUBLISH")
    made.add("X-WR-CALNAME", Text(calendar.name))
    items = [item for event in _in_order(mailbox.in_calendar(calendar.id)) for item in _items(event)]
    for item in items:
        made.add_component(_entry(item, calendar))
    if items:
        # The library keeps the zones that loaded files defined, by name: here their usual meaning is wanted.
        tzp.use_default()
        first = min(item.span.start.wall.date() for item in items)
        last = max(item.span.end.wall.date() for item in items)
        made.add_missing_timezones(min(FIRST, first - timedelta(days=1)), max(LAST, last + timedelta(days=366)))
    content: bytes = made.to_ical()
    return content


def _in_order(events: Iterable[Event]) -> list[Event]:
    return sorted(events, key=lambda event: (event.span.seconds, event.id))


def _items(event: Event) -> Iterator[Item]:
    yield whole(event)
    yield from exceptions(event)


def _entry(item: Item, calendar: Calendar) -> icalendar.Event:
    event, span = item.event, item.span
    fields = event.fields | (item.exception.fields if item.exception else {})
    modified = item.exception.modified if item.exception else event.modified
    entry = icalendar.Event()
    entry.add("UID", event.uid)
    entry.add("DTSTAMP", modified.astimezone(UTC))
    entry.add("CREATED", event.created.astimezone(UTC))
    entry.add("LAST-MODIFIED", modified.astimezone(UTC))
    entry.add("SEQUENCE", 0)
    entry.add("DTSTART", _at(span.start, span.all_day))
    entry.add("DTEND", _at(span.end, span.all_day))
    if item.day is not None:
        entry.add("RECURRENCE-ID", _at(event.span.on(item.day).start, event.span.all_day))
    elif event.recurrence is not None:
        entry.add("RRULE", icalendar.vRecur.from_ical(rule(event.recurrence, event.span)))
        if event.cancelled:
            entry.add("EXDATE", _excluded(event))
    _add_texts(entry, fields)
    _add_people(entry, fields, calendar)
    _add_state(entry, fields)
    entry.add("X-MICROSOFT-CDO-ALLDAYEVENT", str(span.all_day).upper())
    entry.add("X-MICROSOFT-CDO-INSTTYPE", str(KINDS[item.type]))
    if fields["isReminderOn"]:
        entry.add_component(_reminder(fields["reminderMinutesBeforeStart"]))
    return entry


def rule(recurrence: Recurrence, span: Span) -> str:
    """Outlook's pattern as an RRULE; a day that short months don't have means their last one, as in Outlook."""
    pattern, extent = recurrence.pattern, recurrence.range
    parts = {"INTERVAL": str(pattern.interval)} if pattern.interval > 1 else {}
    days = [day[:2].upper() for day in pattern.days_of_week]
    yearly = pattern.type in ("absoluteYearly", "relativeYearly")
    if yearly:
        parts["BYMONTH"] = str(pattern.month)
    match pattern.type:
        case "daily":
            frequency = "DAILY"
        case "weekly":
            frequency = "WEEKLY"
            parts |= {"BYDAY": ",".join(days), "WKST": pattern.first_day_of_week[:2].upper()}
        case "relativeMonthly" | "relativeYearly":
            frequency = "YEARLY" if yearly else "MONTHLY"
            position = str(POSITIONS[pattern.index])
            parts |= {"BYDAY": position + days[0]} if len(days) == 1 else {"BYDAY": ",".join(days), "BYSETPOS": position}
        case "absoluteMonthly" | "absoluteYearly":
            frequency = "YEARLY" if yearly else "MONTHLY"
            parts |= _day_of_month(pattern.day_of_month, monthrange(2001, pattern.month)[1] if yearly else SHORTEST_MONTH)
    if extent.type == "numbered":
        parts["COUNT"] = str(extent.number_of_occurrences)
    elif extent.type == "endDate":
        parts["UNTIL"] = _until(extent.end_date, span)
    return ";".join(f"{name}={value}" for name, value in ({"FREQ": frequency} | parts).items())


def _day_of_month(day: int, shortest: int) -> dict[str, str]:
    if day <= shortest:
        return {"BYMONTHDAY": str(day)}
    return {"BYMONTHDAY": ",".join(str(number) for number in range(shortest, day + 1)), "BYSETPOS": "-1"}


def _until(day: date, span: Span) -> str:
    if span.all_day:
        return f"{day:%Y%m%d}"
    seconds = instant(datetime.combine(day, span.start.wall.time()), span.start.zone)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%SZ}"


def _excluded(event: Event) -> icalendar.vDDDLists:
    moments = [_at(event.span.on(date.fromisoformat(day)).start, event.span.all_day) for day in sorted(event.cancelled)]
    listed = icalendar.vDDDLists([moment.dt for moment in moments])
    listed.params = moments[0].params
    return listed


def _at(moment: Moment, all_day: bool) -> icalendar.vDDDTypes:
    if all_day:
        return icalendar.vDDDTypes(moment.wall.date())
    tzid = _tzid(moment.zone)
    if tzid is None:
        return icalendar.vDDDTypes(moment.wall.replace(tzinfo=UTC))
    value = icalendar.vDDDTypes(moment.wall)
    value.params["TZID"] = tzid
    return value


def _tzid(name: str) -> str | None:
    """The zone's name as every program knows it, Windows or IANA; None for UTC."""
    key = getattr(zone(name), "key", "UTC")
    if key in ("UTC", "Etc/UTC"):
        return None
    return name if name in WINDOWS_TO_OLSON else str(key)


def _add_texts(entry: icalendar.Event, fields: dict[str, Any]) -> None:
    entry.add("SUMMARY", Text(fields["subject"]))
    if fields["location"]["displayName"]:
        entry.add("LOCATION", Text(fields["location"]["displayName"]))
    markup = fields["body"]["contentType"] == "html"
    content = fields["body"]["content"]
    if content:
        entry.add("DESCRIPTION", Text(texts.to_text(content) if markup else content))
    if content and markup:
        entry.add("X-ALT-DESC", Text(content, params={"FMTTYPE": "text/html"}))
    if fields["categories"]:
        categories = icalendar.vCategory([])
        categories.cats = [Text(name) for name in fields["categories"]]
        entry.add("CATEGORIES", categories)
    if fields["onlineMeeting"]:
        entry.add("X-MICROSOFT-SKYPETEAMSMEETINGURL", Text(fields["onlineMeeting"]["joinUrl"]))


def _add_people(entry: icalendar.Event, fields: dict[str, Any], calendar: Calendar) -> None:
    """Only a meeting has an organizer in a file, or an event that somebody else made."""
    organizer = fields["organizer"]["emailAddress"]
    if fields["attendees"] or organizer["address"].casefold() != calendar.owner_address.casefold():
        entry.add("ORGANIZER", _person(organizer))
    for attendee in fields["attendees"]:
        person = _person(attendee["emailAddress"])
        person.params["ROLE"] = ROLES[attendee["type"]]
        if attendee["type"] == "resource":
            person.params["CUTYPE"] = "RESOURCE"
        if answer := ANSWERS.get(attendee["status"]["response"]):
            person.params["PARTSTAT"] = answer
        person.params["RSVP"] = str(fields["responseRequested"]).upper()
        entry.add("ATTENDEE", person)


def _person(address: dict[str, str]) -> icalendar.vCalAddress:
    person = icalendar.vCalAddress(f"mailto:{_line(address['address'])}")
    person.params["CN"] = _line(address["name"] or address["address"])
    return person


def _line(text: str) -> str:
    return text.translate(CONTROL | {9: " ", 10: " "})


def _add_state(entry: icalendar.Event, fields: dict[str, Any]) -> None:
    shown = fields["showAs"]
    status = "CANCELLED" if fields["isCancelled"] else "TENTATIVE" if shown == "tentative" else "CONFIRMED"
    importance, priority = IMPORTANCE[fields["importance"]]
    entry.add("STATUS", status)
    entry.add("TRANSP", "TRANSPARENT" if shown in ("free", "workingElsewhere") else "OPAQUE")
    entry.add("CLASS", CLASSES[fields["sensitivity"]])
    entry.add("PRIORITY", priority)
    entry.add("X-MICROSOFT-CDO-BUSYSTATUS", BUSY.get(shown, "BUSY"))
    entry.add("X-MICROSOFT-CDO-INTENDEDSTATUS", BUSY.get(shown, "BUSY"))
    entry.add("X-MICROSOFT-CDO-IMPORTANCE", str(importance))
    entry.add("X-MICROSOFT-DISALLOW-COUNTER", str(not fields["allowNewTimeProposals"]).upper())


def _reminder(minutes: int) -> icalendar.Alarm:
    alarm = icalendar.Alarm()
    alarm.add("ACTION", "DISPLAY")
    alarm.add("DESCRIPTION", "Reminder")
    alarm.add("TRIGGER", timedelta(minutes=-minutes))
    return alarm
