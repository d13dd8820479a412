"""The sandbox's Microsoft identity platform, driven as a browser, an app and MSAL drive it."""

import base64
import contextlib
import hashlib
import html
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import jwt
import msal
import pytest
import trustme
import uvicorn
from fastapi import FastAPI

from outlook_sandbox.accounts import PERSONAL_TENANT, Account, Accounts
from outlook_sandbox.clock import Clock
from outlook_sandbox.database import Database
from outlook_sandbox.faults import Faults
from outlook_sandbox.identity.apps import Apps
from outlook_sandbox.identity.routes import router
from outlook_sandbox.identity.tenants import Tenants
from outlook_sandbox.identity.tokens import Tokens
from outlook_sandbox.settings import Settings

WORK_TENANT = "6e0b2c1e-94a7-4f53-8a25-60f9d2ac4b11"
PERSONAL = Account("00000000-0000-0000-66f3-3332eca7ea81", PERSONAL_TENANT, "lena@outlook.example", "Lena", "personal")
WORK = Account("0d7c1c7f-3f0e-4b6a-8a59-3a6f1d2e9c55", WORK_TENANT, "miriam@praxis.example", "Miriam", "work")
RETURN = "http://localhost:8400/connect/microsoft/return"
SCOPES = "openid profile offline_access User.Read Calendars.ReadWrite MailboxSettings.ReadWrite"
VERIFIER = "a-verifier-that-is-long-enough-for-the-rule-of-43"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@dataclass
class IdentitySandbox:
    """As much of the sandbox as the identity platform needs."""

    settings: Settings
    clock: Clock
    faults: Faults
    database: Database
    accounts: Accounts
    tenants: Tenants
    apps: Apps
    tokens: Tokens


def make_sandbox(path: Path | None = None, https_port: int = 8411) -> IdentitySandbox:
    database, clock = Database(path), Clock()
    accounts = Accounts(database)
    accounts.add(PERSONAL)
    accounts.add(WORK)
    settings = Settings(https_port=https_port)
    tenants, apps = Tenants(database, accounts), Apps(database, settings)
    return IdentitySandbox(settings, clock, Faults(database), database, accounts, tenants, apps, Tokens(database, clock))


def make_app(sandbox: IdentitySandbox) -> FastAPI:
    app = FastAPI()
    app.state.sandbox = sandbox
    app.include_router(router)
    return app


@pytest.fixture
def sandbox() -> IdentitySandbox:
    return make_sandbox()


@pytest.fixture
async def browser(sandbox: IdentitySandbox) -> Any:
    transport = httpx2.ASGITransport(app=make_app(sandbox))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8410") as client:
        yield client


def address(tenant: str = "common", /, **changes: str | None) -> str:
    params = {
        "client_id": Settings().client_id,
        "redirect_uri": RETURN,
        "response_type": "code",
        "scope": SCOPES,
        "state": "s t&1",
        "nonce": "n-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return f"/{tenant}/oauth2/v2.0/authorize?" + urlencode({k: v for k, v in params.items() if v is not None})


def answer_of(response: httpx2.Response) -> dict[str, str]:
    assert response.status_code == 302, response.text
    assert response.headers["location"].startswith(RETURN)
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["location"]).query).items()}


async def accept(browser: httpx2.AsyncClient, account: Account, tenant: str = "common", **changes: str | None) -> str:
    response = await browser.post(address(tenant, **changes), data={"account": account.id, "answer": "accept"})
    return answer_of(response)["code"]


async def ask_token(browser: httpx2.AsyncClient, tenant: str = "common", without: str = "", **changes: str) -> httpx2.Response:
    form = {
        "client_id": Settings().client_id,
        "client_secret": "sandbox-app-secret",
        "grant_type": "authorization_code",
        "redirect_uri": RETURN,
        "code_verifier": VERIFIER,
    } | changes
    form.pop(without, None)
    return await browser.post(f"/{tenant}/oauth2/v2.0/token", data=form)


async def test_metadata_names_http_for_the_browser_and_https_for_the_app(browser: httpx2.AsyncClient) -> None:
    body = (await browser.get("/common/v2.0/.well-known/openid-configuration")).json()
    assert body["issuer"] == "https://localhost:8411/{tenantid}/v2.0"
    assert body["authorization_endpoint"] == "http://localhost:8410/common/oauth2/v2.0/authorize"
    assert body["token_endpoint"] == "https://localhost:8411/common/oauth2/v2.0/token"
    assert body["jwks_uri"] == "https://localhost:8411/common/discovery/v2.0/keys"


