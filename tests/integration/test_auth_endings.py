"""Each way that a connect can end, as Microsoft's redirect or its token endpoint says it: auth against the sandbox."""

from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from pymongo.asynchronous.database import AsyncDatabase

from auth.settings import Settings
from outlook_sandbox.client import SandboxControl
from outlook_sandbox.control.models import AccountOpened
from outlook_sandbox.faults import AuthorizeError, ErrorAnswer, TokenError
from outlook_sandbox.identity.aadsts import MEANINGS
from tests.consent import give_consent
from tests.integration.auth_world import ADMIN_RETURN, JONAS, Auth, Document, running

ENDINGS = {
    "conditional-access": {50105, 50131, 53000, 53001, 53003, 530032, 530035},
    "wrong-account": {16000, 50020},
    "admin-consent-needed": {90094, 90095},
    "declined": {65004},
    "microsoft-away": {50196, 70012, 90033, 90055},
    "expired": {
        *(50034, 50055, 50057, 50132, 50133, 50173, 70000, 70008, 70043, 700082, 700084),
        *(50058, 50072, 50074, 50076, 50078, 50079, 50097, 65001),
        *(54005, 700005, 500112, 501481),
    },
    "app-misconfigured": {
        *(50011, 50027, 50194, 70003, 70011, 700016, 700021, 700023, 700024, 700025, 700027, 700054),
        *(7000112, 7000215, 7000218, 7000222, 90002, 90014, 90019, 90023, 501491, 900144, 9002331, 9002332),
    },
}
REDIRECTED = {70003: "only the token endpoint refuses a grant type"}
CASES = [(outcome, number) for outcome, numbers in ENDINGS.items() for number in sorted(numbers)]


def test_every_number_that_the_sandbox_knows_has_an_ending() -> None:
    assert sorted(number for _, number in CASES) == sorted(MEANINGS)


@pytest.mark.parametrize(("outcome", "number"), [case for case in CASES if case[1] not in REDIRECTED])
async def test_each_error_of_the_redirect_is_an_outcome(
    auth: Auth, control: SandboxControl, person: AccountOpened, outcome: str, number: int
) -> None:
    begun = await auth.begin()
    async with control.fault(AuthorizeError(account=person.id, aadsts=number, shown="redirect")):
        query = await give_consent(begun["authorize_url"], person.username)
    ended = await auth.finish(query)

    assert query["error"] == MEANINGS[number].redirect
    check(ended, outcome)
    assert await auth.listed() == []


@pytest.mark.parametrize(("outcome", "number"), CASES)
async def test_each_error_of_the_token_endpoint_is_an_outcome(
    auth: Auth, control: SandboxControl, person: AccountOpened, outcome: str, number: int
) -> None:
    query = await give_consent((await auth.begin())["authorize_url"], person.username)
    async with control.fault(TokenError(account=person.id, aadsts=number, grant="authorization_code")):
        ended = await auth.finish(query)

    check(ended, outcome)
    assert await auth.listed() == []


def check(ended: Document, outcome: str) -> None:
    assert (ended["outcome"], ended["connection"], ended["return_to"]) == (outcome, None, "/calendars/new")
    assert ended["message"]
    assert ended["next_step"]
    assert (ended["admin_consent_url"] is not None) == (outcome == "admin-consent-needed")
    assert "AADSTS" not in ended["message"] + ended["next_step"]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ("access_denied", "declined"),
        ("invalid_request", "app-misconfigured"),
        ("unauthorized_client", "app-misconfigured"),
        ("unsupported_response_type", "app-misconfigured"),
        ("invalid_resource", "app-misconfigured"),
        ("invalid_scope", "app-misconfigured"),
        ("server_error", "microsoft-away"),
        ("temporarily_unavailable", "microsoft-away"),
        ("login_required", "expired"),
        ("interaction_required", "expired"),
        ("consent_required", "admin-consent-needed"),
        ("something_new", "microsoft-away"),
        ("<script>alert(1)</script>", "microsoft-away"),
        ("", "microsoft-away"),
    ],
)
async def test_an_error_without_a_number_is_an_outcome_too(auth: Auth, error: str, outcome: str) -> None:
    state = (await auth.begin())["flow"]
    check(await auth.finish({"error": error, "error_description": "call this number", "state": state}), outcome)


async def test_an_error_that_belongs_to_no_sign_in_says_nothing_of_it(auth: Auth) -> None:
    ended = await auth.finish({"error": "access_denied", "error_description": "AADSTS90094: Words.", "state": "made-up"})
    assert (ended["outcome"], ended["admin_consent_url"]) == ("expired", None)


async def test_where_people_may_not_consent_the_link_lets_an_administrator_and_then_they_can_connect(
    auth: Auth, control: SandboxControl, person: AccountOpened, unique: str
) -> None:
    await control.set_tenant_policy(person.tid, "forbidden")
    chief = await control.create_account(f"chief.{unique}@{person.username.partition('@')[2]}", "Chief", tid=person.tid, admin=True)
    refused = await auth.finish(await give_consent((await auth.begin())["authorize_url"], person.username, "return"))

    back = await approve(refused["admin_consent_url"], chief.id)
    accepted = await auth.connect(person.username)

    assert refused["outcome"] == "admin-consent-needed"
    assert urlsplit(refused["admin_consent_url"]).path == "/organizations/v2.0/adminconsent"
    assert back.headers["location"].startswith(f"{ADMIN_RETURN}?admin_consent=True&tenant={person.tid}")
    assert accepted["outcome"] == "accepted"


