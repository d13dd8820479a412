"""From stored events to what a calendar shows in a window."""

from collections.abc import Iterator
from datetime import date, timedelta

from outlook_sandbox import recurrence
from outlook_sandbox.graph.model import Event, Item
from outlook_sandbox.zones import wall_clock


def whole(event: Event) -> Item:
    """The event itself: a single one, or a series as its master."""
    return Item(event, *event.span.seconds, event.span)


def in_window(event: Event, start: int, end: int) -> Iterator[Item]:
    """The single event, or the occurrences and exceptions of a series, that lie in the window."""
    if event.recurrence is None:
        begins, ends = event.span.seconds
        # Most events lie elsewhere, and every view asks them all.
        if begins < end and ends >= start and (item := whole(event)).within(start, end):
            yield item
        return
    for day in _days(event, start, end):
        item = _occurrence(event, day)
        if item.within(start, end):
            yield item
    yield from (item for item in exceptions(event) if item.within(start, end))


def exceptions(event: Event) -> Iterator[Item]:
    for text, exceptional in event.exceptions.items():
        span = exceptional.span
        yield Item(event, *span.seconds, span, date.fromisoformat(text), exceptional)


def occurrence(event: Event, day: date) -> Item | None:
    """The series' occurrence of that original day, ordinary or exceptional; None if there is none (any more)."""
    text = day.isoformat()
    if event.recurrence is None or text in event.cancelled:
        return None
    if (exceptional := event.exceptions.get(text)) is not None:
        return Item(event, *exceptional.span.seconds, exceptional.span, day, exceptional)
    return _occurrence(event, day) if recurrence.dates(event.recurrence, day, day) else None


def _occurrence(event: Event, day: date) -> Item:
    span = event.span.on(day)
    return Item(event, *span.seconds, span, day)


def _days(event: Event, start: int, end: int) -> Iterator[date]:
    if event.recurrence is None:
        return
    name = event.span.start.zone
    length = event.span.end.wall - event.span.start.wall
    first = (wall_clock(start, name) - length).date() - timedelta(days=1)
    last = wall_clock(end, name).date() + timedelta(days=1)
    for day in recurrence.dates(event.recurrence, first, last):
        text = day.isoformat()
        if text not in event.cancelled and text not in event.exceptions:
            yield day
