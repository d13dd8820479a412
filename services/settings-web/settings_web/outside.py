"""The outermost layer: headers on every answer, static files that browsers may keep, and whether Redis is there."""

from typing import Any

from redis.asyncio import Redis
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.health import Check
from settings_web.view import HEADERS


class Guard:
    """Puts the guarding headers on whatever leaves without them."""

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

        await self._app(scope, receive, guarded if scope["type"] == "http" else send)


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
