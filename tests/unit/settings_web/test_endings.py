"""Every way in which a connect can end, and every reason for which one dies, has its words and its way out."""

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from auth import endings as of_auth
from auth import refusals
from common.store import Connection, ConnectionState
from settings_web.accounts import account
from settings_web.auth_door import Finished
from settings_web.endings import MANNERS, NOT_CONNECTED, manner_of
from settings_web.reasons import WHY, why

NOW = datetime(2026, 11, 24, tzinfo=UTC)
REASONS = {*refusals.REASONS.values(), *refusals.BARRED.values(), "admin-approval", "grant-refused", "sign-in-required"}


def connection(state: Any, reason: str | None = None) -> Connection:
    names: Any = {"username": "anna@praxis.example", "name": "Front desk", "tid": "t", "oid": "o", "organization": "o1"}
    return Connection(id="con_1", state=state, reason=reason, since=NOW, created_at=NOW, **names)


def test_each_outcome_of_auth_has_its_page() -> None:
    assert MANNERS.keys() == set(get_args(of_auth.Outcome)) - {"accepted"}


def test_an_outcome_that_is_new_to_us_has_a_page_too() -> None:
    assert manner_of(Finished("tomorrows-outcome")) == NOT_CONNECTED


def test_only_where_nobody_here_can_help_is_there_no_second_try() -> None:
    assert [outcome for outcome, manner in MANNERS.items() if manner.again is None] == ["app-misconfigured"]


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_each_reason_of_auth_is_told_in_plain_words(reason: str) -> None:
    said, next_step = why(connection("needs-reconnect", reason))
    assert reason in WHY
    assert said.endswith(".")
    assert next_step.endswith(".")
    assert "{" not in next_step


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        ("needs-reconnect", "tomorrows-reason", "no longer accepts"),
        ("needs-reconnect", None, "no longer accepts"),
        ("needs-admin-consent", "tomorrows-reason", "has to approve"),
    ],
)
def test_a_reason_that_is_new_to_us_is_told_in_general(state: str, reason: str | None, words: str) -> None:
    said, next_step = why(connection(state, reason))
    assert words in said
    assert next_step


@pytest.mark.parametrize("state", [state for state in get_args(ConnectionState) if state != "active"])
def test_no_state_of_an_account_is_without_a_reason_and_a_next_step(state: str) -> None:
    found = account(connection(state), [])
    assert found.reason
    assert found.next_step


def test_who_is_to_sign_in_is_named() -> None:
    assert "anna@praxis.example" in why(connection("needs-reconnect", "grant-revoked"))[1]
