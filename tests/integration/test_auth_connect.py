"""Connecting a Microsoft account, new or again, and everything that a stranger could bring along instead."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pymongo.asynchronous.database import AsyncDatabase

from attendara_local.ports import Ports
from auth.credentials import Credentials
from auth.microsoft import Microsoft, make_microsoft_http
from auth.settings import Settings
from outlook_sandbox.client import SandboxControl
from outlook_sandbox.control.models import AccountOpened
from outlook_sandbox.faults import TokenTrouble
from tests.consent import give_consent
from tests.integration.auth_world import (
    ANNA,
    JONAS,
    Auth,
    Document,
    changes,
    fingerprint,
    refusal,
    running,
)
from tests.serving import until

OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


async def test_a_new_connection_is_listed_by_its_user_name_until_it_gets_a_label(auth: Auth) -> None:
    connection = await auth.connected()
    [before] = await auth.listed()
    renamed = await auth.http.patch(
        f"/internal/v1/connections/{connection}", json={"organization": auth.organization, "name": " Front desk "}
    )

    assert (before["id"], before["name"], before["username"], before["state"]) == (connection, ANNA, ANNA, "active")
    assert renamed.json() == (await auth.listed())[0] == before | {"name": "Front desk"}


async def test_two_accounts_of_one_organization_are_two_connections(auth: Auth) -> None:
    assert await auth.connected(ANNA) != await auth.connected(JONAS)
    assert len(await auth.listed()) == 2


async def test_the_same_account_twice_is_the_same_connection_and_announced_once(auth: Auth) -> None:
    first, second = await auth.connect(), await auth.connect()

    assert second["connection"] == first["connection"]
    assert (first["existing"], second["existing"]) == (False, True)
    assert "connected already" in second["message"]
    assert changes(auth) == ["connected"]


async def test_the_same_account_from_two_browsers_at_once_is_one_connection(auth: Auth) -> None:
    begun = [await auth.begin(), await auth.begin()]
    queries = [await give_consent(flow["authorize_url"], ANNA) for flow in begun]

    outcomes = await asyncio.gather(*(auth.finish(query) for query in queries))

    assert {outcome["connection"] for outcome in outcomes} == {(await auth.listed())[0]["id"]}


async def test_a_new_connect_lets_one_choose_and_a_reconnect_names_the_account(auth: Auth) -> None:
    new = httpx2.URL((await auth.begin())["authorize_url"]).params
    again = httpx2.URL((await auth.begin(await auth.connected()))["authorize_url"]).params

    assert (new["prompt"], "login_hint" in new) == ("select_account", False)
    assert (again["login_hint"], "prompt" in again) == (ANNA, False)
    assert (new["response_mode"], new["code_challenge_method"]) == ("query", "S256")
    assert {"offline_access", "openid", "Calendars.ReadWrite", "MailboxSettings.ReadWrite", "User.Read"} <= set(
        new["scope"].split()
    )


async def test_a_declined_consent_connects_nothing_and_says_so(auth: Auth) -> None:
    begun = await auth.begin()
    outcome = await auth.finish(await give_consent(begun["authorize_url"], ANNA, answer="cancel"))

    assert (outcome["outcome"], outcome["connection"], outcome["return_to"]) == ("declined", None, "/calendars/new")
    assert await auth.listed() == []


async def test_a_reconnect_with_another_account_changes_nothing(auth: Auth) -> None:
    connection = await auth.connected(ANNA)
    before = await auth.stored(connection)

    outcome = await auth.connect(JONAS, connection)

    assert (outcome["outcome"], outcome["connection"]) == ("wrong-account", connection)
    assert await auth.stored(connection) == before
    assert len(await auth.listed()) == 1


async def test_a_reconnect_whose_account_was_removed_meanwhile_says_so(auth: Auth) -> None:
    connection = await auth.connected()
    query = await give_consent((await auth.begin(connection))["authorize_url"], ANNA)
    await auth.remove(connection)

    outcome = await auth.finish(query)

    assert outcome["outcome"] == "expired"
    assert "was removed" in outcome["message"]
    assert (await auth.stored(connection))["state"] in ("removing", "removed")


async def test_a_sign_in_can_be_finished_once(auth: Auth) -> None:
    query = await give_consent((await auth.begin())["authorize_url"], ANNA)

    assert [(await auth.finish(query))["outcome"] for _ in range(2)] == ["accepted", "expired"]


@pytest.mark.parametrize("who", ["organization", "user", "session", "binding"])
async def test_a_return_of_somebody_else_is_refused_and_uses_the_sign_in_up(auth: Auth, who: str) -> None:
    query = await give_consent((await auth.begin())["authorize_url"], ANNA)

    foreign = await auth.finish(query, **{who: fingerprint("another")})
    own = await auth.finish(query)

    assert (foreign["outcome"], foreign["return_to"], own["outcome"]) == ("mismatch", None, "expired")
    assert await auth.listed() == []


@pytest.mark.parametrize("state", [None, "", "made-up", "x" * 5000])
async def test_a_state_that_is_not_ours_is_expired(auth: Auth, state: str | None) -> None:
    query = {"code": "1.abc"} | ({"state": state} if state is not None else {})
    assert (await auth.finish(query))["outcome"] == "expired"


async def test_redis_emptied_in_the_middle_of_a_sign_in_means_to_start_again(auth: Auth) -> None:
    query = await give_consent((await auth.begin())["authorize_url"], ANNA)
    await auth.redis.flushdb()

    assert (await auth.finish(query))["outcome"] == "expired"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (refusal("invalid_client", 7000222, 401), "app-misconfigured"),
        (refusal("temporarily_unavailable", 90055), "microsoft-away"),
        (httpx2.Response(503, text="busy"), "microsoft-away"),
        (httpx2.Response(200, text="<html>not JSON</html>"), "microsoft-away"),
        (refusal("invalid_grant", 54005), "expired"),
        (refusal("invalid_grant", 90094), "admin-consent-needed"),
    ],
)
async def test_each_refusal_of_the_code_is_an_outcome(auth: Auth, answer: httpx2.Response, outcome: str) -> None:
    query = await give_consent((await auth.begin())["authorize_url"], ANNA)
    auth.wire.answers.append(answer)

    ended = await auth.finish(query)

    assert (ended["outcome"], ended["return_to"]) == (outcome, "/calendars/new")
    assert await auth.listed() == []


def without(*names: str) -> Callable[[Document], Document]:
    return lambda body: {name: value for name, value in body.items() if name not in names}


def with_claims(**changes: Any) -> Callable[[Document], Document]:
    """The id_token changed, and signed by somebody else."""

    def mangle(body: Document) -> Document:
        claims = jwt.decode(body["id_token"], options={"verify_signature": False}) | changes
        head = jwt.get_unverified_header(body["id_token"])
        return body | {"id_token": jwt.encode(claims, OTHER_KEY, algorithm="RS256", headers={"kid": head["kid"]})}

    return mangle


@pytest.mark.parametrize(
    ("mangle", "outcome"),
    [
        (without("id_token"), "mismatch"),
        (with_claims(), "mismatch"),
        (with_claims(oid="somebody else"), "mismatch"),
        (with_claims(nonce="another"), "mismatch"),
        (without("refresh_token"), "app-misconfigured"),
        (lambda body: body | {"scope": "openid profile User.Read"}, "declined"),
    ],
    ids=["no id_token", "foreign signature", "foreign account", "wrong nonce", "no refresh token", "no calendars"],
)
async def test_tokens_that_are_not_what_we_asked_for_connect_nothing(
    auth: Auth, mangle: Callable[[Document], Document], outcome: str
) -> None:
    auth.wire.mangle = mangle

    assert (await auth.connect())["outcome"] == outcome
    assert await auth.listed() == []


async def test_a_graph_that_is_away_ends_a_sign_in_kindly(
    settings: Settings, database: AsyncDatabase[Document], redis_url: str, organization: str
) -> None:
    nowhere = settings.model_copy(update={"graph_url": f"http://localhost:{Ports.free().auth}/v1.0"})
    async with running(nowhere, database, redis_url, organization) as auth:
        await auth.ready()
        assert (await auth.connect())["outcome"] == "microsoft-away"


async def test_many_sign_ins_begin_at_once(auth: Auth) -> None:
    begun = await asyncio.gather(*(auth.begin() for _ in range(20)))
    assert len({flow["flow"] for flow in begun}) == 20


async def test_a_code_of_another_sign_in_is_refused(auth: Auth) -> None:
    other = await give_consent((await auth.begin())["authorize_url"], ANNA)
    mine = await give_consent((await auth.begin())["authorize_url"], ANNA)

    assert (await auth.finish(mine | {"code": other["code"]}))["outcome"] == "expired"


async def test_the_real_client_trusts_only_the_certificate_that_it_was_told(settings: Settings) -> None:
    with (
        make_microsoft_http(settings) as told,
        make_microsoft_http(settings.model_copy(update={"microsoft_ca_file": None})) as untold,
    ):
        assert (await Microsoft(settings, told, Credentials(settings)).begin(login_hint=None))["state"]
        with pytest.raises(Exception, match="ConnectError"):
            await Microsoft(settings, untold, Credentials(settings)).begin(login_hint=None)


async def test_a_sign_in_is_kept_for_ten_minutes_and_no_longer(auth: Auth) -> None:
    begun = await auth.begin()
    [key] = [key async for key in auth.redis.scan_iter()]
    left = await auth.redis.ttl(key)
    query = await give_consent(begun["authorize_url"], ANNA)
    await auth.redis.expire(key, 0)

    assert 590 < left <= 600
    assert (await auth.finish(query))["outcome"] == "expired"


@pytest.mark.parametrize("tampered", ["swapped", "cut", "longer"])
async def test_a_state_that_was_tampered_with_is_expired_and_leaves_the_true_one_good(auth: Auth, tampered: str) -> None:
    query = await give_consent((await auth.begin())["authorize_url"], ANNA)
    state = query["state"]
    wrong = {"swapped": state.swapcase(), "cut": state[:-1], "longer": f"{state}a"}[tampered]

    assert (await auth.finish(query | {"state": wrong}))["outcome"] == "expired"
    assert (await auth.finish(query))["outcome"] == "accepted"


async def test_a_code_that_was_redeemed_before_is_worth_nothing(auth: Auth) -> None:
    query = await give_consent((await auth.begin())["authorize_url"], ANNA)
    [key] = [key async for key in auth.redis.scan_iter()]
    kept = await auth.redis.get(key)
    first = await auth.finish(query)
    await auth.redis.set(key, kept or b"")

    assert (first["outcome"], (await auth.finish(query))["outcome"]) == ("accepted", "expired")


async def test_a_code_and_no_more_is_enough_only_with_our_state(auth: Auth) -> None:
    query = await give_consent((await auth.begin())["authorize_url"], ANNA)

    assert (await auth.finish({"code": query["code"]}))["outcome"] == "expired"
    assert (await auth.finish(query))["outcome"] == "accepted"


async def test_a_state_without_a_code_connects_nothing(auth: Auth) -> None:
    ended = await auth.finish({"state": (await auth.begin())["flow"]})

    assert ended["outcome"] in ("mismatch", "expired", "microsoft-away")
    assert await auth.listed() == []


@pytest.mark.parametrize(
    "return_to",
    [
        "https://evil.example/settings",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "settings/calendars",
        "/settings\r\nSet-Cookie: a=b",
        "/" + "x" * 500,
        "",
    ],
)
async def test_a_return_to_another_site_is_refused_at_the_beginning(auth: Auth, return_to: str) -> None:
    answer = await auth.http.post("/internal/v1/connects", json=auth.asker | {"return_to": return_to})

    assert (answer.status_code, answer.json()["title"]) == (422, "invalid")
    assert "evil" not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        {"code": "c" * 8_001, "state": "s"},
        {"state": "s" * 8_001},
        {"s" * 301: "s"},
        {str(number): "" for number in range(31)},
    ],
    ids=["code", "state", "name", "many"],
)
async def test_parameters_that_are_too_large_are_refused(auth: Auth, query: dict[str, str]) -> None:
    answer = await auth.http.post("/internal/v1/connects/finish", json=auth.asker | {"query": query})

    assert (answer.status_code, answer.json()["title"]) == (422, "invalid")
    assert len(answer.content) < 2_000


async def test_the_largest_parameters_that_are_taken_end_a_sign_in_kindly(auth: Auth) -> None:
    state = (await auth.begin())["flow"]
    huge = {str(number): "é" for number in range(26)} | {"session_state": "x" * 8_000, "iss": "x" * 8_000}

    ended = await auth.finish(huge | {"code": "c" * 8_000, "state": state})

    assert ended["outcome"] == "expired"
    assert await auth.listed() == []


async def test_another_organizations_connection_cannot_be_reconnected(
    auth: Auth, settings: Settings, database: AsyncDatabase[Document], redis_url: str
) -> None:
    connection = await auth.connected()
    async with running(settings, database, redis_url, "org_stranger") as stranger:
        await stranger.ready()
        answer = await stranger.http.post("/internal/v1/connects", json=stranger.asker | {"connection": connection})

    assert (answer.status_code, answer.json()["title"]) == (404, "not-found")


async def test_a_reconnect_whose_connection_went_while_it_was_being_saved_connects_nothing(
    auth: Auth, control: SandboxControl, person: AccountOpened
) -> None:
    connection = await auth.connected(person.username)
    query = await give_consent((await auth.begin(connection))["authorize_url"], person.username)
    async with control.fault(TokenTrouble(account=person.id, shape="slow", seconds=1)):
        finishing = asyncio.create_task(auth.finish(query))
        await until(lambda: auth.wire.sent[1:])
        await auth.remove(connection)
        ended = await finishing

    assert ended["outcome"] == "expired"
    assert "was removed" in ended["message"]
    await auth.until(connection, "removed")
    assert await auth.listed() == []


async def test_a_wrong_authority_is_said_and_this_replica_gets_no_calls(
    settings: Settings, database: AsyncDatabase[Document], redis_url: str, organization: str
) -> None:
    elsewhere = settings.model_copy(update={"microsoft_authority": f"{settings.microsoft_authority}-nobody-lives-here"})
    async with running(elsewhere, database, redis_url, organization) as auth:
        words = await until(lambda: only_the_authority(auth))
        begun = await auth.http.post("/internal/v1/connects", json=auth.asker)

    assert words == f"no metadata can be had from {elsewhere.microsoft_authority}"
    assert (begun.status_code, begun.json()["title"]) == (503, "app-misconfigured")


async def only_the_authority(auth: Auth) -> str | None:
    """Why a replica isn't ready, once nothing else is wrong."""
    words = (await auth.http.get("/readyz")).json()
    return words["authority"] if words.keys() == {"status", "authority"} else None


async def test_a_microsoft_that_is_away_keeps_no_replica_from_its_work(
    auth: Auth, settings: Settings, database: AsyncDatabase[Document], redis_url: str
) -> None:
    connection = await auth.connected()
    nowhere = f"https://localhost:{Ports.free().auth}/common"
    async with running(
        settings.model_copy(update={"microsoft_authority": nowhere}), database, redis_url, auth.organization
    ) as other:
        await other.ready()
        kept = await other.token(connection)
        begun = await other.http.post("/internal/v1/connects", json=other.asker)

    assert kept.status_code == 200
    assert (begun.status_code, begun.json()["title"]) == (503, "microsoft-away")
