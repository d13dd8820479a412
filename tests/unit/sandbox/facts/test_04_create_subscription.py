"""Line 4: what POST /subscriptions wants of both addresses, of the life asked for, and of Exchange."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from outlook_sandbox.graph.prefer import read_preferences
from tests.unit.sandbox.graph_client import IMMUTABLE, Endpoint
from tests.unit.sandbox.subscriber import LIVELY, Subscriber, subscriber

NOT_200 = "Subscription validation request failed. Notification endpoint must respond with 200 OK to validation request."
NOT_THE_TOKEN = "Subscription validation request failed. Response must exactly match validationToken query parameter."
TIMED_OUT = "Subscription validation request timed out."
FIELDS = {
    "@odata.context", "id", "resource", "applicationId", "changeType", "clientState", "notificationUrl",
    "notificationQueryOptions", "lifecycleNotificationUrl", "expirationDateTime", "creatorId", "includeResourceData",
    "latestSupportedTlsVersion", "encryptionCertificate", "encryptionCertificateId", "notificationUrlAppId",
    "notificationContentType",
}  # fmt: skip


@pytest.fixture
async def app() -> AsyncIterator[Subscriber]:
    async with subscriber() as made:
        yield made


async def test_both_urls_shake_hands_with_tokens_that_need_url_decoding(app: Subscriber) -> None:
    await app.subscribe(lifecycleNotificationUrl=f"{app.there.url}?for=lifecycle")
    assert len(set(app.there.handshakes)) == 2
    assert all({"+", ":", "%", " "} <= set(token) for token in app.there.handshakes)


def _not_200(there: Endpoint) -> None:
    there.handshake_status = 202


def _redirected(there: Endpoint) -> None:
    there.handshake_status = 307
    there.headers["location"] = there.url


def _undecoded(there: Endpoint) -> None:
    there.reply = lambda token: token.replace(" ", "%20")


def _half_decoded(there: Endpoint) -> None:
    there.reply = lambda token: token.replace("+", " ")


def _html(there: Endpoint) -> None:
    there.headers["content-type"] = "text/html"


def _endless(there: Endpoint) -> None:
    there.reply = lambda token: token + "x" * 5_000_000


def _asleep(there: Endpoint) -> None:
    there.awake.clear()


@pytest.mark.parametrize(
    ("behave", "message"),
    [
        (_not_200, NOT_200), (_redirected, NOT_200),
        (_undecoded, NOT_THE_TOKEN), (_half_decoded, NOT_THE_TOKEN), (_html, NOT_THE_TOKEN), (_endless, NOT_THE_TOKEN),
        (_asleep, TIMED_OUT),
    ],
)  # fmt: skip
async def test_a_failed_handshake_is_a_validation_error_400(
    app: Subscriber, behave: Callable[[Endpoint], None], message: str
) -> None:
    if behave is _asleep:
        app.graph.sandbox.delivery.patience = LIVELY
    behave(app.there)
    assert await app.refused() == (400, "ValidationError", message)
    assert app.graph.sandbox.subscriptions.all() == []


@pytest.mark.parametrize("name", ["notificationUrl", "lifecycleNotificationUrl"])
async def test_an_unreachable_url_of_either_kind_is_a_validation_error_400(app: Subscriber, name: str) -> None:
    assert await app.refused(**{name: "http://127.0.0.1:9/nobody"}) == (400, "ValidationError", NOT_200)
    assert app.graph.sandbox.subscriptions.all() == []


async def test_a_handshake_may_take_10_seconds(app: Subscriber) -> None:
    assert app.graph.sandbox.delivery.patience.handshake == 10


async def test_the_201_body_has_every_field_and_null_for_what_is_unset(app: Subscriber) -> None:
    made = await app.subscribe()
    assert made.keys() == FIELDS
    assert {name for name, value in made.items() if value is None} == {
        "notificationQueryOptions", "lifecycleNotificationUrl", "includeResourceData", "encryptionCertificate",
        "encryptionCertificateId", "notificationUrlAppId", "notificationContentType",
    }  # fmt: skip
    assert (made["clientState"], made["latestSupportedTlsVersion"]) == ("secret", "v1_2")


async def test_the_same_again_is_409_with_the_existing_id(app: Subscriber) -> None:
    made = await app.subscribe()
    again = await app.refused(resource=f"me/Calendars/{app.graph.calendar}/events/", changeType="deleted, updated,created")
    assert again == (
        409,
        "ObjectIdentifierInUse",
        f"Subscription Id {made['id']} already exists for the requested combination",
    )
    assert len(app.there.handshakes) == 1
    await app.subscribe(changeType="created")


async def test_life_is_capped_at_10070_minutes(app: Subscriber) -> None:
    reason = "Subscription expiration can only be 10070 minutes in the future."
    message = f"Operation: Create; Exception: [Status Code: BadRequest; Reason: {reason}]"
    assert await app.refused(minutes=10_071) == (400, "ExtensionError", message)
    await app.subscribe(minutes=10_069)


async def test_life_is_raised_to_45_minutes_and_never_past(app: Subscriber) -> None:
    made = await app.subscribe(minutes=1)
    left = datetime.fromisoformat(made["expirationDateTime"]) - app.graph.sandbox.clock.now()
    assert timedelta(minutes=44) < left <= timedelta(minutes=45)
    assert (await app.refused(minutes=-1, changeType="created"))[:2] == (400, "InvalidRequest")


async def test_over_1000_of_all_apps_in_a_mailbox_is_403(app: Subscriber) -> None:
    first = app.of(await app.subscribe())
    for number in range(999):
        app.graph.sandbox.subscriptions.add(msgspec.structs.replace(first, id=str(number), app=str(number)))
    assert (await app.refused(changeType="created"))[0] == 403


@pytest.mark.parametrize(
    ("inner", "status", "reason"),
    [
        ("NotFound", 404, "REST API is not yet supported for this mailbox."),
        ("Forbidden", 403, "Forbidden"),
        (
            "ServiceUnavailable",
            403,
            "Target resource '00034001-2c5e-7d41-0000-000000000000' hosted on database '6e0d4a52-91b7-4f3c-8a1e-5d70c2b9f846' "
            "is currently on backend 'Unknown'",
        ),
        ("Unauthorized", 401, "Authentication failed"),
    ],
)
async def test_exchange_refuses_with_an_extension_error_and_an_inner_status(
    app: Subscriber, inner: str, status: int, reason: str
) -> None:
    await app.fault("subscription-refused", inner=inner, times=1)
    message = f"Operation: Create; Exception: [Status Code: {inner}; Reason: {reason}]"
    assert await app.refused() == (status, "ExtensionError", message)
    assert len(app.there.handshakes) == 1
    await app.subscribe()


async def test_another_persons_calendar_is_forbidden_and_an_unknown_one_not_found(app: Subscriber) -> None:
    shared = app.graph.mailbox.add_calendar("Theirs", owner=("Sabine", "sabine@ting.example"))
    forbidden = "Operation: Create; Exception: [Status Code: Forbidden; Reason: Forbidden]"
    for resource in (f"/me/calendars/{shared.id}/events", "/users/somebody/events"):
        assert await app.refused(resource=resource) == (403, "ExtensionError", forbidden)
    status, code, message = await app.refused(resource="/me/calendars/gone/events")
    assert (status, code) == (400, "ExtensionError")
    assert "Status Code: BadRequest; Reason: The specified object was not found in the store." in message


@pytest.mark.parametrize(
    "resource",
    [
        "/me/events", "me/events", "Me/Events/", "/users/{user}/events", "users/{name}/events", "/Users('{user}')/events",
        "/me/calendars/{calendar}/events", "me/calendars('{calendar}')/events", "/users/{user}/calendars/{calendar}/events",
    ],
)  # fmt: skip
async def test_resources_are_a_mailbox_or_one_calendar(app: Subscriber, resource: str) -> None:
    account = app.graph.account
    written = resource.format(user=account.id, name=account.username, calendar=app.graph.calendar)
    made = await app.subscribe(resource=written, changeType="created")
    assert made["resource"] == written
    await app.graph.create()
    await app.there.until(lambda: app.there.types() == ["created"])


@pytest.mark.parametrize(
    "resource",
    ["/me/events/one", "/me/calendars", "/me/calendars/one", "/me/messages", "/me/events?$filter=x eq 1", "events", ""],
)
async def test_a_single_event_or_a_list_of_calendars_is_no_resource(app: Subscriber, resource: str) -> None:
    assert (await app.refused(resource=resource))[:2] == (400, "InvalidRequest")
    assert app.there.handshakes == []


@pytest.mark.parametrize(
    "change",
    [
        {"notificationUrl": "http://example.org/x"}, {"notificationUrl": "https://[x/"},
        {"notificationUrl": "http://localhost:99999/"}, {"notificationUrl": ""},
        {"lifecycleNotificationUrl": "ftp://localhost/"}, {"changeType": "moved"}, {"changeType": None},
        {"clientState": "x" * 129}, {"clientState": 1}, {"expirationDateTime": "soon"}, {"expirationDateTime": None},
        {"latestSupportedTlsVersion": "v2"}, {"latestSupportedTlsVersion": ["v1_2"]},
        {"includeResourceData": "yes"}, {"encryptionCertificate": "no certificate"},
    ],
)  # fmt: skip
async def test_what_is_not_in_order_is_refused_before_any_handshake(app: Subscriber, change: dict[str, Any]) -> None:
    assert (await app.refused(**change))[:2] == (400, "InvalidRequest")
    assert app.there.handshakes == []


async def test_unknown_fields_are_refused(app: Subscriber) -> None:
    assert (await app.refused(surprise=1))[0] == 400


async def test_immutable_ids_are_chosen_when_it_is_made(app: Subscriber) -> None:
    assert read_preferences(IMMUTABLE["Prefer"]).immutable_ids
    await app.subscribe(headers=IMMUTABLE, changeType="created")
    made = await app.graph.create()
    await app.there.until(lambda: app.there.posts == 1)
    shown = await app.graph.get(f"/me/events/{made['id']}", headers=IMMUTABLE)
    assert app.there.notifications[0]["resourceData"]["id"] == shown["id"] != made["id"]