async def test_a_tenant_of_its_own_has_a_literal_issuer(browser: httpx2.AsyncClient) -> None:
    for tenant, expected in [(WORK_TENANT, WORK_TENANT), ("consumers", PERSONAL_TENANT)]:
        body = (await browser.get(f"/{tenant}/v2.0/.well-known/openid-configuration")).json()
        assert body["issuer"] == f"https://localhost:8411/{expected}/v2.0"


async def test_an_unknown_tenant_has_no_metadata(browser: httpx2.AsyncClient) -> None:
    response = await browser.get("/nobody/v2.0/.well-known/openid-configuration")
    assert (response.status_code, response.json()["error_codes"]) == (400, [90002])


@pytest.mark.parametrize(
    ("tenant", "names"),
    [
        ("common", {PERSONAL.name, WORK.name}),
        ("consumers", {PERSONAL.name}),
        ("organizations", {WORK.name}),
        (WORK_TENANT, {WORK.name}),
        (PERSONAL_TENANT, {PERSONAL.name}),
    ],
)
async def test_the_picker_lists_the_accounts_of_the_tenant(browser: httpx2.AsyncClient, tenant: str, names: set[str]) -> None:
    response = await browser.get(address(tenant))
    assert set(re.findall(r"<b>(.+?)</b>", response.text)) == names


async def test_the_hinted_account_comes_first(browser: httpx2.AsyncClient) -> None:
    response = await browser.get(address(login_hint=WORK.username.upper()))
    assert re.findall(r"<b>(.+?)</b>", response.text)[0] == WORK.name


async def test_an_account_of_another_tenant_is_refused_on_a_page(browser: httpx2.AsyncClient) -> None:
    response = await browser.post(address("consumers"), data={"account": WORK.id})
    assert response.status_code == 400
    assert "AADSTS50020" in response.text


async def test_the_consent_page_lists_what_the_app_will_be_able_to_do(browser: httpx2.AsyncClient) -> None:
    response = await browser.post(address(), data={"account": WORK.id})
    assert re.findall(r"<summary>(.+?)</summary>", response.text) == [
        "View your profile",
        "Have full access to your calendars",
        "Read and write to your mailbox settings",
        "View your basic profile",
        "Maintain access to data you have given it access to",
    ]


async def test_cancel_goes_back_with_access_denied(browser: httpx2.AsyncClient) -> None:
    response = await browser.post(address(), data={"account": WORK.id, "answer": "cancel"})
    assert response.headers["location"] == (
        f"{RETURN}?error=access_denied&error_description=the+user+canceled+the+authentication&state=s+t%261"
    )


async def test_accept_goes_back_with_a_code_and_the_state(browser: httpx2.AsyncClient) -> None:
    answer = answer_of(await browser.post(address(), data={"account": WORK.id, "answer": "accept"}))
    assert answer.keys() == {"code", "state"}
    assert answer["state"] == "s t&1"


async def test_consent_is_asked_once_unless_more_is_wanted_or_the_app_insists(browser: httpx2.AsyncClient) -> None:
    await accept(browser, WORK, scope="openid User.Read")
    chosen = {"account": WORK.id}
    assert "code" in answer_of(await browser.post(address(scope="User.Read"), data=chosen))
    for asked_again in [address(scope="User.Read Calendars.Read"), address(scope="User.Read", prompt="consent")]:
        assert "Permissions requested" in (await browser.post(asked_again, data=chosen)).text
    other = await browser.post(address(scope="User.Read"), data={"account": PERSONAL.id})
    assert "Permissions requested" in other.text


