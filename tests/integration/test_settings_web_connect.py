"""The way to Microsoft and back as a browser walks it: every ending has its page, and nothing that is brought along is believed."""

import re
from html import unescape
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from settings_web.auth_door import Finished
from settings_web.endings import MANNERS, NOT_CONNECTED
from settings_web.pages.connect import FLOW_COOKIE
from settings_web.parts import SESSION_COOKIE
from tests.fakes.auth_service import APPROVE
from tests.integration.settings_world import ADD, ADMIN_RETURN, CALENDARS, ENDED, PROVIDERS, RETURN, Browser, Web, begin_connect

MARKUP = '<script>alert("x")</script>'
ENDINGS = [*MANNERS, "tomorrows-outcome"]


async def come_back(web: Web, browser: Browser, ending: str, **query: str) -> str:
    """Goes to Microsoft, and comes back to what auth calls this ending."""
    state = await begin_connect(browser)
    web.auth.ending = ending
    try:
        return await browser.see(f"{RETURN}?{urlencode({'state': state} | query)}")
    finally:
        web.auth.ending = "accepted"


def forms(page: str) -> list[str]:
    """Where the forms of the page's main part lead."""
    return re.findall(r'<form[^>]* action="([^"]+)"', page[page.index("<main") :])


@pytest.mark.parametrize("ending", ENDINGS)
async def test_each_ending_has_a_page_with_its_sentence_and_a_next_step(web: Web, organization: str, ending: str) -> None:
    async with web.browser(organization) as browser:
        page = await come_back(web, browser, ending, error="access_denied")
        manner = MANNERS.get(ending, NOT_CONNECTED)
        assert f"<h1>{manner.title}</h1>" in page
        assert f"It ended: {ending}." in page
        assert "Do something next." in page
        assert forms(page) == (["/connect/microsoft"] if manner.again else [])
        assert f'href="{ADD}"' in page
        assert await browser.see(ENDED) == page, "the page may be loaded again"
    assert await web.database.connections.find_one({"organization": organization}) is None


async def test_an_ending_of_which_a_newer_auth_tells_nothing_more_is_shown_in_general(web: Web, organization: str) -> None:
    async with web.browser(organization) as browser:
        session = await web.parts.sessions.find(browser.client.cookies[SESSION_COOKIE])
        assert session
        await web.parts.endings.keep(session, Finished("tomorrows-outcome"))
        page = await browser.see(ENDED)
        assert f"<h1>{NOT_CONNECTED.title}</h1>" in page
        assert "for a reason that this page doesn’t know" in page
        assert "tell Attendara’s support" in page


async def test_who_needs_an_administrator_s_approval_gets_the_link_and_words_to_hand_on(web: Web, organization: str) -> None:
    async with web.browser(organization) as browser:
        page = await come_back(web, browser, "admin-consent-needed")
        assert re.search(r'<input [^>]*id="approval-link" value="([^"]+)" readonly', page)[1] == APPROVE  # type: ignore[index]
        letter = re.search(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)
        assert letter
        assert APPROVE in letter[1]
        assert f'href="{APPROVE}"' in page
        assert forms(page) == ["/connect/microsoft"]
        assert "adminconsent" not in await come_back(web, browser, "declined")


async def test_the_wrong_account_at_a_reconnect_says_which_is_the_right_one(web: Web, organization: str) -> None:
    connection = await web.auth.connect(organization, "Front desk", "needs-reconnect")
    async with web.browser(organization) as browser:
        answer = await browser.send(f"/connect/microsoft/{connection}", ADD)
        state = parse_qs(urlsplit(unescape(re.findall(r'url=([^"]+)"', answer.text)[0])).query)["state"][0]
        web.auth.ending = "wrong-account"
        try:
            page = await browser.see(f"{RETURN}?state={state}&code=c")
        finally:
            web.auth.ending = "accepted"
        assert web.auth.account.username in page
        assert forms(page) == [f"/connect/microsoft/{connection}", "/connect/microsoft"]
        assert f'href="{PROVIDERS}"' in page
        await web.auth.set_state(connection, "removed")
        assert forms(await browser.see(ENDED)) == ["/connect/microsoft"], "what is gone can only be connected anew"


