"""auth with a real MongoDB, Redis and broker, against the sandbox's Microsoft: connect, tokens, refresh, remove."""

import asyncio
import base64
import hashlib
import logging
import os
import ssl
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import jwt
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError
from asgi_lifespan import LifespanManager
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr
from pymongo.asynchronous.database import AsyncDatabase
from redis.asyncio import Redis

from attendara_local.crew import Crew
from attendara_local.part import Recipe
from attendara_local.ports import Ports
from attendara_local.ready import http_ready
from auth.app import create_app
from auth.microsoft import Microsoft, make_microsoft_http
from auth.profile import Profiles
from auth.settings import Settings
from auth.vault import make_vault
from common.messages import ConnectionChanged
from common.messaging import make_messaging
from common.store import AWAY
from tests.consent import give_consent
from tests.fakes.recorded_messaging import RecordedMessaging
from tests.servers import Kafka, Servers

ANNA, JONAS = "anna.keller@bergpraxis.example", "bergpraxis.lehmann@outlook.example"
RETURN = "http://localhost:8400/connect/microsoft/return"
CREDENTIAL = "settings-web:a-credential"
LIMIT = 20.0
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
Document = dict[str, Any]


@dataclass(frozen=True)
class Sandbox:
    ports: Ports
    folder: Path

    @property
    def http(self) -> str:
        return f"http://localhost:{self.ports.sandbox_http}"

    @property
    def environment(self) -> dict[str, str]:
        """What auth must be told to take the sandbox for Microsoft."""
        return {
            "MICROSOFT_AUTHORITY": f"https://localhost:{self.ports.sandbox_https}/common",
            "MICROSOFT_CLIENT_ID": "5a9d2c1e-7b40-4c7e-9d53-2f6f0b8f6a11",
            "MICROSOFT_CLIENT_SECRET": "sandbox-app-secret",
            "MICROSOFT_REDIRECT_URI": RETURN,
            "MICROSOFT_CA_FILE": str(self.folder / "ca.pem"),
            "GRAPH_URL": f"{self.http}/v1.0",
            "SERVICE_CREDENTIALS": f"{CREDENTIAL},cli:another",
            "TOKEN_KEYS": "k1:" + base64.b64encode(bytes(range(32))).decode(),
        }


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The sandbox as a process of its own, with its two accounts."""
    folder, ports = tmp_path_factory.mktemp("sandbox"), Ports.free()
    environment = {
        "PATH": os.defpath,
        "SANDBOX_DATA": str(folder),
        "SANDBOX_HTTP_PORT": str(ports.sandbox_http),
        "SANDBOX_HTTPS_PORT": str(ports.sandbox_https),
        "SANDBOX_REDIRECT_URIS": RETURN,
    }
    crew = Crew(folder)
    command = f"{sys.executable} -m outlook_sandbox"
    try:
        crew.start([Recipe("sandbox", command, environment, http_ready(ports.sandbox_http))])
        yield Sandbox(ports, folder)
    finally:
        crew.stop()


@dataclass
class Wire(httpx2.BaseTransport):
    """The way to Microsoft's token endpoint: counts refreshes, answers in its place, mangles its answers, is held up."""

    real: httpx2.BaseTransport
    refreshes: int = 0
    answers: deque[httpx2.Response] = field(default_factory=deque)
    mangle: Callable[[Document], Document] = lambda body: body
    held: threading.Event | None = None
    arrived: threading.Event = field(default_factory=threading.Event)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if not request.url.path.endswith("/token"):
            return self.real.handle_request(request)
        if b"grant_type=refresh_token" in request.content:
            self.refreshes += 1
            self.arrived.set()
            if self.held:
                held, self.held = self.held, None
                held.wait(LIMIT)
        if self.answers:
            return self.answers.popleft()
        answer = self.real.handle_request(request)
        answer.read()
        return httpx2.Response(answer.status_code, json=self.mangle(answer.json()))


def refusal(error: str, code: int, status: int = 400) -> httpx2.Response:
    return httpx2.Response(status, json={"error": error, "error_codes": [code], "error_description": f"AADSTS{code}: Words."})