async def test_prompt_none_needs_a_signed_in_account_and_its_consent(browser: httpx2.AsyncClient) -> None:
    silent = address(prompt="none")
    assert answer_of(await browser.get(silent))["error"] == "login_required"
    await accept(browser, WORK, scope="User.Read")
    assert answer_of(await browser.get(silent))["error"] == "interaction_required"
    await accept(browser, WORK)
    assert "code" in answer_of(await browser.get(silent))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_id": "someone-else"}, "AADSTS700016"),
        ({"client_id": None}, "AADSTS900144"),
        ({"redirect_uri": RETURN + "/"}, "AADSTS50011"),
        ({"redirect_uri": None}, "AADSTS900144"),
    ],
)
async def test_a_wrong_client_or_redirect_ends_on_a_page_and_never_in_a_redirect(
    browser: httpx2.AsyncClient, changes: dict[str, str | None], code: str
) -> None:
    response = await browser.get(address(**changes))
    assert response.status_code == 400
    assert code in response.text


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"response_type": None}, "invalid_request", "AADSTS900144"),
        ({"response_type": "token"}, "unsupported_response_type", "AADSTS700054"),
        ({"response_mode": "pigeon"}, "invalid_request", "AADSTS90023"),
        ({"prompt": "login consent"}, "invalid_request", "AADSTS90023"),
        ({"scope": None}, "invalid_request", "AADSTS900144"),
        ({"scope": "User.Read Mail.Steal"}, "invalid_scope", "AADSTS70011"),
        ({"scope": ".default User.Read"}, "invalid_scope", "AADSTS70011"),
        ({"code_challenge": "short"}, "invalid_request", "AADSTS501491"),
        ({"code_challenge_method": "S512"}, "invalid_request", "AADSTS90023"),
    ],
)
async def test_what_else_is_wrong_is_told_to_the_app(
    browser: httpx2.AsyncClient, changes: dict[str, str | None], error: str, code: str
) -> None:
    answer = answer_of(await browser.get(address(**changes)))
    assert (answer["error"], answer["state"]) == (error, "s t&1")
    assert answer["error_description"].startswith(code)


async def test_a_personal_account_cannot_give_shared_calendars(browser: httpx2.AsyncClient) -> None:
    shared = address(scope="Calendars.Read.Shared")
    assert answer_of(await browser.post(shared, data={"account": PERSONAL.id}))["error"] == "invalid_scope"
    assert "Permissions requested" in (await browser.post(shared, data={"account": WORK.id})).text


async def test_form_post_and_fragment_carry_the_same_answer(browser: httpx2.AsyncClient) -> None:
    yes = {"account": WORK.id, "answer": "accept"}
    fragment = await browser.post(address(response_mode="fragment"), data=yes)
    assert parse_qs(urlsplit(fragment.headers["location"]).fragment).keys() == {"code", "state"}
    form = await browser.post(address(response_mode="form_post"), data=yes)
    assert f'action="{RETURN}"' in form.text
    assert 'name="state" value="s t&1"' in html.unescape(form.text)
    assert "form-action 'self' http://localhost:8400;" in form.headers["content-security-policy"]


async def test_a_code_becomes_tokens(browser: httpx2.AsyncClient, sandbox: IdentitySandbox) -> None:
    response = await ask_token(browser, code=await accept(browser, WORK), scope=SCOPES, client_info="1")
    body = response.json()
    assert (response.status_code, body["token_type"], body["expires_in"]) == (200, "Bearer", 3599)
    assert body["scope"] == "Calendars.ReadWrite MailboxSettings.ReadWrite User.Read openid profile"
    assert body["access_token"].count(".") == 0
    token = sandbox.tokens.read(body["access_token"])
    assert token is not None
    assert (token.account, token.app) == (WORK.id, Settings().client_id)
    assert "Calendars.ReadWrite" in token.scopes
    padded = body["client_info"] + "=="
    assert json.loads(base64.urlsafe_b64decode(padded)) == {"uid": WORK.id, "utid": WORK_TENANT}


@pytest.mark.parametrize("account", [PERSONAL, WORK])
async def test_the_id_token_is_signed_with_a_published_key(browser: httpx2.AsyncClient, account: Account) -> None:
    body = (await ask_token(browser, code=await accept(browser, account))).json()
    published = jwt.PyJWKSet.from_dict((await browser.get("/common/discovery/v2.0/keys")).json())
    key = published[jwt.get_unverified_header(body["id_token"])["kid"]]
    claims = jwt.decode(body["id_token"], key, algorithms=["RS256"], audience=Settings().client_id)
    assert claims["iss"] == f"https://localhost:8411/{account.tid}/v2.0"
    assert (claims["oid"], claims["tid"], claims["name"]) == (account.id, account.tid, account.name)
    assert (claims["preferred_username"], claims["nonce"], claims["ver"]) == (account.username, "n-1", "2.0")


async def test_tokens_come_only_with_their_scopes(browser: httpx2.AsyncClient) -> None:
    body = (await ask_token(browser, code=await accept(browser, WORK, scope="User.Read"))).json()
    assert not body.keys() & {"id_token", "refresh_token"}
    body = (await ask_token(browser, code=await accept(browser, WORK, scope="openid User.Read"))).json()
    claims = jwt.decode(body["id_token"], options={"verify_signature": False})
    assert not claims.keys() & {"oid", "name", "preferred_username"}


