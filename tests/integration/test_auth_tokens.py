"""Access tokens: kept as long as they are good, and one refresh for all who ask."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from pymongo.asynchronous.database import AsyncDatabase

from auth.id_token import Identity
from auth.settings import Settings
from common.errors import ReconnectNeeded
from common.graph import AccessTokens, Graph
from outlook_sandbox.client import SandboxControl
from outlook_sandbox.control.models import AccountOpened
from outlook_sandbox.faults import TokenError, TokenTrouble
from tests.integration.auth_world import (
    ANNA,
    JONAS,
    LIMIT,
    Auth,
    Document,
    changes,
    fingerprint,
    running,
    vaulted,
)
from tests.serving import until


@pytest.mark.parametrize(("username", "kind"), [(ANNA, "work"), (JONAS, "personal")])
async def test_an_access_token_opens_the_accounts_own_calendar(auth: Auth, settings: Settings, username: str, kind: str) -> None:
    answer = (await auth.token(await auth.connected(username))).json()

    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {answer['access_token']}"}) as graph:
        me = (await graph.get(f"{settings.graph_url}/me")).json()
        calendars = await graph.get(f"{settings.graph_url}/me/calendars")
    assert username in (me["mail"], me["userPrincipalName"])
    assert calendars.status_code == 200
    assert timedelta(minutes=50) < datetime.fromisoformat(answer["expires_at"]) - datetime.now(UTC) < timedelta(hours=28)


async def test_a_token_is_kept_until_graph_refuses_it(auth: Auth) -> None:
    connection = await auth.connected()
    first = await auth.access_token(connection)
    assert await auth.access_token(connection) == first
    assert auth.wire.refreshes == 0

    second = (await auth.token(connection, refused=fingerprint(first))).json()["access_token"]
    late = (await auth.token(connection, refused=fingerprint(first))).json()["access_token"]

    assert second != first
    assert late == second
    assert auth.wire.refreshes == 1


async def test_a_challenge_buys_a_new_token(auth: Auth) -> None:
    connection = await auth.connected()
    first = await auth.access_token(connection)

    challenged = await auth.token(connection, claims='{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}')

    assert challenged.json()["access_token"] != first
    assert auth.wire.refreshes == 1


async def test_many_who_ask_at_once_cost_one_refresh_over_all_replicas(
    auth: Auth, settings: Settings, database: AsyncDatabase[Document], redis_url: str
) -> None:
    connection = await auth.connected()
    old = fingerprint(await auth.access_token(connection))
    async with running(settings, database, redis_url, auth.organization) as other:
        await other.ready()
        answers = await asyncio.gather(*(replica.token(connection, refused=old) for replica in (auth, other) * 15))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["access_token"] for answer in answers}) == 1
    assert auth.wire.refreshes + other.wire.refreshes == 1


async def test_a_token_that_ends_too_soon_for_its_purpose_is_renewed(auth: Auth) -> None:
    auth.wire.mangle = lambda body: body | {"expires_in": 1_200}
    connection = await auth.connected()
    auth.wire.mangle = lambda body: body
    short = await auth.access_token(connection)

    enough = (await auth.token(connection, min_life=900)).json()["access_token"]
    renewed = [(await auth.token(connection, min_life=2_700)).json()["access_token"] for _ in range(2)]

    assert enough == short
    assert renewed[0] == renewed[1] != short
    assert auth.wire.refreshes == 1


async def test_a_token_about_to_end_is_renewed_for_everybody(auth: Auth) -> None:
    auth.wire.mangle = lambda body: body | {"expires_in": 299}
    connection = await auth.connected()
    auth.wire.mangle = lambda body: body

    ends = datetime.fromisoformat((await auth.token(connection, min_life=0)).json()["expires_at"])

    assert ends > datetime.now(UTC) + timedelta(minutes=50)
    assert auth.wire.refreshes == 1


async def test_what_microsoft_gives_is_handed_out_even_if_it_lives_for_less(auth: Auth) -> None:
    auth.wire.mangle = lambda body: body | {"expires_in": 1_200}
    connection = await auth.connected()

    assert (await auth.token(connection, min_life=3_000)).status_code == 200
    assert auth.wire.refreshes == 1


@pytest.mark.parametrize("life", [-1, 3_001, 10**30, "soon"])
async def test_no_more_life_can_be_asked_for_than_any_new_token_has(auth: Auth, life: Any) -> None:
    assert (await auth.token("con_1", min_life=life)).status_code == 422


async def test_we_say_that_we_handle_challenges_and_so_tokens_live_for_a_day(auth: Auth) -> None:
    begun = await auth.begin()
    connection = await auth.connected()
    await auth.token(connection, claims='{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}')

    capable = '"xms_cc": {"values": ["CP1"]}'
    assert capable in httpx2.URL(begun["authorize_url"]).params["claims"]
    assert all(capable in form["claims"] for form in auth.wire.sent)
    assert '"nbf": {"essential": true, "value": "1604106651"}' in auth.wire.sent[-1]["claims"]
    ends = datetime.fromisoformat((await auth.token(connection)).json()["expires_at"])
    assert ends > datetime.now(UTC) + timedelta(hours=20)


@asynccontextmanager
async def graph_of(auth: Auth, settings: Settings) -> AsyncIterator[Graph]:
    """Graph as the other services use it, with auth's own door."""
    async with httpx2.AsyncClient(timeout=LIMIT) as http:
        yield Graph(settings.graph_url, http, AccessTokens(auth.http))


