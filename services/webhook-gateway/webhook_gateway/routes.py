"""The two addresses that Graph posts to. They are plain ASGI: nothing stands between a post and its answer."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from time import perf_counter
from typing import Protocol

import structlog
from starlette.datastructures import QueryParams
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from common import telemetry
from common.errors import Transient
from common.messages import Message
from webhook_gateway.entries import NotPosted
from webhook_gateway.intake import LARGE, Disconnected, Intake, Post, Unwanted
from webhook_gateway.readers import Reading

log = structlog.get_logger()

LONGEST_TOKEN = 4096
LOG_SECONDS = 10.0
"""Between two lines of the same kind: whoever can post here must not be able to fill the log."""
RETRY_AFTER = (b"retry-after", b"5")
RECOGNIZED = (b"attendara-probe", b"recognized")
CLOSE = (b"connection", b"close")
EMPTY = (b"content-length", b"0")

Read = Callable[[bytes], Reading]
"""Raises NotPosted."""


class Publishes(Protocol):
    async def publish(self, *messages: Message) -> None: ...
    async def readiness(self) -> str | None: ...
    def running(self) -> AbstractAsyncContextManager[None]: ...


class DoorsFirst:
    """The application: a door by its path alone, everything else as `others` has it. Their routing costs as much as a door does."""

    def __init__(self, doors: Mapping[str, ASGIApp], others: ASGIApp) -> None:
        self._doors = doors
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._doors.get(scope["path"], self._others) if scope["type"] == "http" else self._others
        await app(scope, receive, send)


class Door:
    """What one address does: the handshake, and taking posts of one kind."""

    def __init__(self, name: str, read: Read, publisher: Publishes, intake: Intake) -> None:
        self._name = name
        self._read = read
        self._publisher = publisher
        self._intake = intake
        self._told: dict[str, tuple[float, int]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            not_allowed = PlainTextResponse(status_code=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "POST"})
            return await not_allowed(scope, receive, send)
        if b"validationToken" in scope["query_string"]:
            token = QueryParams(scope["query_string"]).get("validationToken")
            if token is not None:
                return await self._handshake(token)(scope, receive, send)
        # A trace of our own begins here: whoever can post here must not choose our trace ids.
        with telemetry.span(f"POST /graph/{self._name}", kind="server") as span:
            try:
                status, headers = await self._take(scope, receive)
            except Disconnected:
                return
            span.set_attribute("http.response.status_code", status)
        telemetry.count("posts_received", door=self._name, status=str(int(status)))
        await send({"type": "http.response.start", "status": int(status), "headers": [EMPTY, *headers]})
        await send({"type": "http.response.body", "body": b""})

    def _handshake(self, token: str) -> PlainTextResponse:
        """Graph asks whether this address expects it: the answer is its token, decoded, as it is."""
        if not 0 < len(token) <= LONGEST_TOKEN:
            return PlainTextResponse(status_code=HTTPStatus.BAD_REQUEST)
        telemetry.count("handshakes", door=self._name)
        return PlainTextResponse(token, headers={"X-Content-Type-Options": "nosniff"})

    async def _take(self, scope: Scope, receive: Receive) -> tuple[HTTPStatus, Sequence[tuple[bytes, bytes]]]:
        """202 once the broker has everything that is genuine; Graph posts again after a 503. Raises Disconnected."""
        post = Post(self._intake)
        try:
            body = await post.read(scope, receive)
            reading = self._read(body) if len(body) <= LARGE else await self._read_large(body)
            for reason, count in reading.dropped.items():
                telemetry.count("entries_dropped", count, reason=reason)
                self._tell("entries dropped", reason, count)
            if reading.probed and (missing := await self._publisher.readiness()):
                raise Transient(missing, reason="broker-away")
            if reading.messages:
                began = perf_counter()
                await self._publisher.publish(*reading.messages)
                telemetry.observe("received_to_published_seconds", perf_counter() - began)
            return HTTPStatus.ACCEPTED, [RECOGNIZED] if reading.probed else []
        except NotPosted:
            return HTTPStatus.BAD_REQUEST, []
        except Unwanted as unwanted:
            self._tell("post refused", unwanted.status.phrase)
            headers = [CLOSE] if unwanted.unread else []
            return unwanted.status, [*headers, RETRY_AFTER] if unwanted.status == HTTPStatus.SERVICE_UNAVAILABLE else headers
        except Transient as error:
            self._tell("not published", error.reason, error=str(error))
            return HTTPStatus.SERVICE_UNAVAILABLE, [RETRY_AFTER]
        finally:
            post.release()

    async def _read_large(self, body: bytes) -> Reading:
        async with self._intake.large:
            return await asyncio.to_thread(self._read, body)

    def _tell(self, event: str, reason: str, count: int = 1, **more: str) -> None:
        """One line for all of a kind within LOG_SECONDS, the first at once; the metrics have each."""
        now = asyncio.get_running_loop().time()
        said, untold = self._told.get(event + reason, (-LOG_SECONDS, 0))
        if now - said >= LOG_SECONDS:
            log.warning(event, reason=reason, count=count + untold, **more)
            said, untold, count = now, 0, 0
        self._told[event + reason] = (said, untold + count)
