"""The resources whose changes can be tracked: what belongs to each of them, and how it is told."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from outlook_sandbox import recurrence
from outlook_sandbox.graph.errors import bad_request
from outlook_sandbox.graph.model import Event, Item
from outlook_sandbox.graph.occurrences import exceptions, in_window, whole
from outlook_sandbox.graph.operations import Call
from outlook_sandbox.graph.render import EVENT_TYPE, event_json, skeleton_json
from outlook_sandbox.graph.windows import EXCHANGE_YEARS, read_start, read_window
from outlook_sandbox.zones import wall_clock

Json = dict[str, Any]
Bounds = tuple[int, int]
FROM_EVER, FOR_EVER = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (EXCHANGE_YEARS.start, EXCHANGE_YEARS.stop))


@dataclass(frozen=True, slots=True)
class Tracked:
    """`bounds` reads a new round's (seconds); `within` is what belongs to an event inside them, nothing if it lies outside;
    `shown` is how one of these is told."""

    name: str
    refused: frozenset[str]
    bounds: Callable[[Call], Bounds]
    within: Callable[[Event, Bounds], list[Item]]
    shown: Callable[[Call, Item], Json]


def _in_view(event: Event, bounds: Bounds) -> list[Item]:
    """What lies in the window; the master comes along wherever it lies itself."""
    items = list(in_window(event, *bounds))
    return [whole(event), *items] if items and event.recurrence is not None else items


def _viewed(call: Call, item: Item) -> Json:
    if item.type == "occurrence":
        return skeleton_json(call.mailbox, item, call.preferences)
    return _full(call, item)


def _from_start(call: Call) -> Bounds:
    start = read_start(call)
    if start is None:
        raise bad_request("Unsupported request: Change tracking is not supported against 'microsoft.graph.event'.")
    return start, FOR_EVER


def _from_any_start(call: Call) -> Bounds:
    start = read_start(call)
    return FROM_EVER if start is None else start, FOR_EVER


def _later(event: Event, bounds: Bounds) -> list[Item]:
    """What begins at the start or later; the master if any of its series does."""
    start, _ = bounds
    if event.recurrence is None:
        return [item for item in (whole(event),) if item.start >= start]
    later = [item for item in exceptions(event) if item.start >= start]
    return [whole(event), *later] if later or _goes_on(event, start) else []


def _goes_on(event: Event, start: int) -> bool:
    """Whether a series has an ordinary occurrence on that day or later."""
    if event.recurrence is None:
        return False
    first = wall_clock(start, event.span.start.zone).date()
    other = event.cancelled | event.exceptions.keys()
    return any(day >= first and day.isoformat() not in other for day in recurrence.all_dates(event.recurrence))


def _full(call: Call, item: Item) -> Json:
    return {"@odata.type": EVENT_TYPE} | call.readable(event_json(call.mailbox, item, call.preferences))


def _brief(call: Call, item: Item) -> Json:
    shown = event_json(call.mailbox, item, call.preferences)
    return {name: shown[name] for name in ("id", "type", "start", "end")}


_OPTIONS = frozenset(("$orderby", "$filter", "$select", "$expand", "$search", "$skip", "$count"))
_NO_END = _OPTIONS | {"endDateTime", "enddatetime"}

# Everything in a window: of a series its master, its exceptions, and its occurrences as skeletons.
VIEW = Tracked("CalendarView", _OPTIONS, read_window, _in_view, _viewed)
# Single events, masters and exceptions from a start on; v1.0 doesn't document it, and it works there only with a start.
EVENTS = Tracked("Events", _NO_END, _from_start, _later, _full)
# The same as documented: the start is optional, and items say little more than when they are.
BETA_EVENTS = Tracked("Events", _NO_END, _from_any_start, _later, _brief)