async def test_graphs_challenge_is_met_on_the_way_of_one_request(
    auth: Auth, settings: Settings, control: SandboxControl, person: AccountOpened
) -> None:
    connection = await auth.connected(person.username)
    async with graph_of(auth, settings) as graph:
        mailbox = graph.mailbox(connection, "mailbox")
        before = await mailbox.calendars()
        await control.challenge(person.id)
        since = await control.last_request()
        after = await mailbox.calendars()

    statuses = [entry.status for entry in await control.journal(since=since, contains="/me/calendars")]
    assert [calendar.id for calendar in after] == [calendar.id for calendar in before]
    assert statuses == [401, 200]
    assert auth.wire.refreshes == 1
    assert '"nbf": {"essential": true' in auth.wire.sent[-1]["claims"]


async def test_a_revocation_reaches_a_token_that_would_have_lived_for_a_day(
    auth: Auth, settings: Settings, control: SandboxControl, person: AccountOpened
) -> None:
    connection = await auth.connected(person.username)
    async with graph_of(auth, settings) as graph:
        mailbox = graph.mailbox(connection, "mailbox")
        await mailbox.calendars()
        await control.revoke(person.id, "password-reset")
        with pytest.raises(ReconnectNeeded, match="grant-revoked"):
            await mailbox.calendars()

        [listed] = await auth.listed()
        await auth.connect(person.username, connection)
        healed = await mailbox.calendars()

    assert (listed["state"], listed["reason"]) == ("needs-reconnect", "grant-revoked")
    assert healed
    assert changes(auth) == ["connected", "needs-reconnect", "reconnected"]


async def test_fifty_who_ask_while_the_refresh_takes_long_and_fails_once(
    auth: Auth, control: SandboxControl, person: AccountOpened
) -> None:
    connection = await auth.connected(person.username)
    old = fingerprint(await auth.access_token(connection))
    await control.switch_on(TokenTrouble(account=person.id, shape="slow", seconds=5, times=1))
    await control.switch_on(TokenError(account=person.id, aadsts=90033, times=1))

    answers = await asyncio.gather(*(auth.token(connection, refused=old) for _ in range(50)))

    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [503]
    assert len({answer.json()["access_token"] for answer in answers if answer.status_code == 200}) == 1
    assert auth.wire.refreshes == 2
    assert (await auth.stored(connection))["state"] == "active"


async def many_connections(auth: Auth, database: AsyncDatabase[Document], connection: str, count: int) -> list[str]:
    """Of one account, each in an organization of its own, with what the first one's sign-in gave."""
    connections = vaulted(database, "k1")
    opened = await connections.open(connection)
    who = Identity(opened.connection.tid, opened.connection.oid, None)
    now = datetime.now(UTC)
    return [await connections.add(f"org_{number}", who, "pia", opened.cache, now, who="usr_1") for number in range(count)]


async def test_fifty_connections_are_refreshed_side_by_side_while_microsoft_is_slow(
    auth: Auth, control: SandboxControl, person: AccountOpened, database: AsyncDatabase[Document]
) -> None:
    first = await auth.connected(person.username)
    old = fingerprint(await auth.access_token(first))
    connections = await many_connections(auth, database, first, 50)

    async with control.fault(TokenTrouble(account=person.id, shape="slow", seconds=2)):
        answers = await asyncio.gather(*(auth.token(connection, refused=old) for connection in connections))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["access_token"] for answer in answers}) == 50


async def test_refreshes_that_hang_keep_nobody_from_signing_in(
    settings: Settings, database: AsyncDatabase[Document], redis_url: str, organization: str
) -> None:
    few = settings.model_copy(update={"microsoft_refreshes_at_once": 4, "microsoft_sign_ins_at_once": 1})
    async with running(few, database, redis_url, organization) as auth:
        await auth.ready()
        first = await auth.connected()
        old = fingerprint(await auth.access_token(first))
        connections = await many_connections(auth, database, first, 6)
        release = auth.wire.closed = threading.Event()
        hanging = [asyncio.create_task(auth.token(connection, refused=old)) for connection in connections]
        await until(lambda: auth.wire.refreshes == 4)

        signed_in, kept = await auth.connect(JONAS), await auth.token(first)
        waiting = auth.wire.refreshes
        release.set()
        answers = await asyncio.gather(*hanging)

    assert (signed_in["outcome"], kept.status_code, waiting) == ("accepted", 200, 4)
    assert {answer.status_code for answer in answers} == {200}
