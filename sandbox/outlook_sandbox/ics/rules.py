"""From an iCalendar rule (RRULE) to Graph's pattern, checked date by date; what Outlook can't hold is refused."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from itertools import islice, zip_longest

from dateutil.rrule import rrulestr

from outlook_sandbox import recurrence as series
from outlook_sandbox.graph.model import Span
from outlook_sandbox.recurrence import BadRecurrence, Day, Index, Pattern, Range, Recurrence
from outlook_sandbox.zones import zone

COMPARED = 1000
MOST_NUMBERED = 999
LONGEST = 50_000
FREQUENCIES = frozenset(("DAILY", "WEEKLY", "MONTHLY", "YEARLY"))
DAYS: dict[str, Day] = {
    "MO": "monday", "TU": "tuesday", "WE": "wednesday", "TH": "thursday", "FR": "friday", "SA": "saturday", "SU": "sunday",
}  # fmt: skip
INDEXES: dict[int, Index] = {1: "first", 2: "second", 3: "third", 4: "fourth", -1: "last"}
PARTS = frozenset(
    ("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "BYYEARDAY", "BYWEEKNO",
     "BYHOUR", "BYMINUTE", "BYSECOND")
)  # fmt: skip


class BadRule(ValueError):
    """A rule that is broken, or that no pattern of Outlook's expresses."""


def occurrences(rule: str, span: Span, *, floating: bool) -> Iterator[datetime]:
    """The rule's starts by the series' own clocks, endless for one without end. Raises BadRule."""
    parts = _parts(rule)
    if "UNTIL" in parts:
        parts["UNTIL"] = _until(parts["UNTIL"], span, floating=floating)
    text = ";".join(f"{name}={value}" for name, value in parts.items())
    try:
        return iter(rrulestr(text, dtstart=span.start.wall))
    except (ValueError, KeyError, TypeError) as reason:
        raise BadRule(f"the rule {rule} is not valid: {reason}") from reason


def pattern(rule: str, span: Span, *, floating: bool) -> Recurrence:
    """The same series as Graph says it, without exceptions. Raises BadRule."""
    parts = _parts(rule)
    first = span.start.wall
    starts = list(islice(occurrences(rule, span, floating=floating), MOST_NUMBERED + COMPARED))
    if not starts:
        raise BadRule("the rule gives no date")
    if starts[0] != first:
        raise BadRule("the first date does not follow the rule")
    begin = first.date()
    if "COUNT" in parts and len(starts) <= MOST_NUMBERED:
        extent = Range(type="numbered", start_date=begin, number_of_occurrences=len(starts))
    elif "COUNT" in parts or "UNTIL" in parts:
        last = list(islice(occurrences(rule, span, floating=floating), LONGEST))[-1]
        extent = Range(type="endDate", start_date=begin, end_date=last.date())
    else:
        extent = Range(type="noEnd", start_date=begin)
    made = Recurrence(pattern=_pattern(parts, begin), range=extent)
    _compare(made, starts[:COMPARED], first.time(), rule)
    return made


def _compare(made: Recurrence, starts: list[datetime], at: time, rule: str) -> None:
    try:
        series.check(made)
    except BadRecurrence as reason:
        raise BadRule(f"Outlook has no pattern for the rule {rule}") from reason
    for day, start in zip_longest(islice(series.all_dates(made), len(starts)), starts):
        if day is None or start != datetime.combine(day, at):
            raise BadRule(f"Outlook has no pattern for the rule {rule}")


def _pattern(parts: dict[str, str], begin: date) -> Pattern:
    interval = int(parts.get("INTERVAL", "1"))
    week = DAYS[parts.get("WKST", "MO")]
    days, position = _days(parts)
    own_day = (DAYS[list(DAYS)[begin.weekday()]],)
    month = int(parts.get("BYMONTH", str(begin.month)).split(",")[0])
    # Day 30 of every month, with the last day of a shorter one, is written BYMONTHDAY=28,29,30;BYSETPOS=-1.
    day = max((int(number) for number in _listed(parts, "BYMONTHDAY")), default=begin.day)
    day = 31 if day == -1 else max(day, 0)
    match parts["FREQ"], bool(days):
        case "DAILY", False:
            return Pattern(type="daily", interval=interval)
        case "DAILY", True:
            return Pattern(type="weekly", interval=1, days_of_week=days, first_day_of_week=week)
        case "WEEKLY", _:
            return Pattern(type="weekly", interval=interval, days_of_week=days or own_day, first_day_of_week=week)
        case "MONTHLY", True:
            return Pattern(type="relativeMonthly", interval=interval, days_of_week=days, index=position)
        case "MONTHLY", False:
            return Pattern(type="absoluteMonthly", interval=interval, day_of_month=day)
        case _, True:
            return Pattern(type="relativeYearly", interval=interval, days_of_week=days, index=position, month=month)
        case _:
            return Pattern(type="absoluteYearly", interval=interval, day_of_month=day, month=month)


def _days(parts: dict[str, str]) -> tuple[tuple[Day, ...], Index]:
    """The week days of a rule, and which of them in the month (only one answer for all is possible)."""
    found = [re.fullmatch(r"([+-]?\d+)?(MO|TU|WE|TH|FR|SA|SU)", day) for day in parts.get("BYDAY", "").split(",") if day]
    numbers = {int(day[1]) for day in found if day and day[1]} | {int(number) for number in _listed(parts, "BYSETPOS")}
    if len(numbers) > 1 or not numbers <= INDEXES.keys():
        raise BadRule("Outlook has no pattern for such days of the month")
    return tuple(DAYS[day[2]] for day in found if day), INDEXES[next(iter(numbers), 1)]


def _listed(parts: dict[str, str], name: str) -> list[str]:
    return [value for value in parts.get(name, "").split(",") if value]


def _parts(rule: str) -> dict[str, str]:
    parts = dict(part.partition("=")[::2] for part in rule.upper().strip(";").split(";"))
    if "FREQ" not in parts or not parts.keys() <= PARTS or not all(parts.values()):
        raise BadRule(f"the rule {rule} is not valid")
    if parts["FREQ"] not in FREQUENCIES:
        raise BadRule(f"Outlook has no series that repeats {parts['FREQ'].lower()}")
    if parts.get("COUNT", "").startswith("-"):
        # Some programs write COUNT=-1 for "no count".
        del parts["COUNT"]
    if re.match(r"\d{4}", parts.get("UNTIL", "")) and int(parts["UNTIL"][:4]) > series.LATEST_END.year:
        # And the year 9999 for "no end".
        del parts["UNTIL"]
    return parts


def _until(text: str, span: Span, *, floating: bool) -> str:
    """The end as the series' own clocks show it. A day alone means its first moment (UTC) for events with hours."""
    if not re.fullmatch(r"\d{8}(T\d{6}Z?)?", text):
        raise BadRule(f"the end of the rule, {text}, is not valid")
    try:
        if span.all_day:
            return f"{datetime.strptime(text[:8], '%Y%m%d'):%Y%m%d}"  # noqa: DTZ007 - a day has no zone
        end = datetime.strptime(f"{text.rstrip('Z')}T000000"[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError as reason:
        raise BadRule(f"the end of the rule, {text}, is not valid") from reason
    local = end if floating and not text.endswith("Z") else end.astimezone(zone(span.start.zone))
    return f"{local:%Y%m%dT%H%M%S}"
