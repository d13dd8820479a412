"""The calendars that come with recurring_ical_events, what that library finds in them, and which Outlook can't hold."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import icalendar
import recurring_ical_events

FOLDER = Path(recurring_ical_events.__file__).parent / "test" / "calendars"
FILES = sorted(path.name for path in FOLDER.glob("*.ics"))
EXTRA_DATES = "it has extra dates"
ENDS_FIRST = "it ends before it starts"
MIXED = "one of start and end is a day, the other a time"
# Files that Outlook itself could not hold, or that are broken: what the refusal says.
REFUSED = {
    "bad_rrule_missing_until_event.ics": "UNTL=20191023 is not valid",
    "end_before_start_event.ics": ENDS_FIRST,
    "issue_113_period_in_rdate.ics": EXTRA_DATES,
    "issue_113_period_rdate_duration.ics": EXTRA_DATES,
    "issue_132_swapped_start_and_end.ics": ENDS_FIRST,
    "issue_148_exdate_and_rdate_unedited.ics": EXTRA_DATES,
    "issue_148_exdate_and_rdate_updated.ics": EXTRA_DATES,
    "issue_201_mixed_datetime_and_date.ics": MIXED,
    "issue_201_test_matrix.ics": MIXED,
    "issue_75_range_parameter.ics": EXTRA_DATES,
    "multiple_rrule.ics": "it has several rules",
    "rdate_falls_on_rrule_until.ics": EXTRA_DATES,
    "rdate_hackerpublicradio.ics": EXTRA_DATES,
}
Occurrence = tuple[datetime, datetime, str]


def expected(content: bytes, year: int) -> Counter[Occurrence]:
    """What recurring_ical_events finds in it; days and times without zone are counted in UTC."""
    found: Any = _query(content).between(datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))
    return Counter((_instant(one["DTSTART"].dt), _instant(one["DTEND"].dt), str(one.get("SUMMARY", ""))) for one in found)


@lru_cache(maxsize=8)
def _query(content: bytes) -> Any:
    return recurring_ical_events.of(icalendar.Calendar.from_ical(content))


class Shown(NamedTuple):
    """An occurrence as a calendar shows it to others; of an all-day one the dates count, of a private one only the times."""

    start: date
    end: date
    title: str | None
    private: bool
    called_off: bool


def shown_between(content: bytes, start: datetime, end: datetime) -> Counter[Shown]:
    """What recurring_ical_events finds in a window."""
    found: Any = _query(content).between(
        start - timedelta(days=2), end + timedelta(days=2)
    )  # what touches the edges is decided below
    return Counter(_shown(one) for one in found if _touches(_instant(one["DTSTART"].dt), _instant(one["DTEND"].dt), start, end))


def _touches(begins: datetime, ends: datetime, start: datetime, end: datetime) -> bool:
    return begins < end and (ends > start or begins == ends == start)


def _shown(one: Any) -> Shown:
    private = str(one.get("CLASS", "")).upper() in ("PRIVATE", "CONFIDENTIAL")
    start, end = (_instant(value) if isinstance(value, datetime) else value for value in (one["DTSTART"].dt, one["DTEND"].dt))
    title = None if private else str(one.get("SUMMARY", ""))
    return Shown(start, end, title, private, str(one.get("STATUS", "")).upper() == "CANCELLED")


def years(content: bytes) -> list[int]:
    """The years in which something begins, and the one after each."""
    calendars: Any = icalendar.Calendar.from_ical(content, multiple=True)
    begun: set[int] = {found["DTSTART"].dt.year for calendar in calendars for found in calendar.walk("VEVENT")}
    return sorted(begun | {year + 1 for year in begun})


def series_file(rule: str, start: str, zone: str = "") -> bytes:
    """A file with one event."""
    event = f"BEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Series\r\n{start}\r\nDURATION:PT1H\r\nRRULE:{rule}\r\nEND:VEVENT\r\n"
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{zone}{event}END:VCALENDAR\r\n".encode()


def own_zone(winter: str, summer: str, name: str = "Our own zone") -> str:
    """A zone that a file defines itself."""
    return (
        f"BEGIN:VTIMEZONE\r\nTZID:{name}\r\n"
        "BEGIN:STANDARD\r\nDTSTART:19701025T030000\r\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\r\n"
        f"TZOFFSETFROM:{summer}\r\nTZOFFSETTO:{winter}\r\nEND:STANDARD\r\n"
        "BEGIN:DAYLIGHT\r\nDTSTART:19700329T020000\r\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\r\n"
        f"TZOFFSETFROM:{winter}\r\nTZOFFSETTO:{summer}\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE\r\n"
    )


def _instant(value: date) -> datetime:
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