async def test_a_secret_may_come_in_a_basic_header(browser: httpx2.AsyncClient) -> None:
    form = {"grant_type": "authorization_code", "redirect_uri": RETURN, "code_verifier": VERIFIER}
    form["code"] = await accept(browser, WORK)
    credentials = httpx2.BasicAuth(Settings().client_id, "sandbox-app-secret")
    assert (await browser.post("/common/oauth2/v2.0/token", data=form, auth=credentials)).status_code == 200


@pytest.mark.parametrize(
    ("without", "changes", "error", "code"),
    [
        ("", {"client_secret": "wrong"}, "invalid_client", 7000215),
        ("client_secret", {}, "invalid_client", 7000218),
        ("", {"client_id": "someone-else"}, "unauthorized_client", 700016),
        ("client_id", {}, "invalid_request", 900144),
        ("grant_type", {}, "invalid_request", 900144),
        ("", {"grant_type": "password"}, "unsupported_grant_type", 70003),
        ("redirect_uri", {}, "invalid_request", 900144),
        ("", {"redirect_uri": "http://localhost:8400/elsewhere"}, "invalid_grant", 500112),
        ("", {"code": "made-up"}, "invalid_grant", 70000),
        ("", {"code_verifier": "another"}, "invalid_grant", 501481),
        ("code_verifier", {}, "invalid_grant", 501481),
        ("", {"scope": "User.Read Calendars.Read"}, "invalid_scope", 70011),
        ("", {"grant_type": "refresh_token", "refresh_token": "made-up"}, "invalid_grant", 70000),
    ],
)
async def test_a_wrong_token_request_is_refused_in_microsofts_words(
    browser: httpx2.AsyncClient, without: str, changes: dict[str, str], error: str, code: int
) -> None:
    response = await ask_token(browser, without=without, **({"code": await accept(browser, WORK)} | changes))
    body = response.json()
    assert response.status_code == (401 if error == "invalid_client" else 400)
    assert (body["error"], body["error_codes"]) == (error, [code])
    assert re.fullmatch(
        rf"AADSTS{code}: .+\r\nTrace ID: \S+\r\nCorrelation ID: \S+\r\nTimestamp: \S+ \S+Z", body["error_description"]
    )
    assert body.keys() >= {"timestamp", "trace_id", "correlation_id"}


async def test_a_code_works_once(browser: httpx2.AsyncClient) -> None:
    code = await accept(browser, WORK)
    assert (await ask_token(browser, code=code)).status_code == 200
    assert (await ask_token(browser, code=code)).json()["error_codes"] == [54005]


async def test_a_code_ends_after_ten_minutes(browser: httpx2.AsyncClient, sandbox: IdentitySandbox) -> None:
    code = await accept(browser, WORK)
    sandbox.clock.advance(timedelta(minutes=10))
    assert (await ask_token(browser, code=code)).json()["error_codes"] == [70008]


async def test_a_code_is_not_for_another_tenant(browser: httpx2.AsyncClient) -> None:
    code = await accept(browser, WORK)
    assert (await ask_token(browser, "consumers", code=code)).json()["error_codes"] == [700005]


async def test_refreshing_rotates_without_revoking(browser: httpx2.AsyncClient) -> None:
    first = (await ask_token(browser, code=await accept(browser, WORK))).json()["refresh_token"]
    for _ in range(2):
        response = await ask_token(browser, grant_type="refresh_token", refresh_token=first)
        assert response.status_code == 200
        assert response.json()["refresh_token"] != first


async def test_refreshing_may_ask_for_less_but_not_for_more(browser: httpx2.AsyncClient) -> None:
    token = (await ask_token(browser, code=await accept(browser, WORK))).json()["refresh_token"]
    less = await ask_token(browser, grant_type="refresh_token", refresh_token=token, scope="User.Read")
    assert less.json()["scope"] == "User.Read"
    assert less.json().keys() >= {"refresh_token"}
    more = await ask_token(browser, grant_type="refresh_token", refresh_token=token, scope="Calendars.Read.Shared")
    assert more.json()["error_codes"] == [70011]


async def test_an_access_token_ends_after_its_hour(browser: httpx2.AsyncClient, sandbox: IdentitySandbox) -> None:
    bearer = (await ask_token(browser, code=await accept(browser, WORK))).json()["access_token"]
    sandbox.clock.advance(timedelta(seconds=3600))
    assert sandbox.tokens.read(bearer) is None
    assert sandbox.tokens.read("made-up") is None


