"""Manage providers: how each account stands, why, since when, what is next, what became of it, and how it is removed."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from settings_web.accounts import PERSONAL_TENANT, AccountState
from settings_web.reasons import STATES, WHY
from tests.fakes.auth_service import APPROVE
from tests.integration.settings_world import ADD, CALENDARS, PROVIDERS, SYNC, Browser, Web

NOW = datetime.now(UTC)
BEFORE = NOW - timedelta(days=3)


async def lost(web: Web, organization: str, state: str = "active", **fields: Any) -> tuple[str, str]:
    """An account that was connected again a moment ago, or is still lost, and its calendar of long before."""
    connection = await web.auth.connect(organization, "Front desk", state, since=NOW, **fields)
    calendar = await web.calendar(organization, connection, created_at=BEFORE)
    sync_state = {"_id": calendar, "organization": organization, "connection": connection, "state": "current"}
    await web.database.sync_states.insert_one(sync_state | {"last_round_at": BEFORE, "last_error": "needs-reconnect"})
    subscription = {"organization": organization, "connection": connection, "calendar": calendar, "state": "active"}
    await web.database.subscriptions.insert_one({"_id": f"sub_{calendar}", "checked_at": BEFORE} | subscription)
    return connection, calendar


async def state_of(browser: Browser, connection: str) -> str:
    listed = (await browser.client.get("/api/v1/connections")).json()
    return str(next(one["state"] for one in listed if one["id"] == connection))


@pytest.mark.parametrize("reason", sorted(WHY))
async def test_an_account_that_is_lost_says_why_and_what_is_next(web: Web, organization: str, reason: str) -> None:
    state = "needs-admin-consent" if reason == "admin-approval" else "needs-reconnect"
    connection = await web.auth.connect(organization, "Front desk", state, reason=reason, since=NOW - timedelta(hours=3))
    async with web.browser(organization) as browser:
        page = await browser.see(PROVIDERS)
        assert STATES[state] in page
        assert WHY[reason][0] in page
        assert WHY[reason][1].format(username=web.auth.account.username) in page
        assert "3 hours ago" in page
        assert f'action="/connect/microsoft/{connection}"' in page
        [told] = (await browser.client.get("/api/v1/connections")).json()
        assert (told["state"], told["reason"]) == (state, WHY[reason][0])


@pytest.mark.parametrize("state", ["active", "needs-reconnect", "needs-admin-consent", "removing"])
async def test_no_state_of_an_account_is_without_a_way_out(web: Web, organization: str, state: str) -> None:
    connection = await web.auth.connect(organization, "Front desk", state)
    await web.calendar(organization, connection)
    ways = {"active": "Reconnect", "needs-reconnect": "Reconnect", "needs-admin-consent": "Ask for approval"}
    async with web.browser(organization) as browser, web.browser(organization, may_change=False) as member:
        page = await browser.see(PROVIDERS)
        assert ways.get(state, "Connect it as new") in page
        assert "Connect new" in page
        assert "History" in page
        looked_at = await member.see(PROVIDERS)
        assert "Only an administrator of your organization" in looked_at
        assert "<form" not in looked_at[looked_at.index("<tbody") :].replace(f'<form action="{PROVIDERS}/{connection}/history"', "")
        # The calendars of an account that is being removed are gone from their page as soon as somebody looks after them.
        for path in (ADD,) if state == "removing" else (ADD, CALENDARS):
            assert state == "active" or STATES[state].casefold() in (await browser.see(path)).casefold()
    assert set(get_args(AccountState)) == set(STATES)


async def test_a_reconnected_account_catches_up_until_all_is_whole(web: Web, organization: str) -> None:
    connection, calendar = await lost(web, organization)
    async with web.browser(organization) as browser:
        for page in (PROVIDERS, CALENDARS):
            assert "Catching up" in await browser.see(page)
            assert 'hx-trigger="every 1s"' in await browser.see(page)
        assert await state_of(browser, connection) == "catching-up"

        ran = {"$set": {"last_round_at": NOW + timedelta(seconds=1)}, "$unset": {"last_error": ""}}
        await web.database.sync_states.update_one({"_id": calendar}, ran)
        assert await state_of(browser, connection) == "catching-up"
        assert "Outlook is being asked" in await browser.see(CALENDARS)

        await web.database.subscriptions.update_one({"calendar": calendar}, {"$set": {"checked_at": NOW}})
        assert await state_of(browser, connection) == "active"
        assert "Catching up" not in await browser.see(PROVIDERS) + await browser.see(CALENDARS)


async def test_a_list_of_accounts_that_did_not_change_is_not_sent_again(web: Web, organization: str) -> None:
    connection = await web.auth.connect(organization, since=BEFORE)
    async with web.browser(organization) as browser:
        found = re.search(r'hx-get="([^"]+/rows\?seen=\w+)"', await browser.see(PROVIDERS))
        assert found
        assert (await browser.client.get(found[1])).status_code == 204
        await web.auth.set_state(connection, "needs-reconnect")
        assert "Needs reconnect" in (await browser.client.get(found[1])).text


async def test_the_history_names_people_and_says_what_happened(web: Web, organization: str) -> None:
    connection = await web.auth.connect(organization, "Front desk")
    web.auth.histories[connection] = [
        {"at": "2026-11-20T08:00:00Z", "who": "usr_1", "what": "connected"},
        {"at": "2026-11-21T08:00:00Z", "who": "microsoft", "what": "needs-reconnect", "reason": "grant-revoked", "more": [1]},
        {"at": "2026-11-22T08:00:00Z", "who": "usr_gone<b>", "what": "renamed", "name": "<i>Desk</i>", "name_before": "Desk"},
    ]
    async with web.browser(organization, may_change=False) as member:
        page = await member.see(f"{PROVIDERS}/{connection}/history")
        told = (await member.client.get(f"/api/v1/connections/{connection}/history")).json()
        raw = (await member.client.get(f"{PROVIDERS}/{connection}/history")).text
    assert [one["who"] for one in told] == ["usr_gone<b>", "Microsoft", "Miriam Vogt"]
    assert told[1]["text"] == "The sign-in was revoked at Microsoft, as happens when a password is reset."
    assert page.index("Renamed from “Desk”") < page.index("was revoked") < page.index("Connected.")
    assert '<time datetime="2026-11-20T08:00:00+00:00" data-exact>20 November 2026, 08:00:00 UTC</time> · Miriam Vogt' in page
    assert "&lt;i&gt;Desk" in raw
    assert "<b>" not in raw


async def test_a_removed_account_keeps_its_history_and_says_how_to_take_the_permission_back(web: Web, organization: str) -> None:
    connection = await web.auth.connect(organization, "Front desk", "removed")
    web.auth.histories[connection] = [{"at": "2026-11-22T08:00:00Z", "who": "attendara", "what": "removed"}]
    async with web.browser(organization) as browser, web.browser(f"{organization}_other") as stranger:
        page = await browser.see(PROVIDERS)
        assert "Removed accounts (1)" in page
        assert "No account yet" in page
        history = await browser.see(f"{PROVIDERS}/{connection}/history")
        assert "the access to the account destroyed" in history
        assert "myapps.microsoft.com" in history
        assert "Removed accounts" not in await stranger.see(PROVIDERS)
        await stranger.see(f"{PROVIDERS}/{connection}/history", 404)
        assert (await stranger.client.get(f"/api/v1/connections/{connection}/history")).status_code == 404


async def test_while_auth_is_away_the_history_says_so(web: Web, organization: str) -> None:
    connection = await web.auth.connect(organization)
    async with web.browser(organization) as browser:
        web.auth.down = True
        try:
            for page in ("history", "approval"):
                assert "can’t be reached right now" in await browser.see(f"{PROVIDERS}/{connection}/{page}", 503)
            assert "History" in await browser.see(PROVIDERS), "the list itself needs no auth"
        finally:
            web.auth.down = False


@pytest.mark.parametrize(("tid", "where"), [(PERSONAL_TENANT, "account.live.com/consent/Manage"), ("t", "myapps.microsoft.com")])
async def test_before_a_removal_the_page_says_what_is_deleted_and_what_stays_at_microsoft(
    web: Web, organization: str, tid: str, where: str
) -> None:
    connection = await web.auth.connect(organization, "Front desk", tid=tid)
    calendar = await web.calendar(organization, connection, name="Room 7")
    state = {"_id": calendar, "organization": organization, "connection": connection, "state": "current"}
    await web.database.sync_states.insert_one(state | {"last_round_at": NOW, "appointments": 1234})
    async with web.browser(organization) as browser:
        page = await browser.see(f"{PROVIDERS}/{connection}/remove")
        for words in ("Room 7 with 1,234 appointments", "keys and tokens", "Your events stay in Outlook", "history stays", where):
            assert words in page


async def test_an_administrator_s_approval_can_be_asked_for_at_any_time(web: Web, organization: str) -> None:
    connection = await web.auth.connect(organization, "Front desk", "needs-admin-consent", reason="admin-approval")
    async with web.browser(organization) as browser, web.browser(organization, may_change=False) as member:
        page = await browser.see(f"{PROVIDERS}/{connection}/approval")
        assert page.count(f"{APPROVE}&of={connection}") == 3
        await member.see(f"{PROVIDERS}/{connection}/approval", 403)
    async with web.browser(f"{organization}_other") as stranger:
        await stranger.see(f"{PROVIDERS}/{connection}/approval", 404)


async def test_where_categories_may_not_be_written_the_pages_say_how_to_add_them(web: Web, organization: str) -> None:
    connection = await web.auth.connect(organization, "Front desk", scopes=["Calendars.ReadWrite", "User.Read"])
    names = {"confirmed_category": "Kommt <3", "cancelled_category": "Kommt nicht"}
    others = {"prefix_policy": "never", "confirmed_prefix": "[OK]", "cancelled_prefix": "[NO]"}
    async with web.browser(organization) as browser:
        assert (await browser.send(SYNC, SYNC, **names | others)).status_code == 303
        assert "The answers have no colours in Outlook yet." in await browser.see(PROVIDERS)
        for path in (f"{PROVIDERS}/{connection}/categories", f"{ADD}/{connection}", SYNC):
            page = await browser.see(path)
            assert "Add the colours in Outlook" in page
            for colour, name in (("Green", "Kommt <3"), ("Red", "Kommt nicht")):
                assert re.search(rf'>{colour}</label>\s*<input [^>]*value="{name}" readonly', page)
        assert web.auth.account.username in await browser.see(SYNC)


async def test_where_categories_may_be_written_no_page_speaks_of_it(web: Web, organization: str) -> None:
    connection = await web.auth.connect(organization, scopes=["Calendars.ReadWrite", "MailboxSettings.ReadWrite", "User.Read"])
    async with web.browser(organization) as browser:
        for path in (PROVIDERS, f"{ADD}/{connection}", SYNC):
            assert "Add the colours" not in await browser.see(path)


async def test_shared_calendars_are_listed_as_such_and_not_offered(web: Web, organization: str) -> None:
    connection = await web.auth.connect(organization)
    async with web.browser(organization) as browser:
        page = await browser.see(f"{ADD}/{connection}")
    offered, others = page.split("Can’t be watched")
    assert re.findall(r'<label class="name"[^>]*>([^<]+)<', offered) == ["Calendar", "Calendar – room 2"]
    assert "Holidays – Berg team" in others
    assert "Shared by Sabine Berg." in others
    assert "checkbox" not in others
