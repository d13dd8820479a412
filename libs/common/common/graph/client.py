"""The Graph client: one process's `Graph`, and the `Mailbox` of one connection with the calls that we make."""

import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import httpx2
import msgspec
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from common import telemetry
from common.errors import Refused
from common.graph.failures import failure_of, failure_on_the_way, retry_after
from common.graph.shapes import (
    BatchAnswer,
    BatchAnswers,
    Event,
    GraphCalendar,
    GraphSubscription,
    Listing,
    MasterCategory,
    Page,
    RawPage,
)
from common.graph.tokens import KEPT, AccessTokens, BearerAuth, auth_client
from common.mailbox_gate import MailboxGate
from common.settings import AuthClientSettings, GraphSettings, RedisSettings

PREFER = 'IdType="ImmutableId", outlook.timezone="UTC", outlook.body-content-type="text"'
PAGE_SIZE = 200
BATCH_SIZE = 20
"""Graph's limit for one `$batch`."""
ATTACHED_LIFE = timedelta(minutes=45)
"""Graph keeps the token with which a subscription is made or renewed: one that is about to end would gain nothing."""

T = TypeVar("T")


class GateTransport(httpx2.AsyncBaseTransport):
    """Lets a request through when its mailbox has a place, and tells the gate when Microsoft asks for a pause."""

    def __init__(self, gate: MailboxGate, inner: httpx2.AsyncBaseTransport) -> None:
        self._gate = gate
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        mailbox = request.extensions["mailbox"]
        async with self._gate.slot(mailbox, bulk=request.extensions.get("bulk", False)):
            response = await self._inner.handle_async_request(request)
            await response.aread()
        if response.status_code == 429 or (response.status_code == 503 and "retry-after" in response.headers):
            await self._gate.punish(mailbox, retry_after(response.headers))
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class Graph:
    """Graph for one process. `base` is the versioned root, e.g. https://graph.microsoft.com/v1.0."""

    def __init__(self, base: str, http: httpx2.AsyncClient, tokens: AccessTokens) -> None:
        self.base = base.rstrip("/")
        self._http = http
        self._tokens = tokens

    def mailbox(self, connection: str, mailbox: str, *, bulk: bool = False) -> "Mailbox":
        """`mailbox` is `Connection.mailbox`; bulk work takes at most two of the mailbox's four places."""
        return Mailbox(self, connection, mailbox, bulk)

    async def send(
        self,
        method: str,
        url: str,
        *,
        connection: str,
        mailbox: str,
        bulk: bool,
        name: str,
        body: object = None,
        headers: dict[str, str] | None = None,
        patience: float = 30.0,
        token_life: timedelta = KEPT,
    ) -> httpx2.Response:
        """One request, translated: returns a 2xx answer or raises one of our errors. `url` is a path or a whole link of Graph's.

        `token_life`: how long the access token must live at least.
        """
        sent = {"Prefer": PREFER, "client-request-id": str(uuid.uuid4())} | (headers or {})
        content = None if body is None else msgspec.json.encode(body)
        if content is not None:
            sent["Content-Type"] = "application/json"
        with telemetry.span(f"Graph {name}", kind="client", attributes={"http.request.method": method}) as span:
            try:
                response = await self._http.request(
                    method,
                    url if url.startswith(f"{self.base}/") else self.base + url,
                    content=content,
                    headers=sent,
                    auth=BearerAuth(self._tokens, connection, token_life),
                    timeout=httpx2.Timeout(patience, connect=5),
                    extensions={"mailbox": mailbox, "bulk": bulk},
                )
            except httpx2.HTTPError as error:
                raise failure_on_the_way(error) from error
            span.set_attribute("http.response.status_code", response.status_code)
            if not response.is_success:
                raise failure_of(response.status_code, response.headers, response.content)
            return response

    async def aclose(self) -> None:
        await self._http.aclose()
        await self._tokens.http.aclose()

    async def __aenter__(self) -> "Graph":
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.aclose()


