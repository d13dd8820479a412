"""The gateway's two doors: what Graph posts is believed, published and answered, and nothing else is."""

import asyncio
import base64
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from common.client_state import ClientStates
from common.ids import new_id
from common.messages import LifecycleReceived, NotificationReceived
from common.settings import read_settings
from tests.fakes.recorded_messaging import RecordedMessaging
from webhook_gateway.app import create_app
from webhook_gateway.intake import LARGE, Intake
from webhook_gateway.readers import Reading
from webhook_gateway.routes import Door
from webhook_gateway.settings import Settings

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
NOTIFICATIONS = "/graph/notifications"
LIFECYCLE = "/graph/lifecycle"


def keys(letter: str) -> ClientStates:
    return ClientStates([SecretStr(f"k:{base64.b64encode(letter.encode() * 32).decode()}")])


OURS = keys("o")
SETTINGS = Settings(client_state_keys=[SecretStr(f"k:{base64.b64encode(b'o' * 32).decode()}")])
THEIRS = keys("t")


@pytest.fixture
def messaging() -> RecordedMessaging:
    return RecordedMessaging()


@pytest.fixture
async def gateway(messaging: RecordedMessaging) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(messaging, OURS, Intake(SETTINGS), lambda: NOW)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://gateway") as client:
        yield client


def notification(calendar: str, signer: ClientStates = OURS, **changed: Any) -> dict[str, Any]:
    """As Outlook posts it: no outer id, the offset of the subscription's end unlike ours."""
    entry = {
        "subscriptionId": "7f105c7d-2dc5-4530-97cd-4e7ae6534c07",
        "subscriptionExpirationDateTime": "2026-11-28T15:30:00.1234567+05:30",
        "changeType": "updated",
        "resource": "Users/u/Events/e",
        "resourceData": {"@odata.type": "#Microsoft.Graph.Event", "id": "e"},
        "clientState": signer.sign(calendar),
        "tenantId": TENANT,
    }
    return entry | changed


def lifecycle(calendar: str, event: str) -> dict[str, Any]:
    """As documented: neither resource nor changeType."""
    return {
        "subscriptionId": "7f105c7d-2dc5-4530-97cd-4e7ae6534c07",
        "subscriptionExpirationDateTime": "2026-11-28T15:30:00Z",
        "tenantId": TENANT,
        "clientState": OURS.sign(calendar),
        "lifecycleEvent": event,
    }


@pytest.mark.parametrize("path", [NOTIFICATIONS, LIFECYCLE])
async def test_a_handshake_is_answered_with_the_decoded_token_as_it_is(gateway: httpx2.AsyncClient, path: str) -> None:
    answer = await gateway.post(f"{path}?validationToken=Validation%3a+reachability+for+%3Cb%3E+100%25%2B%C3%A9")

    assert (answer.status_code, answer.text) == (200, "Validation: reachability for <b> 100%+é")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_handshake_is_neither_logged_nor_published(
    gateway: httpx2.AsyncClient, messaging: RecordedMessaging, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await gateway.post(f"{NOTIFICATIONS}?validationToken=hush")

    assert "hush" not in "".join(record.getMessage() for record in caplog.records if record.name != "httpx2")
    assert messaging.published == []


async def test_a_token_longer_than_any_of_graph_is_refused(gateway: httpx2.AsyncClient) -> None:
    assert (await gateway.post(f"{NOTIFICATIONS}?validationToken={'x' * 5000}")).status_code == 400


async def test_the_notifications_of_a_calendar_become_one_message(
    gateway: httpx2.AsyncClient, messaging: RecordedMessaging
) -> None:
    one, other = new_id("cal"), new_id("cal")

    answer = await gateway.post(NOTIFICATIONS, json={"value": [notification(one), notification(other), notification(one)]})

    assert (answer.status_code, answer.content) == (202, b"")
    assert messaging.published == [
        NotificationReceived(
            calendar=calendar,
            subscription="7f105c7d-2dc5-4530-97cd-4e7ae6534c07",
            tenant=TENANT,
            count=count,
            kinds=["updated"],
            received_at=NOW,
        )
        for calendar, count in ((one, 2), (other, 1))
    ]


@pytest.mark.parametrize(
    "bad",
    [
        None,
        7,
        [],
        {},
        {"clientState": 7},
        {"subscriptionId": "s", "clientState": None},
        {"subscriptionId": "s" * 300, "clientState": "x"},
        {"subscriptionId": "s", "clientState": "secret"},
        {"subscriptionId": "s", "clientState": "v1.k.cal_x.ÿ"},
        notification(new_id("cal"), THEIRS),
    ],
)
async def test_an_entry_that_is_not_genuine_spoils_no_other(
    gateway: httpx2.AsyncClient, messaging: RecordedMessaging, bad: Any
) -> None:
    calendar = new_id("cal")

    answer = await gateway.post(NOTIFICATIONS, json={"value": [bad, notification(calendar)]})

    assert answer.status_code == 202
    assert [message.calendar for message in messaging.of(NotificationReceived)] == [calendar]


async def test_a_post_of_forged_entries_is_answered_like_any_other(
    gateway: httpx2.AsyncClient, messaging: RecordedMessaging, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = notification(new_id("cal"), THEIRS)

    answer = await gateway.post(NOTIFICATIONS, json={"value": [forged] * 3})

    assert (answer.status_code, answer.content, messaging.published) == (202, b"", [])
    logged = "".join(capsys.readouterr())
    assert "forged" in logged
    assert forged["clientState"] not in logged


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"value"',
        b'{"value":null}',
        b'{"value":{}}',
        b"\xff\xfe",
        b'{"value":' + b"[" * 100_000,
        b'{"val":[]}',
    ],
)
async def test_a_body_that_is_not_json_with_a_value_list_is_refused(gateway: httpx2.AsyncClient, body: bytes) -> None:
    assert (await gateway.post(NOTIFICATIONS, content=body)).status_code == 400


