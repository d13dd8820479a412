"""One VEVENT of an .ics file in Outlook's terms: when it is, what it says, which occurrence it replaces."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

import icalendar

from outlook_sandbox.graph.fields import NO_TIME, ItemBody, blank, body_fields, online_meeting, place
from outlook_sandbox.graph.model import Calendar, Moment, Span
from outlook_sandbox.graph.windows import EXCHANGE_YEARS
from outlook_sandbox.ics.rules import BadRule
from outlook_sandbox.zones import UnknownZone, wall_clock, zone

SENSITIVITIES = {"PRIVATE": "private", "CONFIDENTIAL": "confidential", "X-PERSONAL": "personal"}
ANSWERS = {
    "ACCEPTED": "accepted", "DECLINED": "declined", "TENTATIVE": "tentativelyAccepted", "NEEDS-ACTION": "notResponded",
}  # fmt: skip
BUSY = {
    "FREE": "free", "TENTATIVE": "tentative", "BUSY": "busy", "OOF": "oof", "WORKINGELSEWHERE": "workingElsewhere",
}  # fmt: skip
IMPORTANCE = {"0": "low", "1": "normal", "2": "high"}
ESCAPED = re.compile(r"\\(.)")
PROBED_YEARS = 3


@dataclass(frozen=True)
class Entry:
    """`excluded`, `extra` and `replaces` are as the file has them: days, or times with or without zone."""

    span: Span
    floating: bool
    fields: dict[str, Any]
    sequence: int
    rules: tuple[str, ...]
    extra: tuple[date, ...]
    excluded: tuple[date, ...]
    replaces: date | None
    onwards: bool

    @property
    def title(self) -> str:
        return str(self.fields["subject"])

    def walls(self, moment: date) -> set[datetime]:
        """How the event's own clocks may show a moment that other parts of the file name."""
        if not isinstance(moment, datetime):
            return {datetime.combine(moment, time())}
        plain = moment.replace(tzinfo=None)
        if moment.tzinfo is None or self.span.all_day:
            return {plain}
        return {plain, wall_clock(int(moment.timestamp()), self.span.start.zone)}


def read_entry(found: icalendar.Component, assumed: str | None, calendar: Calendar) -> Entry:
    """Raises BadRule, or what icalendar raises, for an entry that is broken."""
    for name, reason in found.errors:
        raise BadRule(f"{name or 'a line'} is not valid ({reason})")
    start = _value(found, "DTSTART")
    if start is None:
        raise BadRule("it has no DTSTART")
    recurrence_id, replaced = found.get("RECURRENCE-ID"), _value(found, "RECURRENCE-ID")
    if not isinstance(replaced, date | None):
        raise BadRule("its RECURRENCE-ID is no day and no time")
    excluded = _dates(found, "EXDATE", assumed)
    return Entry(
        span=_span(found, start, assumed),
        floating=isinstance(start, datetime) and start.tzinfo is None and assumed is None,
        fields=_fields(found, calendar),
        sequence=int(found.get("SEQUENCE", -1)),
        # Some programs write an empty RRULE on events that don't repeat.
        rules=tuple(dict.fromkeys(rule.to_ical().decode() for rule in _listed(found.get("RRULE")) if rule)),
        extra=tuple(day for day in _dates(found, "RDATE", assumed) if day not in excluded),
        excluded=excluded,
        replaces=_meant(replaced, assumed) if replaced is not None else None,
        onwards=recurrence_id is not None and recurrence_id.params.get("RANGE") == "THISANDFUTURE",
    )


