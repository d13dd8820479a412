"""`attendara check webhook` against the gateway itself, with a real broker."""

import base64

import httpx2
import pytest
from pydantic import SecretStr

from attendara_cli.check.posting import graphs_trust
from attendara_cli.check.webhook import address_of, check_webhook
from common.client_state import PROBE_CALENDAR, ClientStates
from common.ids import new_id
from common.messages import LifecycleReceived, NotificationReceived
from tests.gateway import make_gateway
from tests.integration.test_webhook_gateway import CLIENT_STATES, KEYS, entry, gateway
from tests.kafka_reading import reading
from tests.servers import Kafka
from tests.serving import serving

__all__ = ["gateway"]


async def outcomes(url: str, client_states: ClientStates = CLIENT_STATES) -> dict[str, str]:
    """What came of each check, by its first two words without the host, and without the notes."""
    findings = [finding async for finding in check_webhook(address_of(url), client_states, graphs_trust())]
    named = {finding.words.partition(": ")[0].replace(url, ""): finding for finding in findings if finding.outcome != "note"}
    return {name: finding.outcome if finding.outcome == "ok" else finding.words for name, finding in named.items()}


async def test_the_gateway_shakes_hands_and_recognizes_the_probes(gateway: httpx2.AsyncClient) -> None:
    names = [f"{check} /graph/{path}" for path in ("notifications", "lifecycle") for check in ("handshake", "probe")]

    assert await outcomes(str(gateway.base_url)) == dict.fromkeys(names, "ok")


@pytest.mark.parametrize(("kind", "path"), [(NotificationReceived, "notifications"), (LifecycleReceived, "lifecycle")])
async def test_a_probe_is_not_published(
    gateway: httpx2.AsyncClient, kafka: Kafka, kind: type[NotificationReceived] | type[LifecycleReceived], path: str
) -> None:
    calendars = {new_id("cal") for _ in range(32)}  # enough to have some in each partition

    await outcomes(f"{gateway.base_url}/graph/{path}")
    await gateway.post(f"/graph/{path}", json={"value": [entry(calendar, lifecycleEvent="missed") for calendar in calendars]})

    async with reading(kafka, kind) as topic:
        found = await topic.of(lambda message: message.calendar in calendars | {PROBE_CALENDAR}, at_least=len(calendars))
    assert {message.calendar for message in found} == calendars


async def test_without_the_broker_hands_are_shaken_and_the_probe_says_that_graph_will_be_refused(kafka: Kafka) -> None:
    async with serving(lambda _: make_gateway(kafka, KEYS, kafka_bootstrap_servers="127.0.0.1:9")) as url:
        found = await outcomes(f"{url}/graph/notifications")

    assert found["handshake "] == "ok"
    assert ": 503: the gateway has no broker" in found["probe "]


async def test_a_probe_signed_with_another_key_of_the_same_name_is_not_recognized(gateway: httpx2.AsyncClient) -> None:
    others = ClientStates([SecretStr(f"k:{base64.b64encode(b'x' * 32).decode()}")])

    found = await outcomes(f"{gateway.base_url}/graph/notifications", others)

    assert ": 202, but it wasn't recognized: the gateway has another key k in CLIENT_STATE_KEYS" in found["probe "]
