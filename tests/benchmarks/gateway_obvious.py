"""The obvious gateway: FastAPI, Graph's notification as pydantic models, and one awaited send for each entry.

Like ours it writes no line for a request. It does less: no envelope in headers, no telemetry, no limit of time or size, one key.
"""

import base64
import hmac
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus

from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_settings import BaseSettings

from tests.benchmarks.gateway_posts import PATH

TOPIC = "gateway-benchmark.obvious.v1"


class Settings(BaseSettings):
    kafka_bootstrap_servers: str
    kafka_idempotence: bool = True
    client_state_keys: str


class ResourceData(BaseModel):
    odata_type: str = Field(alias="@odata.type")
    odata_id: str = Field(alias="@odata.id")
    odata_etag: str | None = Field(default=None, alias="@odata.etag")
    id: str


class ChangeNotification(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)
    subscription_id: str
    subscription_expiration_date_time: datetime
    change_type: str
    resource: str
    resource_data: ResourceData | None = None
    client_state: str
    tenant_id: str


class ChangeNotificationCollection(BaseModel):
    value: list[ChangeNotification]


class NotificationReceived(BaseModel):
    calendar: str
    subscription: str
    tenant: str
    received_at: datetime


def make_app() -> FastAPI:
    logging.getLogger("uvicorn.access").setLevel("WARNING")
    settings = Settings()
    key_id, _, key = settings.client_state_keys.partition(":")
    secret = base64.b64decode(key)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.producer = AIOKafkaProducer(
            bootstrap_servers=settings.kafka_bootstrap_servers, acks="all", enable_idempotence=settings.kafka_idempotence
        )
        async with app.state.producer:
            yield

    app = FastAPI(lifespan=lifespan, telemetry={"tracing": False})

    def calendar_of(client_state: str) -> str | None:
        signed, _, signature = client_state.rpartition(".")
        expected = base64.urlsafe_b64encode(hmac.digest(secret, signed.encode(), "sha256")).rstrip(b"=").decode()
        genuine = signed.startswith(f"v1.{key_id}.") and hmac.compare_digest(signature, expected)
        return signed.rpartition(".")[2] if genuine else None

    @app.post(PATH, status_code=HTTPStatus.ACCEPTED)
    async def notifications(posted: ChangeNotificationCollection) -> Response:
        for entry in posted.value:
            calendar = calendar_of(entry.client_state)
            if calendar is None:
                raise HTTPException(HTTPStatus.FORBIDDEN)
            message = NotificationReceived(
                calendar=calendar, subscription=entry.subscription_id, tenant=entry.tenant_id, received_at=datetime.now(UTC)
            )
            await app.state.producer.send_and_wait(TOPIC, message.model_dump_json().encode(), key=calendar.encode())
        return Response(status_code=HTTPStatus.ACCEPTED)

    @app.get("/readyz")
    async def ready() -> None: ...

    return app
