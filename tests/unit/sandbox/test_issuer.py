"""Attendara's own OpenID issuer in the sandbox, driven as a browser and a relying party drive it."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import jwt
import pytest
from fastapi import FastAPI

from outlook_sandbox.clock import Clock
from outlook_sandbox.database import Database
from outlook_sandbox.issuer.provider import Provider
from outlook_sandbox.issuer.routes import router
from outlook_sandbox.settings import Settings

ISSUER = "http://localhost:8410/attendara-id"
RETURN = "http://localhost:8400/signin/return"
VERIFIER = "another-verifier-that-is-long-enough-for-the-rule"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CLIENT = {"client_id": "attendara-settings", "client_secret": "sandbox-oidc-secret"}


@dataclass
class IssuerSandbox:
    clock: Clock
    provider: Provider


@pytest.fixture
def sandbox() -> IssuerSandbox:
    clock = Clock()
    return IssuerSandbox(clock, Provider(Settings(), Database(), clock))


@pytest.fixture
async def browser(sandbox: IssuerSandbox) -> Any:
    app = FastAPI()
    app.state.sandbox = sandbox
    app.include_router(router)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=ISSUER) as client:
        yield client


def address(**changes: str) -> str:
    params = {
        "client_id": "attendara-settings",
        "redirect_uri": RETURN,
        "response_type": "code",
        "scope": "openid profile email",
        "state": "s-1",
        "nonce": "n-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    } | changes
    return "/authorize?" + urlencode(params)


def answer_of(response: httpx2.Response) -> dict[str, str]:
    assert response.status_code == 302, response.text
    assert response.headers["location"].startswith(RETURN)
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["location"]).query).items()}


async def code_of(browser: httpx2.AsyncClient, user: str) -> str:
    answer = answer_of(await browser.post(address(), data={"user": user}))
    assert answer["state"] == "s-1"
    return answer["code"]


def redemption(code: str, /, **changes: str) -> dict[str, str]:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": RETURN, "code_verifier": VERIFIER}
    return form | changes


async def test_metadata_is_found_under_the_issuer(browser: httpx2.AsyncClient) -> None:
    body = (await browser.get("/.well-known/openid-configuration")).json()
    assert body["issuer"] == ISSUER
    assert {body[f"{name}_endpoint"] for name in ("authorization", "token", "userinfo")} == {
        f"{ISSUER}/{name}" for name in ("authorize", "token", "userinfo")
    }


@pytest.mark.parametrize(
    ("user", "organization", "role"),
    [
        ("usr_miriam", "org_bergpraxis", "admin"),
        ("usr_jonas", "org_bergpraxis", "member"),
        ("usr_clara", "org_seehof", "admin"),
    ],
)
async def test_a_user_signs_in_with_organization_and_role(
    browser: httpx2.AsyncClient, user: str, organization: str, role: str
) -> None:
    response = await browser.post("/token", data=redemption(await code_of(browser, user), **CLIENT))
    body = response.json()
    published = jwt.PyJWKSet.from_dict((await browser.get("/jwks")).json())
    key = published[jwt.get_unverified_header(body["id_token"])["kid"]]
    claims = jwt.decode(body["id_token"], key, algorithms=["RS256"], audience="attendara-settings", issuer=ISSUER)
    assert (claims["sub"], claims["nonce"]) == (user, "n-1")
    assert (claims["org_id"], claims["roles"]) == (organization, [role])
    told = await browser.get("/userinfo", headers={"Authorization": f"Bearer {body['access_token']}"})
    assert told.json() == {name: claims[name] for name in told.json()}


async def test_the_page_offers_the_users(browser: httpx2.AsyncClient) -> None:
    text = (await browser.get(address())).text
    assert all(name in text for name in ("Miriam Vogt", "Jonas Brandt", "Clara Stein", "Bergpraxis Physiotherapie"))
    assert "Microsoft" not in text


async def test_the_client_may_prove_itself_in_a_basic_header(browser: httpx2.AsyncClient) -> None:
    form = redemption(await code_of(browser, "usr_jonas"))
    basic = httpx2.BasicAuth(CLIENT["client_id"], CLIENT["client_secret"])
    assert (await browser.post("/token", data=form, auth=basic)).status_code == 200


async def test_cancelling_goes_back_with_access_denied(browser: httpx2.AsyncClient) -> None:
    answer = answer_of(await browser.post(address(), data={"answer": "cancel"}))
    assert (answer["error"], answer["state"]) == ("access_denied", "s-1")


@pytest.mark.parametrize("changes", [{"client_id": "other"}, {"redirect_uri": "http://localhost:8400/other"}])
async def test_an_unregistered_destination_gets_no_redirect(browser: httpx2.AsyncClient, changes: dict[str, str]) -> None:
    assert (await browser.get(address(**changes))).status_code == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_mode": "form_post"}, "invalid_request"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
    ],
)
async def test_what_else_is_wrong_is_told_to_the_client(browser: httpx2.AsyncClient, changes: dict[str, str], error: str) -> None:
    assert answer_of(await browser.get(address(**changes)))["error"] == error


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"code": "made-up"}, 400, "invalid_grant"),
        ({"redirect_uri": "http://localhost:8400/other"}, 400, "invalid_grant"),
        ({"code_verifier": "wrong"}, 400, "invalid_grant"),
    ],
)
async def test_a_wrong_token_request_is_refused(
    browser: httpx2.AsyncClient, changes: dict[str, str], status: int, error: str
) -> None:
    form = redemption(await code_of(browser, "usr_jonas"), **(CLIENT | changes))
    response = await browser.post("/token", data=form)
    assert (response.status_code, response.json()["error"]) == (status, error)


async def test_a_code_works_once_and_only_for_a_minute(browser: httpx2.AsyncClient, sandbox: IssuerSandbox) -> None:
    form = redemption(await code_of(browser, "usr_jonas"), **CLIENT)
    assert (await browser.post("/token", data=form)).status_code == 200
    assert (await browser.post("/token", data=form)).json()["error"] == "invalid_grant"
    late = redemption(await code_of(browser, "usr_jonas"), **CLIENT)
    sandbox.clock.advance(timedelta(minutes=1))
    assert (await browser.post("/token", data=late)).json()["error"] == "invalid_grant"


async def test_a_reset_ends_codes_and_access_tokens(browser: httpx2.AsyncClient, sandbox: IssuerSandbox) -> None:
    first = redemption(await code_of(browser, "usr_jonas"), **CLIENT)
    bearer = {"Authorization": f"Bearer {(await browser.post('/token', data=first)).json()['access_token']}"}
    second = redemption(await code_of(browser, "usr_jonas"), **CLIENT)
    assert (await browser.get("/userinfo", headers=bearer)).status_code == 200
    sandbox.provider.clear()
    assert (await browser.get("/userinfo", headers=bearer)).status_code == 401
    assert (await browser.post("/token", data=second)).json()["error"] == "invalid_grant"


async def test_userinfo_needs_a_token(browser: httpx2.AsyncClient) -> None:
    for headers in ({}, {"Authorization": "Bearer made-up"}):
        assert (await browser.get("/userinfo", headers=headers)).status_code == 401


def test_the_signing_key_survives_a_restart(tmp_path: Path) -> None:
    kids = []
    for _ in range(2):
        database = Database(tmp_path / "sandbox.db")
        kids.append(Provider(Settings(), database, Clock()).key.kid)
        database.close()
    assert kids[0] == kids[1]