async def test_a_refresh_token_ends_after_ninety_idle_days(browser: httpx2.AsyncClient, sandbox: IdentitySandbox) -> None:
    token = (await ask_token(browser, code=await accept(browser, WORK))).json()["refresh_token"]
    sandbox.clock.advance(timedelta(days=91))
    body = (await ask_token(browser, grant_type="refresh_token", refresh_token=token)).json()
    assert (body["error_codes"], body["suberror"]) == ([700082], "bad_token")


@pytest.mark.parametrize(("account", "code"), [(WORK, 50173), (PERSONAL, 70000)])
async def test_a_revoked_account_must_sign_in_again(
    browser: httpx2.AsyncClient, sandbox: IdentitySandbox, account: Account, code: int
) -> None:
    body = (await ask_token(browser, code=await accept(browser, account))).json()
    sandbox.tokens.revoke(account)
    assert sandbox.tokens.read(body["access_token"]) is not None
    refused = await ask_token(browser, grant_type="refresh_token", refresh_token=body["refresh_token"])
    assert (refused.json()["error"], refused.json()["error_codes"]) == ("invalid_grant", [code])
    sandbox.tokens.revoke(account, at_once=True)
    assert sandbox.tokens.read(body["access_token"]) is None


async def test_tokens_consents_and_the_key_survive_a_restart(tmp_path: Path) -> None:
    before = make_sandbox(tmp_path / "sandbox.db")
    granted = frozenset({"openid", "offline_access"})
    issued = before.tokens.issue(WORK.id, "app", granted)
    before.tokens.consents.add(WORK.id, "app", granted)
    kid = before.tokens.key.kid
    before.database.close()
    after = make_sandbox(tmp_path / "sandbox.db")
    token = after.tokens.read(issued.access_token)
    assert token is not None
    assert token.scopes == granted
    assert after.tokens.redeem(issued.refresh_token or "", "app").account == WORK.id
    assert after.tokens.consents.of(WORK.id, "app") == granted
    assert after.tokens.key.kid == kid
    after.database.close()


@dataclass
class Listener:
    base: str
    ca: Path


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    """The identity platform behind TLS on a free port, with a certificate of its own authority."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()  # so that a client that is faster than the server's thread waits for it
        port = door.getsockname()[1]
        authority = trustme.CA()
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        app = make_app(make_sandbox(https_port=port))
        config = uvicorn.Config(app, ssl_certfile=tmp_path / "server.pem", log_level="error", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
        thread.start()
        yield Listener(f"https://localhost:{port}", tmp_path / "ca.pem")
        server.should_exit = True
        thread.join(10)


class MsalHttp:
    """MSAL's view of an HTTP client, over httpx2 and the sandbox's certificate authority."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> httpx2.Response:
        return self._client.get(url, params=params, headers=headers)

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> httpx2.Response:
        return self._client.post(url, params=params, data=data, headers=headers)

    def close(self) -> None:
        self._client.close()


@pytest.mark.filterwarnings("ignore:.*response_mode.*")
@pytest.mark.parametrize("account", [PERSONAL, WORK])
def test_msal_signs_in_and_refreshes(listener: Listener, account: Account) -> None:
    with contextlib.closing(httpx2.Client(verify=ssl.create_default_context(cafile=str(listener.ca)))) as client:
        app = msal.ConfidentialClientApplication(
            Settings().client_id,
            client_credential="sandbox-app-secret",
            authority=f"{listener.base}/common",
            instance_discovery=False,
            http_client=MsalHttp(client),
        )
        wanted = ["User.Read", "Calendars.ReadWrite", "MailboxSettings.ReadWrite"]
        flow = app.initiate_auth_code_flow(wanted, redirect_uri=RETURN, response_mode="query")
        asked = urlsplit(flow["auth_uri"])
        assert asked.scheme == "http"
        picked = client.post(f"{listener.base}{asked.path}?{asked.query}", data={"account": account.id, "answer": "accept"})
        signed_in = app.acquire_token_by_auth_code_flow(flow, answer_of(picked))
        assert signed_in["id_token_claims"]["oid"] == account.id
        assert signed_in["token_source"] == "identity_provider"
        [known] = app.get_accounts()
        assert (known["username"], known["home_account_id"]) == (account.username, f"{account.id}.{account.tid}")
        cached = app.acquire_token_silent(wanted, known)
        assert (cached["access_token"], cached["token_source"]) == (signed_in["access_token"], "cache")
        fresh = app.acquire_token_silent_with_error(wanted, known, force_refresh=True)
        assert fresh["access_token"] != signed_in["access_token"]
