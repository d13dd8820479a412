"""Line 2: signing in. Codes, what people may answer, and tenants whose people need an administrator."""

from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import urlencode

import httpx2
import pytest

from outlook_sandbox.accounts import Account, new_account
from outlook_sandbox.identity.tenants import Tenant, UserConsent
from tests.unit.sandbox.identity_client import APP, PERSONAL, RETURN, SCOPES, WORK, Microsoft, address, answer_of, microsoft

CLINIC = "5b1f0c53-90a2-4be1-8b0a-5a1f9a8f9c10"
NURSE = new_account("work", "nurse@clinic.example", "Nora Nurse", CLINIC)
BOSS = new_account("work", "boss@clinic.example", "Berta Boss", CLINIC, admin=True)
GRAPH_SCOPES = "https://graph.microsoft.com/Calendars.ReadWrite https://graph.microsoft.com/User.Read"


@pytest.fixture
async def door() -> AsyncIterator[Microsoft]:
    async with microsoft() as made:
        made.sandbox.accounts.add(NURSE)
        made.sandbox.accounts.add(BOSS)
        made.sandbox.tenants.put(Tenant(CLINIC, "clinic.example", "forbidden"))
        yield made


def admin_consent(tenant: str = CLINIC, *, older: bool = False, **changes: str | None) -> str:
    params = {"client_id": APP, "scope": GRAPH_SCOPES, "redirect_uri": RETURN, "state": "s t&1", **changes}
    if older:
        params.pop("scope")
    return f"/{tenant}{'' if older else '/v2.0'}/adminconsent?" + urlencode({k: v for k, v in params.items() if v is not None})


async def answer_admin_consent(door: Microsoft, account: Account, answer: str, url: str = "") -> httpx2.Response:
    return await door.http.post(url or admin_consent(), data={"account": account.id, "answer": answer})


async def test_success_is_a_code_and_the_state_as_it_was_sent(door: Microsoft) -> None:
    answer = answer_of(await door.pick(WORK, "accept", state="a b&c=d/ü"))
    assert answer.keys() == {"code", "state"}
    assert answer["state"] == "a b&c=d/ü"


async def test_declining_is_access_denied(door: Microsoft) -> None:
    answer = answer_of(await door.pick(WORK, "cancel"))
    assert answer == {"error": "access_denied", "error_description": "the user canceled the authentication", "state": "s t&1"}


async def test_the_verifier_must_fit_the_challenge(door: Microsoft) -> None:
    refused = await door.ask_token(code=await door.code(WORK), code_verifier="another-verifier-that-is-long-enough-43-chars")
    assert (refused.json()["error"], refused.json()["error_codes"]) == ("invalid_grant", [501481])


async def test_a_challenge_without_a_method_is_plain(door: Microsoft) -> None:
    plain = "the-verifier-itself-as-it-is-43-characters-long"
    code = await door.code(WORK, code_challenge=plain, code_challenge_method=None)
    assert (await door.ask_token(code=code, code_verifier=plain)).status_code == 200


async def test_a_code_works_once(door: Microsoft) -> None:
    code = await door.code(WORK)
    assert (await door.ask_token(code=code)).status_code == 200
    assert (await door.ask_token(code=code)).json()["error_codes"] == [54005]


async def test_a_code_lives_for_ten_minutes(door: Microsoft) -> None:
    early, late = await door.code(WORK), await door.code(WORK)
    door.sandbox.clock.advance(timedelta(minutes=9))
    assert (await door.ask_token(code=early)).status_code == 200
    door.sandbox.clock.advance(timedelta(minutes=1))
    assert (await door.ask_token(code=late)).json()["error_codes"] == [70008]


@pytest.mark.parametrize("prompt", ["login", "consent", "select_account"])
async def test_exactly_one_prompt_is_accepted(door: Microsoft, prompt: str) -> None:
    assert (await door.http.get(address(prompt=prompt))).status_code == 200
    assert answer_of(await door.http.get(address(prompt=f"{prompt} login")))["error"] == "invalid_request"