async def test_an_account_that_is_connected_already_is_said_so_kindly(web: Web, organization: str) -> None:
    connection = await web.auth.connect(organization, "Front desk")
    async with web.browser(organization) as browser:
        page = await come_back(web, browser, "accepted", code="c")
        assert f"{web.auth.account.username} is connected already, as “Front desk”, and its sign-in is fresh again." in page
        assert "Choose calendars" in page
    assert [one["_id"] async for one in web.database.connections.find({"organization": organization})] == [connection]


async def test_a_reconnected_account_is_said_so(web: Web, organization: str) -> None:
    connection = await web.auth.connect(organization, "Front desk", "needs-reconnect")
    async with web.browser(organization) as browser:
        answer = await browser.send(f"/connect/microsoft/{connection}", ADD)
        state = parse_qs(urlsplit(unescape(re.findall(r'url=([^"]+)"', answer.text)[0])).query)["state"][0]
        back = await browser.client.get(f"{RETURN}?state={state}&code=c")
        assert back.headers["location"] == PROVIDERS
        assert "Front desk is connected again." in await browser.see(PROVIDERS)


async def test_a_connect_belongs_to_its_browser_and_its_session(web: Web, organization: str) -> None:
    async with web.browser(organization) as mine, web.browser(organization) as theirs:
        state = await begin_connect(mine)
        assert "did not begin the sign-in" in await theirs.see(f"{RETURN}?code=c&state={state}")
        await begin_connect(theirs)
        assert "It ended: mismatch." in await theirs.see(f"{RETURN}?code=c&state={state}")
        await begin_connect(theirs)
        assert "It ended: expired." in await theirs.see(f"{RETURN}?code=c&state={state}")


async def test_a_return_under_another_organization_is_no_connect(web: Web, organization: str) -> None:
    async with web.browser(organization) as mine, web.browser(f"{organization}_other") as theirs:
        state = await begin_connect(mine)
        theirs.client.cookies.set(FLOW_COOKIE, mine.client.cookies[FLOW_COOKIE], domain="localhost.local")
        assert "It ended: mismatch." in await theirs.see(f"{RETURN}?code=c&state={state}")
    assert await web.database.connections.find_one({"organization": {"$in": [organization, f"{organization}_other"]}}) is None


async def test_who_is_no_longer_signed_in_at_the_return_reads_what_became_of_it(web: Web, organization: str) -> None:
    async with web.browser(organization) as browser:
        state = await begin_connect(browser)
        browser.client.cookies.delete(SESSION_COOKIE)
        page = await browser.see(f"{RETURN}?code=c&state={state}", 401)
        assert "no Microsoft account was connected" in page
        assert 'href="/"' in page
        assert state in web.auth.flows, "nobody has touched the sign-in"


async def test_one_person_s_ending_is_not_another_s(web: Web, organization: str) -> None:
    async with web.browser(organization) as mine, web.browser(organization) as theirs:
        await come_back(web, mine, "admin-consent-needed")
        assert (await theirs.client.get(ENDED)).headers["location"] == ADD
    async with web.browser() as nobody:
        assert (await nobody.client.get(ENDED)).headers["location"] == "/signin"


@pytest.mark.parametrize("error", ["access_denied", MARKUP, "", "x" * 3000])
async def test_what_a_redirect_says_of_an_error_is_passed_on_and_never_shown(web: Web, organization: str, error: str) -> None:
    async with web.browser(organization) as browser:
        said = {"error": error, "error_description": f"AADSTS65004: {MARKUP}", "error_uri": "javascript:alert(1)"}
        page = await come_back(web, browser, "declined", **said)
        assert web.auth.told[-1].items() >= said.items()
        for part in ("alert(", "javascript:", "AADSTS", "x" * 100):
            assert part not in page
        await begin_connect(browser)
        answer = await browser.client.get(f"{RETURN}?{urlencode(said)}", follow_redirects=True)
        assert "It ended: expired." in answer.text
        assert "alert(" not in answer.text


