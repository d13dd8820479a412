"""The sandbox's Microsoft identity platform, driven as a browser, an app and MSAL drive it."""

import base64
import html
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import jwt
import pytest

from outlook_sandbox.accounts import PERSONAL_TENANT, Account, new_account
from outlook_sandbox.app import make_sandbox
from outlook_sandbox.database import Database
from outlook_sandbox.identity.apps import Secret, new_app
from outlook_sandbox.identity.tenants import Tenant
from outlook_sandbox.settings import Settings
from outlook_sandbox.state import Sandbox
from tests.unit.sandbox.identity_client import (
    PERSONAL,
    RETURN,
    SCOPES,
    VERIFIER,
    WORK,
    WORK_TENANT,
    Microsoft,
    address,
    answer_of,
    microsoft,
    small_sandbox,
)


@pytest.fixture
async def door() -> AsyncIterator[Microsoft]:
    async with microsoft() as made:
        yield made


@pytest.fixture
def browser(door: Microsoft) -> httpx2.AsyncClient:
    return door.http


@pytest.fixture
def sandbox(door: Microsoft) -> Sandbox:
    return door.sandbox


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


async def test_consent_is_asked_once_unless_more_is_wanted_or_the_app_insists(door: Microsoft, browser: httpx2.AsyncClient) -> None:
    await door.code(WORK, scope="openid User.Read")
    chosen = {"account": WORK.id}
    assert "code" in answer_of(await browser.post(address(scope="User.Read"), data=chosen))
    for asked_again in [address(scope="User.Read Calendars.Read"), address(scope="User.Read", prompt="consent")]:
        assert "Permissions requested" in (await browser.post(asked_again, data=chosen)).text
    other = await browser.post(address(scope="User.Read"), data={"account": PERSONAL.id})
    assert "Permissions requested" in other.text


async def test_prompt_none_needs_a_signed_in_account_and_its_consent(door: Microsoft, browser: httpx2.AsyncClient) -> None:
    silent = address(prompt="none")
    assert answer_of(await browser.get(silent))["error"] == "login_required"
    await door.code(WORK, scope="User.Read")
    assert answer_of(await browser.get(silent))["error"] == "interaction_required"
    await door.code(WORK)
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


async def test_a_code_becomes_tokens(door: Microsoft, sandbox: Sandbox) -> None:
    response = await door.ask_token(code=await door.code(WORK), scope=SCOPES, client_info="1")
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
async def test_the_id_token_is_signed_with_a_published_key(door: Microsoft, browser: httpx2.AsyncClient, account: Account) -> None:
    body = (await door.ask_token(code=await door.code(account))).json()
    published = jwt.PyJWKSet.from_dict((await browser.get("/common/discovery/v2.0/keys")).json())
    key = published[jwt.get_unverified_header(body["id_token"])["kid"]]
    claims = jwt.decode(body["id_token"], key, algorithms=["RS256"], audience=Settings().client_id)
    assert claims["iss"] == f"https://localhost:8411/{account.tid}/v2.0"
    assert (claims["oid"], claims["tid"], claims["name"]) == (account.id, account.tid, account.name)
    assert (claims["preferred_username"], claims["nonce"], claims["ver"]) == (account.username, "n-1", "2.0")


async def test_tokens_come_only_with_their_scopes(door: Microsoft) -> None:
    body = (await door.ask_token(code=await door.code(WORK, scope="User.Read"))).json()
    assert not body.keys() & {"id_token", "refresh_token"}
    body = (await door.ask_token(code=await door.code(WORK, scope="openid User.Read"))).json()
    claims = jwt.decode(body["id_token"], options={"verify_signature": False})
    assert not claims.keys() & {"oid", "name", "preferred_username"}


async def test_a_secret_may_come_in_a_basic_header(door: Microsoft, browser: httpx2.AsyncClient) -> None:
    form = {"grant_type": "authorization_code", "redirect_uri": RETURN, "code_verifier": VERIFIER}
    form["code"] = await door.code(WORK)
    credentials = httpx2.BasicAuth(Settings().client_id, "sandbox-app-secret")
    assert (await browser.post("/common/oauth2/v2.0/token", data=form, auth=credentials)).status_code == 200


