"""A client of the sandbox's Graph for tests: one new account, its token, and an endpoint for notifications."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx2
import uvicorn

from outlook_sandbox.accounts import Account, new_account
from outlook_sandbox.app import make_sandbox
from outlook_sandbox.database import Database
from outlook_sandbox.graph.mailbox import Mailbox
from outlook_sandbox.settings import Settings
from outlook_sandbox.state import Sandbox
from tests.graph_contract import check_notifications, checked_app

APP = "5a9d2c1e-7b40-4c7e-9d53-2f6f0b8f6a11"
EVERYTHING = frozenset(("User.Read", "Calendars.ReadWrite", "MailboxSettings.ReadWrite"))
IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}
Json = dict[str, Any]


@dataclass
class Graph:
    """One account's view of Graph. Request methods give the response; `events` and the like give what is in it."""

    sandbox: Sandbox
    account: Account
    client: httpx2.AsyncClient
    calendar: str
    token: str

    @property
    def mailbox(self) -> Mailbox:
        return self.sandbox.mailboxes.of(self.account)

    def token_for(self, *scopes: str) -> str:
        return self.sandbox.tokens.issue(self.account.id, APP, frozenset(scopes)).access_token

    async def ask(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None, token: str = ""
    ) -> httpx2.Response:
        sent = {"Authorization": f"Bearer {token or self.token}"} | (headers or {})
        url = path if path.startswith("http") else f"/v1.0{path}"
        return await self.client.request(method, url, json=body, headers=sent)

    async def get(self, path: str, **more: Any) -> Json:
        answer = await self.ask("GET", path, **more)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    async def create(self, *times: str, **fields: Any) -> Json:
        answer = await self.ask("POST", f"/me/calendars/{self.calendar}/events", event(*times, **fields))
        assert answer.status_code == 201, answer.text
        made: Json = answer.json()
        return made

    async def patch(self, identifier: str, body: Json, **more: Any) -> Json:
        answer = await self.ask("PATCH", f"/me/events/{identifier}", body, **more)
        assert answer.status_code == 200, answer.text
        changed: Json = answer.json()
        return changed

    async def view(self, start: str, end: str, calendar: str | None = None) -> list[Json]:
        path = f"/me/calendars/{calendar or self.calendar}/calendarView"
        listed: list[Json] = (await self.get(f"{path}?startDateTime={start}&endDateTime={end}&$top=1000"))["value"]
        return listed

    async def delta(self, link: str = "", **more: Any) -> tuple[list[Json], str]:
        """A whole round: all items of all pages, and the delta link."""
        link = link or (
            f"/me/calendars/{self.calendar}/calendarView/delta?startDateTime=2026-11-01T00:00:00Z&endDateTime=2026-12-31T00:00:00Z"
        )
        items: list[Json] = []
        while True:
            page = await self.get(link, **more)
            assert ("@odata.nextLink" in page) != ("@odata.deltaLink" in page)
            items += page["value"]
            if "@odata.deltaLink" in page:
                return items, page["@odata.deltaLink"]
            link = page["@odata.nextLink"]


def event(subject: str = "Massage", start: str = "2026-11-24T09:00:00", end: str = "2026-11-24T09:30:00", **more: Any) -> Json:
    zone = more.pop("zone", "UTC")
    times = {"start": {"dateTime": start, "timeZone": zone}, "end": {"dateTime": end, "timeZone": zone}}
    return {"subject": subject} | times | more


def weekly(start: str = "2026-11-03", *days: str, **extent: Any) -> Json:
    pattern = {"type": "weekly", "interval": 1, "daysOfWeek": list(days or ("tuesday",))}
    return {"pattern": pattern, "range": {"type": "noEnd", "startDate": start} | extent}


@contextlib.asynccontextmanager
async def sandbox_graph(settings: Settings | None = None, database: Database | None = None) -> AsyncIterator[Graph]:
    """An account of its own in a sandbox of its own, without listeners."""
    sandbox = make_sandbox(settings or Settings(settle_seconds=0), database or Database())
    account = sandbox.accounts.add(new_account("work", "tess@ting.example", "Tess Ting"))
    transport = httpx2.ASGITransport(checked_app(sandbox))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8410") as client:
        token = sandbox.tokens.issue(account.id, APP, EVERYTHING).access_token
        default = sandbox.mailboxes.of(account).default_calendar
        assert default is not None
        yield Graph(sandbox, account, client, default.id, token)
        await sandbox.settling.stop()
        await sandbox.lifecycle.stop()
        await sandbox.delivery.stop()


@dataclass
class Endpoint:
    """A notification endpoint that behaves; tests may have it answer otherwise, or not at all until it is `awake`.

    `posted` are the bodies of all posts, `notifications` the items of those that it took.
    """

    url: str
    notifications: list[Json] = field(default_factory=list)
    posted: list[Json] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    handshakes: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    reply: Callable[[str], str] = field(default=lambda token: token)
    handshake_status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "text/plain"})
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def posts(self) -> int:
        return len(self.posted)

    async def until(self, true: Callable[[], bool], patience: float = 5) -> None:
        async with asyncio.timeout(patience):
            while not true():
                self.changed.clear()
                await self.changed.wait()

    def types(self) -> list[str]:
        return [entry["changeType"] for entry in self.notifications]

    async def app(self, scope: Json, receive: Callable[[], Awaitable[Json]], send: Callable[[Json], Awaitable[None]]) -> None:
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        query = scope["query_string"].decode()
        status, text = self._answer(query, body)
        self.changed.set()
        await self.awake.wait()
        headers = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})

    def _answer(self, query: str, body: bytes) -> tuple[int, str]:
        tokens = parse_qs(query).get("validationToken")
        if tokens:
            self.handshakes.append(tokens[0])
            return self.handshake_status, self.reply(tokens[0])
        posted: Json = httpx2.Response(200, content=body).json()
        check_notifications(posted)
        self.posted.append(posted)
        self.queries.append(query)
        status = self.statuses.pop(0) if self.statuses else 202
        if status == 202 and self.awake.is_set():
            self.notifications += posted["value"]
        return status, ""


@contextlib.asynccontextmanager
async def endpoint() -> AsyncIterator[Endpoint]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        there = Endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}/notifications")
        there.awake.set()
        server = uvicorn.Server(uvicorn.Config(there.app, log_level="error", lifespan="off", interface="asgi3"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield there
        there.awake.set()
        server.should_exit = True
        await serving
