"""Change tracking over a calendar: `calendarView/delta` within a window, and `events/delta` from a start on.

A round reads the calendar's change log from where its token stands, so tokens hold all there is to know and nothing is
kept per client.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from outlook_sandbox.faults import DeltaEmptyPages, DeltaGone, DeltaReplay, DeltaStrangeTombstones, Fault
from outlook_sandbox.graph import ids
from outlook_sandbox.graph.calendars import calendar_of
from outlook_sandbox.graph.delta_tokens import State, badly_formed, scope_of, sealed, unsealed
from outlook_sandbox.graph.errors import (
    GraphError,
    bad_request,
    resync_required,
    sync_state_invalid,
    sync_state_not_found,
)
from outlook_sandbox.graph.model import Calendar
from outlook_sandbox.graph.operations import READ_BASIC, Answer, Call, operations
from outlook_sandbox.graph.render import EVENT_TYPE
from outlook_sandbox.graph.tracked import BETA_EVENTS, EVENTS, FOR_EVER, VIEW, Json, Tracked
from outlook_sandbox.graph.windows import WINDOW

Chosen = TypeVar("Chosen", bound=Fault)
USUAL_PAGE = 50
LINKS = {"$skiptoken": "nextLink", "$deltatoken": "deltaLink"}
QUERY = VIEW.refused | WINDOW | LINKS.keys() | {"$top"}


def _paths(*resources: str) -> Iterator[str]:
    return (f"{path}/{name}" for path in resources for name in ("delta", "delta()", "microsoft.graph.delta()"))


EVENT_PATHS = tuple(_paths("/me/events", "/me/calendar/events", "/me/calendars/*/events"))


@operations.on(
    "GET",
    *_paths("/me/calendarView", "/me/calendar/calendarView", "/me/calendars/*/calendarView"),
    scopes=READ_BASIC,
    query=QUERY,
)
def view_delta(call: Call) -> Answer:
    return _page(call, VIEW)


@operations.on("GET", *EVENT_PATHS, scopes=READ_BASIC, query=QUERY)
def events_delta(call: Call) -> Answer:
    return _page(call, EVENTS)


@operations.on("GET", *EVENT_PATHS, scopes=READ_BASIC, query=QUERY, version="beta")
def beta_events_delta(call: Call) -> Answer:
    return _page(call, BETA_EVENTS)


def _page(call: Call, tracked: Tracked) -> Answer:
    _refuse_options(call, tracked)
    calendar = calendar_of(call)
    after, items = Turn(call, tracked, calendar.id, _state(call, tracked, calendar)).page()
    body = {
        "@odata.context": f"https://graph.microsoft.com/{_version(call)}/$metadata#Collection(event)",
        f"@odata.{LINKS[after.kind]}": call.link(f"{after.kind}={sealed(after)}"),
        "value": items,
    }
    return Answer(200, body, {"Preference-Applied": ", ".join(("odata.track-changes", *call.preferences.applied))})


@dataclass(frozen=True, slots=True)
class Turn:
    """One page of a round that stands at `state`; `calendar` is the id."""

    call: Call
    tracked: Tracked
    calendar: str
    state: State

    def page(self) -> tuple[State, list[Json]]:
        """Where the round stands afterwards, and the page's items. A series is never split."""
        if empty := self._empty_pages():
            return self._after("$skiptoken", empty=empty - 1), []
        size = self.call.preferences.page_size or USUAL_PAGE
        items: list[Json] = []
        seen = self.state.seen
        for key, event in self.call.mailbox.changes(self.calendar, seen):
            if len(items) >= size:
                return self._after("$skiptoken", seen=seen), self._replayed() + items
            items += self._told(key, event)
            seen = key
        seen = max(seen, self.call.mailbox.key)
        return self._after("$deltatoken", seen=seen, known=seen), self._replayed() + items + self._strange()

    def _after(self, kind: str, **changed: int) -> State:
        return msgspec.structs.replace(self.state, **({"empty": None} | changed), kind=kind)

    def _told(self, key: int, name: str) -> Iterator[Json]:
        """A changed event as it is seen within the bounds, or a tombstone without any type. The first round needs none: its
        client never had what was gone when it began."""
        mailbox, immutable = self.call.mailbox, self.call.preferences.immutable_ids
        if stone := mailbox.tombstone(self.calendar, name):
            back = (event := mailbox.events.get(stone.event)) is not None and event.calendar == self.calendar
            if key > self.state.known and not (immutable and back):
                yield _removed(stone.event if immutable else stone.ordinary_id)
            return
        event = mailbox.events[name]
        if items := self.tracked.within(event, (self.state.start, self.state.end)):
            yield from (self.tracked.shown(self.call, item) for item in items)
        elif key > self.state.known:
            yield _removed(event.identity(immutable))

    def _empty_pages(self) -> int:
        """How many pages without items come now."""
        if self.state.empty is not None:
            return self.state.empty
        fault = _struck(self.call, DeltaEmptyPages)
        return fault.pages if fault else 0

    def _replayed(self) -> list[Json]:
        """What was told before and is still there, if a fault wants it again; series as a whole."""
        items: list[Json] = []
        if fault := _struck(self.call, DeltaReplay):
            for key, event in self.call.mailbox.changes_until(self.calendar, self.state.seen):
                if len(items) >= fault.items:
                    break
                items += self._told(key, event)
        return items

    def _strange(self) -> list[Json]:
        fault = _struck(self.call, DeltaStrangeTombstones)
        kind = ids.IMMUTABLE if self.call.preferences.immutable_ids else ids.ORDINARY
        return [_removed(ids.new_id(kind)) for _ in range(fault.items if fault else 0)]


