"""auth as a replica in this process, with real servers and the sandbox as its Microsoft, for the tests of auth."""

import asyncio
import base64
import hashlib
import os
import re
import ssl
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI
from honcho.environ import parse_procfile
from pydantic import SecretStr
from pymongo.asynchronous.database import AsyncDatabase
from redis.asyncio import Redis

from attendara_local.crew import Crew
from attendara_local.part import Recipe
from attendara_local.ports import Ports
from attendara_local.ready import http_ready
from attendara_local.stack import PROCFILE
from auth.app import create_app
from auth.connections import Connections, message_of
from auth.credentials import Credentials
from auth.id_token import Identity
from auth.microsoft import Microsoft
from auth.profile import Profiles
from auth.settings import Settings
from auth.vault import make_vault
from common.announce import Announcer
from common.messages import ConnectionChanged
from outlook_sandbox.client import SandboxControl
from outlook_sandbox.control.models import AccountOpened
from tests.consent import give_consent
from tests.fakes.recorded_messaging import RecordedMessaging
from tests.servers import Servers
from tests.serving import until

ANNA, JONAS = "anna.keller@bergpraxis.example", "bergpraxis.lehmann@outlook.example"
RETURN = "http://localhost:8400/connect/microsoft/return"
ADMIN_RETURN = "http://localhost:8400/connect/microsoft/admin-return"
CREDENTIAL = "settings-web:a-credential"
LIMIT = 20.0
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
KEYS = {"k1": bytes(range(32)), "k2": bytes(range(32, 64)), "k3": bytes(range(64, 96))}
Document = dict[str, Any]


def token_keys(*kids: str, **instead: bytes) -> list[SecretStr]:
    """TOKEN_KEYS, the first one active; `instead`: other bytes under a known id."""
    return [SecretStr(f"{kid}:{base64.b64encode((KEYS | instead)[kid]).decode()}") for kid in kids]


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
            "TOKEN_KEYS": token_keys("k1")[0].get_secret_value(),
        }


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox_process(tmp_path_factory.mktemp("sandbox")) as started:
        yield started


@contextmanager
def sandbox_process(folder: Path) -> Iterator[Sandbox]:
    """The sandbox as a process of its own, with its two accounts."""
    ports = Ports.free()
    environment = {
        "PATH": os.defpath,
        "SANDBOX_DATA": str(folder),
        "SANDBOX_HTTP_PORT": str(ports.sandbox_http),
        "SANDBOX_HTTPS_PORT": str(ports.sandbox_https),
        "SANDBOX_REDIRECT_URIS": f"{RETURN},{ADMIN_RETURN}",
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
    """The way to Microsoft's token endpoint: counts refreshes, answers in its place, mangles its answers, is held up.

    `held` holds up the next refresh, `closed` all of them. `sent`: the forms, oldest first.
    """

    real: httpx2.BaseTransport
    sent: list[dict[str, str]] = field(default_factory=list)
    refreshes: int = 0
    answers: deque[httpx2.Response] = field(default_factory=deque)
    mangle: Callable[[Document], Document] = lambda body: body
    held: threading.Event | None = None
    closed: threading.Event | None = None
    arrived: threading.Event = field(default_factory=threading.Event)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if not request.url.path.endswith("/token"):
            return self.real.handle_request(request)
        self.sent.append(dict(parse_qsl(request.content.decode())))
        if self.sent[-1]["grant_type"] == "refresh_token":
            self.refreshes += 1
            self.arrived.set()
            if self.held:
                held, self.held = self.held, None
                held.wait(LIMIT)
            if self.closed:
                self.closed.wait(LIMIT)
        if self.answers:
            return self.answers.popleft()
        answer = self.real.handle_request(request)
        answer.read()
        return httpx2.Response(answer.status_code, json=self.mangle(answer.json()))

    def close(self) -> None:
        self.real.close()


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

    async def token(self, connection: str, **body: str | int) -> httpx2.Response:
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

    async def until_unready(self, check: str) -> None:
        """Waits until the start has failed, and this check says why."""

        async def said() -> bool:
            words = (await self.http.get("/readyz")).json()
            return check in words and "not done yet" not in words.get("prepared", "")

        await until(said)

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


def fingerprint(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@pytest.fixture
async def control(sandbox: Sandbox) -> AsyncIterator[SandboxControl]:
    """The sandbox from behind; whatever was switched on is off after the test."""
    async with SandboxControl(sandbox.http) as control:
        yield control
        await control.switch_all_off()


@pytest.fixture
async def person(control: SandboxControl, unique: str) -> AccountOpened:
    """Somebody at a work account that no other test uses, in a tenant of its own."""
    return await control.create_account(f"pia.{unique}@praxis-{unique}.example", "Pia Praxis")


@pytest.fixture
def settings(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    return Settings()


def vaulted(database: AsyncDatabase[Document], *kids: str) -> Connections:
    """The stored connections as a replica with these keys has them, without the rest of auth."""
    announcer = Announcer(database.connections, RecordedMessaging(), message_of)
    return Connections(database.connections, make_vault(token_keys(*kids)), announcer)


async def made(connections: Connections, number: int, cache: str = "a cache") -> str:
    """A connection that nobody consented to, of an account that isn't there."""
    who = Identity("tid", f"oid {number}", None)
    return await connections.add("org_1", who, "anna@example.org", cache, NOW, who="usr_1")


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
            Microsoft(settings, microsoft_http, Credentials(settings)),
            Profiles(graph),
            make_vault(settings.token_keys),
        )
        await stack.enter_async_context(LifespanManager(app))
        door = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app),
            base_url="http://auth",
            headers={"Authorization": f"Bearer {CREDENTIAL}"},
            timeout=LIMIT,
            event_hooks={"response": [as_described(app)]},
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


def as_described(app: FastAPI) -> Callable[[httpx2.Response], Awaitable[None]]:
    """Whatever auth answers in a test, its OpenAPI description says so; and whatever it refuses is a problem document."""
    operations = [
        (method.upper(), re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), set(operation["responses"]))
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    ]

    async def check(answer: httpx2.Response) -> None:
        method, path, status = answer.request.method, answer.request.url.path, answer.status_code
        if not path.startswith("/internal/"):
            return
        for known, pattern, statuses in operations:
            assert method != known or not pattern.fullmatch(path) or str(status) in statuses, f"{status} is not described"
        assert status < 400 or answer.headers["content-type"] == "application/problem+json", answer.headers

    return check


@asynccontextmanager
async def auth_process(
    sandbox: Sandbox, servers: Servers, database: AsyncDatabase[Document], folder: Path, ca: Path | None = None, **environment: str
) -> AsyncIterator[str]:
    """auth as the Procfile starts it; its address. `ca`: it serves TLS, with a certificate of this authority."""
    port = Ports.free().auth
    url = f"{'https' if ca else 'http'}://localhost:{port}"
    verify = ssl.create_default_context(cafile=str(ca)) if ca else True

    def wants() -> str | None:
        try:
            answer = httpx2.get(f"{url}/readyz", verify=verify, trust_env=False)
        except httpx2.HTTPError as error:
            return repr(error)
        return None if answer.status_code == 200 else answer.text

    path = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
    given = servers.environment | sandbox.environment | {"MONGODB_DATABASE": database.name, "AUTH_PORT": str(port), "PATH": path}
    crew = Crew(folder)
    try:
        recipe = Recipe("auth", dict(parse_procfile(PROCFILE.read_text()).processes)["auth"], given | environment, wants)
        await asyncio.to_thread(crew.start, [recipe])
        yield url
    finally:
        await asyncio.to_thread(crew.stop)
