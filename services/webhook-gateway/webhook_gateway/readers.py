"""From a post's entries to our messages: one per calendar for notifications, one per entry for lifecycle."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal, cast, get_args

from common.client_state import ClientStates
from common.messages import LifecycleReceived, NotificationReceived
from webhook_gateway.entries import Lifecycle, Notification, Reader

Clock = Callable[[], datetime]
Kind = Literal["reauthorizationRequired", "subscriptionRemoved", "missed", "unknown"]


class NotificationReader:
    """A notification only means that its calendar may differ: however many of them, one message says so."""

    def __init__(self, client_states: ClientStates, clock: Clock) -> None:
        self._reader = Reader(Notification, client_states)
        self._clock = clock

    def __call__(self, body: bytes) -> tuple[Sequence[NotificationReceived], Mapping[str, int]]:
        counts, dropped = Counter[str](), Counter[str]()
        last: dict[str, Notification] = {}
        for entry in self._reader.read(body):
            if isinstance(entry, str):
                dropped[entry] += 1
            else:
                calendar, last[calendar] = entry
                counts[calendar] += 1
        now = self._clock()
        messages = [
            NotificationReceived(
                calendar=calendar,
                subscription=entry.subscription_id,
                tenant=entry.tenant_id,
                count=counts[calendar],
                received_at=now,
            )
            for calendar, entry in last.items()
        ]
        return messages, dropped


class LifecycleReader:
    def __init__(self, client_states: ClientStates, clock: Clock) -> None:
        self._reader = Reader(Lifecycle, client_states)
        self._clock = clock

    def __call__(self, body: bytes) -> tuple[Sequence[LifecycleReceived], Mapping[str, int]]:
        now, dropped = self._clock(), Counter[str]()
        messages = []
        for entry in self._reader.read(body):
            if isinstance(entry, str):
                dropped[entry] += 1
                continue
            calendar, lifecycle = entry
            messages.append(
                LifecycleReceived(
                    calendar=calendar,
                    subscription=lifecycle.subscription_id,
                    tenant=lifecycle.tenant_id,
                    kind=_kind(lifecycle.lifecycle_event),
                    received_at=now,
                )
            )
        return messages, dropped


def _kind(lifecycle_event: str) -> Kind:
    return cast(Kind, lifecycle_event) if lifecycle_event in get_args(Kind) else "unknown"
