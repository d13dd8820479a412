"""From a post's entries to our messages: one per calendar for notifications, one per entry for lifecycle."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast, get_args

from common.client_state import PROBE_CALENDAR, ClientStates
from common.messages import ChangeKind, LifecycleKind, LifecycleReceived, Message, NotificationReceived
from webhook_gateway.entries import Lifecycle, Notification, Reader

Clock = Callable[[], datetime]

CHANGES = {kind: cast(ChangeKind, kind) for kind in get_args(ChangeKind)}
LIFECYCLES = {kind: cast(LifecycleKind, kind) for kind in get_args(LifecycleKind)}


@dataclass
class Reading:
    """A post, read: what to publish, how many entries were dropped by reason, and whether our own self-check was in it."""

    messages: Sequence[Message] = ()
    dropped: Counter[str] = field(default_factory=Counter)
    probed: bool = False


class NotificationReader:
    """A notification only means that its calendar may differ: however many of them, one message says so."""

    def __init__(self, client_states: ClientStates, clock: Clock) -> None:
        self._reader = Reader(Notification, client_states)
        self._clock = clock

    def __call__(self, body: bytes) -> Reading:
        """Raises NotPosted."""
        reading = Reading()
        by_calendar: dict[str, list[Notification]] = {}
        for calendar, entry in self._reader.read(body, reading.dropped):
            by_calendar.setdefault(calendar, []).append(entry)
        reading.probed = by_calendar.pop(PROBE_CALENDAR, None) is not None
        now = self._clock()
        reading.messages = [
            NotificationReceived(
                calendar=calendar,
                subscription=entries[-1].subscription_id,
                tenant=entries[-1].tenant_id,
                count=len(entries),
                kinds=_changes(entries),
                received_at=now,
            )
            for calendar, entries in by_calendar.items()
        ]
        return reading


class LifecycleReader:
    def __init__(self, client_states: ClientStates, clock: Clock) -> None:
        self._reader = Reader(Lifecycle, client_states)
        self._clock = clock

    def __call__(self, body: bytes) -> Reading:
        """Raises NotPosted."""
        now, reading, messages = self._clock(), Reading(), []
        for calendar, lifecycle in self._reader.read(body, reading.dropped):
            if calendar == PROBE_CALENDAR:
                reading.probed = True
                continue
            messages.append(
                LifecycleReceived(
                    calendar=calendar,
                    subscription=lifecycle.subscription_id,
                    tenant=lifecycle.tenant_id,
                    kind=_lifecycle(lifecycle.lifecycle_event),
                    received_at=now,
                )
            )
        reading.messages = messages
        return reading


def _changes(entries: Sequence[Notification]) -> list[ChangeKind]:
    if len(entries) == 1:  # the ordinary case, at a third of the cost
        return [_change(entries[0].change_type)]
    return sorted({_change(entry.change_type) for entry in entries})


def _change(told: object) -> ChangeKind:
    return CHANGES.get(told, "unknown") if isinstance(told, str) else "unknown"


def _lifecycle(told: object) -> LifecycleKind:
    return LIFECYCLES.get(told, "unknown") if isinstance(told, str) else "unknown"