async def test_where_user_consent_is_forbidden_a_user_needs_an_admin(door: Microsoft) -> None:
    page = await door.pick(NURSE)
    assert page.status_code == 200
    assert "Need admin approval" in page.text
    assert "AADSTS90094" in page.text
    assert "Permissions requested" not in page.text


async def test_going_back_without_consent_is_access_denied_for_want_of_an_admin(door: Microsoft) -> None:
    answer = answer_of(await door.pick(NURSE, "return"))
    assert (answer["error"], answer["error_subcode"], answer["state"]) == ("access_denied", "cancel", "s t&1")
    assert answer["error_description"].startswith("AADSTS90094: ")


async def test_a_user_cannot_consent_behind_the_page(door: Microsoft) -> None:
    assert "Need admin approval" in (await door.pick(NURSE, "accept")).text
    assert not door.sandbox.tokens.consents.covering(NURSE, APP)


async def test_who_has_an_admin_account_may_pick_again(door: Microsoft) -> None:
    assert "Pick an account" in (await door.http.post(address(), data={"account": ""})).text


async def test_where_consent_is_by_request_one_can_ask_for_it(door: Microsoft) -> None:
    door.sandbox.tenants.put(Tenant(CLINIC, "clinic.example", "by-request"))
    assert "Approval required" in (await door.pick(NURSE)).text
    sent = (await door.pick(NURSE, "request")).text
    assert "Request sent" in sent
    assert f"/{CLINIC}/v2.0/adminconsent?" in sent
    answer = answer_of(await door.pick(NURSE, "return"))
    assert answer["error"] == "access_denied"
    assert answer["error_description"].startswith("AADSTS90095: ")


@pytest.mark.parametrize("policy", ["forbidden", "by-request"])
async def test_an_admin_may_consent_alone_or_for_the_organization(door: Microsoft, policy: UserConsent) -> None:
    door.sandbox.tenants.put(Tenant(CLINIC, "clinic.example", policy))
    assert "Consent on behalf of your organization" in (await door.pick(BOSS)).text
    assert "code" in answer_of(await door.pick(BOSS, "accept"))
    assert (await door.pick(NURSE)).status_code == 200, "that was for the admin alone"
    form = {"account": BOSS.id, "answer": "accept", "organization": "yes"}
    assert "code" in answer_of(await door.http.post(address(prompt="consent"), data=form))
    assert "code" in answer_of(await door.pick(NURSE))


async def test_no_user_elsewhere_is_offered_to_consent_for_others(door: Microsoft) -> None:
    for account in (WORK, PERSONAL):
        page = (await door.pick(account)).text
        assert "Permissions requested" in page
        assert "on behalf of your organization" not in page
    form = {"account": WORK.id, "answer": "accept", "organization": "yes"}
    await door.http.post(address(), data=form)
    assert not door.sandbox.tokens.consents.of(WORK.tid, APP)


async def test_admin_consent_returns_the_tenant_and_the_scopes_and_holds_for_all_its_users(door: Microsoft) -> None:
    assert "Pick an account" in (await door.http.get(admin_consent())).text
    page = (await answer_admin_consent(door, BOSS, "")).text
    assert "Review for your organization" in page
    answer = answer_of(await answer_admin_consent(door, BOSS, "accept"))
    assert answer == {"admin_consent": "True", "tenant": CLINIC, "scope": GRAPH_SCOPES, "state": "s t&1"}
    wanted = "Calendars.ReadWrite User.Read"
    assert "code" in answer_of(await door.pick(NURSE, scope=wanted))
    assert "Need admin approval" in (await door.pick(NURSE, scope=SCOPES)).text, "only what was consented to"


async def test_admin_consent_declined_is_consent_required(door: Microsoft) -> None:
    answer = answer_of(await answer_admin_consent(door, BOSS, "cancel"))
    assert (answer["error"], answer["admin_consent"], answer["state"]) == ("consent_required", "True", "s t&1")
    assert answer["error_description"].startswith("AADSTS65004: ")


async def test_admin_consent_needs_an_admin(door: Microsoft) -> None:
    for pressed in ("", "accept"):
        assert "Need admin approval" in (await answer_admin_consent(door, NURSE, pressed)).text
    answer = answer_of(await answer_admin_consent(door, NURSE, "return"))
    assert answer["error"] == "access_denied"
    assert answer["error_description"].startswith("AADSTS90094: ")


