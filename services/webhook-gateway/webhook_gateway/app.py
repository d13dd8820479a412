"""The gateway, put together: two addresses for Graph, and the health routes. The only file that constructs anything."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from fastapi import FastAPI

from common import telemetry
from common.client_state import ClientStates
from common.ending import end_with_success
from common.health import health_routes
from common.messages import LifecycleReceived, NotificationReceived
from common.settings import read_settings
from webhook_gateway.described import described
from webhook_gateway.intake import Intake, sparing_collections
from webhook_gateway.publishing import Publisher
from webhook_gateway.readers import Clock, LifecycleReader, NotificationReader
from webhook_gateway.routes import Door, DoorsFirst, Publishes
from webhook_gateway.settings import Settings


def create_app(publisher: Publishes, client_states: ClientStates, intake: Intake, clock: Clock) -> DoorsFirst:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with sparing_collections(), intake.obeying_signals():
            async with publisher.running():
                yield

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, telemetry={"tracing": False})
    app.openapi = described  # type: ignore[method-assign]
    doors = {
        "/graph/notifications": Door("notifications", NotificationReader(client_states, clock), publisher, intake),
        "/graph/lifecycle": Door("lifecycle", LifecycleReader(client_states, clock), publisher, intake),
    }
    app.include_router(health_routes({"kafka": publisher.readiness, "intake": intake.readiness}))
    return DoorsFirst(doors, app)


def make_app() -> DoorsFirst:
    settings = read_settings(Settings)
    telemetry.set_up("webhook-gateway", settings)
    end_with_success()
    publisher = Publisher("webhook-gateway", settings, [NotificationReceived.topic, LifecycleReceived.topic])
    return create_app(publisher, ClientStates(settings.client_state_keys), Intake(settings), lambda: datetime.now(UTC))
