"""auth with a real MongoDB, Redis and broker, against the sandbox's Microsoft: connect, tokens, refresh, remove."""

import asyncio
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import jwt
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError
from cryptography.hazmat.primitives.asymmetric import rsa
from pymongo.asynchronous.database import AsyncDatabase

from attendara_local.ports import Ports
from auth.credentials import Credentials
from auth.id_token import Identity
from auth.microsoft import Microsoft, make_microsoft_http
from auth.settings import Settings
from common.messages import ConnectionChanged
from common.messaging import make_messaging
from common.store import AWAY
from tests.consent import give_consent
from tests.integration.auth_world import (
    ANNA,
    JONAS,
    LIMIT,
    NOW,
    Auth,
    Document,
    changes,
    fingerprint,
    made,
    refusal,
    running,
    vaulted,
)
from tests.servers import Kafka

OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


async def test_the_whole_walk_from_connect_to_removal_is_announced_on_kafka(
    settings: Settings, database: AsyncDatabase[Document], redis_url: str, organization: str, kafka: Kafka
) -> None:
    await make_topic(kafka)
    broker = settings.model_copy(
        update={"kafka_bootstrap_servers": kafka.bootstrap_servers, "kafka_idempotence": kafka.idempotence}
    )
    messaging = make_messaging("auth", broker, AWAY)
    async with running(settings, database, redis_url, organization, messaging) as auth:
        await auth.ready()
        outcome = await auth.connect()
        connection = outcome["connection"]
        token = await auth.access_token(connection)

        auth.wire.answers += [refusal("invalid_grant", 50173), refusal("invalid_grant", 50173)]
        dead = await auth.token(connection, refused=fingerprint(token))
        again = await auth.connect(connection=connection)
        new_token = await auth.access_token(connection)
        removed = await auth.remove(connection)
        await auth.until(connection, "removed")
        gone = await auth.token(connection)

    assert outcome == {
        "outcome": "accepted",
        "connection": connection,
        "existing": False,
        "message": "Your Microsoft account is connected.",
        "next_step": "",
        "admin_consent_url": None,
        "return_to": "/calendars/new",
    }
    assert (dead.status_code, dead.json()["title"]) == (409, "needs-reconnect")
    assert (again["outcome"], again["connection"], again["existing"]) == ("accepted", connection, True)
    assert new_token != token
    assert (removed.status_code, gone.status_code) == (202, 404)
    told = ["connected", "needs-reconnect", "reconnected", "removing", "removed"]
    assert await changes_on_kafka(kafka, connection, until="removed") == [(organization, change) for change in told]


async def make_topic(kafka: Kafka) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(ConnectionChanged.topic.name, num_partitions=3, replication_factor=1)])
    except TopicAlreadyExistsError:
        pass
    finally:
        await admin.close()


async def changes_on_kafka(kafka: Kafka, connection: str, until: str) -> list[tuple[str, str]]:
    """What was said of the connection, repeats left out: announcing is at least once."""
    told: list[tuple[str, str]] = []
    consumer = AIOKafkaConsumer(
        ConnectionChanged.topic.name, bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest", group_id=None
    )
    async with consumer, asyncio.timeout(LIMIT):
        async for record in consumer:
            if record.key != connection.encode():
                continue
            message = msgspec.json.decode(record.value, type=ConnectionChanged)
            if (message.organization, message.change) not in told:
                told.append((message.organization, message.change))
            if message.change == until:
                break
    return told


@pytest.mark.parametrize(("username", "kind"), [(ANNA, "work"), (JONAS, "personal")])
async def test_an_access_token_opens_the_accounts_own_calendar(auth: Auth, settings: Settings, username: str, kind: str) -> None:
    answer = (await auth.token(await auth.connected(username))).json()

    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {answer['access_token']}"}) as graph:
        me = (await graph.get(f"{settings.graph_url}/me")).json()
        calendars = await graph.get(f"{settings.graph_url}/me/calendars")
    assert username in (me["mail"], me["userPrincipalName"])
    assert calendars.status_code == 200
    assert timedelta(minutes=50) < datetime.fromisoformat(answer["expires_at"]) - datetime.now(UTC) < timedelta(hours=28)


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


async def test_another_organization_finds_nothing(auth: Auth) -> None:
    connection = await auth.connected()
    stranger = {"organization": "org_stranger"}

    answers = [
        await auth.http.post("/internal/v1/connects", json=auth.asker | stranger | {"connection": connection}),
        await auth.http.patch(f"/internal/v1/connections/{connection}", json=stranger | {"name": "Mine"}),
        await auth.remove(connection, "org_stranger"),
        await auth.token("con_unknown"),
    ]

    assert [(answer.status_code, answer.json()["title"]) for answer in answers] == [(404, "not-found")] * 4
    assert (await auth.http.get("/internal/v1/connections", params=stranger)).json() == []


async def test_what_readers_lost_is_announced_again(auth: Auth) -> None:
    await auth.connected()

    answer = await auth.http.post("/internal/v1/announce", params={"organization": auth.organization})

    assert answer.json() == {"announced": 1}
    await auth.told("connected", "connected")


async def test_a_broker_that_is_away_delays_the_announcement_only(auth: Auth) -> None:
    auth.messaging.down = True
    outcome = await auth.connect()
    assert outcome["outcome"] == "accepted"
    auth.messaging.down = False

    await auth.told("connected")


async def test_no_token_is_readable_where_it_is_stored_or_logged(auth: Auth, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    query = await give_consent((await auth.begin())["authorize_url"], ANNA)
    outcome = await auth.finish(query)
    token = await auth.access_token(outcome["connection"])
    auth.wire.answers += [refusal("invalid_grant", 50173), refusal("invalid_grant", 50173)]
    await auth.token(outcome["connection"], refused=fingerprint(token))

    stored = repr(await auth.stored(outcome["connection"]))
    kept = [await auth.redis.dump(key) async for key in auth.redis.scan_iter()]
    for secret in (token, query["code"], "refresh_token", "RefreshToken"):
        assert secret not in stored + repr(kept)
    ours = "".join(record.getMessage() for record in caplog.records if not record.name.startswith(("pymongo", "httpcore")))
    assert token not in ours
    assert query["code"] not in ours


async def test_the_real_client_trusts_only_the_certificate_that_it_was_told(settings: Settings) -> None:
    with (
        make_microsoft_http(settings) as told,
        make_microsoft_http(settings.model_copy(update={"microsoft_ca_file": None})) as untold,
    ):
        assert (await Microsoft(settings, told, Credentials(settings)).begin(login_hint=None))["state"]
        with pytest.raises(Exception, match="ConnectError"):
            await Microsoft(settings, untold, Credentials(settings)).begin(login_hint=None)
