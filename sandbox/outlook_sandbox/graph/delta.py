"""Change tracking over a calendar's window: `calendarView/delta`.

A round reads the calendar's change log from where its token stands, so tokens hold all there is to know and nothing is
kept per client: calendar, generation, window, place in the log.
"""

import base64
from collections.abc import Iterator
from typing import Any

import msgspec

from outlook_sandbox.graph.calendars import calendar_of
from outlook_sandbox.graph.errors import GraphError, bad_request, sync_state_not_found
from outlook_sandbox.graph.mailbox import Mailbox
from outlook_sandbox.graph.model import Calendar
from outlook_sandbox.graph.occurrences import in_window, whole
from outlook_sandbox.graph.operations import READ_BASIC, Answer, Call, operations
from outlook_sandbox.graph.prefer import Preferences
from outlook_sandbox.graph.render import EVENT_TYPE, event_json, skeleton_json
from outlook_sandbox.graph.windows import read_window

USUAL_PAGE = 50
TOKENS = frozenset(("$skiptoken", "$deltatoken"))
UNSUPPORTED = frozenset(("$orderby", "$filter", "$select", "$expand", "$search", "$top", "$skip", "$count"))
WINDOW = frozenset(("startDateTime", "endDateTime", "startdatetime", "enddatetime"))


class State(msgspec.Struct, frozen=True, array_like=True):
    """Where a round stands. `known` is how far the client had everything when it began: 0 in a first round, which needs
    no tombstones for what it never had."""

    calendar: str
    generation: int
    start: int
    end: int
    seen: int
    known: int
    kind: str


PATHS = ("/me/calendarView", "/me/calendar/calendarView", "/me/calendars/*/calendarView")


@operations.on(
    "GET",
    *(f"{path}/{name}" for path in PATHS for name in ("delta", "delta()", "microsoft.graph.delta()")),
    scopes=READ_BASIC,
    query=TOKENS | WINDOW | UNSUPPORTED,
)
def delta(call: Call) -> Answer:
    if UNSUPPORTED & call.query.keys():
        raise GraphError(
            400,
            "ErrorInvalidUrlQuery",
            "The following parameters are not supported with change tracking over the 'CalendarView' resource: "
            "'$orderby, $filter, $select, $expand, $search'.",
        )
    calendar = calendar_of(call)
    state = _state(call, calendar)
    items, seen, finished = _collect(call.mailbox, state, call.preferences)
    kind, name = ("$deltatoken", "deltaLink") if finished else ("$skiptoken", "nextLink")
    known = seen if finished else state.known
    following = msgspec.structs.replace(state, seen=seen, known=known, kind=kind)
    body = {
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#Collection(event)",
        f"@odata.{name}": call.link(f"{kind}={_encode(following)}"),
        "value": items,
    }
    return Answer(200, body, {"Preference-Applied": ", ".join(("odata.track-changes", *call.preferences.applied))})


def _state(call: Call, calendar: Calendar) -> State:
    kind = next((name for name in TOKENS if name in call.query), None)
    if kind is None:
        return State(calendar.id, calendar.generation, *read_window(call), seen=0, known=call.mailbox.key, kind="")
    if len(call.query) > 1:
        raise bad_request("A delta link must be used as it was given, without further query options.")
    state = _decode(call.query[kind])
    if state.kind != kind:
        raise bad_request("Badly formed token.")
    if (state.calendar, state.generation) != (calendar.id, calendar.generation) or state.seen > call.mailbox.key:
        raise sync_state_not_found(state.generation, calendar.generation)
    return state


def _collect(mailbox: Mailbox, state: State, preferences: Preferences) -> tuple[list[dict[str, Any]], int, bool]:
    """A page of items, how far it read, and whether that was all. A series is never split."""
    size = preferences.page_size or USUAL_PAGE
    items: list[dict[str, Any]] = []
    seen = state.seen
    for key, event in mailbox.changes(state.calendar, state.seen):
        if len(items) >= size:
            return items, seen, False
        items += _told(mailbox, state, key, event, preferences)
        seen = key
    return items, max(seen, mailbox.key), True


def _told(mailbox: Mailbox, state: State, key: int, event_id: str, preferences: Preferences) -> Iterator[dict[str, Any]]:
    """What a changed event looks like from inside the window: itself, or a tombstone without any type."""
    event = mailbox.events.get(event_id)
    if event is None or event.calendar != state.calendar:
        stone = mailbox.tombstone(state.calendar, event_id)
        if stone is not None and not _first_pass(state, key):
            yield _removed(stone.event if preferences.immutable_ids else stone.ordinary_id)
        return
    shown = list(in_window(event, state.start, state.end))
    if not shown:
        if not _first_pass(state, key):
            yield _removed(event.identity(preferences.immutable_ids))
        return
    if event.recurrence is not None:
        yield {"@odata.type": EVENT_TYPE} | event_json(mailbox, whole(event), preferences)
    for item in shown:
        if item.type == "occurrence":
            yield skeleton_json(mailbox, item, preferences)
        else:
            yield {"@odata.type": EVENT_TYPE} | event_json(mailbox, item, preferences)


def _first_pass(state: State, key: int) -> bool:
    """Whether the change is older than the client's first request of the chain."""
    return key <= state.known


def _removed(identifier: str) -> dict[str, Any]:
    return {"@odata.type": EVENT_TYPE, "id": identifier, "@removed": {"reason": "deleted"}}


def _encode(state: State) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(state)).rstrip(b"=").decode()


def _decode(token: str) -> State:
    try:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)), type=State)
    except (ValueError, msgspec.DecodeError) as reason:
        raise bad_request("Badly formed token.") from reason
