"""Loading a calendar that another program wrote (.ics): all of it, or nothing and the reason."""

import uuid
from datetime import datetime

import icalendar
from icalendar.timezone import tzp

from outlook_sandbox.graph.mailbox import Mailbox
from outlook_sandbox.graph.model import Calendar, Event
from outlook_sandbox.ics.entries import read_entry
from outlook_sandbox.ics.series import Group, events_of
from outlook_sandbox.zones import UnknownZone, zone


class BadCalendar(ValueError):
    """A file that can't be loaded; the message says which event and why."""


def load_calendar(mailbox: Mailbox, calendar: Calendar, content: bytes, now: datetime) -> list[Event]:
    """Add the events of a file to a calendar. Raises BadCalendar, and has then added none."""
    events = read_calendar(content, calendar, now)
    for event in events:
        for exceptional in event.exceptions.values():
            exceptional.key = mailbox.key + 1
        mailbox.add(event)
    return events


def read_calendar(content: bytes, calendar: Calendar, now: datetime) -> list[Event]:
    """The events of a file, ready to be added to a calendar. Raises BadCalendar."""
    events: list[Event] = []
    for component in _parsed(content):
        assumed = _assumed_zone(component)
        groups: dict[str, Group] = {}
        for found in component.walk("VEVENT"):
            uid = str(found.get("UID") or uuid.uuid4())
            _add_entry(groups.setdefault(uid, Group()), found, assumed, calendar)
        for group in groups.values():
            try:
                events += events_of(group, calendar, now)
            # Beside BadRule, what dates and rules at the ends of all time raise.
            except (ValueError, OverflowError) as reason:
                raise BadCalendar(f"The event “{group.title}” can't be loaded: {reason}.") from reason
    return events


def _add_entry(group: Group, found: icalendar.Component, assumed: str | None, calendar: Calendar) -> None:
    try:
        group.add(read_entry(found, assumed, calendar))
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as reason:
        title = found.get("SUMMARY", "")
        raise BadCalendar(f"The event “{title}” can't be loaded: {reason}.") from reason


def _parsed(content: bytes) -> list[icalendar.Calendar]:
    # The library keeps the zones that files define, by name, for all later files.
    tzp.use_default()
    try:
        parsed = icalendar.Calendar.from_ical(content, multiple=True)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as reason:
        raise BadCalendar(f"This is not a calendar: {reason}.") from reason
    calendars = [component for component in parsed if component.name == "VCALENDAR"]
    if not calendars or len(calendars) != len(parsed):
        raise BadCalendar("This is not a calendar: there is no VCALENDAR in it.")
    return calendars


def _assumed_zone(calendar: icalendar.Calendar) -> str | None:
    """Google's X-WR-TIMEZONE: the zone that times in UTC and times without zone are meant in."""
    name = calendar.get("X-WR-TIMEZONE")
    if name is None:
        return None
    try:
        zone(str(name))
    except UnknownZone as reason:
        raise BadCalendar(f"The calendar's zone “{name}” is not known.") from reason
    return str(name)