def _span(found: icalendar.Component, start: date, assumed: str | None) -> Span:
    end = _end(found, start)
    if isinstance(start, datetime) != isinstance(end, datetime):
        raise BadRule("one of start and end is a day, the other a time")
    if not isinstance(start, datetime):
        first, last = (Moment(datetime.combine(day, time()), "UTC") for day in (start, end))
        span = Span(first, last, all_day=True)
    else:
        assert isinstance(end, datetime)  # noqa: S101 - just compared
        first = _moment(start, _tzid(found, "DTSTART"), assumed)
        span = Span(first, _moment(end, _tzid(found, "DTEND") or _tzid(found, "DTSTART"), assumed))
    if span.seconds[0] > span.seconds[1]:
        raise BadRule("it ends before it starts")
    if span.too_long or span.start.wall.year not in EXCHANGE_YEARS or span.end.wall.year not in EXCHANGE_YEARS:
        raise BadRule("Outlook's events lie in the years 1601 to 4500 and last five years at most")
    return span


def _end(found: icalendar.Component, start: date) -> date:
    end, length = _value(found, "DTEND"), _value(found, "DURATION")
    if isinstance(end, date):
        return end
    if isinstance(length, timedelta):
        return start + length
    return start if isinstance(start, datetime) else start + timedelta(days=1)


def _moment(value: datetime, tzid: str | None, assumed: str | None) -> Moment:
    """In the zone that the file means; one that only the file knows becomes an ordinary one that behaves alike."""
    meant = _meant(value, assumed)
    assert isinstance(meant, datetime)  # noqa: S101 - a time stays a time
    plain = meant.replace(tzinfo=None)
    if meant.tzinfo is None or meant.tzinfo is UTC:
        return Moment(plain, "UTC")
    key = getattr(meant.tzinfo, "key", None)
    for name in (tzid, key, *_tails(tzid or "")):
        if name and _is_known(name):
            return Moment(plain, "UTC" if name.upper() in ("UTC", "ETC/UTC") else name)
    return Moment(plain, _alike(meant))


def _tails(tzid: str) -> list[str]:
    """`/example.org/Tzfile/Europe/Berlin` ends in a name that everybody knows."""
    parts = tzid.strip("/").split("/")
    return ["/".join(parts[-number:]) for number in (3, 2) if len(parts) > number]


def _is_known(name: str) -> bool:
    try:
        zone(name)
    except UnknownZone:
        return False
    return True


def _alike(moment: datetime) -> str:
    """An IANA zone whose clocks agree with the file's own for some years around."""
    days = [moment + timedelta(days=number) for number in range(0, 366 * PROBED_YEARS, 7)]
    offsets = tuple((day.replace(tzinfo=None), day.utcoffset()) for day in days)
    name = _with_offsets(offsets)
    if name is None:
        raise BadRule(f"no time zone that Outlook knows behaves like {moment.tzinfo}")
    return name


@lru_cache(maxsize=256)
def _with_offsets(offsets: tuple[tuple[datetime, timedelta | None], ...]) -> str | None:
    for name in ("UTC", *sorted(available_timezones())):
        if all(wall.replace(tzinfo=zone(name)).utcoffset() == offset for wall, offset in offsets):
            return name
    return None


def _meant(value: date, assumed: str | None) -> date:
    """Google writes UTC, or no zone, and says once for the calendar which zone is meant."""
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is not None and value.tzname() == "UTC":
        value = value.replace(tzinfo=UTC)
    if assumed is None or value.tzinfo not in (None, UTC):
        return value
    return value.replace(tzinfo=zone(assumed)) if value.tzinfo is None else value.astimezone(zone(assumed))


def _dates(found: icalendar.Component, name: str, assumed: str | None) -> tuple[date, ...]:
    values = [entry.dt for listed in _listed(found.get(name)) for entry in listed.dts]
    if any(not isinstance(value, date) for value in values):
        raise BadRule("it has extra dates of another length (RDATE with periods), Outlook's series have none")
    return tuple(_meant(value, assumed) for value in values)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _value(found: icalendar.Component, name: str) -> Any:
    value = found.get(name)
    if isinstance(value, list):
        raise BadRule(f"it has {name} more than once")
    return None if value is None else value.dt


def _tzid(found: icalendar.Component, name: str) -> str | None:
    value = found.get(name)
    tzid = value.params.get("TZID") if value is not None else None
    return str(tzid) if tzid else None


