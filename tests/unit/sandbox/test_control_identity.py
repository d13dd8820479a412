"""The identity platform from behind: tenants, apps, consents, and the ways in which a grant ends."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from outlook_sandbox.client import NotThere, SandboxControl, SandboxError
from outlook_sandbox.control.models import AppSecret, AppSettings, Reason
from tests.unit.sandbox.graph_client import IMMUTABLE
from tests.unit.sandbox.identity_client import (
    APP,
    CP1,
    PERSONAL,
    RETURN,
    WORK,
    WORK_TENANT,
    Microsoft,
    make_certificate,
    microsoft,
)
from tests.unit.sandbox.subscriber import Subscriber, subscriber
from tests.unit.sandbox.test_control import GUID, problem


@pytest.fixture
async def door() -> AsyncIterator[Microsoft]:
    async with microsoft() as made:
        yield made


@pytest.fixture
def control(door: Microsoft) -> SandboxControl:
    return SandboxControl(client=door.http)


def numbers(answer: httpx2.Response) -> list[int]:
    """Of a refusal of the token endpoint."""
    assert answer.status_code == 400, answer.text
    found: list[int] = answer.json()["error_codes"]
    return found


@pytest.mark.parametrize("reason", ["user", "admin", "password-reset"])
async def test_a_revoked_grant_is_dead_and_its_access_token_lives_on(
    door: Microsoft, control: SandboxControl, reason: Reason
) -> None:
    for account, number in ((WORK, 50173), (PERSONAL, 70000)):
        given = await door.sign_in(account)
        other = await door.sign_in(PERSONAL if account is WORK else WORK)
        await control.revoke(account.username, reason)
        assert numbers(await door.refresh(given["refresh_token"])) == [number]
        assert (await door.me(given["access_token"])).status_code == 200
        assert (await door.refresh(other["refresh_token"])).status_code == 200
        again = await door.sign_in(account)
        await control.revoke(account.id, reason, at_once=True)
        assert (await door.me(again["access_token"])).status_code == 401


async def test_a_change_of_password_leaves_the_refresh_token_alone(door: Microsoft, control: SandboxControl) -> None:
    given = await door.sign_in(WORK)
    await control.revoke(WORK.id, "password-change")
    assert (await door.refresh(given["refresh_token"])).status_code == 200
    path = f"/sandbox/v1/accounts/{WORK.id}/revoke"
    problem(await door.http.post(path, json={"reason": "password-change", "at_once": True}), 422)
    problem(await door.http.post(path, json={"reason": "boredom"}), 422)


async def test_a_disabled_account_can_not_refresh_until_it_is_enabled_and_signs_in_again(
    door: Microsoft, control: SandboxControl
) -> None:
    given = await door.sign_in(WORK)
    await control.revoke(WORK.id, "disabled")
    assert (await control.account(WORK.id)).disabled
    assert numbers(await door.refresh(given["refresh_token"])) == [50173]
    assert "AADSTS50057" in (await door.pick(WORK)).text
    await control.change_account(WORK.id, disabled=False)
    assert numbers(await door.refresh(given["refresh_token"])) == [50173]
    assert (await door.refresh((await door.sign_in(WORK))["refresh_token"])).status_code == 200
    await control.change_account(WORK.id, disabled=True)
    assert "AADSTS50057" in (await door.pick(WORK)).text


async def test_a_challenge_is_for_clients_that_declared_cp1(door: Microsoft, control: SandboxControl) -> None:
    signed_in = await door.sign_in(WORK), await door.sign_in(WORK, claims=CP1)
    handed = [await control.token(WORK.id, "my-app", ["User.Read"], cp1=cp1) for cp1 in (False, True)]
    await control.challenge(WORK.username)
    for plain, aware in ([given["access_token"] for given in signed_in], handed):
        assert (await door.me(plain)).status_code == 200
        refused = await door.me(aware)
        assert refused.status_code == 401
        assert 'error="insufficient_claims"' in refused.headers["www-authenticate"]


async def test_consent_is_seen_and_withdrawn(door: Microsoft, control: SandboxControl) -> None:
    given = await door.sign_in(WORK)
    [consent] = await control.consents(WORK.id)
    assert (consent.app, consent.name) == (APP, "Attendara")
    assert {"Calendars.ReadWrite", "User.Read"} <= set(consent.scopes)
    assert await control.consents(PERSONAL.id) == []
    await control.withdraw_consent(WORK.id, APP)
    assert numbers(await door.refresh(given["refresh_token"])) == [65001]
    with pytest.raises(NotThere, match="no such consent"):
        await control.withdraw_consent(WORK.id, APP)


async def test_a_tenant_forbids_its_people_to_consent(door: Microsoft, control: SandboxControl) -> None:
    [tenant] = await control.tenants()
    assert (tenant.id, tenant.domain, tenant.user_consent) == (WORK_TENANT, "praxis.example", "allowed")
    forbids = await control.set_tenant_policy(WORK_TENANT, "forbidden")
    assert (forbids.domain, await control.tenants()) == ("praxis.example", [forbids])
    assert "code=" not in (await door.pick(WORK, "accept")).headers.get("location", "")
    assert "code=" in (await door.pick(PERSONAL, "accept")).headers["location"]
    await control.set_tenant_policy(WORK_TENANT, "allowed", domain="Praxis-Neu.example")
    assert (await door.sign_in(WORK, tenant="praxis-neu.example"))["access_token"]


async def test_a_tenant_may_be_there_before_its_people(control: SandboxControl) -> None:
    with pytest.raises(NotThere):
        await control.set_tenant_policy(GUID, "forbidden")
    made = await control.set_tenant_policy(GUID, "by-request", domain="new.example")
    assert made in await control.tenants()
    assert (await control.create_account("a@new.example", "A", tid=GUID)).tid == GUID
    for tenant in ("9188040d-6c67-4c5b-b112-36a304b66dad", "11111111-1111-4111-8111-111111111111"):
        with pytest.raises(NotThere):
            await control.set_tenant_policy(tenant, "allowed")


async def test_what_is_no_policy_is_refused(door: Microsoft) -> None:
    path = "/sandbox/v1/tenants/"
    for tenant, wrong in ((WORK_TENANT, {"user_consent": "maybe"}), (WORK_TENANT, {"domain": "a b"}), ("common", {})):
        problem(await door.http.put(f"{path}{tenant}", json=wrong), 422)


async def test_an_admins_consent_for_all_is_withdrawn(door: Microsoft, control: SandboxControl) -> None:
    given = await door.sign_in(WORK)
    await control.withdraw_consent(WORK.id, APP)
    door.sandbox.tokens.consents.add(WORK_TENANT, APP, frozenset(given["scope"].split()) | {"offline_access"})
    assert (await door.refresh(given["refresh_token"])).status_code == 200
    await control.withdraw_tenant_consent(WORK_TENANT, APP)
    assert numbers(await door.refresh(given["refresh_token"])) == [65001]


async def test_a_registered_app_signs_people_in_until_it_is_removed(door: Microsoft, control: SandboxControl) -> None:
    secret = AppSecret(value="a-secret-made-up", expires_at=datetime.now(UTC) + timedelta(days=30))
    made = await control.register_app(AppSettings(name="Mine", redirect_uris=[RETURN], secrets=[secret], publisher="mine.example"))
    assert (made.name, made.public, [shown.hint for shown in made.secrets]) == ("Mine", False, ["a-s"])
    assert made == await control.app(made.id) == (await control.apps())[-1]
    assert "a-secret-made-up" not in (await door.http.get("/sandbox/v1/apps")).text + repr(secret)
    code = await door.code(WORK, client_id=made.id)
    credentials = {"client_id": made.id, "client_secret": "a-secret-made-up"}
    given = (await door.ask_token(code=code, **credentials)).json()
    await control.advance(days=31)
    refused = await door.refresh(given["refresh_token"], **credentials)
    assert (refused.status_code, refused.json()["error_codes"]) == (401, [7000222])
    changed = await control.register_app(AppSettings(name="Mine still", secrets=[AppSecret(value="another")]), made.id)
    assert (changed.id, changed.name, changed.redirect_uris) == (made.id, "Mine still", [])
    assert (await door.refresh(given["refresh_token"], client_id=made.id, client_secret="another")).status_code == 200
    await control.remove_app(made.id)
    with pytest.raises(NotThere):
        await control.remove_app(made.id)
    assert [app.id for app in await control.apps()] == [APP]


async def test_the_settings_app_comes_back_when_it_is_removed(control: SandboxControl) -> None:
    before = await control.app(APP)
    await control.register_app(AppSettings(name="Other", disabled=True), APP)
    assert (await control.app(APP)).disabled
    await control.remove_app(APP)
    assert await control.app(APP) == before


@pytest.mark.parametrize("address", ["http://[", "/return", "return", "http://"])
async def test_a_redirect_uri_that_leads_nowhere_is_refused(door: Microsoft, address: str) -> None:
    answer = await door.http.post("/sandbox/v1/apps", json={"name": "Mine", "redirect_uris": [address]})
    assert answer.status_code == 422
    assert "redirect_uris" in answer.json()["detail"]


async def test_an_app_has_certificates_in_pem(door: Microsoft, control: SandboxControl) -> None:
    pem = make_certificate().pem
    assert (await control.register_app(AppSettings(name="Mine", certificates=[pem]))).certificates == [pem]
    with pytest.raises(SandboxError, match=r"certificates\.1: This is not a certificate") as refusal:
        await control.register_app(AppSettings(name="Mine", certificates=[pem, "-----BEGIN NOTHING-----"]))
    assert refusal.value.status == 422
    for wrong in (
        {"public": True, "secrets": [{"value": "x"}]}, {"sign_in_audience": "AzureADMyOrg"}, {"tenant": GUID}, {"name": ""},
        {"secrets": [{"value": ""}]}, {"secrets": [{"value": "x", "expires_at": "2026-01-01T00:00:00"}]}, {"id": GUID},
    ):  # fmt: skip
        problem(await door.http.post("/sandbox/v1/apps", json={"name": "Mine"} | wrong), 422)
    problem(await door.http.put("/sandbox/v1/apps/not-a-guid", json={"name": "Mine"}), 422)


@pytest.fixture
async def app() -> AsyncIterator[Subscriber]:
    async with subscriber() as made:
        yield made


@pytest.mark.parametrize("reason", ["user", "admin", "password-reset", "disabled"])
async def test_with_the_grant_subscriptions_are_gone_and_the_app_is_told(app: Subscriber, reason: Reason) -> None:
    made = await app.subscribe(lifecycleNotificationUrl=app.there.url)
    control = SandboxControl(client=app.graph.client)
    await control.revoke(app.graph.account.id, reason)
    assert await control.subscriptions() == []
    await app.there.until(lambda: app.lifecycle() == ["subscriptionRemoved"])
    assert app.there.notifications[0]["subscriptionId"] == made["id"]


async def test_with_a_change_of_password_subscriptions_are_gone_and_nobody_is_told(app: Subscriber) -> None:
    control = SandboxControl(client=app.graph.client)
    await app.subscribe(lifecycleNotificationUrl=app.there.url)
    await control.revoke(app.graph.account.id, "password-change")
    assert await control.subscriptions() == []
    again = await app.subscribe(lifecycleNotificationUrl=app.there.url, headers=IMMUTABLE)
    await control.send_lifecycle(again["id"], "missed")
    await app.there.until(lambda: bool(app.lifecycle()))
    assert app.lifecycle() == ["missed"]
