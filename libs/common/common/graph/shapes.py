"""Graph's own JSON, as much of it as we read. Names are Graph's, in Python's spelling; unknown fields are ignored.

Source: https://learn.microsoft.com/graph/api/resources/event and the pages of the other resources.
"""

from datetime import UTC, date, datetime

import msgspec
import structlog

from common import telemetry

log = structlog.get_logger()


class Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    pass


class DateTimeZone(Shape, frozen=True, kw_only=True):
    """`{"dateTime": "2026-11-22T10:00:00.0000000", "timeZone": "UTC"}`; we always ask for UTC."""

    date_time: str
    time_zone: str = "UTC"

    @property
    def instant(self) -> datetime:
        return instant(self.date_time)

    @property
    def date(self) -> date:
        return date.fromisoformat(self.date_time[:10])


def instant(text: str) -> datetime:
    """Graph's instants: with or without `Z` or an offset (then UTC), up to seven digits of a second."""
    head, dot, rest = text.partition(".")
    if dot:
        digits = "".join(c for c in rest if c.isdigit()) if "+" not in rest and "-" not in rest else ""
        if digits:
            head += f".{digits[:6]:0<6}"
            zone = rest[len(digits) :]
        else:
            fraction, sign, offset = rest.partition("+") if "+" in rest else rest.partition("-")
            head += f".{fraction[:6]:0<6}"
            zone = sign + offset
    else:
        zone = ""
    parsed = datetime.fromisoformat(head + zone.replace("Z", "+00:00"))
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


class EmailAddress(Shape, frozen=True, kw_only=True):
    name: str | None = None
    address: str | None = None


class Recipient(Shape, frozen=True, kw_only=True):
    email_address: EmailAddress = EmailAddress()


class ResponseStatus(Shape, frozen=True, kw_only=True):
    response: str | None = None


class Attendee(Shape, frozen=True, kw_only=True):
    type: str | None = None
    status: ResponseStatus | None = None
    email_address: EmailAddress = EmailAddress()


class Location(Shape, frozen=True, kw_only=True):
    display_name: str | None = None


class OnlineMeeting(Shape, frozen=True, kw_only=True):
    join_url: str | None = None


class Removed(msgspec.Struct, frozen=True):
    reason: str = "deleted"


class Event(Shape, frozen=True, kw_only=True):
    """An event, or a delta item about one: a skeleton occurrence has no subject, a tombstone only `id` and `removed`."""

    id: str
    removed: Removed | None = msgspec.field(name="@removed", default=None)
    etag: str | None = msgspec.field(name="@odata.etag", default=None)
    type: str | None = None
    series_master_id: str | None = None
    subject: str | None = None
    body_preview: str | None = None
    categories: list[str] = []
    start: DateTimeZone | None = None
    end: DateTimeZone | None = None
    original_start_time_zone: str | None = None
    is_all_day: bool = False
    is_cancelled: bool = False
    sensitivity: str | None = None
    location: Location | None = None
    attendees: list[Attendee] = []
    organizer: Recipient | None = None
    is_organizer: bool = True
    online_meeting: OnlineMeeting | None = None
    online_meeting_url: str | None = None


class Page(Shape, frozen=True, kw_only=True):
    """One page of events: `next_link` xor `delta_link` in delta, at most `next_link` in a plain listing."""

    value: list[Event]
    next_link: str | None = msgspec.field(name="@odata.nextLink", default=None)
    delta_link: str | None = msgspec.field(name="@odata.deltaLink", default=None)


class RawPage(Shape, frozen=True, kw_only=True):
    """A page whose items aren't decoded yet: one that isn't as documented must not cost the others."""

    value: list[msgspec.Raw]
    next_link: str | None = msgspec.field(name="@odata.nextLink", default=None)
    delta_link: str | None = msgspec.field(name="@odata.deltaLink", default=None)

    def read(self) -> Page:
        """The page with the items that can be read; what can't be is logged and counted, and left out."""
        events = [event for item in self.value if (event := _event(item))]
        return Page(value=events, next_link=self.next_link, delta_link=self.delta_link)


def _event(item: msgspec.Raw) -> Event | None:
    try:
        event = msgspec.json.decode(item, type=Event)
        if event.removed is None:
            _check_times(event)
    except (msgspec.MsgspecError, ValueError) as error:
        # msgspec names the field and the type that it found there, never the value.
        wrong = str(error) if isinstance(error, msgspec.MsgspecError) else "its times"
        log.warning("event left out: it is not as documented", wrong=wrong)
        telemetry.count("events_unreadable")
        return None
    return event


def _check_times(event: Event) -> None:
    if event.start is None or event.end is None:
        raise ValueError("an event without times")
    _ = event.start.instant, event.end.instant


class GraphCalendar(Shape, frozen=True, kw_only=True):
    id: str
    name: str
    color: str | None = None
    hex_color: str | None = None
    can_edit: bool = False
    is_default_calendar: bool = False
    owner: EmailAddress | None = None


class GraphSubscription(Shape, frozen=True, kw_only=True):
    id: str
    resource: str | None = None
    expiration_date_time: str
    notification_url: str | None = None

    @property
    def expires_at(self) -> datetime:
        return instant(self.expiration_date_time)


class MasterCategory(Shape, frozen=True, kw_only=True):
    id: str
    display_name: str
    color: str | None = None


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """Any other list: the items undecoded, and where it goes on."""

    value: list[msgspec.Raw]
    next_link: str | None = msgspec.field(name="@odata.nextLink", default=None)


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    status: int
    headers: dict[str, str] | None = None
    body: msgspec.Raw = msgspec.Raw(b"null")


class BatchAnswers(msgspec.Struct, frozen=True, kw_only=True):
    responses: list[BatchAnswer]
