"""The gateway, put together: two addresses for Graph, and the health routes. The only file that constructs anything."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from fastapi import FastAPI

from common import telemetry
from common.client_state import ClientStates
from common.health import health_routes
from common.messaging import Messaging, make_messaging
from webhook_gateway.readers import Clock, LifecycleReader, NotificationReader
from webhook_gateway.routes import graph_route
from webhook_gateway.settings import Settings


def create_app(messaging: Messaging, client_states: ClientStates, clock: Clock) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with messaging.running():
            yield

    app = FastAPI(lifespan=lifespan, openapi_url=None, telemetry={"tracing": False})
    app.router.routes += [
        graph_route("/graph/notifications", NotificationReader(client_states, clock), messaging),
        graph_route("/graph/lifecycle", LifecycleReader(client_states, clock), messaging),
    ]
    app.include_router(health_routes({"kafka": messaging.readiness}))
    return app


def make_app() -> FastAPI:
    settings = Settings()
    telemetry.set_up("webhook-gateway", settings)
    messaging = make_messaging("webhook-gateway", settings)
    return create_app(messaging, ClientStates(settings.client_state_keys), lambda: datetime.now(UTC))
