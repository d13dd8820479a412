"""Series as Graph's patternedRecurrence says them, and the dates that a pattern means."""

from collections.abc import Iterator
from datetime import date, datetime, time
from functools import lru_cache
from typing import Literal

import msgspec
from dateutil.rrule import DAILY, FR, MO, MONTHLY, SA, SU, TH, TU, WE, WEEKLY, YEARLY, rrule

PatternType = Literal["daily", "weekly", "absoluteMonthly", "relativeMonthly", "absoluteYearly", "relativeYearly"]
Day = Literal["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
Index = Literal["first", "second", "third", "fourth", "last"]
RangeType = Literal["endDate", "noEnd", "numbered"]

WEEKDAYS = {"monday": MO, "tuesday": TU, "wednesday": WE, "thursday": TH, "friday": FR, "saturday": SA, "sunday": SU}
POSITIONS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
FREQUENCIES: dict[PatternType, Literal[0, 1, 2, 3, 4, 5, 6]] = {
    "daily": DAILY,
    "weekly": WEEKLY,
    "absoluteMonthly": MONTHLY,
    "relativeMonthly": MONTHLY,
    "absoluteYearly": YEARLY,
    "relativeYearly": YEARLY,
}
NEVER = date(1, 1, 1)
LAST_DAY = date(9999, 12, 31)
EARLIEST_START = date(1601, 1, 1)
LATEST_END = date(4500, 9, 1)


class Pattern(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """How often."""

    type: PatternType
    interval: int = 1
    month: int = 0
    day_of_month: int = 0
    days_of_week: tuple[Day, ...] = ()
    first_day_of_week: Day = "sunday"
    index: Index = "first"


class Range(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """From when, and for how long."""

    type: RangeType
    start_date: date
    end_date: date = NEVER
    recurrence_time_zone: str | None = None
    number_of_occurrences: int = 0


class Recurrence(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    pattern: Pattern
    range: Range


class BadRecurrence(ValueError):
    """A pattern or range that means nothing, with the property at fault."""


def check(recurrence: Recurrence) -> None:
    """Raise BadRecurrence for what Exchange would refuse."""
    pattern, extent = recurrence.pattern, recurrence.range
    _need(1 <= pattern.interval <= 999, "interval")
    if pattern.type in ("weekly", "relativeMonthly", "relativeYearly"):
        _need(bool(pattern.days_of_week), "daysOfWeek")
    if pattern.type in ("absoluteMonthly", "absoluteYearly"):
        _need(1 <= pattern.day_of_month <= 31, "dayOfMonth")
    if pattern.type in ("absoluteYearly", "relativeYearly"):
        _need(1 <= pattern.month <= 12, "month")
    _need(EARLIEST_START <= extent.start_date <= LATEST_END, "startDate")
    if extent.type == "endDate":
        _need(extent.end_date >= extent.start_date, "endDate")
    if extent.type == "numbered":
        _need(1 <= extent.number_of_occurrences <= 999, "numberOfOccurrences")
    _need(next(all_dates(recurrence), None) is not None, "range")


def _need(fine: bool, name: str) -> None:
    if not fine:
        raise BadRecurrence(f"The recurrence's property '{name}' is missing or invalid.")


@lru_cache(maxsize=8192)
def dates(recurrence: Recurrence, first: date, last: date) -> tuple[date, ...]:
    """The pattern's days from first to last, both included."""
    found = _rule(recurrence).between(_midnight(first), _midnight(last), inc=True)
    return tuple(moment.date() for moment in found)


def all_dates(recurrence: Recurrence) -> Iterator[date]:
    """The pattern's days in order; endless for a series without end."""
    return (moment.date() for moment in _rule(recurrence))


@lru_cache(maxsize=8192)
def _rule(recurrence: Recurrence) -> rrule:
    pattern, extent = recurrence.pattern, recurrence.range
    yearly = pattern.type in ("absoluteYearly", "relativeYearly")
    relative = pattern.type in ("relativeMonthly", "relativeYearly")
    absolute = pattern.type in ("absoluteMonthly", "absoluteYearly")
    position = POSITIONS[pattern.index] if relative else None
    return rrule(
        FREQUENCIES[pattern.type],
        dtstart=_midnight(extent.start_date),
        interval=pattern.interval,
        wkst=WEEKDAYS[pattern.first_day_of_week],
        count=extent.number_of_occurrences if extent.type == "numbered" else None,
        until=_midnight(extent.end_date) if extent.type == "endDate" else None,
        bymonth=pattern.month if yearly else None,
        byweekday=[WEEKDAYS[day] for day in pattern.days_of_week] if relative or pattern.type == "weekly" else None,
        # Outlook's rule for short months: day 31 means the last day of a month that has fewer.
        bymonthday=list(range(min(pattern.day_of_month, 28), pattern.day_of_month + 1)) if absolute else None,
        bysetpos=-1 if absolute else position,
        cache=False,
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())
