"""Line 1: the token endpoint. Refresh tokens that rotate, what it gives, and every refusal, switched on for one account."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest

from outlook_sandbox.accounts import Account
from outlook_sandbox.identity.apps import Secret, new_app
from tests.serving import until
from tests.unit.sandbox.identity_client import (
    APP,
    PERSONAL,
    RETURN,
    SCOPES,
    WORK,
    WORK_TENANT,
    Listener,
    Microsoft,
    listening,
    microsoft,
)

GRANT = "invalid_grant"
NUMBERS = [
    # Sign in again.
    (70000, GRANT, None, 400), (70008, GRANT, None, 400), (700082, GRANT, "bad_token", 400), (700084, GRANT, None, 400),
    (50173, GRANT, None, 400), (50132, GRANT, None, 400), (50133, GRANT, None, 400), (70043, GRANT, "token_expired", 400),
    (50055, GRANT, "user_password_expired", 400), (50057, GRANT, None, 400), (50034, GRANT, None, 400),
    # More of the person is needed.
    (50072, GRANT, "basic_action", 400), (50074, GRANT, "basic_action", 400), (50076, GRANT, "basic_action", 400),
    (50078, GRANT, "basic_action", 400), (50079, GRANT, "basic_action", 400), (50058, "interaction_required", None, 400),
    (65001, GRANT, "consent_required", 400), (16000, "interaction_required", None, 400), (50097, GRANT, "basic_action", 400),
    # A policy's block.
    (53000, GRANT, "message_only", 400), (53001, GRANT, "message_only", 400), (53003, GRANT, "message_only", 400),
    (530032, GRANT, "message_only", 400), (530035, GRANT, "message_only", 400), (50131, GRANT, "message_only", 400),
    # An administrator is needed.
    (90094, GRANT, "consent_required", 400), (90095, GRANT, "consent_required", 400), (50105, GRANT, None, 400),
    (65004, GRANT, None, 400),
    # The app is wrong.
    (7000215, "invalid_client", None, 401), (7000222, "invalid_client", None, 401), (7000218, "invalid_client", None, 401),
    (700025, "invalid_client", None, 401), (50011, "invalid_request", None, 400), (700016, "unauthorized_client", None, 400),
    (7000112, "unauthorized_client", None, 400), (50194, "invalid_request", None, 400),
    (9002332, "invalid_request", None, 400), (50020, GRANT, None, 400), (70011, "invalid_scope", None, 400),
    (90014, "invalid_request", None, 400), (900144, "invalid_request", None, 400), (501481, GRANT, None, 400),
    (54005, GRANT, None, 400), (700005, GRANT, None, 400),
    # Later.
    (90055, "temporarily_unavailable", None, 429), (70012, "temporarily_unavailable", None, 503), (50196, GRANT, None, 400),
]  # fmt: skip
"""All numbers that FACTS names in section 1, with `error`, `suberror` and status."""


@pytest.fixture
async def door() -> AsyncIterator[Microsoft]:
    async with microsoft() as made:
        yield made


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    with listening(tmp_path) as made:
        yield made


async def fault(door: Microsoft, **settings: Any) -> None:
    answer = await door.http.post("/sandbox/v1/faults", json=settings)
    assert answer.status_code == 201, answer.text


async def test_refresh_tokens_rotate_and_the_old_one_goes_on(door: Microsoft) -> None:
    first = (await door.sign_in(WORK))["refresh_token"]
    answers = [await door.refresh(first) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len({first, *(answer.json()["refresh_token"] for answer in answers)}) == 4


async def test_two_racing_refreshes_both_succeed(door: Microsoft) -> None:
    first = (await door.sign_in(WORK))["refresh_token"]
    racing = await asyncio.gather(door.refresh(first), door.refresh(first))
    bearers = [answer.json()["access_token"] for answer in racing]
    assert [(await door.me(bearer)).status_code for bearer in bearers] == [200, 200]


async def test_the_answer_has_microsofts_fields_and_lives_for_3599_seconds(door: Microsoft) -> None:
    tokens = await door.sign_in(WORK)
    assert tokens.keys() == {
        "token_type", "scope", "expires_in", "ext_expires_in", "access_token", "refresh_token", "id_token",
    }  # fmt: skip
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3599)


async def test_access_tokens_are_opaque_and_id_tokens_live_for_an_hour(door: Microsoft) -> None:
    tokens = await door.sign_in(WORK)
    with pytest.raises(jwt.DecodeError):
        jwt.decode(tokens["access_token"], options={"verify_signature": False})
    claims = jwt.decode(tokens["id_token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 3600


@pytest.mark.parametrize(("account", "tid"), [(PERSONAL, "9188040d-6c67-4c5b-b112-36a304b66dad"), (WORK, WORK_TENANT)])
async def test_personal_accounts_have_the_personal_tenant(door: Microsoft, account: Account, tid: str) -> None:
    claims = jwt.decode((await door.sign_in(account))["id_token"], options={"verify_signature": False})
    assert (claims["tid"], claims["iss"]) == (tid, f"https://localhost:8411/{tid}/v2.0")


@pytest.mark.parametrize(("number", "error", "suberror", "status"), NUMBERS)
async def test_every_number_can_be_switched_on(door: Microsoft, number: int, error: str, suberror: str | None, status: int) -> None:
    token = (await door.sign_in(WORK))["refresh_token"]
    await fault(door, kind="token-error", aadsts=number, account=WORK.username)
    refused = await door.refresh(token)
    body = refused.json()
    assert (refused.status_code, body["error"], body.get("suberror"), body["error_codes"]) == (status, error, suberror, [number])
    ids = r"\r\nTrace ID: [0-9a-f-]{36}\r\nCorrelation ID: [0-9a-f-]{36}\r\nTimestamp: \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"
    assert re.fullmatch(rf"AADSTS{number}: [^\r\n{{}}]+{ids}", body["error_description"])
    assert body.keys() >= {"timestamp", "trace_id", "correlation_id"}
    assert body["trace_id"] in body["error_description"]
    assert (await door.http.get(body["error_uri"].replace("https://localhost:8411", ""))).status_code == 200


async def test_a_policys_refusal_says_which_claims_the_next_request_must_carry(door: Microsoft) -> None:
    token = (await door.sign_in(WORK))["refresh_token"]
    await fault(door, kind="token-error", aadsts=50076, account=WORK.id)
    claims = (await door.refresh(token)).json()["claims"]
    assert re.fullmatch(r'\{"access_token":\{"capolids":\{"essential":true,"values":\["[0-9a-f-]{36}"\]\}\}\}', claims)


async def test_a_refusal_carries_the_request_id_of_the_client(door: Microsoft) -> None:
    given = "6d1bd2a3-15e4-4a39-9a5e-0f1d1a0c2b77"
    form = {"client_id": APP, "grant_type": "password"}
    refused = await door.http.post("/common/oauth2/v2.0/token", data=form, headers={"client-request-id": given})
    assert refused.json()["correlation_id"] == given
    assert refused.headers["x-ms-request-id"] == refused.json()["trace_id"]


@pytest.mark.parametrize("kind", ["token-error", "authorize-error"])
async def test_a_number_that_nobody_knows_is_refused_when_it_is_switched_on(door: Microsoft, kind: str) -> None:
    answer = await door.http.post("/sandbox/v1/faults", json={"kind": kind, "aadsts": 12345})
    assert answer.status_code == 422
    assert "AADSTS12345 is not known" in answer.text


async def test_a_fault_strikes_its_account_its_grant_and_so_often(door: Microsoft) -> None:
    token, other = (await door.sign_in(WORK))["refresh_token"], (await door.sign_in(PERSONAL))["refresh_token"]
    await fault(door, kind="token-error", aadsts=50076, account=WORK.id, grant="refresh_token", times=1)
    assert (await door.refresh(other)).status_code == 200
    assert (await door.ask_token(code=await door.code(WORK))).status_code == 200
    assert [(await door.refresh(token)).status_code for _ in range(2)] == [400, 200]


async def test_temporarily_unavailable_comes_with_503(door: Microsoft) -> None:
    token = (await door.sign_in(WORK))["refresh_token"]
    await fault(door, kind="token-trouble", shape="unavailable", account=WORK.id)
    refused = await door.refresh(token)
    assert (refused.status_code, refused.json()["error"]) == (503, "temporarily_unavailable")


async def test_a_proxys_page_comes_instead_of_json(door: Microsoft) -> None:
    token = (await door.sign_in(WORK))["refresh_token"]
    await fault(door, kind="token-trouble", shape="html", status=502)
    refused = await door.refresh(token)
    assert (refused.status_code, refused.headers["content-type"]) == (502, "text/html; charset=utf-8")


async def test_a_slow_answer_comes_late_and_is_good(door: Microsoft) -> None:
    token = (await door.sign_in(WORK))["refresh_token"]
    await fault(door, kind="token-trouble", shape="slow", seconds=300, times=1)
    [armed] = door.sandbox.faults.all()
    slow = asyncio.create_task(door.refresh(token))
    await until(lambda: armed.struck)
    assert not slow.done()
    door.sandbox.clock.advance(timedelta(seconds=300))
    assert (await slow).status_code == 200


def test_a_connection_is_cut_without_an_answer(listener: Listener) -> None:
    with contextlib.closing(listener.client()) as client:
        assert client.post(
            f"{listener.base}/sandbox/v1/faults", json={"kind": "token-trouble", "shape": "cut", "times": 1}
        ).is_success
        form = {"client_id": APP, "client_secret": "sandbox-app-secret", "grant_type": "refresh_token", "refresh_token": "x"}
        with pytest.raises(httpx2.TransportError):
            client.post(f"{listener.base}/common/oauth2/v2.0/token", data=form)
        assert client.post(f"{listener.base}/common/oauth2/v2.0/token", data=form).json()["error_codes"] == [70000]
        journal = client.get(f"{listener.base}/sandbox/v1/journal").json()["entries"]
        assert [entry["status"] for entry in journal[-2:]] == [0, 400]


@pytest.mark.parametrize(("account", "number"), [(WORK, 50173), (PERSONAL, 70000)])
async def test_a_revoked_grant_must_sign_in_again(door: Microsoft, account: Account, number: int) -> None:
    tokens = await door.sign_in(account)
    door.sandbox.tokens.revoke(account)
    refused = (await door.refresh(tokens["refresh_token"])).json()
    assert (refused["error"], refused["error_codes"]) == ("invalid_grant", [number])
    assert (await door.me(tokens["access_token"])).status_code == 200, "an access token lives on"
    again = await door.sign_in(account)
    assert (await door.refresh(again["refresh_token"])).status_code == 200


async def test_a_refresh_token_dies_after_ninety_idle_days_and_not_before(door: Microsoft) -> None:
    token = (await door.sign_in(WORK))["refresh_token"]
    for _ in range(2):
        door.sandbox.clock.advance(timedelta(days=89))
        assert (await door.refresh(token)).status_code == 200
    door.sandbox.clock.advance(timedelta(days=90))
    assert (await door.refresh(token)).json()["error_codes"] == [700082]


async def test_an_app_secret_expires(door: Microsoft) -> None:
    until = door.sandbox.clock.now() + timedelta(days=30)
    secrets = (Secret("first", until), Secret("second"))
    app = door.sandbox.apps.put(new_app("Short-lived", redirect_uris=[RETURN], secrets=secrets))
    code = await door.code(WORK, client_id=app.id)
    token = (await door.ask_token(code=code, client_id=app.id, client_secret="first")).json()["refresh_token"]
    door.sandbox.clock.advance(timedelta(days=31))
    refused = await door.refresh(token, client_id=app.id, client_secret="first")
    assert (refused.status_code, refused.json()["error_codes"]) == (401, [7000222])
    assert (await door.refresh(token, client_id=app.id, client_secret="never")).json()["error_codes"] == [7000215]
    assert (await door.refresh(token, client_id=app.id, client_secret="second")).status_code == 200


async def test_a_disabled_account_can_neither_refresh_nor_sign_in(door: Microsoft) -> None:
    token = (await door.sign_in(WORK))["refresh_token"]
    disabled = Account(WORK.id, WORK.tid, WORK.username, WORK.name, WORK.kind, disabled=True)
    door.sandbox.accounts.add(disabled)
    assert (await door.refresh(token)).json()["error_codes"] == [50057]
    assert "AADSTS50057" in (await door.pick(WORK)).text
    door.sandbox.accounts.add(WORK)
    assert (await door.refresh(token)).status_code == 200


async def test_a_consent_that_was_withdrawn_is_wanted_again(door: Microsoft) -> None:
    token = (await door.sign_in(WORK))["refresh_token"]
    assert door.sandbox.tokens.consents.withdraw(WORK.id, APP)
    refused = (await door.refresh(token)).json()
    assert (refused["error"], refused["error_codes"], refused["suberror"]) == ("invalid_grant", [65001], "consent_required")
    await door.sign_in(WORK, scope=SCOPES)
    assert (await door.refresh(token)).status_code == 200


async def test_an_account_that_is_gone_is_not_found(door: Microsoft) -> None:
    token = (await door.sign_in(WORK))["refresh_token"]
    door.sandbox.accounts.remove(WORK.id)
    door.sandbox.tokens.forget(WORK.id)
    assert (await door.refresh(token)).json()["error_codes"] == [50034]


@pytest.mark.parametrize("claims", ["{", "[]", '{"access_token": 1}', '{"access_token":{"nbf":{"value":"soon"}}}'])
async def test_claims_that_are_no_claims_are_refused(door: Microsoft, claims: str) -> None:
    token = (await door.sign_in(WORK))["refresh_token"]
    refused = await door.refresh(token, claims=claims)
    assert (refused.status_code, refused.json()["error"], refused.json()["error_codes"]) == (400, "invalid_request", [90023])
