"""The two addresses that Graph posts to. They are plain Starlette routes: nothing stands between a post and its answer."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from common import telemetry
from common.errors import Transient
from common.messages import Message
from common.messaging import Messaging
from webhook_gateway.entries import NotPosted

log = structlog.get_logger()

LARGEST_BODY = 4 * 1024 * 1024
"""Graph states no maximum, and a genuine post that is refused for its size is lost."""
READ_AT_ONCE = 64 * 1024
"""A larger body is read in a thread: of a forger's smallest entries it may hold so many that the others' answers would wait."""
LONGEST_TOKEN = 4096
PATIENCE_SECONDS = 2.0
"""For the broker. Graph wants its answer within 3 seconds: https://learn.microsoft.com/graph/change-notifications-delivery-webhooks."""

Read = Callable[[bytes], tuple[Sequence[Message], Mapping[str, int]]]
"""A body as the messages to publish and how many of its entries were dropped, by reason. Raises NotPosted."""


def graph_route(path: str, read: Read, messaging: Messaging) -> Route:
    async def post(request: Request) -> Response:
        token = request.query_params.get("validationToken")
        if token is not None:
            return _handshake(token)
        # A trace of our own begins here: whoever can post here must not choose our trace ids.
        with telemetry.span(f"POST {path}", kind="server") as span:
            status = await _take(request, read, messaging)
            span.set_attribute("http.response.status_code", status)
        telemetry.count("posts_received", path=path, status=str(status.value))
        return Response(status_code=status, headers={"Retry-After": "5"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None)

    return Route(path, post, methods=["POST"])


def _handshake(token: str) -> Response:
    """Graph asks whether this address expects it: the answer is its token, decoded, as it is."""
    if len(token) > LONGEST_TOKEN:
        return Response(status_code=HTTPStatus.BAD_REQUEST)
    return PlainTextResponse(token, headers={"X-Content-Type-Options": "nosniff"})


async def _take(request: Request, read: Read, messaging: Messaging) -> HTTPStatus:
    """202 once the broker has everything that is genuine; Graph posts again after a 503."""
    body = await _body(request)
    if body is None:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    try:
        messages, dropped = read(body) if len(body) <= READ_AT_ONCE else await asyncio.to_thread(read, body)
    except NotPosted:
        return HTTPStatus.BAD_REQUEST
    for reason, count in dropped.items():
        log.warning("entries dropped", reason=reason, count=count)
        telemetry.count("entries_dropped", count, reason=reason)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await messaging.publish(*messages)
    except (Transient, TimeoutError) as error:
        log.warning("not published", error=str(error) or "no acknowledgement in time", messages=len(messages))
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.ACCEPTED


async def _body(request: Request) -> bytes | None:
    """None when it is larger than Graph would ever send; no more than that is kept in memory."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LARGEST_BODY:
            return None
        chunks.append(chunk)
    return b"".join(chunks)
