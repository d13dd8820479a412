"""The webhook gateway in the test's own process, with the settings of its broker."""

from datetime import UTC, datetime
from typing import Any

import httpx2
from pydantic import SecretStr

from common.client_state import ClientStates
from common.messages import LifecycleReceived, NotificationReceived
from tests.kafka_reading import settings_of
from tests.servers import Kafka
from webhook_gateway.app import create_app
from webhook_gateway.intake import Intake
from webhook_gateway.publishing import Publisher
from webhook_gateway.routes import DoorsFirst
from webhook_gateway.settings import Settings


def make_gateway(kafka: Kafka, keys: list[SecretStr], **changed: Any) -> DoorsFirst:
    """As `make_app` makes it; `changed`: settings of the gateway."""
    settings = gateway_settings(kafka, keys, **changed)
    return gateway_of(settings, Intake(settings))


def gateway_settings(kafka: Kafka, keys: list[SecretStr], **changed: Any) -> Settings:
    return Settings(client_state_keys=keys, **(settings_of(kafka).model_dump() | changed))


def gateway_of(settings: Settings, intake: Intake) -> DoorsFirst:
    """For who looks at the intake."""
    publisher = Publisher("webhook-gateway", settings, [NotificationReceived.topic, LifecycleReceived.topic])
    return create_app(publisher, ClientStates(settings.client_state_keys), intake, lambda: datetime.now(UTC))


async def ready(http: httpx2.AsyncClient) -> bool:
    return (await http.get("/readyz")).status_code == 200
