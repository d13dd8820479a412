"""Apps before the sandbox's Microsoft: several of them, whom each is for, and how each proves who it is."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import jwt
import msgspec
import pytest

from outlook_sandbox.accounts import new_account
from outlook_sandbox.identity.apps import App, Secret, new_app
from outlook_sandbox.state import Sandbox
from tests.unit.sandbox.identity_client import (
    PERSONAL,
    RETURN,
    WORK,
    WORK_TENANT,
    Certificate,
    Microsoft,
    address,
    answer_of,
    make_certificate,
    microsoft,
)


@pytest.fixture
async def door() -> AsyncIterator[Microsoft]:
    async with microsoft() as made:
        yield made


@pytest.fixture
def sandbox(door: Microsoft) -> Sandbox:
    return door.sandbox


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return make_certificate()


async def test_an_app_has_redirects_and_consents_of_its_own(door: Microsoft, sandbox: Sandbox) -> None:
    other = "http://localhost:9000/back"
    app = sandbox.apps.put(new_app("Other", redirect_uris=[other], secrets=[{"value": "a"}, {"value": "b"}]))
    await door.code(WORK)
    mine = {"client_id": app.id, "redirect_uri": other}
    assert "Permissions requested" in (await door.pick(WORK, **mine)).text
    assert "AADSTS50011" in (await door.pick(WORK, client_id=app.id)).text
    accepted = await door.pick(WORK, "accept", **mine)
    code = dict(parse_qsl(urlsplit(accepted.headers["location"]).query))["code"]
    assert (await door.ask_token(code=code, client_secret="c", **mine)).json()["error_codes"] == [7000215]
    assert (await door.ask_token(code=code)).json()["error_codes"] == [70000], "another app's code, which is used up now"
    again = await door.pick(WORK, "accept", **mine)
    code = dict(parse_qsl(urlsplit(again.headers["location"]).query))["code"]
    tokens = (await door.ask_token(code=code, client_secret="b", **mine)).json()
    assert (await door.refresh(tokens["refresh_token"])).json()["error_codes"] == [70000]
    ids = [jwt.decode(one["id_token"], options={"verify_signature": False})["sub"] for one in (tokens, await door.sign_in(WORK))]
    assert len(set(ids)) == 2


async def test_a_public_client_has_no_secret_and_sends_none(door: Microsoft, sandbox: Sandbox) -> None:
    app = sandbox.apps.put(new_app("On a phone", redirect_uris=[RETURN], public=True))
    code = await door.code(WORK, client_id=app.id)
    assert (await door.ask_token(code=code, client_id=app.id)).json()["error_codes"] == [700025]
    assert (await door.ask_token(code=code, client_id=app.id, without="client_secret")).status_code == 200


@pytest.mark.parametrize(
    ("audience", "tenant", "number"),
    [
        ("AzureADMyOrg", "common", 50194),
        ("AzureADMyOrg", "organizations", 50194),
        ("AzureADMyOrg", "consumers", 9002332),
        ("AzureADMyOrg", "elsewhere.example", 700016),
        ("AzureADMultipleOrgs", "consumers", 9002332),
        ("PersonalMicrosoftAccount", "common", 9002331),
    ],
)
async def test_an_app_is_for_its_audience_only(door: Microsoft, sandbox: Sandbox, audience: str, tenant: str, number: int) -> None:
    sandbox.accounts.add(new_account("work", "eva@elsewhere.example", "Eva"))
    known = {"redirect_uris": [RETURN], "secrets": [{"value": "a"}], "sign_in_audience": audience, "tenant": WORK_TENANT}
    app = sandbox.apps.put(new_app("Ours", **known))
    page = await door.http.get(address(tenant, client_id=app.id))
    assert (page.status_code, f"AADSTS{number}" in page.text) == (400, True)
    refused = await door.ask_token(tenant, code="x", client_id=app.id, client_secret="a")
    assert refused.json()["error_codes"] == [number]


async def test_an_app_of_organizations_offers_and_takes_work_accounts_only(door: Microsoft, sandbox: Sandbox) -> None:
    app = sandbox.apps.put(new_app("Ours", redirect_uris=[RETURN], sign_in_audience="AzureADMultipleOrgs"))
    assert re.findall(r"<b>(.+?)</b>", (await door.http.get(address(client_id=app.id))).text) == [WORK.name]
    assert "AADSTS50020" in (await door.pick(PERSONAL, client_id=app.id)).text
    await door.code(PERSONAL)
    silent = answer_of(await door.http.get(address(client_id=app.id, prompt="none")))
    assert silent["error"] == "login_required", "a personal account is signed in"
    assert "Permissions requested" in (await door.pick(WORK, client_id=app.id)).text


async def test_a_disabled_app_is_refused(door: Microsoft, sandbox: Sandbox) -> None:
    app = sandbox.apps.put(new_app("Off", redirect_uris=[RETURN], disabled=True))
    assert "AADSTS7000112" in (await door.pick(WORK, client_id=app.id)).text


async def test_the_settings_app_can_be_changed_and_comes_back(door: Microsoft, sandbox: Sandbox) -> None:
    [own] = sandbox.apps.all()
    sandbox.apps.put(msgspec.structs.replace(own, secrets=(Secret("another"),)))
    code = await door.code(WORK)
    assert (await door.ask_token(code=code)).json()["error_codes"] == [7000215]
    assert sandbox.apps.remove(own.id)
    assert (await door.ask_token(code=code)).status_code == 200


def with_certificate(sandbox: Sandbox, certificate: Certificate) -> App:
    return sandbox.apps.put(new_app("With a certificate", redirect_uris=[RETURN], certificates=[certificate.pem]))


async def prove(door: Microsoft, app: App, assertion: str, **changes: str) -> httpx2.Response:
    proof = {"client_assertion": assertion, "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
    code = await door.code(WORK, client_id=app.id)
    return await door.ask_token(without="client_secret", **({"code": code, "client_id": app.id} | proof | changes))


@pytest.mark.parametrize("header", ["x5t#S256", "x5t"])
async def test_an_app_may_prove_itself_with_its_certificate(
    door: Microsoft, sandbox: Sandbox, certificate: Certificate, header: str
) -> None:
    app = with_certificate(sandbox, certificate)
    assertion = certificate.assertion(app.id, header)
    for _ in range(2):
        assert (await prove(door, app, assertion)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"aud": "https://elsewhere.example/token"}, 700023),
        ({"exp": 1_700_000_000}, 700024),
        ({"nbf": 4_000_000_000}, 700024),
        ({"iss": "someone-else"}, 700021),
        ({"sub": "someone-else"}, 700021),
        ({"header": ""}, 50027),
    ],
)
async def test_an_assertion_that_is_wrong_is_refused(
    door: Microsoft, sandbox: Sandbox, certificate: Certificate, changes: dict[str, Any], number: int
) -> None:
    app = with_certificate(sandbox, certificate)
    refused = await prove(door, app, certificate.assertion(app.id, **changes))
    assert (refused.status_code, refused.json()["error"], refused.json()["error_codes"]) == (401, "invalid_client", [number])


async def test_an_assertion_needs_a_registered_key_a_good_signature_and_its_type(
    door: Microsoft, sandbox: Sandbox, certificate: Certificate
) -> None:
    app, stranger = with_certificate(sandbox, certificate), make_certificate()
    unknown = await prove(door, app, stranger.assertion(app.id))
    forged = await prove(door, app, Certificate(stranger.key, certificate.pem).assertion(app.id))
    assert [answer.json()["error_codes"] for answer in (unknown, forged)] == [[700027], [700027]]
    assert "The key was not found" in unknown.json()["error_description"]
    untyped = await prove(door, app, certificate.assertion(app.id), client_assertion_type="secret")
    assert untyped.json()["error_codes"] == [900144]
    assert (await prove(door, app, "no.jwt.at-all")).json()["error_codes"] == [50027]
    assert (await door.ask_token(code="x", client_id=app.id)).json()["error_codes"] == [7000215]


async def test_a_certificate_expires_by_the_sandboxs_clock(door: Microsoft, sandbox: Sandbox, certificate: Certificate) -> None:
    app = with_certificate(sandbox, certificate)
    sandbox.clock.advance(timedelta(days=31))
    assert "The key used is expired" in (await prove(door, app, certificate.assertion(app.id))).json()["error_description"]
