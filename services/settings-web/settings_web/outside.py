"""The outermost layer: headers on every answer, no body larger than ours are, files that browsers may keep, Redis's health."""

from typing import Any

from redis.asyncio import Redis
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.health import Check
from common.web import bounded
from settings_web.view import HEADERS

LARGEST_BODY = 256 * 1024
"""Bodies are read before anybody asks who sent them; two hundred calendars to add take a fifth of this."""


class Guard:
    """Puts the guarding headers on whatever leaves without them, and reads no more of a body than LARGEST_BODY."""

    def __init__(self, app: ASGIApp, https: bool) -> None:
        self._app = app
        self._headers = HEADERS | ({"Strict-Transport-Security": "max-age=31536000"} if https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["type"] == "http":
            await self._app(scope, bounded(receive, LARGEST_BODY), guarded)
        else:
            await self._app(scope, receive, send)


class Files(StaticFiles):
    """Addresses carry a hash of the content (`view.static`)."""

    def file_response(self, *args: Any, **rest: Any) -> Response:
        response = super().file_response(*args, **rest)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def redis_readiness(redis: Redis) -> Check:
    async def readiness() -> str | None:
        await redis.ping()
        return None

    return readiness
