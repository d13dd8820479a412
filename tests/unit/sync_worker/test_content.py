"""What of an event makes an appointment, and what of it changes the hash."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.graph.shapes import Event
from sync_worker.content import content_of, kept_outlook, outlook_of, over_master, own_prefixes, without_prefix

LINE = st.text(max_size=20)
PREFIX = LINE.filter(bool)


def event(**given: Any) -> Event:
    """As Graph sends one."""
    sent = {
        "id": "AAk",
        "@odata.etag": 'W/"1"',
        "type": "singleInstance",
        "subject": "Massage",
        "start": {"dateTime": "2026-11-24T09:00:00.0000000", "timeZone": "UTC"},
        "end": {"dateTime": "2026-11-24T09:30:00.0000000", "timeZone": "UTC"},
        "sensitivity": "normal",
        "attendees": [{"type": "required", "emailAddress": {"name": "C", "address": "c@example.org"}}],
        "location": {"displayName": "Room 2"},
    }
    return msgspec.json.decode(msgspec.json.encode(sent | given), type=Event)


def hash_of(*prefixes: str, **given: Any) -> str:
    return content_of(event(**given), prefixes=prefixes, private_details=False).hash


@pytest.mark.parametrize(
    "ours",
    [
        {"categories": ["Attendara — Confirmed"]},
        {"categories": ["Red category"]},
        {"@odata.etag": 'W/"2"'},
        {"changeKey": "2", "lastModifiedDateTime": "2026-11-24T09:00:00Z"},
        {"type": "exception"},
    ],
    ids=str,
)
def test_what_a_label_or_exchange_itself_touches_does_not_change_the_hash(ours: dict[str, Any]) -> None:
    assert hash_of(**ours) == hash_of()


@pytest.mark.parametrize(
    "theirs",
    [
        {"subject": "Massage, long"},
        {"subject": None},
        {"start": {"dateTime": "2026-11-24T08:59:00.0000000", "timeZone": "UTC"}},
        {"end": {"dateTime": "2026-11-24T09:45:00.0000000", "timeZone": "UTC"}},
        {"isAllDay": True},
        {"isCancelled": True},
        {"sensitivity": "private"},
        {"location": {"displayName": "Room 3"}},
        {"attendees": []},
        {"bodyPreview": "Bring a towel"},
        {"originalStartTimeZone": "W. Europe Standard Time"},
        {"onlineMeeting": {"joinUrl": "https://meet.example/1"}},
    ],
    ids=str,
)
def test_what_a_reader_sees_changes_the_hash(theirs: dict[str, Any]) -> None:
    assert hash_of(**theirs) != hash_of()


def test_the_hash_carries_its_version() -> None:
    assert hash_of().startswith("v1:")


def test_seven_digits_of_a_second_are_read_to_the_microsecond() -> None:
    content = content_of(
        event(start={"dateTime": "2026-11-24T09:00:00.1234567", "timeZone": "UTC"}), prefixes=(), private_details=False
    )
    assert content.start.isoformat() == "2026-11-24T09:00:00.123456+00:00"


def test_an_all_day_event_keeps_its_dates() -> None:
    times = {
        "start": {"dateTime": "2026-10-25T00:00:00.0000000", "timeZone": "UTC"},
        "end": {"dateTime": "2026-10-27T00:00:00.0000000", "timeZone": "UTC"},
    }
    content = content_of(event(isAllDay=True, **times), prefixes=(), private_details=False)
    assert (content.start_date, content.end_date) == ("2026-10-25", "2026-10-27")


@pytest.mark.parametrize("sensitivity", ["private", "confidential", "Private"])
def test_a_private_event_gives_away_and_leaves_behind_its_times_only(sensitivity: str) -> None:
    private = event(sensitivity=sensitivity, categories=["Divorce"], bodyPreview="Mediator")
    content = content_of(private, prefixes=(), private_details=False)
    assert (content.subject, content.location, content.body_preview, content.attendees) == (None, None, None, [])
    assert content.private
    assert kept_outlook(private) == {"etag": None, "categories": [], "subject": None, "attendees": 0}


def test_private_details_are_published_where_that_is_set() -> None:
    content = content_of(event(sensitivity="private"), prefixes=(), private_details=True)
    assert (content.subject, content.private) == ("Massage", True)


def test_the_event_of_everybody_is_kept_as_a_label_needs_it() -> None:
    assert kept_outlook(event()) == outlook_of(event()) == {"etag": 'W/"1"', "categories": [], "subject": "Massage", "attendees": 1}


def test_an_occurrence_takes_from_its_master_all_but_what_is_its_own() -> None:
    master = event(id="master", type="seriesMaster", subject="$ub", sensitivity="private", categories=["Red category"])
    times = {
        "start": {"dateTime": "2026-12-01T09:00:00.0000000", "timeZone": "UTC"},
        "end": {"dateTime": "2026-12-01T09:30:00.0000000", "timeZone": "UTC"},
    }
    skeleton = Event(id="one", type="occurrence", series_master_id="master", etag='W/"7"', **_times(times))
    whole = over_master(master, skeleton)
    assert (whole.id, whole.type, whole.series_master_id, whole.etag) == ("one", "occurrence", "master", 'W/"7"')
    assert (whole.start, whole.end) == (skeleton.start, skeleton.end)
    assert (whole.subject, whole.sensitivity, whole.categories) == ("$ub", "private", ["Red category"])


def _times(times: dict[str, Any]) -> dict[str, Any]:
    made = event(**times)
    return {"start": made.start, "end": made.end}


@given(title=LINE, prefix=PREFIX, other=PREFIX)
def test_a_prefix_of_ours_comes_off_and_leaves_the_owners_title_to_the_letter(title: str, prefix: str, other: str) -> None:
    written = f"{prefix} {title}" if title else prefix
    assert without_prefix(written, prefix, other) == title
    assert without_prefix(written, None, prefix) == title
    assert without_prefix(title) == title


def test_the_prefix_of_a_patch_under_way_is_ours_already() -> None:
    label = {"value": "confirmed", "prefix": "[Confirmed]", "writing": {"prefix": "[Cancelled]"}}
    assert without_prefix("[Cancelled] Massage", *own_prefixes(label)) == "Massage"
    assert hash_of(*filter(None, own_prefixes(label)), subject="[Cancelled] Massage") == hash_of()
    assert own_prefixes({"value": "none"}) == (None, None)