async def test_an_empty_list_is_accepted(gateway: httpx2.AsyncClient) -> None:
    assert (await gateway.post(NOTIFICATIONS, json={"value": []})).status_code == 202


async def test_an_entry_that_is_not_utf_8_is_dropped(gateway: httpx2.AsyncClient, messaging: RecordedMessaging) -> None:
    good = json.dumps(notification(new_id("cal"))).encode()

    answer = await gateway.post(NOTIFICATIONS, content=b'{"value":[{"subscriptionId":"\xff","clientState":"x"},' + good + b"]}")

    assert (answer.status_code, len(messaging.published)) == (202, 1)


async def test_a_body_larger_than_4_mib_is_refused(gateway: httpx2.AsyncClient) -> None:
    assert (await gateway.post(NOTIFICATIONS, content=b" " * (4 * 1024 * 1024 + 1))).status_code == 413


async def test_a_large_post_of_junk_is_answered_though_nothing_of_it_is_genuine(
    gateway: httpx2.AsyncClient, messaging: RecordedMessaging
) -> None:
    junk = b'{"value":[' + b",".join([b"1"] * 100_000) + b"]}"
    assert (await gateway.post(NOTIFICATIONS, content=junk)).status_code == 202
    assert messaging.published == []


async def test_the_shortest_genuine_entry_is_taken_beside_a_malformed_one(
    gateway: httpx2.AsyncClient, messaging: RecordedMessaging
) -> None:
    entry = b'{"subscriptionId":"","clientState":"%s"}' % OURS.sign(new_id("cal")).encode()

    answer = await gateway.post(NOTIFICATIONS, content=b'{"value":[1,' + entry + b"]}")

    assert (answer.status_code, len(messaging.published)) == (202, 1)


async def test_large_posts_are_read_one_after_the_other(messaging: RecordedMessaging) -> None:
    reading, most = 0, 0

    def read(_: bytes) -> Reading:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        time.sleep(0.05)
        reading -= 1
        return Reading()

    intake = Intake(SETTINGS)
    doors = [Door(name, read, messaging, intake) for name in ("notifications", "lifecycle")]
    async with AsyncExitStack() as clients:
        posts = []
        for door in doors * 3:
            client = httpx2.AsyncClient(transport=httpx2.ASGITransport(door), base_url="http://gateway")
            posts.append((await clients.enter_async_context(client)).post("/", content=b" " * (LARGE + 1)))
        answers = await asyncio.gather(*posts)

    assert ({answer.status_code for answer in answers}, most) == ({202}, 1)


async def test_graph_is_asked_to_post_again_when_the_broker_is_away(
    gateway: httpx2.AsyncClient, messaging: RecordedMessaging
) -> None:
    messaging.down = True

    answer = await gateway.post(NOTIFICATIONS, json={"value": [notification(new_id("cal"))]})

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("kind", ["reauthorizationRequired", "subscriptionRemoved", "missed"])
async def test_each_lifecycle_entry_becomes_a_message(gateway: httpx2.AsyncClient, messaging: RecordedMessaging, kind: Any) -> None:
    calendar = new_id("cal")

    answer = await gateway.post(LIFECYCLE, json={"value": [lifecycle(calendar, kind), lifecycle(calendar, kind)]})

    expected = LifecycleReceived(
        calendar=calendar,
        subscription="7f105c7d-2dc5-4530-97cd-4e7ae6534c07",
        tenant=TENANT,
        kind=kind,
        received_at=NOW,
    )
    assert (answer.status_code, messaging.published) == (202, [expected, expected])


async def test_a_lifecycle_event_that_we_do_not_know_is_published_as_unknown(
    gateway: httpx2.AsyncClient, messaging: RecordedMessaging
) -> None:
    await gateway.post(LIFECYCLE, json={"value": [lifecycle(new_id("cal"), "somethingNew")]})

    assert [message.kind for message in messaging.of(LifecycleReceived)] == ["unknown"]


async def test_a_notification_posted_to_the_lifecycle_address_is_dropped(
    gateway: httpx2.AsyncClient, messaging: RecordedMessaging
) -> None:
    answer = await gateway.post(LIFECYCLE, json={"value": [notification(new_id("cal"))]})

    assert (answer.status_code, messaging.published) == (202, [])


async def test_only_posts_are_taken(gateway: httpx2.AsyncClient) -> None:
    assert (await gateway.get(NOTIFICATIONS)).status_code == 405


def test_a_post_that_would_never_have_room_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIENT_STATE_KEYS", f"k:{base64.b64encode(b'o' * 32).decode()}")
    monkeypatch.setenv("POST_LARGEST_BYTES", "200000")
    monkeypatch.setenv("POST_BYTES_IN_FLIGHT", "100000")

    with pytest.raises(SystemExit, match="  POST_LARGEST_BYTES must not be more than POST_BYTES_IN_FLIGHT"):
        read_settings(Settings)


async def test_it_is_alive_without_the_broker_but_not_ready(gateway: httpx2.AsyncClient, messaging: RecordedMessaging) -> None:
    messaging.down = True

    assert (await gateway.get("/livez")).status_code == 200
    assert (await gateway.get("/readyz")).status_code == 503