@pytest.mark.parametrize("credentials", [b"\xe9", b"%%%", b"/w=="])
async def test_a_basic_header_that_is_no_base64_of_text_is_refused(browser: httpx2.AsyncClient, credentials: bytes) -> None:
    headers = [(b"authorization", b"Basic " + credentials)]
    answer = await browser.post("/common/oauth2/v2.0/token", data={"grant_type": "refresh_token"}, headers=headers)
    assert (answer.status_code, answer.json()["error_codes"]) == (400, [90023])


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
    door: Microsoft, without: str, changes: dict[str, str], error: str, code: int
) -> None:
    response = await door.ask_token(without=without, **({"code": await door.code(WORK)} | changes))
    body = response.json()
    assert response.status_code == (401 if error == "invalid_client" else 400)
    assert (body["error"], body["error_codes"]) == (error, [code])
    assert re.fullmatch(
        rf"AADSTS{code}: .+\r\nTrace ID: \S+\r\nCorrelation ID: \S+\r\nTimestamp: \S+ \S+Z", body["error_description"]
    )
    assert body.keys() >= {"timestamp", "trace_id", "correlation_id"}


async def test_a_code_is_not_for_another_tenant(door: Microsoft) -> None:
    code = await door.code(WORK)
    assert (await door.ask_token("consumers", code=code)).json()["error_codes"] == [700005]


async def test_refreshing_may_ask_for_less_but_not_for_more(door: Microsoft) -> None:
    token = (await door.ask_token(code=await door.code(WORK))).json()["refresh_token"]
    less = await door.ask_token(grant_type="refresh_token", refresh_token=token, scope="User.Read")
    assert less.json()["scope"] == "User.Read"
    assert less.json().keys() >= {"refresh_token"}
    more = await door.ask_token(grant_type="refresh_token", refresh_token=token, scope="Calendars.Read.Shared")
    assert more.json()["error_codes"] == [70011]


async def test_an_access_token_ends_after_its_hour(door: Microsoft, sandbox: Sandbox) -> None:
    bearer = (await door.ask_token(code=await door.code(WORK))).json()["access_token"]
    sandbox.clock.advance(timedelta(seconds=3600))
    assert sandbox.tokens.read(bearer) is None
    assert sandbox.tokens.read("made-up") is None


async def test_a_refresh_token_that_ended_long_ago_is_forgotten(door: Microsoft, sandbox: Sandbox) -> None:
    token = (await door.sign_in(WORK))["refresh_token"]
    for number in (700082, 70000):
        sandbox.clock.advance(timedelta(days=91))
        await door.sign_in(PERSONAL)
        assert (await door.refresh(token)).json()["error_codes"] == [number]


async def test_what_a_used_code_was_is_known_for_a_day(door: Microsoft, sandbox: Sandbox) -> None:
    code = await door.code(WORK)
    await door.ask_token(code=code)
    sandbox.clock.advance(timedelta(hours=23))
    await door.code(WORK)
    assert (await door.ask_token(code=code)).json()["error_codes"] == [54005]
    sandbox.clock.advance(timedelta(hours=2))
    await door.code(WORK)
    assert (await door.ask_token(code=code)).json()["error_codes"] == [70000]


@pytest.mark.parametrize(("account", "code"), [(WORK, 50173), (PERSONAL, 70000)])
async def test_a_revoked_account_must_sign_in_again(door: Microsoft, sandbox: Sandbox, account: Account, code: int) -> None:
    body = (await door.ask_token(code=await door.code(account))).json()
    sandbox.tokens.revoke(account)
    assert sandbox.tokens.read(body["access_token"]) is not None
    refused = await door.ask_token(grant_type="refresh_token", refresh_token=body["refresh_token"])
    assert (refused.json()["error"], refused.json()["error_codes"]) == ("invalid_grant", [code])
    sandbox.tokens.revoke(account, at_once=True)
    assert sandbox.tokens.read(body["access_token"]) is None


async def test_tokens_consents_and_the_key_survive_a_restart(tmp_path: Path) -> None:
    before = small_sandbox(path=tmp_path / "sandbox.db")
    granted = frozenset({"openid", "offline_access"})
    issued = before.tokens.issue(WORK.id, "app", granted)
    before.tokens.consents.add(WORK.id, "app", granted)
    kid = before.tokens.key.kid
    before.database.close()
    after = small_sandbox(path=tmp_path / "sandbox.db")
    token = after.tokens.read(issued.access_token)
    assert token is not None
    assert token.scopes == granted
    assert after.tokens.redeem(issued.refresh_token or "", "app").account == WORK.id
    assert after.tokens.consents.of(WORK.id, "app") == granted
    assert after.tokens.key.kid == kid
    after.database.close()


