"""From the entries of one event in an .ics file to Outlook's events: a series with its exceptions, or single events."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice, takewhile
from typing import get_args

import msgspec

from outlook_sandbox import recurrence as series
from outlook_sandbox.graph import ids
from outlook_sandbox.graph.model import Calendar, Event, Exceptional, Span
from outlook_sandbox.graph.render import new_uid
from outlook_sandbox.ics import rules
from outlook_sandbox.ics.entries import Entry
from outlook_sandbox.ics.rules import BadRule
from outlook_sandbox.recurrence import Day, Recurrence

DAYS: tuple[Day, ...] = get_args(Day)


@dataclass
class Group:
    """All entries with one UID: the event or series itself, and the changed occurrences."""

    core: Entry | None = None
    changes: dict[str, Entry] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Of several revisions the one with the highest sequence number counts, else the first."""
        if entry.replaces is None:
            if self.core is None or entry.sequence > self.core.sequence:
                self.core = entry
            return
        key = _key(entry.replaces)
        if key not in self.changes or entry.sequence > self.changes[key].sequence:
            self.changes[key] = entry

    @property
    def title(self) -> str:
        return (self.core or next(iter(self.changes.values()))).title


@dataclass
class Stretch:
    """The part of a series that has one content: `rule` says its days, which lie `shift` after the original ones."""

    entry: Entry
    span: Span
    rule: Recurrence
    shift: timedelta


def events_of(group: Group, calendar: Calendar, now: datetime) -> list[Event]:
    """Raises BadRule for what Outlook can't hold."""
    changes = list(group.changes.values())
    core = group.core
    if core is None:
        return [_event(entry, entry.span, calendar, now) for entry in changes]
    if len(core.rules) > 1:
        raise BadRule("it has several rules, Outlook's series have one")
    if not core.rules:
        return _single(core, changes, calendar, now)
    if next(rules.occurrences(core.rules[0], core.span, floating=core.floating), None) is None:
        return []
    return _series(core, changes, calendar, now)


def _single(core: Entry, changes: list[Entry], calendar: Calendar, now: datetime) -> list[Event]:
    """An event without rule; an entry that replaces its only occurrence stands in its place."""
    start = core.span.start.wall
    if any(start not in core.walls(extra) for extra in core.extra):
        raise BadRule("it has extra dates (RDATE), Outlook's series have none")
    gone = any(start in core.walls(moment) for moment in core.excluded)
    replaced = any(entry.replaces is not None and start in core.walls(entry.replaces) for entry in changes)
    kept = [] if gone or replaced else [core]
    kept += [entry for entry in changes if not _is_excluded(entry, core)]
    return [_event(entry, entry.span, calendar, now) for entry in kept]


def _series(core: Entry, changes: list[Entry], calendar: Calendar, now: datetime) -> list[Event]:
    rule = rules.pattern(core.rules[0], core.span, floating=core.floating)
    for extra in core.extra:
        if _day_in(rule, core, extra) is None:
            raise BadRule("it has extra dates (RDATE), Outlook's series have none")
    excluded = {day for moment in core.excluded if (day := _day_in(rule, core, moment)) is not None}
    changed: dict[date, Entry] = {}
    alone: list[Entry] = []
    for entry in changes:
        day = _day_in(rule, core, entry.replaces) if entry.replaces is not None else None
        if day is not None and day not in excluded:
            changed[day] = entry
        elif not _is_excluded(entry, core) and not (entry.rules and entry.sequence < core.sequence):
            alone.append(entry)
    events = []
    for stretch in _stretches(core, rule, changed):
        event = _event(stretch.entry, stretch.span, calendar, now)
        event.recurrence = _with_zone(stretch.rule, stretch.span)
        days = (stretch.rule.range.start_date, _last_day(stretch.rule))
        for day, entry in changed.items():
            shown = day + stretch.shift
            if days[0] <= shown <= days[1] and not entry.onwards:
                exceptional = Exceptional(span=entry.span, fields=entry.fields, key=0, modified=now)
                event.exceptions[shown.isoformat()] = exceptional
        moved = (day + stretch.shift for day in excluded)
        event.cancelled = frozenset(day.isoformat() for day in moved if days[0] <= day <= days[1])
        events.append(event)
    return events + [_event(entry, entry.span, calendar, now) for entry in alone]