def _fields(found: icalendar.Component, calendar: Calendar) -> dict[str, Any]:
    organizer = found.get("ORGANIZER")
    name, address = _person(organizer) if organizer is not None else (calendar.owner_name, calendar.owner_address)
    return (
        blank(name, address, is_organizer=address.casefold() == calendar.owner_address.casefold())
        | body_fields(_body(found))
        | place(str(found.get("LOCATION", "")))
        | _reminder(found)
        | _meeting(found)
        | {
            "subject": str(found.get("SUMMARY", "")),
            "categories": [str(category) for listed in _listed(found.get("CATEGORIES")) for category in listed.cats],
            "attendees": [_attendee(attendee) for attendee in _listed(found.get("ATTENDEE"))],
            "isCancelled": _word(found, "STATUS") == "CANCELLED",
            "showAs": _shown_as(found),
            "sensitivity": SENSITIVITIES.get(_word(found, "CLASS"), "normal"),
            "importance": IMPORTANCE.get(_word(found, "X-MICROSOFT-CDO-IMPORTANCE"), "normal"),
            "allowNewTimeProposals": _word(found, "X-MICROSOFT-DISALLOW-COUNTER") != "TRUE",
        }
    )


def _word(found: icalendar.Component, name: str) -> str:
    return str(found.get(name, "")).upper()


def _shown_as(found: icalendar.Component) -> str:
    """As Microsoft's own property says it, else as the standard ones do."""
    if (own := BUSY.get(_word(found, "X-MICROSOFT-CDO-BUSYSTATUS"))) is not None:
        return own
    if _word(found, "STATUS") == "CANCELLED" or _word(found, "TRANSP") == "TRANSPARENT":
        return "free"
    return "tentative" if _word(found, "STATUS") == "TENTATIVE" else "busy"


def _body(found: icalendar.Component) -> ItemBody:
    """Outlook writes the text twice: plain, and as HTML in a property of its own."""
    for markup in _listed(found.get("X-ALT-DESC")):
        if str(markup.params.get("FMTTYPE", "")).casefold() == "text/html":
            return ItemBody(content=ESCAPED.sub(_unescaped, str(markup)), content_type="html")
    return ItemBody(content=str(found.get("DESCRIPTION", "")), content_type="text")


def _unescaped(escaped: re.Match[str]) -> str:
    return "\n" if escaped[1] in "nN" else escaped[1]


def _reminder(found: icalendar.Component) -> dict[str, Any]:
    """Outlook has one reminder, a number of minutes before the start; others are not taken over."""
    for alarm in found.walk("VALARM"):
        before = alarm.get("TRIGGER").dt if alarm.get("TRIGGER") is not None else None
        if isinstance(before, timedelta) and before <= timedelta(0) and alarm.get("TRIGGER").params.get("RELATED") != "END":
            return {"isReminderOn": True, "reminderMinutesBeforeStart": int(-before / timedelta(minutes=1))}
    return {"isReminderOn": False}


def _meeting(found: icalendar.Component) -> dict[str, Any]:
    link = str(found.get("X-MICROSOFT-SKYPETEAMSMEETINGURL", ""))
    return online_meeting(True, link) if link else {}


def _attendee(found: Any) -> dict[str, Any]:
    name, address = _person(found)
    role, kind = (str(found.params.get(name, "")).upper() for name in ("ROLE", "CUTYPE"))
    resource = role == "NON-PARTICIPANT" or kind in ("RESOURCE", "ROOM")
    return {
        "type": "resource" if resource else "optional" if role == "OPT-PARTICIPANT" else "required",
        "status": {"response": ANSWERS.get(str(found.params.get("PARTSTAT", "")).upper(), "none"), "time": NO_TIME},
        "emailAddress": {"name": name, "address": address},
    }


def _person(found: Any) -> tuple[str, str]:
    address = str(found)
    if address.casefold().startswith("mailto:"):
        address = address[len("mailto:") :]
    return str(found.params.get("CN", address)), address
