"""settings-web as one process of its own would be, with real servers, the sandbox, and a browser without scripts."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from attendara_local.ports import Ports
from common.graph import AccessTokens, Graph
from common.graph.client import GateTransport, make_redis
from common.ids import new_id
from common.mailbox_gate import MailboxGate
from common.messaging import make_messaging
from common.store import AWAY, Database, Document
from outlook_sandbox.app import make_sandbox
from outlook_sandbox.database import Database as SandboxDatabase
from outlook_sandbox.settings import Settings as SandboxSettings
from settings_web.app import create_app
from settings_web.auth_door import AuthDoor
from settings_web.parts import SESSION_COOKIE, Parts
from settings_web.sessions import Who
from settings_web.settings import Settings
from settings_web.signin import SignIn
from tests.fakes.auth_service import AuthService
from tests.graph_contract import checked_app
from tests.servers import Kafka
from tests.serving import serving, until

CALENDARS, ADD, PROVIDERS, SYNC = (f"/settings/{page}" for page in ("calendars", "calendars/add", "providers", "sync"))
RETURN, ENDED, ADMIN_RETURN = (f"/connect/microsoft/{page}" for page in ("return", "ended", "admin-return"))


@dataclass
class Web:
    """settings-web at `url`, and what stands around it."""

    url: str
    parts: Parts
    auth: AuthService
    database: Database
    kafka: Kafka

    @asynccontextmanager
    async def browser(self, organization: str | None = None, *, may_change: bool = True) -> AsyncIterator["Browser"]:
        """A browser, signed in if an organization is given."""
        async with httpx2.AsyncClient(base_url=self.url, timeout=20, trust_env=False) as client:
            if organization:
                who = Who(
                    user="usr_1",
                    name="Miriam Vogt",
                    email=None,
                    organization=organization,
                    organization_name="Bergpraxis",
                    may_change=may_change,
                )
                client.cookies.set(SESSION_COOKIE, await self.parts.sessions.start(who), domain="localhost.local")
            yield Browser(client)

    async def calendar(self, organization: str, connection: str, **fields: Any) -> str:
        document: Document = {"_id": new_id("cal"), "organization": organization, "connection": connection}
        document |= {"graph_id": new_id("sub"), "name": "Room 1", "state": "active", "created_at": datetime.now(UTC)}
        await self.database.calendars.insert_one(document | fields)
        return str(document["_id"])


@dataclass
class Browser:
    """A browser with scripts off: it follows links and sends forms with what the page put into them."""

    client: httpx2.AsyncClient

    async def see(self, path: str, status: int = 200, **given: Any) -> str:
        answer = await self.client.get(path, follow_redirects=True, **given)
        assert answer.status_code == status, (answer.status_code, answer.text[-1500:])
        return unescape(answer.text)

    async def send(self, path: str, page: str, **fields: Any) -> httpx2.Response:
        found = re.search(r'name="csrf" value="([^"]+)"', await self.see(page))
        assert found, "no form on this page"
        return await self.client.post(path, data={"csrf": found[1]} | fields)

    async def api(self, method: str, path: str, **rest: Any) -> httpx2.Response:
        csrf = (await self.client.get("/api/v1/session")).json()["csrf"]
        headers = {"X-CSRF-Token": csrf, "Content-Type": "application/json"}
        return await self.client.request(method, f"/api/v1{path}", headers=headers, **rest)


@pytest.fixture(scope="module")
async def web(module_database: Database, servers: Any, topics: Kafka) -> AsyncIterator[Web]:
    made: list[Any] = []
    port = Ports.free().settings_web

    def sandbox_app(url: str) -> Any:
        returns = f"http://localhost:{port}/signin/return"
        made.append(make_sandbox(SandboxSettings(http_port=urlsplit(url).port, oidc_redirect_uris=returns), SandboxDatabase()))
        return checked_app(made[0])

    async with serving(sandbox_app) as sandbox_url:
        anna = made[0].accounts.named("anna.keller@bergpraxis.example")
        auth = AuthService(module_database, made[0], anna)

        def settings_app(url: str) -> Any:
            made.append(_app(url, sandbox_url, auth, module_database, servers.redis_url, topics))
            return made[1]

        async with serving(settings_app, port) as url:
            app = made[1]
            await until(lambda: app.state.messaging.started, 60)
            yield Web(url, app.state.parts, auth, module_database, topics)


def settings_of(url: str, sandbox_url: str, redis_url: str, kafka: Kafka) -> Settings:
    return Settings(
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        kafka_idempotence=kafka.idempotence,
        kafka_session_timeout_ms=kafka.session_timeout_ms,
        kafka_heartbeat_interval_ms=kafka.heartbeat_interval_ms,
        kafka_fetch_max_wait_ms=kafka.fetch_max_wait_ms,
        redis_url=redis_url,
        public_url=url,
        oidc_issuer=f"{sandbox_url}/attendara-id",
        oidc_client_id="attendara-settings",
        oidc_client_secret="sandbox-oidc-secret",
        service_credential="settings-web:test",
        service_credentials="cli:test",
    )


def _app(url: str, sandbox_url: str, auth: AuthService, database: Database, redis_url: str, kafka: Kafka) -> Any:
    settings = settings_of(url, sandbox_url, redis_url, kafka)
    messaging = make_messaging("settings-web", settings, AWAY)
    messaging.group = f"settings-web-{new_id('sub')}"
    auth_http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=auth.app), base_url="http://auth")
    transport = GateTransport(MailboxGate(make_redis(settings)), httpx2.AsyncHTTPTransport())
    graph = Graph(f"{sandbox_url}/v1.0", httpx2.AsyncClient(transport=transport), AccessTokens(auth_http))
    redis = make_redis(settings)
    app = create_app(settings, database, redis, messaging, graph, AuthDoor(auth_http), SignIn(settings, redis))
    app.state.messaging = messaging
    return app


async def sign_in(browser: Browser, user: str) -> httpx2.Response:
    """Goes to the provider and back; the answer is the first page of ours after it."""
    to_provider = await browser.client.get("/signin")
    back = await browser.client.post(to_provider.headers["location"], data={"user": user})
    return await browser.client.get(back.headers["location"])


async def begin_connect(browser: Browser) -> str:
    """Presses Connect new → Microsoft; returns the state with which Microsoft would send the browser back."""
    answer = await browser.send("/connect/microsoft", f"{ADD}/new")
    assert answer.status_code == 200
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', answer.text)
    assert found
    return parse_qs(urlsplit(unescape(found[1])).query)["state"][0]
