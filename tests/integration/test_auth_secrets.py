"""The search for secrets in all that others can read can fail: it finds what is planted in each place."""

import logging

import pytest
import structlog

from auth.settings import Settings
from common import telemetry
from common.messages import ConnectionChanged
from tests.integration.auth_secrets import Readable
from tests.integration.auth_world import running
from tests.kafka_reading import speaking

PLACES = [
    "MongoDB, connections",
    "Redis",
    "Kafka, connection.changed.v1",
    "answer 200 /internal/v1/connects/finish",
    "log",
    "log of a library",
    "span refresh",
    "span send",
]


@pytest.mark.parametrize("place", PLACES)
async def test_a_secret_is_found_wherever_it_is_planted(
    readable: Readable, settings: Settings, redis_url: str, organization: str, unique: str, place: str
) -> None:
    secret = f"eyJ0-planted-{unique}"
    async with running(settings, readable.database, redis_url, organization) as auth:
        await auth.ready()
        readable.listen(auth)
        match place:
            case "MongoDB, connections":
                await readable.database.connections.insert_one({"_id": "con_1", "history": [{"why": f"it was {secret}"}]})
            case "Redis":
                await readable.redis.set("auth:something", f"with {secret} " * 100)
                await readable.redis.hset("auth:other", "field", "value")
            case "Kafka, connection.changed.v1":
                async with speaking(readable.kafka) as messaging:
                    await messaging.publish(ConnectionChanged(organization=organization, connection=secret, change="connected"))
            case "answer 200 /internal/v1/connects/finish":
                wish = auth.asker | {"return_to": f"/calendars/{secret}"}
                flow = (await auth.http.post("/internal/v1/connects", json=wish)).json()["flow"]
                await auth.finish({"state": flow, "error": "access_denied"})
            case "log":
                structlog.get_logger().debug("something failed", error=secret)
            case "log of a library":
                logging.getLogger("oauth").debug("code: %s", secret)
            case "span refresh":
                with telemetry.span("refresh", attributes={"attendara.token": secret}):
                    pass
            case "span send":
                with telemetry.span("send") as span:
                    span.add_event("sent", {"code": secret})

    assert await readable.find({secret.encode(): "planted"}) == [f"planted in {place.removesuffix(' of a library')}"]
