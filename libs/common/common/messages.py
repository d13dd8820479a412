"""Every message between services, each with its topic: the contract that other teams read.

CloudEvents 1.0 in Kafka's binary mode: the value is the JSON below, the headers carry `ce_type` (the topic's name),
`ce_source`, `ce_id`, `ce_time` and the W3C trace context. An event is in the past tense; `…-requested` is a command
with one reader. Readers ignore fields that they don't know; a breaking change is a new topic. Never a token.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import ClassVar, Literal

import msgspec

ChangeKind = Literal["created", "updated", "deleted", "unknown"]
LifecycleKind = Literal["reauthorizationRequired", "subscriptionRemoved", "missed", "unknown"]

Status = Literal["pending", "confirmed", "cancelled"]
"""The customer's answer. Never to be mixed up with *called off*, Outlook's `isCancelled`."""

StatusWritten = Literal["none", "confirmed", "cancelled"]


@dataclass(frozen=True)
class Topic:
    """How a topic is to be created. `retention` of a compacted topic is how long a removal's null is kept."""

    name: str
    partitions: int = 6
    retention: timedelta = timedelta(days=7)
    compacted: bool = False


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all: subclasses name their topic, and their key where one is wanted."""

    topic: ClassVar[Topic]

    @property
    def key(self) -> str | None:
        return None


class NotificationReceived(Message, frozen=True, kw_only=True):
    """Graph says that a calendar may differ: `count` verified entries of one post, of these `kinds` (its changeType).

    It names no event and no organization: the gateway looks nothing up, and trusts nothing but the signed calendar id.
    """

    topic: ClassVar = Topic("outlook.notification-received.v1", retention=timedelta(days=1))
    calendar: str
    subscription: str
    tenant: str | None = None
    count: int = 1
    kinds: list[ChangeKind] = []
    received_at: datetime

    @property
    def key(self) -> str:
        return self.calendar


class LifecycleReceived(Message, frozen=True, kw_only=True):
    """Graph says something about a subscription itself; kinds that we don't know arrive as `unknown`."""

    topic: ClassVar = Topic("outlook.lifecycle-received.v1", partitions=3, retention=timedelta(days=1))
    calendar: str
    subscription: str
    tenant: str | None = None
    kind: LifecycleKind
    received_at: datetime

    @property
    def key(self) -> str:
        return self.calendar


class CalendarChanged(Message, frozen=True, kw_only=True):
    """Something about a monitored calendar changed; the reader looks at the document for what is true now."""

    topic: ClassVar = Topic("calendar.changed.v1", partitions=3)
    organization: str
    connection: str
    calendar: str
    change: Literal["added", "removing", "push-lost", "push-restored"]

    @property
    def key(self) -> str:
        return self.calendar


class CalendarSyncRequested(Message, frozen=True, kw_only=True):
    """A command to sync-worker: bring this calendar up to date."""

    topic: ClassVar = Topic("calendar.sync-requested.v1", partitions=3)
    organization: str
    calendar: str
    mode: Literal["delta", "full"] = "delta"
    reason: Literal["manual", "missed", "recreated", "reconnected"]

    @property
    def key(self) -> str:
        return self.calendar


class ConnectionChanged(Message, frozen=True, kw_only=True):
    topic: ClassVar = Topic("connection.changed.v1", partitions=3)
    organization: str
    connection: str
    change: Literal["connected", "needs-reconnect", "needs-admin-consent", "reconnected", "removing", "removed"]

    @property
    def key(self) -> str:
        return self.connection


class SyncSettingsChanged(Message, frozen=True, kw_only=True):
    topic: ClassVar = Topic("sync-settings.changed.v1", partitions=1)
    organization: str

    @property
    def key(self) -> str:
        return self.organization


class OutlookEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Names an Outlook event when the sender has no appointment id: `id` is Graph's immutable id."""

    connection: str
    id: str


class AppointmentStatusReported(Message, frozen=True, kw_only=True):
    """Public. A customer answered. Ordered by `occurred_at`, whatever order the messages come in."""

    topic: ClassVar = Topic("appointment.status-reported.v1", retention=timedelta(days=14))
    organization: str
    appointment: str | None = None
    event: OutlookEvent | None = None
    status: Status
    occurred_at: datetime

    @property
    def key(self) -> str | None:
        return self.appointment

    def __post_init__(self) -> None:
        if (self.appointment is None) == (self.event is None):
            raise ValueError("exactly one of `appointment` and `event` must be given")
        if self.occurred_at.tzinfo is None:
            raise ValueError("`occurred_at` must carry its offset")


class Person(msgspec.Struct, frozen=True, kw_only=True):
    address: str | None = None
    name: str | None = None


class Attendee(Person, frozen=True, kw_only=True):
    """`type`: required, optional or resource; `response`: Graph's responseStatus.response."""

    type: str | None = None
    response: str | None = None


class StatusNow(msgspec.Struct, frozen=True, kw_only=True):
    value: Status = "pending"
    occurred_at: datetime | None = None


class LabelNow(msgspec.Struct, frozen=True, kw_only=True):
    """What stands on the Outlook event. `failed`: why the wanted label could not be written, if so."""

    value: StatusWritten = "none"
    failed: str | None = None
    written_at: datetime | None = None


class AppointmentChanged(Message, frozen=True, kw_only=True):
    """Public. The appointment as it now stands. Keep the highest `sequence` per appointment and upsert; `kind` is a hint.

    `start` and `end` are instants (UTC). Of an all-day appointment `start_date` and `end_date` (exclusive) are what is
    meant, and `start`/`end` their midnights in UTC. Private appointments carry times only. A null value: removed long ago.
    """

    topic: ClassVar = Topic("appointment.changed.v1", partitions=12, retention=timedelta(days=30), compacted=True)
    organization: str
    appointment: str
    calendar: str
    connection: str
    event: str
    sequence: int
    kind: Literal["created", "updated", "removed", "label-written", "label-failed"]
    reason: Literal["deleted", "moved-away", "calendar-removed"] | None = None
    subject: str | None = None
    start: datetime
    end: datetime
    all_day: bool = False
    start_date: date | None = None
    end_date: date | None = None
    zone: str | None = None
    location: str | None = None
    body_preview: str | None = None
    attendees: list[Attendee] = []
    organizer: Person | None = None
    online_meeting_url: str | None = None
    series: str | None = None
    private: bool = False
    called_off: bool = False
    removed: bool = False
    status: StatusNow = StatusNow()
    label: LabelNow = LabelNow()

    @property
    def key(self) -> str:
        return self.appointment


MESSAGES: tuple[type[Message], ...] = (
    NotificationReceived,
    LifecycleReceived,
    CalendarChanged,
    CalendarSyncRequested,
    ConnectionChanged,
    SyncSettingsChanged,
    AppointmentStatusReported,
    AppointmentChanged,
)

READERS = ("auth", "renewer", "settings-web", "sync-worker")
"""The services that read messages, each with a topic of its own for those that it couldn't handle."""


def parked_topic(service: str) -> Topic:
    """`<service>.dead.v1`: messages as they were, with `x-reason`, `x-origin` and `x-attempts` in their headers."""
    return Topic(f"{service}.dead.v1", partitions=1, retention=timedelta(days=30))


def all_topics() -> list[Topic]:
    return [message.topic for message in MESSAGES] + [parked_topic(service) for service in READERS]