class Mailbox:
    """One connected account's calendars, events, categories and subscriptions. Ids are immutable ones throughout."""

    def __init__(self, graph: Graph, connection: str, mailbox: str, bulk: bool) -> None:
        self._graph = graph
        self._who: dict[str, Any] = {"connection": connection, "mailbox": mailbox, "bulk": bulk}

    async def calendars(self) -> list[GraphCalendar]:
        return [item async for item in self._list("/me/calendars", GraphCalendar, "list calendars")]

    def delta_url(self, calendar: str, start: datetime, end: datetime) -> str:
        """Where a new chain over the window begins."""
        window = urlencode({"startDateTime": _stamp(start), "endDateTime": _stamp(end)})
        return f"/me/calendars/{quote(calendar)}/calendarView/delta?{window}"

    async def delta_page(self, link: str) -> Page:
        """One page of a chain; the answer's links are whole and go back as they are. Raises LinkExpired on 410."""
        prefer = f"{PREFER}, odata.maxpagesize={PAGE_SIZE}"
        return self._decode(await self._send("GET", link, "delta page", headers={"Prefer": prefer}), RawPage).read()

    async def calendar_view(self, calendar: str, start: datetime, end: datetime) -> AsyncIterator[Event]:
        window = urlencode({"startDateTime": _stamp(start), "endDateTime": _stamp(end), "$top": PAGE_SIZE})
        link: str | None = f"/me/calendars/{quote(calendar)}/calendarView?{window}"
        while link:
            page = self._decode(await self._send("GET", link, "calendar view"), RawPage).read()
            for event in page.value:
                yield event
            link = page.next_link

    async def event(self, event_id: str) -> Event:
        return self._decode(await self._send("GET", f"/me/events/{quote(event_id)}", "get event"), Event)

    async def patch_event(self, event_id: str, change: dict[str, Any], *, etag: str | None) -> Event:
        """Raises Conflict when the event is no longer the one of `etag`."""
        headers = {"If-Match": etag} if etag else {}
        url = f"/me/events/{quote(event_id)}"
        return self._decode(await self._send("PATCH", url, "patch event", body=change, headers=headers), Event)

    async def events(self, event_ids: Sequence[str]) -> list[BatchAnswer]:
        """Each event's GET, twenty to a `$batch`; the answers stand in the order of the ids, each with its own status."""
        answers: list[BatchAnswer] = []
        for start in range(0, len(event_ids), BATCH_SIZE):
            answers += await self._batch([f"/me/events/{quote(event_id)}" for event_id in event_ids[start : start + BATCH_SIZE]])
        return answers

    async def _batch(self, urls: Sequence[str]) -> list[BatchAnswer]:
        requests = [
            {"id": str(number), "method": "GET", "url": url, "headers": {"Prefer": PREFER}} for number, url in enumerate(urls)
        ]
        response = await self._send("POST", "/$batch", "batch", body={"requests": requests})
        answers = {answer.id: answer for answer in self._decode(response, BatchAnswers).responses}
        return [answers[str(number)] for number in range(len(urls))]

    async def master_categories(self) -> list[MasterCategory]:
        path = "/me/outlook/masterCategories"
        return [item async for item in self._list(path, MasterCategory, "list categories")]

    async def create_master_category(self, display_name: str, color: str) -> None:
        body = {"displayName": display_name, "color": color}
        await self._send("POST", "/me/outlook/masterCategories", "create category", body=body)

    async def create_subscription(
        self, resource: str, notification_url: str, lifecycle_url: str, client_state: str, expires_at: datetime
    ) -> GraphSubscription:
        """Blocks while Graph does its handshake with both addresses."""
        body = {
            "changeType": "created,updated,deleted",
            "resource": resource,
            "notificationUrl": notification_url,
            "lifecycleNotificationUrl": lifecycle_url,
            "clientState": client_state,
            "expirationDateTime": _stamp(expires_at),
        }
        waiting = {"patience": 60.0, "token_life": ATTACHED_LIFE}
        response = await self._send("POST", "/subscriptions", "create subscription", body=body, **waiting)
        return self._decode(response, GraphSubscription)

    async def renew_subscription(self, subscription: str, expires_at: datetime) -> GraphSubscription:
        body = {"expirationDateTime": _stamp(expires_at)}
        url = f"/subscriptions/{quote(subscription)}"
        response = await self._send("PATCH", url, "renew subscription", body=body, token_life=ATTACHED_LIFE)
        return self._decode(response, GraphSubscription)

    async def delete_subscription(self, subscription: str) -> None:
        await self._send("DELETE", f"/subscriptions/{quote(subscription)}", "delete subscription")

    async def subscriptions(self) -> list[GraphSubscription]:
        return [item async for item in self._list("/subscriptions", GraphSubscription, "list subscriptions")]

    async def _list(self, path: str, kind: type[T], name: str) -> AsyncIterator[T]:
        link: str | None = path
        while link:
            listing = self._decode(await self._send("GET", link, name), Listing)
            for item in listing.value:
                yield msgspec.json.decode(item, type=kind)
            link = listing.next_link

    async def _send(self, method: str, url: str, name: str, **rest: Any) -> httpx2.Response:
        return await self._graph.send(method, url, name=name, **self._who, **rest)

    def _decode(self, response: httpx2.Response, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(response.content, type=kind)
        except msgspec.MsgspecError as error:
            raise Refused(f"Graph's answer is not what is documented: {error}", reason="unreadable-answer") from error


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


class GraphClientSettings(GraphSettings, AuthClientSettings, RedisSettings):
    """What a service needs to speak to Graph."""


def make_graph(settings: GraphClientSettings) -> Graph:
    limits = httpx2.Limits(max_connections=100, max_keepalive_connections=100, keepalive_expiry=60)
    http = httpx2.AsyncClient(
        transport=GateTransport(MailboxGate(make_redis(settings)), httpx2.AsyncHTTPTransport(limits=limits)),
        follow_redirects=False,
    )
    return Graph(settings.graph_url, http, AccessTokens(auth_client(settings)))


ON_ANOTHER_CONNECTION = Retry(NoBackoff(), 1, (RedisConnectionError,))
"""Once more: a server that was restarted has closed the connections that a pool still holds."""


def make_redis(settings: RedisSettings) -> Redis:
    """Waits for a connection rather than failing when all 100 are in use; gives up on a silent server after 2 s."""
    pool = BlockingConnectionPool.from_url(
        settings.redis_url.get_secret_value(),
        max_connections=100,
        timeout=5,
        socket_timeout=2,
        socket_connect_timeout=2,
        retry=ON_ANOTHER_CONNECTION,
    )
    return Redis(connection_pool=pool)
