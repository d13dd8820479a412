"""The sandbox's pages as far as they can be seen without a browser: what they link, load and are allowed."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from outlook_sandbox.app import make_sandbox
from outlook_sandbox.database import Database
from outlook_sandbox.identity.apps import OUTLOOK_APP
from outlook_sandbox.settings import Settings
from outlook_sandbox.state import Sandbox
from tests.graph_contract import checked_app

PAGES = ["/", "/outlook", "/customers", "/sandbox"]


@pytest.fixture
def sandbox() -> Sandbox:
    return make_sandbox(Settings(kafka_bootstrap_servers=None), Database())


@pytest.fixture
async def browser(sandbox: Sandbox) -> Any:
    transport = httpx2.ASGITransport(checked_app(sandbox))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8410") as client:
        yield client


async def token_of(browser: httpx2.AsyncClient, sandbox: Sandbox) -> str:
    response = await browser.post("/outlook/token", json={"account": sandbox.accounts.all()[0].id})
    return str(response.json()["access_token"])


async def test_the_first_page_leads_to_the_others(browser: httpx2.AsyncClient) -> None:
    links = re.findall(r'<a href="(.+?)"', (await browser.get("/")).text)
    assert links == ["/outlook", "/customers", "/sandbox"]
    for link in links:
        assert (await browser.get(link)).status_code == 200


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_loads_only_what_the_sandbox_serves(browser: httpx2.AsyncClient, path: str) -> None:
    text = (await browser.get(path)).text
    assets = set(re.findall(r'(?:src|href)="(/assets/.+?)"', text))
    assert assets
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', text)
    while assets:
        asset = assets.pop()
        response = await browser.get(asset)
        assert response.status_code == 200, asset
        folder = asset.rpartition("/")[0]
        if asset.endswith(".js"):
            assets |= {f"{folder}/{name}" for name in re.findall(r'from "\./(.+?)"', response.text)}


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_has_a_strict_policy_and_keeps_to_it(browser: httpx2.AsyncClient, path: str) -> None:
    response = await browser.get(path)
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert not re.findall(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]* src=)", response.text)


@pytest.mark.parametrize("path", ["/assets/pages/../routes.py", "/assets/graph/x.js", "/assets/pages/nothing.js"])
async def test_nothing_else_is_served_as_an_asset(browser: httpx2.AsyncClient, path: str) -> None:
    assert (await browser.get(path)).status_code == 404


async def test_the_calendar_page_opens_the_named_account_and_else_the_first(browser: httpx2.AsyncClient, sandbox: Sandbox) -> None:
    first, *_ = accounts = sandbox.accounts.all()
    for account, query in [(account, {"account": account.username}) for account in accounts] + [(first, {})]:
        text = (await browser.get("/outlook", params=query)).text
        assert f'data-account="{account.id}"' in text
        assert f"{account.name} · {account.username}" in text


async def test_the_calendar_page_of_nobody_opens_nobodys_calendar(browser: httpx2.AsyncClient) -> None:
    assert 'data-account=""' in (await browser.get("/outlook", params={"account": "nobody@nowhere.example"})).text


async def test_the_pages_token_is_outlooks_own_and_works_at_graph(browser: httpx2.AsyncClient, sandbox: Sandbox) -> None:
    bearer = await token_of(browser, sandbox)
    known = sandbox.tokens.read(bearer)
    assert known is not None
    assert known.app == OUTLOOK_APP
    assert known.scopes == {"Calendars.ReadWrite", "MailboxSettings.ReadWrite", "User.Read"}
    me = await browser.get("/v1.0/me", headers={"Authorization": f"Bearer {bearer}"})
    assert me.json()["id"] == sandbox.accounts.all()[0].id


async def test_the_version_moves_with_every_change_in_the_mailbox(browser: httpx2.AsyncClient, sandbox: Sandbox) -> None:
    headers = {"Authorization": f"Bearer {await token_of(browser, sandbox)}"}
    start = datetime.now(UTC)
    event = {
        "subject": "Test",
        "start": {"dateTime": f"{start:%Y-%m-%dT%H:%M:%S}", "timeZone": "UTC"},
        "end": {"dateTime": f"{start + timedelta(hours=1):%Y-%m-%dT%H:%M:%S}", "timeZone": "UTC"},
    }

    async def version() -> str:
        response = await browser.get("/outlook/version", params={"account": sandbox.accounts.all()[0].id})
        return str(response.json()["version"])

    seen = [await version(), await version()]
    assert seen[0] == seen[1]
    created = (await browser.post("/v1.0/me/events", json=event, headers=headers)).json()["id"]
    seen.append(await version())
    await browser.patch(f"/v1.0/me/events/{created}", json={"categories": ["Red category"]}, headers=headers)
    seen.append(await version())
    category = {"displayName": "Attendara — Confirmed", "color": "preset4"}
    await browser.post("/v1.0/me/outlook/masterCategories", json=category, headers=headers)
    seen.append(await version())
    await browser.delete(f"/v1.0/me/events/{created}", headers=headers)
    seen.append(await version())
    assert len(set(seen)) == 5


async def test_who_has_seen_a_version_waits_for_the_next(browser: httpx2.AsyncClient, sandbox: Sandbox) -> None:
    account = sandbox.accounts.all()[0]
    mailbox = sandbox.mailboxes.of(account)
    query = {"account": account.id}
    seen = (await browser.get("/outlook/version", params=query)).json()["version"]
    asyncio.get_running_loop().call_later(0.05, mailbox.next_key)
    assert (await browser.get("/outlook/version", params=query | {"seen": seen})).json()["version"] != seen
    assert (await browser.get("/outlook/version", params=query | {"seen": "of long ago"})).json()["version"] != "of long ago"


async def test_the_journal_keeps_pages_but_not_their_files_and_questions(browser: httpx2.AsyncClient, sandbox: Sandbox) -> None:
    for path in ("/outlook", "/assets/pages/outlook.css", f"/outlook/version?account={sandbox.accounts.all()[0].id}"):
        assert (await browser.get(path)).status_code == 200
    assert [entry.path for entry in sandbox.journal.entries()] == ["/outlook"]


async def test_accounts_are_found_by_part_of_a_name(browser: httpx2.AsyncClient) -> None:
    async def found(search: str) -> list[str]:
        answer = await browser.get("/sandbox/v1/accounts", params={"search": search})
        return [account["name"] for account in answer.json()]

    assert await found("KELL") == await found("anna.keller@") == ["Anna Keller"]
    assert {"Anna Keller", "Jonas Lehmann"} <= set(await found(""))
    assert await found("nobody") == []


async def test_an_unknown_account_gets_no_token_and_no_version(browser: httpx2.AsyncClient) -> None:
    assert (await browser.post("/outlook/token", json={"account": "nobody"})).status_code == 404
    assert (await browser.get("/outlook/version", params={"account": "nobody"})).status_code == 404
