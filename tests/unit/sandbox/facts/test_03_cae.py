"""Line 3: continuous access evaluation. A 401 with claims, only for clients that said they can handle it (cp1)."""

import base64
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from tests.unit.sandbox.identity_client import CP1, PERSONAL, WORK, Json, Microsoft, microsoft, small_sandbox

CHALLENGE = re.compile(
    r'Bearer realm="", authorization_uri="https://login\.microsoftonline\.com/common/oauth2/authorize", '
    r'error="insufficient_claims", claims="([A-Za-z0-9+/=]+)"'
)


@pytest.fixture
async def door() -> AsyncIterator[Microsoft]:
    async with microsoft() as made:
        yield made


def claims_of(answer: httpx2.Response) -> Json:
    """The claims of a challenge, decoded."""
    assert answer.status_code == 401, answer.text
    found = CHALLENGE.fullmatch(answer.headers["www-authenticate"])
    assert found, answer.headers["www-authenticate"]
    return dict(json.loads(base64.b64decode(found[1])))


def merged(claims: Json) -> str:
    """What MSAL sends: the claims of the challenge and what the client is capable of."""
    return json.dumps({"access_token": claims["access_token"] | {"xms_cc": {"values": ["cp1"]}}})


async def test_a_challenge_asks_for_a_token_that_is_newer_than_the_incident(door: Microsoft) -> None:
    tokens = await door.sign_in(WORK, claims=CP1)
    assert (await door.me(tokens["access_token"])).status_code == 200
    at = int(door.sandbox.clock.now().timestamp())
    door.sandbox.tokens.challenge(WORK.id)
    answer = await door.me(tokens["access_token"])
    wanted = claims_of(answer)["access_token"]["nbf"]
    assert wanted["essential"] is True
    assert at <= int(wanted["value"]) <= at + 1
    assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"


async def test_a_token_that_was_asked_for_with_the_claims_ends_the_challenge(door: Microsoft) -> None:
    tokens = await door.sign_in(WORK, claims=CP1)
    door.sandbox.tokens.challenge(WORK.id)
    claims = claims_of(await door.me(tokens["access_token"]))
    plain = (await door.refresh(tokens["refresh_token"], claims=CP1)).json()
    assert claims_of(await door.me(plain["access_token"])) == claims
    good = (await door.refresh(tokens["refresh_token"], claims=merged(claims))).json()
    assert (await door.me(good["access_token"])).status_code == 200
    assert claims_of(await door.me(tokens["access_token"])) == claims, "the old token stays challenged"
    later = (await door.refresh(good["refresh_token"], claims=CP1)).json()
    assert (await door.me(later["access_token"])).status_code == 200, "the grant has been proved"


async def test_the_claims_of_an_older_incident_do_not_do(door: Microsoft) -> None:
    tokens = await door.sign_in(WORK, claims=CP1)
    door.sandbox.tokens.challenge(WORK.id)
    older = claims_of(await door.me(tokens["access_token"]))
    door.sandbox.clock.advance(timedelta(minutes=1))
    door.sandbox.tokens.challenge(WORK.id)
    fresh = (await door.refresh(tokens["refresh_token"], claims=merged(older))).json()
    assert claims_of(await door.me(fresh["access_token"])) != older


async def test_signing_in_again_ends_a_challenge(door: Microsoft) -> None:
    await door.sign_in(WORK, claims=CP1)
    door.sandbox.tokens.challenge(WORK.id)
    again = await door.sign_in(WORK, claims=CP1)
    assert (await door.me(again["access_token"])).status_code == 200


async def test_a_client_without_cp1_is_never_challenged(door: Microsoft) -> None:
    tokens = await door.sign_in(WORK)
    door.sandbox.tokens.challenge(WORK.id)
    assert (await door.me(tokens["access_token"])).status_code == 200
    door.sandbox.clock.advance(timedelta(hours=1))
    ended = await door.me(tokens["access_token"])
    assert ended.status_code == 401
    assert "claims" not in ended.headers["www-authenticate"]


async def test_other_accounts_are_not_challenged(door: Microsoft) -> None:
    tokens = await door.sign_in(PERSONAL, claims=CP1)
    door.sandbox.tokens.challenge(WORK.id)
    assert (await door.me(tokens["access_token"])).status_code == 200


async def test_cp1_may_be_declared_when_signing_in_or_when_asking_for_tokens(door: Microsoft) -> None:
    declared = [
        await door.sign_in(WORK, claims=CP1),
        (await door.ask_token(code=await door.code(WORK, claims=CP1))).json(),
    ]
    assert [tokens["expires_in"] for tokens in declared] == [24 * 3600, 24 * 3600]
    refreshed = (await door.refresh(declared[0]["refresh_token"], claims=CP1)).json()
    assert refreshed["expires_in"] == 24 * 3600


async def test_the_tokens_of_cp1_clients_live_for_a_day_and_those_of_others_for_an_hour(door: Microsoft) -> None:
    long, short = await door.sign_in(WORK, claims=CP1), await door.sign_in(WORK)
    assert (long["expires_in"], short["expires_in"]) == (86400, 3599)
    door.sandbox.clock.advance(timedelta(hours=23))
    assert [(await door.me(tokens["access_token"])).status_code for tokens in (long, short)] == [200, 401]
    door.sandbox.clock.advance(timedelta(hours=1))
    assert (await door.me(long["access_token"])).status_code == 401


async def test_a_revocation_challenges_cp1_clients_and_the_refresh_is_refused(door: Microsoft) -> None:
    tokens = await door.sign_in(WORK, claims=CP1)
    door.sandbox.tokens.revoke(WORK)
    claims = claims_of(await door.me(tokens["access_token"]))
    refused = await door.refresh(tokens["refresh_token"], claims=merged(claims))
    assert refused.json()["error_codes"] == [50173]


async def test_a_batch_is_challenged_as_a_whole(door: Microsoft) -> None:
    tokens = await door.sign_in(WORK, claims=CP1)
    door.sandbox.tokens.challenge(WORK.id)
    steps = {"requests": [{"id": "1", "method": "GET", "url": "/me"}]}
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    claims_of(await door.http.post("/v1.0/$batch", json=steps, headers=bearer))


async def test_a_challenge_survives_a_restart(tmp_path: Path) -> None:
    before = small_sandbox(path=tmp_path / "sandbox.db")
    bearer = before.tokens.issue(WORK.id, "app", frozenset({"User.Read"}), cp1=True).access_token
    before.tokens.challenge(WORK.id)
    before.database.close()
    after = small_sandbox(path=tmp_path / "sandbox.db")
    token = after.tokens.read(bearer)
    assert token
    assert after.tokens.challenge_for(token)
    after.database.close()
