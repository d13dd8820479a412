"""What of an Outlook event makes our appointment: its content, the hash that tells a change, and what labels build on.

The hash leaves out change key, etag, times of modification and all categories, and our own title prefix: what we write
ourselves comes back unchanged. It carries its version, so that a new rule re-announces once instead of never.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Any

import msgspec

from common.graph.shapes import Event

VERSION = "v1"
PRIVATE = frozenset({"private", "confidential"})


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """The part of an appointment that Outlook rules; published as it is. Dates (all-day, end exclusive) are ISO texts."""

    subject: str | None = None
    start: datetime
    end: datetime
    all_day: bool = False
    start_date: str | None = None
    end_date: str | None = None
    zone: str | None = None
    location: str | None = None
    body_preview: str | None = None
    attendees: list[dict[str, str | None]] = []
    organizer: dict[str, str | None] | None = None
    online_meeting_url: str | None = None
    private: bool = False
    called_off: bool = False

    @property
    def hash(self) -> str:
        return f"{VERSION}:{hashlib.sha256(msgspec.json.encode(self)).hexdigest()}"

    def document(self) -> dict[str, Any]:
        built: dict[str, Any] = msgspec.to_builtins(self, builtin_types=(datetime,))
        return built


def content_of(event: Event, *, prefixes: Sequence[str | None] = (), private_details: bool) -> Content:
    """`prefixes` is what we wrote, or began to write, in front of this event's title (`own_prefixes`); only that is taken off."""
    if event.start is None or event.end is None:
        raise ValueError("an event without times has no content")
    private = is_private(event)
    start, end = event.start.instant, event.end.instant
    if event.is_all_day:
        start = datetime.combine(event.start.date, time(), UTC)
        end = datetime.combine(event.end.date, time(), UTC)
    content = Content(
        start=start,
        end=end,
        all_day=event.is_all_day,
        start_date=event.start.date.isoformat() if event.is_all_day else None,
        end_date=event.end.date.isoformat() if event.is_all_day else None,
        zone=event.original_start_time_zone,
        private=private,
        called_off=event.is_cancelled,
    )
    if private and not private_details:
        return content
    return msgspec.structs.replace(
        content,
        subject=without_prefix(event.subject, *prefixes),
        location=(event.location.display_name or None) if event.location else None,
        body_preview=event.body_preview or None,
        attendees=[
            {
                "address": attendee.email_address.address,
                "name": attendee.email_address.name,
                "type": attendee.type,
                "response": attendee.status.response if attendee.status else None,
            }
            for attendee in event.attendees
        ],
        organizer=(
            {"address": event.organizer.email_address.address, "name": event.organizer.email_address.name}
            if event.organizer
            else None
        ),
        online_meeting_url=(event.online_meeting.join_url if event.online_meeting else None) or event.online_meeting_url or None,
    )


def is_private(event: Event) -> bool:
    return (event.sensitivity or "").lower() in PRIVATE


def outlook_of(event: Event) -> dict[str, Any]:
    """What a label is merged into: as Outlook has it, our own category and prefix included."""
    return {
        "etag": event.etag,
        "categories": event.categories,
        "subject": event.subject,
        "attendees": len(event.attendees),
    }


def kept_outlook(event: Event) -> dict[str, Any]:
    """What of it is stored: nothing of a private event. Without an etag its label reads the event anew."""
    if is_private(event):
        return {"etag": None, "categories": [], "subject": None, "attendees": 0}
    return outlook_of(event)


def over_master(master: Event, occurrence: Event) -> Event:
    """Delta's occurrences carry only id, type and times (docs/decisions.md); the rest is their master's."""
    return msgspec.structs.replace(
        master,
        id=occurrence.id,
        type=occurrence.type,
        series_master_id=occurrence.series_master_id,
        start=occurrence.start,
        end=occurrence.end,
        etag=occurrence.etag,
    )


def own_prefixes(label: Mapping[str, Any]) -> tuple[str | None, ...]:
    """What may stand in front of a title because of us: as the label has it, or as a PATCH under way writes it."""
    return label.get("prefix"), (label.get("writing") or {}).get("prefix")


def without_prefix(subject: str | None, *prefixes: str | None) -> str | None:
    """The title as its owner wrote it, to the letter; at most one prefix is taken off."""
    for prefix in filter(None, prefixes):
        if subject == prefix:
            return ""
        if subject and subject.startswith(f"{prefix} "):
            return subject[len(prefix) + 1 :]
    return subject
