"""What a mailbox holds: calendars, events with their exceptions, and categories."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

import msgspec

from outlook_sandbox.recurrence import Recurrence
from outlook_sandbox.zones import instant

LONGEST = timedelta(days=5 * 366)


class Moment(msgspec.Struct, frozen=True):
    """A clock on a wall somewhere; `zone` is a Windows or IANA name."""

    wall: datetime
    zone: str

    @property
    def seconds(self) -> int:
        return instant(self.wall, self.zone)


class Span(msgspec.Struct, frozen=True, dict=True):
    """When something is; days without hours run from midnight to midnight and are the same date everywhere."""

    start: Moment
    end: Moment
    all_day: bool = False

    def on(self, day: date) -> "Span":
        """The same hours on another day."""
        shift = day - self.start.wall.date()
        return Span(Moment(self.start.wall + shift, self.start.zone), Moment(self.end.wall + shift, self.end.zone), self.all_day)

    @property
    def too_long(self) -> bool:
        """Exchange's events last five years at most."""
        return self.end.wall - self.start.wall > LONGEST

    @cached_property
    def seconds(self) -> tuple[int, int]:
        """Start and end since 1970 (UTC); remembered, since every view asks every event."""
        if self.all_day:
            return instant(self.start.wall, "UTC"), instant(self.end.wall, "UTC")
        return self.start.seconds, self.end.seconds


class Exceptional(msgspec.Struct):
    """An occurrence that differs from its series: `fields` and `extended` hold only what differs."""

    span: Span
    fields: dict[str, Any]
    key: int
    modified: datetime
    extended: dict[str, str] | None = None


class Event(msgspec.Struct, kw_only=True):
    """One event or one series. `id` is immutable, `ordinary_id` changes with the calendar; `key` moves on each write.

    `fields` holds the event's content under Graph's own property names, already checked. Many events may share one: it is
    replaced, never changed. `extended` are its extended properties, values by id.
    """

    id: str
    ordinary_id: str
    calendar: str
    uid: str
    span: Span
    fields: dict[str, Any]
    created: datetime
    modified: datetime
    recurrence: Recurrence | None = None
    exceptions: dict[str, Exceptional] = msgspec.field(default_factory=dict)
    cancelled: frozenset[str] = frozenset()
    extended: dict[str, str] | None = None
    transaction: str | None = None
    key: int = 0

    def identity(self, immutable: bool) -> str:
        return self.id if immutable else self.ordinary_id


class Tombstone(msgspec.Struct):
    """What is left in a calendar of an event that was deleted or moved elsewhere."""

    calendar: str
    event: str
    ordinary_id: str
    key: int


class Calendar(msgspec.Struct, kw_only=True):
    """One calendar of a mailbox's list; a shared one belongs to somebody else (`owner_*`) and can't be edited."""

    id: str
    account: str
    name: str
    owner_name: str
    owner_address: str
    color: str = "auto"
    can_edit: bool = True
    is_default: bool = False
    generation: int = 1
    key: int = 0


class Category(msgspec.Struct):
    id: str
    account: str
    name: str
    color: str


@dataclass(slots=True, frozen=True)
class Item:
    """Something that a calendar shows: a single event, an occurrence, an exception, or a series as a whole."""

    event: Event
    start: int
    end: int
    span: Span
    day: date | None = None
    exception: Exceptional | None = None

    @property
    def type(self) -> str:
        if self.exception is not None:
            return "exception"
        if self.day is not None:
            return "occurrence"
        return "singleInstance" if self.event.recurrence is None else "seriesMaster"

    @property
    def extended(self) -> dict[str, str]:
        """Its extended properties, values by id."""
        differing = self.exception.extended if self.exception is not None else None
        return (self.event.extended or {}) | (differing or {})

    def within(self, start: int, end: int) -> bool:
        """Whether it lies in a window at least partly; a moment without length counts by its start."""
        return self.start < end and (self.end > start or self.start == self.end == start)