@dataclass
class Auth:
    """auth's internal door as settings-web and the others use it, and what stands behind it."""

    http: httpx2.AsyncClient
    wire: Wire
    database: AsyncDatabase[Document]
    redis: Redis
    organization: str
    messaging: Any
    asker: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        binding = hashlib.sha256(b"the browser's cookie").hexdigest()
        self.asker = {"organization": self.organization, "user": "usr_1", "session": "ses_1", "binding": binding}

    async def begin(self, connection: str | None = None) -> Document:
        wish = self.asker | {"return_to": "/calendars/new", "connection": connection}
        answer = await self.http.post("/internal/v1/connects", json=wish)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def finish(self, query: dict[str, str], **changes: str) -> Document:
        answer = await self.http.post("/internal/v1/connects/finish", json=self.asker | changes | {"query": query})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def connect(self, username: str = ANNA, connection: str | None = None) -> Document:
        return await self.finish(await give_consent((await self.begin(connection))["authorize_url"], username))

    async def connected(self, username: str = ANNA) -> str:
        outcome = await self.connect(username)
        assert outcome["outcome"] == "accepted", outcome
        return str(outcome["connection"])

    async def token(self, connection: str, **body: str) -> httpx2.Response:
        return await self.http.post(f"/internal/v1/connections/{connection}/token", json=body)

    async def access_token(self, connection: str) -> str:
        answer = await self.token(connection)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    async def stored(self, connection: str) -> Document:
        document = await self.database.connections.find_one({"_id": connection})
        assert document
        return document

    async def until(self, connection: str, state: str) -> None:
        async def reached() -> bool:
            return bool((await self.stored(connection))["state"] == state)

        await until(reached)

    async def ready(self) -> None:
        async def is_ready() -> bool:
            return (await self.http.get("/readyz")).status_code == 200

        await until(is_ready)

    async def told(self, *changes: str) -> None:
        """Waits until exactly these changes have been announced."""

        async def all_told() -> bool:
            return tuple(message.change for message in self.messaging.of(ConnectionChanged)) == changes

        await until(all_told)

    async def remove(self, connection: str, organization: str | None = None) -> httpx2.Response:
        whose = {"organization": organization or self.organization}
        return await self.http.delete(f"/internal/v1/connections/{connection}", params=whose)

    async def listed(self) -> list[Document]:
        answer = await self.http.get("/internal/v1/connections", params={"organization": self.organization})
        return list(answer.json())


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(int(LIMIT / 0.05)):
        if await holds():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not so after {LIMIT} s")


def fingerprint(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@pytest.fixture
def settings(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    return Settings()


@asynccontextmanager
async def running(
    settings: Settings, database: AsyncDatabase[Document], redis_url: str, organization: str, messaging: Any = None
) -> AsyncIterator[Auth]:
    """One replica of auth, in this process."""
    trust = ssl.create_default_context(cafile=str(settings.microsoft_ca_file))
    wire = Wire(httpx2.HTTPTransport(verify=trust))
    messaging = messaging or RecordedMessaging()
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(Redis.from_url(redis_url))
        graph = await stack.enter_async_context(httpx2.AsyncClient(base_url=settings.graph_url, timeout=10))
        microsoft_http = stack.enter_context(httpx2.Client(transport=wire, timeout=LIMIT))
        app = create_app(
            settings.service_credentials,
            database,
            redis,
            messaging,
            Microsoft(settings, microsoft_http),
            Profiles(graph),
            make_vault(settings.token_keys),
        )
        await stack.enter_async_context(LifespanManager(app))
        credential = {"Authorization": f"Bearer {CREDENTIAL}"}
        door = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app), base_url="http://auth", headers=credential, timeout=LIMIT
        )
        http = await stack.enter_async_context(door)
        yield Auth(http, wire, database, redis, organization, messaging)


@pytest.fixture
async def auth(settings: Settings, database: AsyncDatabase[Document], redis_url: str, organization: str) -> AsyncIterator[Auth]:
    async with running(settings, database, redis_url, organization) as replica:
        await replica.ready()
        yield replica


def changes(auth: Auth) -> list[str]:
    return [message.change for message in auth.messaging.of(ConnectionChanged)]


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
    assert timedelta(minutes=50) < datetime.fromisoformat(answer["expires_at"]) - datetime.now(UTC) < timedelta(minutes=90)


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


async def test_a_lease_that_a_dead_replica_left_is_taken_over(auth: Auth) -> None:
    connection = await auth.connected()
    old = fingerprint(await auth.access_token(connection))
    ended = {"holder": "a dead replica", "until": datetime.now(UTC) - timedelta(seconds=1)}
    await auth.database.connections.update_one({"_id": connection}, {"$set": {"lease": ended}})

    assert (await auth.token(connection, refused=old)).status_code == 200
    assert "lease" not in await auth.stored(connection)


async def test_removal_waits_for_calendars_and_subscriptions_and_then_destroys_the_keys(auth: Auth) -> None:
    connection = await auth.connected()
    of_it = {"organization": auth.organization, "connection": connection}
    await auth.database.calendars.insert_one({"_id": "cal_1", **of_it})
    await auth.database.subscriptions.insert_one({"_id": "sub_1", **of_it})

    assert [(await auth.remove(connection)).status_code for _ in range(2)] == [202, 202]
    await auth.database.calendars.delete_one({"_id": "cal_1"})
    unused = await auth.connected(JONAS)
    await auth.remove(unused)
    await auth.until(unused, "removed")  # so a sweep has come by
    waiting, served = await auth.stored(connection), await auth.token(connection)
    await auth.database.subscriptions.delete_one({"_id": "sub_1"})
    await auth.until(connection, "removed")

    assert (waiting["state"], served.status_code) == ("removing", 200)
    assert not (await auth.stored(connection)).keys() & {"key", "cache", "lease"}
    assert await auth.listed() == []
    assert (await auth.remove(connection)).status_code == 404
    of_this = [message.change for message in auth.messaging.of(ConnectionChanged) if message.connection == connection]
    assert of_this == ["connected", "removing", "removed"]