def _refuse_options(call: Call, tracked: Tracked) -> None:
    if "$top" in call.query:
        raise GraphError(
            400,
            "ErrorInvalidUrlQuery",
            f"The '$top' parameter is not supported with change tracking over the '{tracked.name}' resource as page size cannot "
            "be guaranteed. Express page size preferences using the Prefer: odata.maxpagesize= header instead.",
        )
    if tracked.refused & call.query.keys():
        raise GraphError(
            400,
            "ErrorInvalidUrlQuery",
            f"The following parameters are not supported with change tracking over the '{tracked.name}' resource: "
            f"'$orderby, $filter, $select, $expand, $search{'' if tracked is VIEW else ', endDateTime'}'.",
        )


def _state(call: Call, tracked: Tracked, calendar: Calendar) -> State:
    """Where this page begins. Raises GraphError 400 for what is no token, 410 for one that is no longer any good here."""
    kind = next((name for name in LINKS if call.query.get(name)), None)
    scope = scope_of(call.mailbox.account.id, calendar.id, _version(call), tracked.name)
    if kind is None:
        return State("", scope, calendar.generation, *tracked.bounds(call), seen=0, known=call.mailbox.key)
    if len(call.query) > 1:
        raise bad_request("A delta link must be used as it was given, without further query options.")
    state = unsealed(call.query[kind])
    if state.kind != kind:
        raise badly_formed()
    if state.scope != scope:
        raise sync_state_invalid()
    _refuse_gone(call, state, calendar)
    return state


def _refuse_gone(call: Call, state: State, calendar: Calendar) -> None:
    forgotten = max(state.seen, state.known) < call.mailbox.forgotten
    lost = state.seen > call.mailbox.key or state.seen in call.mailbox.lost
    if state.generation != calendar.generation or forgotten or lost:
        raise sync_state_not_found(state.generation, calendar.generation)
    gone = _struck(call, DeltaGone, lambda fault: fault.link in ("any", LINKS[state.kind]))
    if gone is not None and gone.code == "resyncRequired":
        raise resync_required(call.link(f"{_bounds_again(state)}&$deltatoken="))
    if gone is not None:
        raise sync_state_not_found(state.generation, state.generation + 1)


def _bounds_again(state: State) -> str:
    start, end = (f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}" for seconds in (state.start, state.end))
    return f"startDateTime={start}" + (f"&endDateTime={end}" if state.end != FOR_EVER else "")


def _removed(identifier: str) -> Json:
    return {"@odata.type": EVENT_TYPE, "id": identifier, "@removed": {"reason": "deleted"}}


def _struck(call: Call, kind: type[Chosen], fits: Callable[[Chosen], bool] = lambda _: True) -> Chosen | None:
    return call.sandbox.faults.strike(kind, call.token.account, fits=fits) if call.sandbox.faults else None


def _version(call: Call) -> str:
    return call.path.split("/")[1]
