"""What a calendar's row says in each situation."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.store import Connection, Progress, SyncState
from settings_web.rows import ago, exact, row

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CALENDAR = {"_id": "cal_1", "name": "Room 1", "connection": "con_1"}


LONG_AGO = NOW - timedelta(days=7)


def connection(state: Any = "active", since: datetime = LONG_AGO) -> Connection:
    account: Any = {"id": "con_1", "organization": "org", "tid": "t", "oid": "o"}
    account |= {"username": "anna@praxis.example", "name": "Front desk"}
    return Connection(state=state, since=since, created_at=LONG_AGO, **account)


def sync(**given: Any) -> SyncState:
    fields: dict[str, Any] = {"state": "current", "last_round_at": NOW} | given
    return SyncState(id="cal_1", organization="org", connection="con_1", **fields)


def test_a_calendar_without_a_sync_state_is_syncing() -> None:
    assert (row(CALENDAR, connection(), None, NOW).state_text, row(CALENDAR, connection(), None, NOW).busy) == ("Syncing…", True)


@pytest.mark.parametrize(("events", "text"), [(0, "Syncing…"), (1, "Syncing 1 event…"), (1200, "Syncing 1,200 events…")])
def test_the_first_round_shows_how_many_events_it_has_seen(events: int, text: str) -> None:
    first = sync(state="first", last_round_at=None, progress=Progress(pages=1, events=events))
    assert row(CALENDAR, connection(), first, NOW).state_text == text


@pytest.mark.parametrize(
    ("given", "state"),
    [
        ({}, "up-to-date"),
        ({"last_round_at": NOW - timedelta(minutes=50)}, "up-to-date"),
        ({"last_round_at": NOW - timedelta(minutes=61)}, "delayed"),
        ({"last_error": "Graph 503"}, "delayed"),
        ({"progress": Progress(pages=2, events=40)}, "syncing"),
    ],
)
def test_a_calendar_s_state_follows_from_its_rounds(given: dict[str, Any], state: str) -> None:
    found = row(CALENDAR, connection(), sync(**given), NOW)
    assert found.state == state
    assert (found.reason is not None) == (state == "delayed")


def test_an_asked_for_round_is_shown_until_one_has_ended() -> None:
    asked = CALENDAR | {"sync_asked_at": NOW - timedelta(seconds=2)}
    assert row(asked, connection(), sync(last_round_at=NOW - timedelta(minutes=5)), NOW).state == "syncing"
    assert row(asked, connection(), sync(last_round_at=NOW - timedelta(seconds=1)), NOW).state == "up-to-date"
    long_ago = CALENDAR | {"sync_asked_at": NOW - timedelta(minutes=1)}
    assert row(long_ago, connection(), sync(last_round_at=NOW - timedelta(minutes=5)), NOW).state == "up-to-date"


@pytest.mark.parametrize("state", ["needs-reconnect", "needs-admin-consent", "removing"])
def test_the_account_s_state_goes_before_the_calendar_s(state: str) -> None:
    assert row(CALENDAR, connection(state), sync(), NOW).state == state


@pytest.mark.parametrize("error", [None, "needs-reconnect"])
def test_after_a_reconnect_a_calendar_catches_up_until_a_round_has_ended(error: str | None) -> None:
    again = connection(since=NOW - timedelta(minutes=1))
    before = row(CALENDAR, again, sync(last_round_at=NOW - timedelta(days=2), last_error=error), NOW)
    after = row(CALENDAR, again, sync(last_round_at=NOW - timedelta(seconds=50)), NOW)

    assert (before.state, before.state_text, before.busy) == ("catching-up", "Catching up…", True)
    assert before.reason is not None
    assert (after.state, after.reason) == ("up-to-date", None)


def test_a_round_that_does_not_end_after_a_reconnect_is_a_delay() -> None:
    again = connection(since=NOW - timedelta(hours=2))
    assert row(CALENDAR, again, sync(last_round_at=LONG_AGO), NOW).state == "delayed"


def test_a_first_round_goes_before_catching_up() -> None:
    again = connection(since=NOW)
    assert row(CALENDAR, again, sync(state="first", last_round_at=None), NOW).state == "syncing"


def test_clocks_that_differ_a_little_keep_nobody_waiting() -> None:
    again = connection(since=NOW)
    assert row(CALENDAR, again, sync(last_round_at=NOW - timedelta(seconds=1)), NOW).state == "up-to-date"


def test_a_calendar_whose_account_is_gone_is_being_removed() -> None:
    assert row(CALENDAR, None, sync(), NOW).state == "removing"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "just now"),
        (9, "just now"),
        (47, "40 seconds ago"),
        (60, "1 minute ago"),
        (7200, "2 hours ago"),
        (86_400 * 3, "3 days ago"),
    ],
)
def test_times_are_told_as_people_tell_them(seconds: int, text: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == text


def test_the_exact_time_is_in_utc_and_says_so() -> None:
    assert exact(NOW) == "24 November 2026, 12:00:00 UTC"