async def test_removal_does_not_wait_for_ever(auth: Auth) -> None:
    connection = await auth.connected()
    await auth.database.calendars.insert_one({"_id": "cal_1", "organization": auth.organization, "connection": connection})
    await auth.remove(connection)
    long_ago = datetime.now(UTC) - timedelta(minutes=15)
    await auth.database.connections.update_one({"_id": connection}, {"$set": {"since": long_ago}})

    await auth.until(connection, "removed")


async def test_an_account_may_be_connected_anew_while_its_old_connection_goes(auth: Auth) -> None:
    old = await auth.connected()
    await auth.database.calendars.insert_one({"_id": "cal_1", "organization": auth.organization, "connection": old})
    await auth.remove(old)

    again = await auth.connect()

    assert again["connection"] != old
    assert again["existing"] is False


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


@pytest.mark.parametrize("credential", [None, "Bearer settings-web:wrong", "Basic abc", "Bearer "])
async def test_nobody_gets_in_without_a_service_credential(auth: Auth, credential: str | None) -> None:
    auth.http.headers.pop("Authorization")
    headers = {"Authorization": credential} if credential else {}
    for method, path in [("GET", "/connections?organization=o"), ("POST", "/connections/con_1/token"), ("POST", "/announce")]:
        assert (await auth.http.request(method, f"/internal/v1{path}", headers=headers)).status_code == 401


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("connects", {"return_to": "https://evil.example/"}),
        ("connects", {"return_to": "//evil.example/"}),
        ("connects", {"return_to": "/\\evil.example"}),
        ("connects", {"binding": "not a hash"}),
        ("connects/finish", {"query": {"code": "the-secret-code" * 1000}}),
        ("connects/finish", {"query": "the-secret-code"}),
        ("connections/con_1/token", {"claims": "the-secret-code"}),
        ("connections/con_1/token", {"claims": '{"a":' + "[" * 3_900}),
        ("connections/con_1/token", {"refused": "the-secret-code"}),
    ],
)
async def test_bad_input_is_refused_and_not_repeated(auth: Auth, path: str, body: Document) -> None:
    answer = await auth.http.post(f"/internal/v1/{path}", json=auth.asker | body)

    assert (answer.status_code, answer.json()["title"]) == (422, "invalid")
    assert next(iter(body)) in answer.json()["detail"]
    assert "the-secret-code" not in answer.text


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


async def test_a_key_that_is_missing_is_said_and_nothing_is_lost(
    auth: Auth, settings: Settings, database: AsyncDatabase[Document], redis_url: str
) -> None:
    connection = await auth.connected()
    other = settings.model_copy(update={"token_keys": [SecretStr("k2:" + base64.b64encode(bytes(32)).decode())]})
    async with running(other, database, redis_url, auth.organization) as without:
        readiness = await without.http.get("/readyz")
        token = await without.token(connection)

    assert (readiness.status_code, token.status_code) == (503, 502)
    assert readiness.json()["token_keys"] == f"TOKEN_KEYS has no key 'k1', which {connection} is encrypted with"
    assert (await auth.token(connection)).status_code == 200


async def test_auth_starts_as_a_process_and_becomes_ready(
    sandbox: Sandbox, servers: Servers, database: AsyncDatabase[Document], tmp_path: Path
) -> None:
    port = Ports.free().auth
    environment = servers.environment | sandbox.environment | {"MONGODB_DATABASE": database.name, "PATH": os.defpath}
    command = f"{sys.executable} -m uvicorn --factory auth.app:make_app --port {port}"
    crew = Crew(tmp_path)
    try:
        await asyncio.to_thread(crew.start, [Recipe("auth", command, environment, http_ready(port))])
        async with httpx2.AsyncClient(base_url=f"http://localhost:{port}") as http:
            answer = await http.get(
                "/internal/v1/connections", params={"organization": "org_1"}, headers={"Authorization": f"Bearer {CREDENTIAL}"}
            )
    finally:
        await asyncio.to_thread(crew.stop)
    assert (answer.status_code, answer.json()) == (200, [])


async def test_the_real_client_trusts_only_the_certificate_that_it_was_told(settings: Settings) -> None:
    with (
        make_microsoft_http(settings) as told,
        make_microsoft_http(settings.model_copy(update={"microsoft_ca_file": None})) as untold,
    ):
        assert (await Microsoft(settings, told).begin(login_hint=None))["state"]
        with pytest.raises(Exception, match="ConnectError"):
            await Microsoft(settings, untold).begin(login_hint=None)