@pytest.mark.parametrize("tenant", [CLINIC, "clinic.example", "organizations"])
async def test_admin_consent_takes_a_tenant_by_id_by_domain_or_any_organization(door: Microsoft, tenant: str) -> None:
    answer = answer_of(await answer_admin_consent(door, BOSS, "accept", admin_consent(tenant)))
    assert answer["tenant"] == CLINIC


@pytest.mark.parametrize("tenant", ["common", "consumers", PERSONAL.tid])
async def test_admin_consent_is_not_for_everybody(door: Microsoft, tenant: str) -> None:
    refused = await door.http.get(admin_consent(tenant))
    assert (refused.status_code, "AADSTS90019" in refused.text) == (400, True)


async def test_admin_consent_goes_back_to_the_app_only(door: Microsoft) -> None:
    refused = await door.http.get(admin_consent(redirect_uri="http://localhost:8400/elsewhere"))
    assert (refused.status_code, "AADSTS50011" in refused.text) == (400, True)


async def test_admin_consent_names_its_scopes(door: Microsoft) -> None:
    for scope, error in ((None, "invalid_request"), ("Mail.Steal", "invalid_scope")):
        assert answer_of(await door.http.get(admin_consent(scope=scope)))["error"] == error


async def test_the_older_address_consents_to_all_that_the_app_uses(door: Microsoft) -> None:
    answer = answer_of(await answer_admin_consent(door, BOSS, "accept", admin_consent(older=True)))
    assert answer == {"admin_consent": "True", "tenant": CLINIC, "state": "s t&1"}
    assert "code" in answer_of(await door.pick(NURSE, scope="User.Read Calendars.ReadWrite MailboxSettings.ReadWrite"))


async def test_prompt_consent_asks_an_admin_in_spite_of_consent_for_the_tenant(door: Microsoft) -> None:
    await answer_admin_consent(door, BOSS, "accept")
    assert "Need admin approval" in (await door.pick(NURSE, scope="User.Read", prompt="consent")).text


@pytest.mark.parametrize(
    ("number", "error"),
    [(90094, "access_denied"), (65004, "access_denied"), (50076, "interaction_required"), (70012, "server_error")],
)
async def test_signing_in_can_end_with_a_number_by_redirect(door: Microsoft, number: int, error: str) -> None:
    await door.http.post("/sandbox/v1/faults", json={"kind": "authorize-error", "aadsts": number, "account": WORK.id})
    answer = answer_of(await door.pick(WORK))
    assert (answer["error"], answer["state"]) == (error, "s t&1")
    assert answer["error_description"].startswith(f"AADSTS{number}: ")
    assert answer["error_uri"].endswith(f"/error?code={number}")
    assert "Permissions requested" in (await door.pick(PERSONAL)).text


@pytest.mark.parametrize("number", [53003, 50105, 50057, 50020, 700016])
async def test_some_numbers_are_read_on_microsofts_page_only(door: Microsoft, number: int) -> None:
    await door.http.post("/sandbox/v1/faults", json={"kind": "authorize-error", "aadsts": number})
    page = await door.pick(WORK)
    assert (page.status_code, f"AADSTS{number}" in page.text) == (400, True)


async def test_where_a_number_is_shown_can_be_chosen(door: Microsoft) -> None:
    fault = {"kind": "authorize-error", "aadsts": 53003, "shown": "redirect", "times": 1}
    await door.http.post("/sandbox/v1/faults", json=fault)
    assert answer_of(await door.pick(WORK))["error"] == "access_denied"
    await door.http.post("/sandbox/v1/faults", json={"kind": "authorize-error", "aadsts": 65004, "shown": "page"})
    assert "AADSTS65004" in (await door.pick(WORK)).text


async def test_without_a_page_every_refusal_goes_to_the_app(door: Microsoft) -> None:
    await door.code(WORK)
    await door.http.post("/sandbox/v1/faults", json={"kind": "authorize-error", "aadsts": 53003})
    assert answer_of(await door.http.get(address(prompt="none")))["error_description"].startswith("AADSTS53003")
