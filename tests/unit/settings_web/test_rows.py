"""What a calendar's row says in each situation."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.store import Connection, Progress, Subscription, SyncState
from settings_web.accounts import account
from settings_web.rows import SKEW, Row, ago, exact
from settings_web.rows import row as row_of

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CALENDAR: dict[str, Any] = {"_id": "cal_1", "name": "Room 1", "connection": "con_1", "created_at": NOW - timedelta(days=7)}
LONG_AGO = NOW - timedelta(days=9)


def connection(state: Any = "active", since: datetime = LONG_AGO) -> Connection:
    account: Any = {"id": "con_1", "organization": "org", "tid": "t", "oid": "o"}
    account |= {"username": "anna@praxis.example", "name": "Front desk"}
    return Connection(state=state, since=since, created_at=LONG_AGO, **account)


def sync(**given: Any) -> SyncState:
    fields: dict[str, Any] = {"state": "current", "last_round_at": NOW} | given
    return SyncState(id="cal_1", organization="org", connection="con_1", **fields)


def row(calendar: dict[str, Any], connection: Connection | None, sync: SyncState | None, now: datetime) -> Row:
    return row_of(calendar, connection, sync, None, now)


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


def test_a_calendar_whose_account_is_gone_is_being_removed() -> None:
    assert row(CALENDAR, None, sync(), NOW).state == "removing"


LATER = NOW + timedelta(minutes=1)
RECONNECTED = connection(since=NOW)


def subscription(**given: Any) -> Subscription:
    fields: dict[str, Any] = {"state": "active", "checked_at": LATER} | given
    return Subscription(id="sub_1", organization="org", connection="con_1", calendar="cal_1", **fields)


@pytest.mark.parametrize(
    ("held", "round_at", "error", "state", "words"),
    [
        (subscription(), NOW - timedelta(hours=2), None, "catching-up", "is being fetched"),
        (subscription(), NOW - timedelta(hours=2), "needs-reconnect", "catching-up", "is being fetched"),
        (subscription(), NOW - timedelta(hours=2), "needs-admin-consent", "catching-up", "is being fetched"),
        (subscription(), NOW - timedelta(hours=2), "graph-away", "delayed", "graph-away"),
        (subscription(checked_at=NOW - timedelta(hours=2)), LATER, None, "catching-up", "tell of changes"),
        (subscription(checked_at=None, state="wanted"), LATER, None, "catching-up", "tell of changes"),
        (None, LATER, None, "catching-up", "tell of changes"),
        (subscription(state="no-push"), LATER, None, "up-to-date", None),
        (subscription(), LATER, None, "up-to-date", None),
        (subscription(), NOW - SKEW / 2, None, "up-to-date", None),
    ],
)
def test_a_reconnected_calendar_catches_up_until_a_round_ran_and_its_subscription_stands(
    held: Subscription | None, round_at: datetime | None, error: str | None, state: str, words: str | None
) -> None:
    found = row_of(CALENDAR, RECONNECTED, sync(last_round_at=round_at, last_error=error), held, LATER)
    assert (found.state, found.busy) == (state, state == "catching-up")
    assert (words or "") in (found.reason or "")
    assert found.behind == (state != "up-to-date")
    assert account(RECONNECTED, [found]).state == ("active" if state == "up-to-date" else "catching-up")


def test_a_calendar_that_was_added_since_has_nothing_to_catch_up_with() -> None:
    added = CALENDAR | {"created_at": LATER}
    assert row_of(added, RECONNECTED, sync(), None, LATER).state == "up-to-date"


def test_a_first_round_that_was_interrupted_shows_how_far_it_is() -> None:
    found = row_of(CALENDAR, RECONNECTED, sync(state="first", last_round_at=None), subscription(), LATER)
    assert (found.state, found.behind) == ("syncing", True)


def test_a_round_that_does_not_come_after_a_reconnect_is_a_delay() -> None:
    found = row_of(CALENDAR, RECONNECTED, sync(last_round_at=LONG_AGO), subscription(), NOW + timedelta(hours=2))
    assert (found.state, found.behind) == ("delayed", True)


def test_an_account_catches_up_until_the_last_of_its_calendars_has() -> None:
    done, behind = (row_of(CALENDAR, RECONNECTED, sync(last_round_at=at), subscription(), LATER) for at in (LATER, None))
    found = account(RECONNECTED, [done, behind])
    assert (found.state, found.busy) == ("catching-up", True)
    assert "Room 1" in found.reason
    assert account(RECONNECTED, [done]).state == "active"


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
