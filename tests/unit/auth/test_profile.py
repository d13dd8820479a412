"""What Graph says about an account that has just signed in."""

from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from auth.microsoft import AccessToken
from auth.profile import NoMailbox, Profiles
from common.errors import AttendaraError, Transient

TOKEN = AccessToken("a-secret-token", datetime(2026, 11, 22, tzinfo=UTC))


def profiles(me: dict[str, Any], calendar: httpx2.Response) -> Profiles:
    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.headers["authorization"] == "Bearer a-secret-token"
        return calendar if request.url.path == "/v1.0/me/calendar" else httpx2.Response(200, json=me)

    return Profiles(httpx2.AsyncClient(base_url="https://graph.example/v1.0", transport=httpx2.MockTransport(answer)))


def refusal(status: int, code: str) -> httpx2.Response:
    return httpx2.Response(status, json={"error": {"code": code, "message": "Words."}})


@pytest.mark.parametrize(
    ("me", "address"),
    [
        ({"mail": "anna@bergpraxis.example", "userPrincipalName": "anna@upn.example"}, "anna@bergpraxis.example"),
        ({"mail": None, "userPrincipalName": "anna@upn.example"}, "anna@upn.example"),
        ({}, None),
    ],
)
async def test_the_address_is_the_mail_or_else_the_principal_name(me: dict[str, Any], address: str | None) -> None:
    assert await profiles(me, httpx2.Response(200, json={"id": "c"})).address_of(TOKEN) == address


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "MailboxNotEnabledForRESTAPI"), (400, "MailboxNotSupportedForRESTAPI"), (404, "ErrorItemNotFound"), (401, "")],
)
async def test_an_account_without_a_calendar_is_told_apart(status: int, code: str) -> None:
    with pytest.raises(NoMailbox):
        await profiles({}, refusal(status, code)).address_of(TOKEN)


async def test_a_graph_that_is_away_is_no_missing_mailbox() -> None:
    with pytest.raises(Transient):
        await profiles({}, refusal(503, "serviceNotAvailable")).address_of(TOKEN)


async def test_no_error_quotes_the_token() -> None:
    with pytest.raises(AttendaraError) as failure:
        await profiles({}, refusal(403, "ErrorAccessDenied")).address_of(TOKEN)
    assert "a-secret-token" not in str(failure.value)
