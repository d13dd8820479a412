"""Refreshing: what fails for now never ends a connection, what ends it is confirmed, and nothing old replaces what is new."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from pymongo.asynchronous.database import AsyncDatabase

from auth.credentials import Credentials
from auth.id_token import Identity
from auth.idle import Idle
from auth.microsoft import Microsoft, make_microsoft_http
from auth.settings import Settings
from auth.tokens import Tokens
from common.runner import Runner
from outlook_sandbox.client import SandboxControl
from outlook_sandbox.control.models import AccountOpened
from outlook_sandbox.faults import TokenError, TokenTrouble
from tests.integration.auth_world import (
    LIMIT,
    NOW,
    Auth,
    Document,
    changes,
    fingerprint,
    made,
    refusal,
    vaulted,
)
from tests.serving import until


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(503, text="busy"),
        httpx2.Response(200, text="<html>not JSON</html>"),
        refusal("temporarily_unavailable", 90055),
        refusal("invalid_client", 7000222, 401),
    ],
)
async def test_a_refresh_that_fails_for_now_never_kills_a_connection(auth: Auth, answer: httpx2.Response) -> None:
    connection = await auth.connected()
    old = fingerprint(await auth.access_token(connection))
    auth.wire.answers.append(answer)

    failed = await auth.token(connection, refused=old)
    then = await auth.token(connection, refused=old)

    assert (failed.status_code, then.status_code) == (503, 200)
    assert (await auth.stored(connection))["state"] == "active"


async def test_a_failure_hits_only_the_caller_who_met_it(auth: Auth) -> None:
    connection = await auth.connected()
    old = fingerprint(await auth.access_token(connection))
    auth.wire.answers.append(httpx2.Response(503, text="busy"))

    answers = await asyncio.gather(*(auth.token(connection, refused=old) for _ in range(50)))

    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [503]
    assert auth.wire.refreshes == 2


async def test_a_refusal_that_is_not_repeated_does_not_kill_a_connection(auth: Auth) -> None:
    connection = await auth.connected()
    old = fingerprint(await auth.access_token(connection))
    auth.wire.answers.append(refusal("invalid_grant", 70000))

    assert (await auth.token(connection, refused=old)).status_code == 200
    assert auth.wire.refreshes == 2
    assert changes(auth) == ["connected"]


@pytest.mark.parametrize(
    ("answer", "state", "reason"),
    [
        (("invalid_grant", 700082), "needs-reconnect", "grant-expired"),
        (("interaction_required", 50076), "needs-reconnect", "sign-in-required"),
        (("invalid_grant", 90094), "needs-admin-consent", "admin-approval"),
    ],
)
async def test_a_repeated_refusal_needs_its_people_and_is_announced(
    auth: Auth, answer: tuple[str, int], state: str, reason: str
) -> None:
    connection = await auth.connected()
    token = await auth.access_token(connection)
    auth.wire.answers += [refusal(*answer), refusal(*answer)]

    first = await auth.token(connection, refused=fingerprint(token))
    later = await auth.token(connection)

    assert [(one.status_code, one.json()["title"]) for one in (first, later)] == [(409, state)] * 2
    [listed] = await auth.listed()
    assert (listed["state"], listed["reason"]) == (state, reason)
    assert auth.wire.refreshes == 2
    assert changes(auth) == ["connected", state]


async def test_a_grant_revoked_at_microsoft_is_healed_in_place_by_signing_in_again(auth: Auth) -> None:
    connection = await auth.connected()
    old = fingerprint(await auth.access_token(connection))
    auth.wire.answers += [refusal("invalid_grant", 50173), refusal("invalid_grant", 50173)]
    await auth.token(connection, refused=old)

    await auth.connect(connection=connection)

    [listed] = await auth.listed()
    assert (listed["id"], listed["state"], listed["reason"]) == (connection, "active", None)
    assert fingerprint(await auth.access_token(connection)) != old
    assert changes(auth) == ["connected", "needs-reconnect", "reconnected"]


@pytest.mark.parametrize("answers", [[], [refusal("invalid_grant", 50173)] * 2], ids=["refreshed", "refused"])
async def test_a_refresh_that_a_reconnect_overtook_neither_replaces_nor_kills_what_is_new(
    auth: Auth, answers: list[httpx2.Response]
) -> None:
    connection = await auth.connected()
    old = fingerprint(await auth.access_token(connection))
    release = auth.wire.held = threading.Event()
    asking = asyncio.create_task(auth.token(connection, refused=old))
    assert await asyncio.to_thread(auth.wire.arrived.wait, LIMIT)

    assert (await auth.connect())["outcome"] == "accepted"
    newer = await auth.stored(connection)
    auth.wire.answers += answers
    release.set()
    answer = await asking

    assert answer.status_code == 200
    stored = await auth.stored(connection)
    assert (stored["state"], stored["cache"]) == ("active", newer["cache"])
    assert answer.json()["access_token"] == await auth.access_token(connection)


async def test_a_reconnect_that_a_refusal_overtook_sees_it_and_heals_it(database: AsyncDatabase[Document]) -> None:
    connections = vaulted(database, "k1")
    connection = await made(connections, 1)
    opened = await connections.open(connection)
    assert await connections.declare_dead(opened, "needs-reconnect", "grant-revoked", NOW)

    assert not await connections.renew(opened, "a new cache", "anna", NOW, who="usr_1")
    seen = await connections.of_account("org_1", Identity("tid", "oid 1", None))
    assert seen
    assert await connections.renew(seen, "a new cache", "anna", NOW, who="usr_1")

    healed = await connections.open(connection)
    assert (healed.connection.state, healed.cache) == ("active", "a new cache")


async def test_a_refresh_that_a_refusal_overtook_is_thrown_away(database: AsyncDatabase[Document]) -> None:
    connections = vaulted(database, "k1")
    opened = await connections.open(await made(connections, 1))
    assert await connections.declare_dead(opened, "needs-reconnect", "grant-revoked", NOW)

    assert not await connections.keep_cache(opened, "another cache", NOW)


async def test_a_lease_that_a_dead_replica_left_is_taken_over(auth: Auth) -> None:
    connection = await auth.connected()
    old = fingerprint(await auth.access_token(connection))
    ended = {"holder": "a dead replica", "until": datetime.now(UTC) - timedelta(seconds=1)}
    await auth.database.connections.update_one({"_id": connection}, {"$set": {"lease": ended}})

    assert (await auth.token(connection, refused=old)).status_code == 200
    assert "lease" not in await auth.stored(connection)


@pytest.mark.parametrize("shape", ["slow", "unavailable", "html", "cut"])
async def test_whatever_trouble_microsoft_has_never_ends_a_connection(
    auth: Auth, control: SandboxControl, person: AccountOpened, shape: Any
) -> None:
    connection = await auth.connected(person.username)
    old = fingerprint(await auth.access_token(connection))

    async with control.fault(TokenTrouble(account=person.id, shape=shape, seconds=0.3)):
        troubled = [await auth.token(connection, refused=old) for _ in range(3)]
    then = await auth.token(connection, refused=old)

    assert {answer.status_code for answer in troubled} == ({200} if shape == "slow" else {503})
    assert then.status_code == 200
    assert [one["state"] for one in await auth.listed()] == ["active"]
    assert changes(auth) == ["connected"]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_no_status_of_microsofts_trouble_ends_a_connection(
    auth: Auth, control: SandboxControl, person: AccountOpened, status: int
) -> None:
    connection = await auth.connected(person.username)
    async with control.fault(TokenTrouble(account=person.id, status=status)):
        troubled = await auth.token(connection, claims="{}")

    assert (troubled.status_code, troubled.json()["title"]) == (503, "microsoft-away")
    assert (await auth.stored(connection))["state"] == "active"


async def test_a_microsoft_that_does_not_answer_at_all_ends_no_connection(auth: Auth) -> None:
    connection = await auth.connected()

    def silent(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadTimeout("nothing came")

    auth.wire.real = httpx2.MockTransport(silent)
    troubled = await auth.token(connection, claims="{}")

    assert (troubled.status_code, troubled.json()["title"]) == (503, "microsoft-away")
    assert (await auth.stored(connection))["state"] == "active"


REASONS = {
    "grant-revoked": {50173},
    "grant-expired": {70008, 700082, 700084},
    "grant-refused": {70000},
    "session-revoked": {50132, 50133},
    "sign-in-too-old": {70043},
    "sign-in-required": {50058, 50072, 50074, 50076, 50078, 50079, 50097},
    "password-expired": {50055},
    "account-disabled": {50057},
    "account-gone": {50034},
    "consent-withdrawn": {65001},
    "conditional-access": {50131, 53000, 53001, 53003, 530032, 530035},
    "not-assigned": {50105},
    "account-elsewhere": {16000, 50020},
    "admin-approval": {90094, 90095},
}


@pytest.mark.parametrize(
    ("reason", "number"), [(reason, number) for reason, numbers in REASONS.items() for number in sorted(numbers)]
)
async def test_each_refusal_that_only_people_can_mend_needs_them_once_it_is_confirmed(
    auth: Auth, control: SandboxControl, person: AccountOpened, reason: str, number: int
) -> None:
    connection = await auth.connected(person.username)
    state = "needs-admin-consent" if reason == "admin-approval" else "needs-reconnect"
    async with control.fault(TokenError(account=person.id, aadsts=number, grant="refresh_token")):
        dead = await auth.token(connection, claims="{}")

    assert (dead.status_code, dead.json()["title"]) == (409, state)
    assert [(one["state"], one["reason"]) for one in await auth.listed()] == [(state, reason)]
    assert auth.wire.refreshes == 2
    await auth.connect(person.username, connection)
    assert [one["state"] for one in await auth.listed()] == ["active"]


@pytest.mark.parametrize(
    "number", [50011, 50194, 70011, 700016, 700027, 7000112, 7000215, 7000218, 7000222, 90002, 900144, 9002332]
)
async def test_our_own_mistakes_end_no_connection(auth: Auth, control: SandboxControl, person: AccountOpened, number: int) -> None:
    connection = await auth.connected(person.username)
    async with control.fault(TokenError(account=person.id, aadsts=number, grant="refresh_token")):
        refused = await auth.token(connection, claims="{}")

    assert (refused.status_code, refused.json()["title"]) == (503, "app-misconfigured")
    assert (await auth.stored(connection))["state"] == "active"
    assert (await auth.token(connection, claims="{}")).status_code == 200


async def test_a_refusal_and_then_trouble_confirms_nothing(auth: Auth, control: SandboxControl, person: AccountOpened) -> None:
    connection = await auth.connected(person.username)
    auth.wire.answers += [refusal("invalid_grant", 50173), httpx2.Response(503, text="busy")]

    assert (await auth.token(connection, claims="{}")).status_code == 503
    assert (await auth.stored(connection))["state"] == "active"


async def test_the_rotated_refresh_token_is_stored_before_the_access_token_is_handed_out(auth: Auth) -> None:
    connection = await auth.connected()
    for _ in range(3):
        await auth.token(connection, claims="{}")
        given, opened = await auth.access_token(connection), await vaulted(auth.database, "k1").open(connection)
        assert given in opened.cache
        assert opened.cache.count('"credential_type": "AccessToken"') == 1
        assert opened.cache.count('"credential_type": "RefreshToken"') == 1
    shown = [form["refresh_token"] for form in auth.wire.sent if "refresh_token" in form]
    assert len(set(shown)) == 3


async def test_a_refresh_for_other_scopes_leaves_nothing_old_behind(auth: Auth) -> None:
    connection = await auth.connected()
    before = await auth.access_token(connection)
    auth.wire.mangle = lambda body: body | {"scope": "openid profile Calendars.ReadWrite"}

    await auth.token(connection, claims="{}")

    opened = await vaulted(auth.database, "k1").open(connection)
    assert before not in opened.cache
    assert opened.cache.count('"credential_type": "RefreshToken"') == 1
    assert opened.connection.scopes == ("Calendars.ReadWrite",)


REST = timedelta(days=30)


@asynccontextmanager
async def idling(auth: Auth, settings: Settings) -> AsyncIterator[None]:
    """What refreshes idle connections, in a replica that looks often."""
    connections = vaulted(auth.database, "k1")
    with make_microsoft_http(settings) as http:
        tokens = Tokens(connections, Microsoft(settings, http, Credentials(settings)))
        async with Runner("refresh idle", connections.idle, Idle(tokens, REST).refresh, 2, look_every=0.05).running():
            yield


async def rested(auth: Auth, connection: str, days: float) -> Document:
    """Last refreshed so long ago, and now looked at; returns what is stored once it was."""
    now = datetime.now(UTC).replace(microsecond=0)
    due = {"refreshed_at": now - timedelta(days=days), "idle.due_at": now}
    await auth.database.connections.update_one({"_id": connection}, {"$set": due})

    async def looked_at() -> bool:
        mark = (await auth.stored(connection)).get("idle", {"due_at": None})
        return "lease" not in mark and mark["due_at"] != now

    await until(looked_at)
    return await auth.stored(connection)


async def test_a_connection_that_nobody_uses_is_refreshed_long_before_it_dies(auth: Auth, settings: Settings) -> None:
    connection = await auth.connected()
    before = await auth.stored(connection)
    async with idling(auth, settings):
        after = await rested(auth, connection, days=29)

    assert after["cache"]["version"] == before["cache"]["version"] + 1
    assert after["refreshed_at"] > datetime.now(UTC) - timedelta(minutes=1)
    assert timedelta(days=23) < after["idle"]["due_at"] - after["refreshed_at"] <= REST
    assert (await auth.token(connection)).status_code == 200


async def test_a_connection_that_is_in_use_is_left_alone(auth: Auth, settings: Settings) -> None:
    connection = await auth.connected()
    before = await auth.stored(connection)
    async with idling(auth, settings):
        after = await rested(auth, connection, days=20)

    assert after["cache"] == before["cache"]
    assert timedelta(days=24) <= after["idle"]["due_at"] - after["refreshed_at"] <= REST


async def test_an_idle_connection_that_microsoft_ended_needs_its_people(
    auth: Auth, settings: Settings, control: SandboxControl, person: AccountOpened
) -> None:
    connection = await auth.connected(person.username)
    await control.revoke(person.id, "admin")
    async with idling(auth, settings):
        after = await rested(auth, connection, days=29)

    assert (after["state"], after["reason"]) == ("needs-reconnect", "grant-revoked")
    assert after["idle"]["due_at"] > datetime.now(UTC) + timedelta(days=29)


async def test_an_idle_connection_is_tried_again_soon_when_microsoft_is_away(
    auth: Auth, settings: Settings, control: SandboxControl, person: AccountOpened
) -> None:
    connection = await auth.connected(person.username)
    async with idling(auth, settings):
        async with control.fault(TokenTrouble(account=person.id)):
            failed = await rested(auth, connection, days=29)
        await until(lambda: refreshed_since(auth, connection, failed))

    assert failed["state"] == "active"
    assert failed["idle"]["attempts"] >= 1
    assert failed["idle"]["due_at"] < datetime.now(UTC) + timedelta(minutes=15)


async def refreshed_since(auth: Auth, connection: str, failed: Document) -> bool:
    return bool((await auth.stored(connection))["refreshed_at"] > failed["refreshed_at"])


@pytest.mark.parametrize("state", ["removing", "removed"])
async def test_a_connection_that_goes_is_no_longer_looked_at(auth: Auth, settings: Settings, state: str) -> None:
    connection = await auth.connected()
    await auth.database.connections.update_one({"_id": connection}, {"$set": {"state": state}})
    async with idling(auth, settings):
        await auth.database.calendars.insert_one({"_id": "cal_1", "organization": auth.organization, "connection": connection})
        after = await rested(auth, connection, days=29)

    assert "idle" not in after


async def test_a_new_connection_is_not_looked_at_before_it_could_be_idle(auth: Auth) -> None:
    stored = await auth.stored(await auth.connected())
    assert stored["idle"]["due_at"] > datetime.now(UTC) + timedelta(hours=23)


async def test_finding_what_is_due_costs_the_same_however_many_are_not(auth: Auth) -> None:
    await auth.connected()
    connections = auth.database.connections
    plan = await connections.find({"idle.due_at": {"$lte": datetime.now(UTC)}}).sort("idle.due_at").explain()

    assert '"COLLSCAN"' not in repr(plan).replace("'", '"')
    assert plan["executionStats"]["totalDocsExamined"] == 0