def _stretches(core: Entry, rule: Recurrence, changed: dict[date, Entry]) -> list[Stretch]:
    """Outlook has no "this and all following": such a change ends one series and begins another, as it does in Outlook."""
    turns = sorted(day for day, entry in changed.items() if entry.onwards)
    begins = [(core.span.start.wall.date(), core), *((day, changed[day]) for day in turns)]
    found = []
    for number, (begin, entry) in enumerate(begins):
        end = begins[number + 1][0] if number + 1 < len(begins) else None
        cut = _cut(rule, begin, end)
        if cut is None:
            continue
        shift = entry.span.start.wall.date() - begin
        found.append(Stretch(entry, entry.span, _shifted(cut, shift), shift))
    return found


def _cut(rule: Recurrence, begin: date, end: date | None) -> Recurrence | None:
    """The rule from one of its days until before another; None if nothing is left."""
    if begin == rule.range.start_date and end is None:
        return rule
    extent = rule.range
    if end is not None:
        days = list(takewhile(lambda day: day < end, series.all_dates(rule)))
        if not days or days[-1] < begin:
            return None
        extent = series.Range(type="endDate", start_date=begin, end_date=days[-1])
    elif extent.type == "numbered":
        extent = series.Range(type="endDate", start_date=begin, end_date=_last_day(rule))
    else:
        extent = msgspec.structs.replace(extent, start_date=begin)
    return msgspec.structs.replace(rule, range=extent)


def _shifted(rule: Recurrence, shift: timedelta) -> Recurrence:
    """The same rule some days later or earlier."""
    if not shift:
        return rule
    pattern, extent = rule.pattern, rule.range
    if pattern.type not in ("daily", "weekly"):
        raise BadRule("all following occurrences of a monthly or yearly series move to other days")
    days = tuple(DAYS[(DAYS.index(day) + shift.days) % 7] for day in pattern.days_of_week)
    end = extent.end_date + shift if extent.type == "endDate" else extent.end_date
    return Recurrence(
        pattern=msgspec.structs.replace(pattern, days_of_week=days),
        range=msgspec.structs.replace(extent, start_date=extent.start_date + shift, end_date=end),
    )


def _last_day(rule: Recurrence) -> date:
    if rule.range.type == "noEnd":
        return series.LAST_DAY
    *_, last = islice(series.all_dates(rule), 100_000)
    return last


def _day_in(rule: Recurrence, core: Entry, moment: date) -> date | None:
    """The series' day that a moment means; a plain day means the occurrence of that day."""
    walls = core.walls(moment)
    if not isinstance(moment, datetime):
        walls = {datetime.combine(moment, core.span.start.wall.time())}
    for wall in walls:
        if wall.time() == core.span.start.wall.time() and series.dates(rule, wall.date(), wall.date()):
            return wall.date()
    return None


def _is_excluded(entry: Entry, core: Entry) -> bool:
    """Whether the occurrence that the entry replaces was taken out of the series."""
    if entry.replaces is None:
        return False
    walls = core.walls(entry.replaces)
    return any(walls & core.walls(moment) for moment in core.excluded)


def _event(entry: Entry, span: Span, calendar: Calendar, now: datetime) -> Event:
    identifier = ids.new_id(ids.IMMUTABLE)
    return Event(
        id=identifier,
        ordinary_id=ids.new_id(ids.ORDINARY),
        calendar=calendar.id,
        uid=new_uid(identifier),
        span=span,
        fields=dict(entry.fields),
        created=now,
        modified=now,
    )


def _with_zone(rule: Recurrence, span: Span) -> Recurrence:
    return msgspec.structs.replace(rule, range=msgspec.structs.replace(rule.range, recurrence_time_zone=span.start.zone))


def _key(moment: date) -> str:
    aware = isinstance(moment, datetime) and moment.tzinfo is not None
    return (moment.astimezone(UTC) if aware and isinstance(moment, datetime) else moment).isoformat()
