"""Ends a connection without an answer, as a network does: ASGI has no word for it."""

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send


class ConnectionCut(BaseException):
    """Raised by a door that gives no answer. Not an Exception: those are answered with 500 on their way out."""


class CuttableApp(FastAPI):
    """An application whose doors may raise ConnectionCut. Without a connection (ASGI in a test) it reaches the caller."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except ConnectionCut:
            # `send` is a method of uvicorn's own request, which holds the transport.
            transport = getattr(getattr(send, "__self__", None), "transport", None)
            if transport is None:
                raise
            transport.abort()
            while (await receive())["type"] != "http.disconnect":
                pass