async def test_metadata_of_a_domain_leads_to_its_tenant(browser: httpx2.AsyncClient) -> None:
    body = (await browser.get("/Praxis.example/v2.0/.well-known/openid-configuration")).json()
    assert body["issuer"] == f"https://localhost:8411/{WORK_TENANT}/v2.0"
    assert body["token_endpoint"] == f"https://localhost:8411/{WORK_TENANT}/oauth2/v2.0/token"
    keys = (await browser.get("/praxis.example/discovery/v2.0/keys")).json()["keys"]
    assert [key["issuer"] for key in keys] == [body["issuer"]]


async def test_userinfo_says_who_a_token_belongs_to(door: Microsoft, browser: httpx2.AsyncClient) -> None:
    address = (await browser.get("/common/v2.0/.well-known/openid-configuration")).json()["userinfo_endpoint"]
    tokens = await door.sign_in(WORK, scope="openid profile email User.Read")
    who = (await browser.get(address, headers={"Authorization": f"Bearer {tokens['access_token']}"})).json()
    subject = jwt.decode(tokens["id_token"], options={"verify_signature": False})["sub"]
    assert who == {"sub": subject, "name": "Miriam", "given_name": "", "family_name": "Miriam", "email": WORK.username}
    assert (await browser.get(address, headers={"Authorization": "Bearer made-up"})).status_code == 401


async def test_the_picker_of_thousands_shows_twenty_and_finds_the_others(door: Microsoft, sandbox: Sandbox) -> None:
    for number in range(2000):
        sandbox.accounts.add(new_account("work", f"p{number:04}@big.example", f"Person {number:04}", WORK_TENANT))
    page = (await door.http.get(address())).text
    assert len(re.findall(r'class="account"', page)) == 20
    assert "and 1982 more" in page
    assert f'<input type="hidden" name="redirect_uri" value="{RETURN}">' in page
    found = (await door.http.get(address(find="person 1234"))).text
    assert re.findall(r"<b>(.+?)</b>", found) == ["Person 1234"]
    assert 'name="find" value="person 1234"' in found
    assert "Nobody is called so" in (await door.http.get(address(find="nobody at all"))).text
    hinted = (await door.http.get(address(login_hint="p1999@big.example"))).text
    assert re.findall(r"<b>(.+?)</b>", hinted)[0] == "Person 1999"


async def test_who_signed_in_last_comes_first(door: Microsoft) -> None:
    names = []
    for account in (WORK, PERSONAL):
        await door.code(account)
        names.append(re.findall(r"<b>(.+?)</b>", (await door.http.get(address())).text)[0])
    assert names == [WORK.name, PERSONAL.name]


@pytest.mark.parametrize(
    ("hint", "names"),
    [
        ("consumers", {PERSONAL.name}),
        ("organizations", {WORK.name}),
        ("praxis.example", {WORK.name}),
        ("unknown.example", {WORK.name, PERSONAL.name}),
    ],
)
async def test_a_domain_hint_narrows_the_picker(browser: httpx2.AsyncClient, hint: str, names: set[str]) -> None:
    assert set(re.findall(r"<b>(.+?)</b>", (await browser.get(address(domain_hint=hint))).text)) == names


async def test_a_reset_leaves_the_settings_app_and_the_seeded_tenants(door: Microsoft, sandbox: Sandbox) -> None:
    app = sandbox.apps.put(new_app("Other"))
    sandbox.tenants.put(Tenant(WORK_TENANT, "praxis.example", "forbidden"))
    assert (await door.http.post("/sandbox/v1/reset")).status_code == 204
    assert sandbox.apps.get(app.id) is None
    assert sandbox.tenants.get(WORK_TENANT) is None
    assert {tenant.user_consent for tenant in sandbox.tenants.all()} == {"allowed", "forbidden"}


async def test_apps_and_tenants_survive_a_restart(tmp_path: Path) -> None:
    before = make_sandbox(Settings(), Database(tmp_path / "sandbox.db"))
    until = before.clock.now() + timedelta(days=1)
    app = before.apps.put(new_app("Other", secrets=[Secret("a", until)], redirect_uris=[RETURN]))
    tenant = before.tenants.put(Tenant(WORK_TENANT, "praxis.example", "by-request"))
    before.database.close()
    after = make_sandbox(Settings(), Database(tmp_path / "sandbox.db"))
    assert after.apps.get(app.id) == app
    assert after.tenants.get(WORK_TENANT) == tenant
    assert [one.id for one in after.accounts.all() if one.admin] == [one.id for one in before.accounts.all() if one.admin]
    after.database.close()