async def approve(link: str, administrator: str) -> httpx2.Response:
    async with httpx2.AsyncClient() as browser:
        return await browser.post(link, data={"account": administrator, "answer": "accept"})


async def test_the_link_of_a_connection_that_existed_is_its_own_tenants(
    auth: Auth, control: SandboxControl, person: AccountOpened
) -> None:
    connection = await auth.connected(person.username)
    begun = await auth.begin(connection)
    async with control.fault(AuthorizeError(account=person.id, aadsts=90094, shown="redirect")):
        ended = await auth.finish(await give_consent(begun["authorize_url"], person.username))

    link = urlsplit(ended["admin_consent_url"])
    asked, wanted = parse_qs(urlsplit(begun["authorize_url"]).query), parse_qs(link.query)
    assert link.path == f"/{person.tid}/v2.0/adminconsent"
    assert (wanted["client_id"], wanted["scope"], wanted["redirect_uri"]) == (asked["client_id"], asked["scope"], [ADMIN_RETURN])
    assert wanted["state"] != asked["state"]
    assert [one["state"] for one in await auth.listed()] == ["active"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, "MailboxNotEnabledForRESTAPI"),
        (400, "MailboxNotSupportedForRESTAPI"),
        (404, "ResourceNotFound"),
        (401, "UnknownError"),
    ],
)
async def test_an_account_without_a_mailbox_is_told_so(
    auth: Auth, control: SandboxControl, person: AccountOpened, status: int, code: str
) -> None:
    async with control.fault(ErrorAnswer(account=person.id, path="/me/calendar", status=status, code=code)):
        ended = await auth.connect(person.username)

    check(ended, "no-mailbox")
    assert await auth.listed() == []


@pytest.mark.parametrize("status", [429, 500, 503, 504])
async def test_a_graph_that_is_not_well_is_microsofts_trouble(
    auth: Auth, control: SandboxControl, person: AccountOpened, status: int
) -> None:
    async with control.fault(ErrorAnswer(account=person.id, path="/me*", status=status)):
        check(await auth.connect(person.username), "microsoft-away")


async def test_the_wrong_account_is_told_before_anything_is_asked_of_it(
    auth: Auth, control: SandboxControl, person: AccountOpened
) -> None:
    connection = await auth.connected(person.username)
    other = await control.account(JONAS)
    async with control.fault(ErrorAnswer(account=other.id, status=404, code="MailboxNotEnabledForRESTAPI")):
        ended = await auth.connect(JONAS, connection)

    assert (ended["outcome"], ended["connection"]) == ("wrong-account", connection)
    assert ended["next_step"] == "Begin again, and pick the account that is to be reconnected."


async def test_a_policys_claims_are_carried_to_the_next_sign_in_and_no_further(
    auth: Auth, control: SandboxControl, person: AccountOpened
) -> None:
    connection = await auth.connected(person.username)
    async with control.fault(TokenError(account=person.id, aadsts=50076, grant="refresh_token")):
        dead = await auth.token(connection, claims="{}")
    again = await auth.begin(connection)
    first, other = ("capolids" in httpx2.URL(begun["authorize_url"]).params["claims"] for begun in (again, await auth.begin()))
    healed = await auth.finish(await give_consent(again["authorize_url"], person.username))
    later = httpx2.URL((await auth.begin(connection))["authorize_url"]).params["claims"]

    assert (dead.status_code, dead.json()["title"]) == (409, "needs-reconnect")
    assert (first, other, "capolids" in later) == (True, False, False)
    assert healed["outcome"] == "accepted"
    assert "capolids" in auth.wire.sent[-1]["claims"]
    assert "claims" not in await auth.stored(connection)


async def test_without_the_scope_for_categories_a_connection_says_so(
    settings: Settings, database: AsyncDatabase[Document], redis_url: str, organization: str, person: AccountOpened
) -> None:
    plain = settings.model_copy(update={"microsoft_category_scope": False})
    async with running(plain, database, redis_url, organization) as auth:
        await auth.ready()
        asked = httpx2.URL((await auth.begin())["authorize_url"]).params["scope"]
        connection = await auth.connected(person.username)
        [listed] = await auth.listed()
    async with running(settings, database, redis_url, organization) as auth:
        await auth.ready()
        refreshed = await auth.token(connection, claims="{}")
        again = await auth.listed()
        await auth.connect(person.username, connection)
        [widened] = await auth.listed()

    assert "MailboxSettings" not in asked
    assert listed["scopes"] == ["Calendars.ReadWrite", "User.Read"]
    assert refreshed.status_code == 200
    assert again == [listed]
    assert widened["scopes"] == ["Calendars.ReadWrite", "MailboxSettings.ReadWrite", "User.Read"]


async def test_fewer_scopes_than_were_asked_for_are_remembered(auth: Auth, person: AccountOpened) -> None:
    auth.wire.mangle = lambda body: body | {"scope": "openid profile https://graph.microsoft.com/calendars.readwrite User.Read"}
    connection = await auth.connected(person.username)
    auth.wire.mangle = lambda body: body

    refreshed = await auth.token(connection, claims="{}")

    assert refreshed.status_code == 200
    assert "MailboxSettings" not in auth.wire.sent[-1]["scope"]
    assert (await auth.stored(connection))["scopes"] == ["Calendars.ReadWrite", "User.Read"]
