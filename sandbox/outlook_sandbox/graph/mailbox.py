"""A mailbox: its calendars, events and categories, and the one counter that moves with each write."""

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, TypeVar

import msgspec

from outlook_sandbox.accounts import Account
from outlook_sandbox.clock import Clock
from outlook_sandbox.database import Database
from outlook_sandbox.graph import ids
from outlook_sandbox.graph.changes import ChangeLog
from outlook_sandbox.graph.model import Calendar, Category, Event, Tombstone

_Stored = TypeVar("_Stored")
KINDS = ("calendar", "event", "tombstone", "category", "settings")
ChangeType = Literal["created", "updated", "deleted"]
DELETED_KEPT = 1000
TOMBSTONES_KEPT = 10_000
LOST_AT_MOST = 1000
FIRST_CATEGORIES = {
    "Red category": "preset0",
    "Orange category": "preset1",
    "Yellow category": "preset3",
    "Green category": "preset4",
    "Blue category": "preset7",
    "Purple category": "preset8",
}


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to an event, as notifications tell it; ids are those it had in that calendar."""

    account: str
    calendar: str
    type: ChangeType
    id: str
    ordinary_id: str
    etag: str


class Mailbox:
    """One account's calendars and categories. Callers check what they bring; the mailbox counts, stores and tells.

    `key` is the newest write's. Up to `forgotten`, nobody knows any more what has left a calendar.
    The keys in `lost` may have been given to clients before a crash, for writes of which nothing is left: none is given again.
    """

    def __init__(self, account: Account, database: Database, clock: Clock, tell: Callable[[Change], None]) -> None:
        self.account = account
        self.calendars: dict[str, Calendar] = {}
        self.events: dict[str, Event] = {}
        self.categories: dict[str, Category] = {}
        self.settings: dict[str, Any] = {}
        self.key = 0
        self.forgotten = 0
        self.lost = range(0)
        self.closed = False
        self._by_ordinary_id: dict[str, str] = {}
        self._in_calendar: dict[str, dict[str, Event]] = {}
        self._logs: dict[str, ChangeLog] = {}
        self._tombstones: dict[tuple[str, str], Tombstone] = {}
        self._transactions: dict[str, str] = {}
        self._deleted: dict[str, Event] = {}
        self._database = database
        self._clock = clock
        self._tell = tell
        self._key_prefix = base64.urlsafe_b64encode(hashlib.sha256(account.id.encode()).digest()[:18]).decode()

    # What is there

    @property
    def default_calendar(self) -> Calendar | None:
        return next((calendar for calendar in self.calendars.values() if calendar.is_default), None)

    def find(self, identifier: str) -> Event | None:
        """The event with this id, immutable or ordinary."""
        return self.events.get(self._by_ordinary_id.get(identifier, identifier))

    def deleted(self, identifier: str) -> Event | None:
        """One of the events deleted last, by its immutable id; a restart forgets them."""
        return self._deleted.get(identifier)

    def made_by(self, transaction: str) -> Event | None:
        return self.events.get(self._transactions.get(transaction, ""))

    def owns(self, calendar: Calendar) -> bool:
        return calendar.owner_address == self.account.username

    def in_calendar(self, calendar: str) -> list[Event]:
        return list(self._in_calendar[calendar].values())

    def changes(self, calendar: str, after: int) -> Iterator[tuple[int, str]]:
        """Keys, oldest first, each with the event's id, or with the ordinary id of one that is no longer there."""
        return self._logs[calendar].after(after)

    def changes_until(self, calendar: str, key: int) -> Iterator[tuple[int, str]]:
        return self._logs[calendar].until(key)

    def tombstone(self, calendar: str, ordinary_id: str) -> Tombstone | None:
        return self._tombstones.get((calendar, ordinary_id))

    def change_key(self, key: int) -> str:
        return self._key_prefix + base64.urlsafe_b64encode(key.to_bytes(6)).decode()

    def etag(self, key: int) -> str:
        return f'W/"{self.change_key(key)}"'

    # What happens to it

    def next_key(self) -> int:
        self.key += 1
        return self.key

    def add_calendar(
        self,
        name: str,
        *,
        color: str = "auto",
        owner: tuple[str, str] | None = None,
        can_edit: bool | None = None,
        is_default: bool = False,
    ) -> Calendar:
        """A new calendar in the list; `owner` is the name and address of somebody else who shares it, to be read only unless
        `can_edit`."""
        owner_name, owner_address = owner or (self.account.name, self.account.username)
        calendar = Calendar(
            id=ids.new_id(ids.ORDINARY),
            account=self.account.id,
            name=name,
            owner_name=owner_name,
            owner_address=owner_address,
            color=color,
            can_edit=owner is None if can_edit is None else can_edit,
            is_default=is_default,
        )
        self._know_calendar(calendar)
        self.store_calendar(calendar)
        return calendar

    def store_calendar(self, calendar: Calendar) -> None:
        calendar.key = self.next_key()
        self._database.put(self._kind("calendar"), calendar.id, calendar)

    def remove_calendar(self, calendar: Calendar) -> None:
        """With its events; somebody else's calendar only leaves the list, and nothing is told of its events."""
        for event in self.in_calendar(calendar.id):
            if self.owns(calendar):
                self.remove(event)
            else:
                self._forget(event)
        del self.calendars[calendar.id], self._in_calendar[calendar.id], self._logs[calendar.id]
        self._database.delete(self._kind("calendar"), calendar.id)
        # So that a restart doesn't count from lower keys again, which delta links know as seen.
        self._database.put(self._kind("tombstone"), calendar.id, Tombstone(calendar.id, "", "", self.next_key()))

    def add(self, event: Event, settled: bool = True) -> Event:
        """A new event. Outlook tells of it twice: as created, and as updated once it has settled (settling.py)."""
        self._know(event)
        self._write(event)
        self._notify(event, "created")
        if settled:
            self._notify(event, "updated")
        return event

    def update(self, event: Event) -> Event:
        event.modified = self._clock.now()
        self._write(event)
        self._notify(event, "updated")
        return event

    def tell_of_occurrence(self, event: Event, day: date, key: int) -> None:
        """Notify about one occurrence of a series, beside the notification about the series."""
        own, ordinary = ids.occurrence_id(event.id, day), ids.occurrence_id(event.ordinary_id, day)
        self._tell(Change(self.account.id, event.calendar, "updated", own, ordinary, self.etag(key)))

    def remove(self, event: Event) -> None:
        self._leave(event)
        self._forget(event)
        self._deleted[event.id] = event
        if len(self._deleted) > DELETED_KEPT:
            del self._deleted[next(iter(self._deleted))]

    def move(self, event: Event, calendar: str) -> Event:
        """Into another calendar of the mailbox: the ordinary id changes, the immutable one stays."""
        self._leave(event)
        event.calendar = calendar
        event.ordinary_id = ids.new_id(ids.ORDINARY)
        event.modified = self._clock.now()
        self._know(event)
        self._write(event)
        self._notify(event, "created")
        return event

    def put_category(self, category: Category) -> Category:
        self.categories[category.id] = category
        self._database.put(self._kind("category"), category.id, category)
        return category

    def remove_category(self, category: Category) -> None:
        del self.categories[category.id]
        self._database.delete(self._kind("category"), category.id)

    def put_settings(self, settings: dict[str, Any]) -> None:
        """What the owner changed of the mailbox's settings, checked by the caller."""
        self.settings = settings
        self._database.put(self._kind("settings"), self.account.id, settings)

    def furnish(self) -> None:
        """What Outlook gives a new mailbox: a calendar and six categories."""
        self.add_calendar("Calendar", is_default=True)
        for name, color in FIRST_CATEGORIES.items():
            self.put_category(Category(str(uuid.uuid4()), self.account.id, name, color))

    def close(self) -> None:
        """Its account is gone or begins anew: what is still done here, by requests that were on their way, is kept nowhere and
        told to nobody."""
        self.closed = True
        self._database = Database()
        self._tell = lambda _: None

    # From the database, at start

    def open(self, first: Callable[["Mailbox"], list[Event]]) -> None:
        """Read what is stored, over the events that the mailbox had at first: those are made again each time, always the
        same, and stored only once they change. A new mailbox is furnished."""
        for calendar in self._stored("calendar", Calendar):
            self._know_calendar(calendar)
            self.key = max(self.key, calendar.key)
        self.categories = {entry.id: entry for entry in self._stored("category", Category)}
        self.settings = self._database.load(self._kind("settings")).get(self.account.id, {})
        known = bool(self.calendars)
        if not known:
            self.furnish()
        events = {event.id: event for event in first(self)} | {event.id: event for event in self._stored("event", Event)}
        stones = sorted(self._stored("tombstone", Tombstone), key=lambda stone: stone.key)
        for stone in stones:
            if stone.event in events and events[stone.event].key < stone.key:
                del events[stone.event]
        left, stones = stones[:-TOMBSTONES_KEPT], stones[-TOMBSTONES_KEPT:]
        self.forgotten = left[-1].key if left else 0
        self._tombstones = {(stone.calendar, stone.ordinary_id): stone for stone in stones}
        for event in events.values():
            self._know(event)
        changed = [(event.key, event.calendar, event.id) for event in events.values()]
        changed += [(stone.key, stone.calendar, stone.ordinary_id) for stone in stones if stone.calendar in self._logs]
        for key, calendar_id, name in sorted(changed):
            self._logs[calendar_id].note(name, key)
        self.key = max([self.key, *(key for key, _, _ in changed), *(stone.key for stone in stones)])
        if known:
            self.lost = range(self.key + 1, self.key + LOST_AT_MOST)
            self.key += LOST_AT_MOST

    def _stored(self, name: str, wanted: type[_Stored]) -> list[_Stored]:
        return [msgspec.convert(document, wanted) for document in self._database.load(self._kind(name)).values()]

    def _kind(self, name: str) -> str:
        """Each mailbox has kinds of its own in the database, so that it is read by itself, when it is first opened."""
        return f"{name} {self.account.id}"

    def _know_calendar(self, calendar: Calendar) -> None:
        self.calendars[calendar.id] = calendar
        self._in_calendar[calendar.id] = {}
        self._logs[calendar.id] = ChangeLog()

    def _know(self, event: Event) -> None:
        self.events[event.id] = event
        self._by_ordinary_id[event.ordinary_id] = event.id
        self._in_calendar[event.calendar][event.id] = event
        if event.transaction:
            self._transactions[event.transaction] = event.id

    def _write(self, event: Event) -> None:
        event.key = self.next_key()
        self._logs[event.calendar].note(event.id, event.key)
        self._database.put(self._kind("event"), event.id, event)

    def _leave(self, event: Event) -> None:
        """A tombstone for the ordinary id, which never comes back; the event itself may, with another."""
        stone = Tombstone(event.calendar, event.id, event.ordinary_id, self.next_key())
        self._tombstones[stone.calendar, stone.ordinary_id] = stone
        self._database.put(self._kind("tombstone"), f"{stone.calendar} {stone.ordinary_id}", stone)
        self._logs[event.calendar].forget(event.id)
        self._logs[event.calendar].note(stone.ordinary_id, stone.key)
        if len(self._tombstones) > TOMBSTONES_KEPT:
            self._forget_oldest_tombstone()
        del self._in_calendar[event.calendar][event.id], self._by_ordinary_id[event.ordinary_id]
        self._notify(event, "deleted")

    def _forget_oldest_tombstone(self) -> None:
        """Here only: in the database it keeps one of the first events from coming back."""
        stone = self._tombstones.pop(next(iter(self._tombstones)))
        self.forgotten = stone.key
        if stone.calendar in self._logs:
            self._logs[stone.calendar].forget(stone.ordinary_id)

    def _forget(self, event: Event) -> None:
        del self.events[event.id]
        self._by_ordinary_id.pop(event.ordinary_id, None)
        self._transactions.pop(event.transaction or "", None)
        self._database.delete(self._kind("event"), event.id)

    def _notify(self, event: Event, change: ChangeType) -> None:
        self._tell(Change(self.account.id, event.calendar, change, event.id, event.ordinary_id, self.etag(event.key)))