@pytest.mark.parametrize("huge", [{"code": "c" * 8001}, {"state": "s" * 30_000}, {f"a{number}": "b" for number in range(500)}])
async def test_huge_parameters_end_in_a_page_and_not_in_an_error(web: Web, organization: str, huge: dict[str, str]) -> None:
    async with web.browser(organization) as browser:
        await begin_connect(browser)
        page = await browser.see(f"{RETURN}?{urlencode(huge)}")
        assert "<h1>" in page
        assert "Try again" in page or "Do something next." in page
        assert "8000" not in page
        assert "c" * 100 not in page
        assert "s" * 100 not in page


@pytest.mark.parametrize("lead", ["https://evil.example/", "//evil.example", "/settings/../signout", "javascript:alert(1)"])
async def test_no_return_leads_elsewhere_than_to_our_own_pages(web: Web, organization: str, lead: str) -> None:
    async with web.browser(organization) as browser:
        for ending in ("accepted", "declined"):
            state = await begin_connect(browser)
            web.auth.flows[state]["return_to"] = lead
            web.auth.ending = ending
            try:
                query = {"state": state, "code": "c", "return_to": lead, "next": lead, "redirect_uri": lead}
                answer = await browser.client.get(f"{RETURN}?{urlencode(query)}")
            finally:
                web.auth.ending = "accepted"
            assert re.fullmatch(r"(/settings|/connect/microsoft)/[\w/-]+", answer.headers["location"])
            assert lead not in await browser.see(answer.headers["location"])


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ({"admin_consent": "True", "tenant": "t", "scope": "a", "state": "s"}, "Attendara is approved"),
        ({"admin_consent": "true"}, "Attendara is approved"),
        ({"admin_consent": "True", "error": "consent_required", "error_description": "AADSTS65004: no"}, "was not approved"),
        ({"error": "access_denied", "error_subcode": "cancel"}, "was not approved"),
        ({"error": MARKUP, "error_description": MARKUP}, "was not approved"),
        ({"error": ""}, "was not approved"),
        ({}, "Approving Attendara"),
        ({"admin_consent": "False"}, "Approving Attendara"),
        ({"admin_consent": MARKUP, "tenant": MARKUP, "state": MARKUP}, "Approving Attendara"),
        ({"tenant": "x" * 20_000, "ünï": "\x00\ud83d".encode("utf-8", "surrogatepass").decode("latin-1")}, "Approving Attendara"),
    ],
)
async def test_an_administrator_who_returns_reads_what_is_next_and_changes_nothing(
    web: Web, organization: str, query: dict[str, str], title: str
) -> None:
    before = len(web.auth.told)
    async with web.browser() as stranger, web.browser(organization) as ours:
        for browser in (stranger, ours):
            answer = await browser.client.get(f"{ADMIN_RETURN}?{urlencode(query)}")
            assert answer.status_code == 200
            assert "set-cookie" not in answer.headers
            assert "script-src 'self'" in answer.headers["content-security-policy"]
            page = unescape(answer.text)
            assert title in page
            assert "connect" in page
            for shown in query.values():
                assert len(shown) < 5 or shown not in page
    assert len(web.auth.told) == before
    assert await web.database.connections.find_one({"organization": organization}) is None


async def test_a_sign_in_begun_while_auth_is_away_says_so_where_it_was_begun(web: Web, organization: str) -> None:
    async with web.browser(organization) as browser:
        state = await begin_connect(browser)
        web.auth.down = True
        try:
            page = await browser.see(f"{RETURN}?state={state}&code=c")
            assert "can’t be reached right now" in page
            assert forms(page) == ["/connect/microsoft"]
            assert f'href="{CALENDARS}"' in page
        finally:
            web.auth.down = False
