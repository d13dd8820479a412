"""Notifications with resource data, read as an app has to: token, signature, key, data."""

import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.unit.sandbox.graph_client import APP, IMMUTABLE, Json, weekly
from tests.unit.sandbox.resource_data import CERTIFICATE, certificate, decrypted
from tests.unit.sandbox.subscriber import Subscriber, subscriber

PUBLISHER = "0bf30f3b-4a52-48df-9a82-234910c4a086"


@pytest.fixture
async def app() -> AsyncIterator[Subscriber]:
    async with subscriber() as made:
        yield made


def _rich(app: Subscriber, select: str = "Subject,start, categories", **more: Any) -> Json:
    return {
        "resource": f"/me/calendars/{app.graph.calendar}/events?$select={select}",
        "includeResourceData": True,
        "encryptionCertificate": CERTIFICATE,
        "encryptionCertificateId": "one",
        "minutes": 600,
    } | more


async def test_the_selected_properties_come_encrypted_and_signed(app: Subscriber) -> None:
    await app.subscribe(**_rich(app, changeType="created"))
    made = await app.graph.create("Massage", categories=["Blue category"])
    await app.there.until(lambda: app.there.posts == 1)
    [told] = app.there.notifications
    assert decrypted(told) == {
        "subject": "Massage",
        "start": {"@odata.type": "#microsoft.graph.dateTimeTimeZone"} | made["start"],
        "categories@odata.type": "#Collection(String)",
        "categories": ["Blue category"],
    }
    assert told["encryptedContent"]["encryptionCertificateId"] == "one"
    thumbprint = hashlib.sha1(base64.b64decode(CERTIFICATE)).hexdigest().upper()  # noqa: S324
    assert told["encryptedContent"]["encryptionCertificateThumbprint"] == thumbprint


async def test_they_name_the_event_in_odatas_own_spelling(app: Subscriber) -> None:
    await app.subscribe(**_rich(app, changeType="created"))
    made = await app.graph.create()
    await app.there.until(lambda: app.there.posts == 1)
    [told] = app.there.notifications
    assert told["resource"] == f"Users('{app.graph.account.id}')/events('{made['id']}')"
    assert told["resourceData"] == {
        "@odata.type": "#microsoft.graph.event",
        "@odata.id": told["resource"],
        "@odata.etag": made["@odata.etag"],
        "id": made["id"],
    }


async def test_each_app_and_tenant_in_a_post_has_a_token_of_microsofts_publisher(app: Subscriber) -> None:
    another = app.graph.sandbox.tokens.issue(app.graph.account.id, "another", frozenset(("Calendars.Read",))).access_token
    await app.subscribe(**_rich(app))
    await app.subscribe(**_rich(app, token=another))
    await app.graph.create()
    await app.there.until(lambda: app.there.posts == 1)
    keys = (await app.graph.client.get("/common/discovery/v2.0/keys")).json()["keys"]
    audiences = set()
    for token in app.there.posted[0]["validationTokens"]:
        public = next(jwt.PyJWK(key) for key in keys if key["kid"] == jwt.get_unverified_header(token)["kid"])
        issuer = f"https://sts.windows.net/{app.graph.account.tid}/"
        claims = jwt.decode(token, public, algorithms=["RS256"], audience=[APP, "another"], issuer=issuer)
        assert (claims["appid"], claims["azp"], claims["tid"]) == (PUBLISHER, PUBLISHER, app.graph.account.tid)
        audiences.add(claims["aud"])
    assert audiences == {APP, "another"}


async def test_a_basic_notification_in_the_same_post_has_no_content_and_a_basic_post_no_tokens(app: Subscriber) -> None:
    basic = await app.subscribe(changeType="created")
    await app.graph.create()
    await app.there.until(lambda: app.there.posts == 1)
    assert app.there.posted[0].keys() == {"value"}
    await app.subscribe(**_rich(app, changeType="created"))
    await app.graph.create()
    await app.there.until(lambda: app.there.posts == 2)
    contents = {told["subscriptionId"] == basic["id"]: "encryptedContent" in told for told in app.there.posted[1]["value"]}
    assert contents == {True: False, False: True}


async def test_an_occurrence_and_immutable_ids_come_so_too_and_a_deletion_without_data(app: Subscriber) -> None:
    series = await app.graph.create(recurrence=weekly("2026-11-24"))
    await app.subscribe(**_rich(app, "id,type,subject", headers=IMMUTABLE))
    occurrence = (await app.graph.view("2026-11-23T00:00:00Z", "2026-12-09T00:00:00Z"))[1]
    await app.graph.patch(occurrence["id"], {"subject": "moved"})
    await app.there.until(lambda: len(app.there.notifications) == 2)
    shown = [decrypted(told) for told in app.there.notifications]
    assert sorted(each["type"] for each in shown) == ["exception", "seriesMaster"]
    assert [each["id"] for each in shown] == [told["resourceData"]["id"] for told in app.there.notifications]
    await app.graph.ask("DELETE", f"/me/events/{series['id']}")
    await app.there.until(lambda: app.there.types()[-1] == "deleted")
    assert "encryptedContent" not in app.there.notifications[-1]


async def test_life_is_capped_at_1440_minutes(app: Subscriber) -> None:
    status, code, message = await app.refused(**_rich(app, minutes=1441))
    assert (status, code) == (400, "ExtensionError")
    assert "Subscription expiration can only be 1440 minutes in the future." in message
    made = await app.subscribe(**_rich(app, minutes=1439))
    assert (made["includeResourceData"], made["encryptionCertificateId"]) == (True, "one")
    assert made["encryptionCertificate"] == CERTIFICATE


@pytest.mark.parametrize(
    "change",
    [
        {"encryptionCertificate": None}, {"encryptionCertificateId": None}, {"encryptionCertificateId": "x" * 129},
        {"encryptionCertificate": "AAAA"}, {"encryptionCertificate": "not base64!"},
        {"encryptionCertificate": certificate(rsa.generate_private_key(65537, 1024))},  # noqa: S505
        {"encryptionCertificate": certificate(ec.generate_private_key(ec.SECP256R1()))},
        {"resource": "/me/events"}, {"resource": "/me/events?$select="}, {"resource": "/me/events?$select=subject,Body"},
        {"resource": "/me/events?$select=uniqueBody"}, {"resource": "/me/events?$select=subject&$top=1"},
        {"resource": "/me/events?$select=subject&$orderby=subject"}, {"resource": "/me/events?$select=surprise"},
        {"resource": "/me/events?$select=subject", "includeResourceData": False},
    ],
)  # fmt: skip
async def test_what_a_subscription_with_resource_data_may_not_be(app: Subscriber, change: Json) -> None:
    assert (await app.refused(**_rich(app) | change))[:2] == (400, "InvalidRequest")
    assert app.there.handshakes == []


async def test_the_certificate_can_be_exchanged(app: Subscriber) -> None:
    made = await app.subscribe(**_rich(app, changeType="created"))
    key = rsa.generate_private_key(65537, 2048)
    path = f"/subscriptions/{made['id']}"
    change = {"encryptionCertificate": certificate(key), "encryptionCertificateId": "two"}
    assert (await app.graph.ask("PATCH", path, change)).json()["encryptionCertificateId"] == "two"
    assert (await app.graph.ask("PATCH", path, {"encryptionCertificate": "AAAA"})).status_code == 400
    await app.graph.create("after")
    await app.there.until(lambda: app.there.posts == 1)
    assert decrypted(app.there.notifications[0], key)["subject"] == "after"
