"""Ways to a connected account that need more than two clicks, in a real browser: the approval of a tenant's administrator."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from attendara_local.stack import Stack
from outlook_sandbox.client import SandboxControl
from outlook_sandbox.faults import AuthorizeError
from tests.e2e.test_story import go_to_microsoft, sign_in
from tests.outlook import OUTLOOK, SCOPES, new_outlook

LUKAS, REGULA = "lukas.meier@klinik-seeblick.example", "regula.frey@klinik-seeblick.example"
JONAS = "bergpraxis.lehmann@outlook.example"


async def pick(page: Page, username: str) -> None:
    """On Microsoft's page."""
    await page.get_by_role("button", name=username).click()


async def stands_on_a_phone_in_the_dark(page: Page, shots: Path, name: str) -> None:
    """The page as it is, narrow and dark; then as it was."""
    await page.screenshot(path=shots / f"{name}.png", full_page=True, animations="disabled")
    size = page.viewport_size
    assert size
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.emulate_media(color_scheme="dark")
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "the page scrolls sideways"
    await page.screenshot(path=shots / f"{name}-phone.png", full_page=True, animations="disabled")
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size(size)


async def test_a_clinic_that_forbids_consent_is_connected_once_its_administrator_has_approved(
    page: Page, browser: Browser, system: Stack, shots: Path
) -> None:
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=system.settings_url)
    await sign_in(page, system)
    await go_to_microsoft(page)
    await pick(page, LUKAS)
    await expect(page.get_by_role("heading", name="Need admin approval")).to_be_visible()
    await page.get_by_role("button", name="Return to the application").click()

    await expect(page.get_by_role("heading", name="An administrator has to approve Attendara")).to_be_visible()
    await page.get_by_label("Or the whole message").locator("..").get_by_role("button", name="Copy").click()
    await expect(page.get_by_text("Copied.")).to_be_visible()
    message = await page.evaluate("navigator.clipboard.readText()")
    link = await page.get_by_label("Link for the approval").input_value()
    assert link in message
    await stands_on_a_phone_in_the_dark(page, shots, "30-approval-needed")
    await page.reload()
    await expect(page.get_by_label("Link for the approval")).to_have_value(link)

    colleague = await browser.new_context()
    theirs = await colleague.new_page()
    await theirs.goto(link)
    await pick(theirs, REGULA)
    await theirs.get_by_role("button", name="Accept").click()
    await expect(theirs.get_by_role("heading", name="Attendara is approved")).to_be_visible()
    assert theirs.url.startswith(f"{system.settings_url}/connect/microsoft/admin-return?admin_consent=True")
    assert "Regula" not in await theirs.inner_text("main")
    assert await colleague.cookies(system.settings_url) == []
    await stands_on_a_phone_in_the_dark(theirs, shots, "31-approved")
    await colleague.close()

    await page.get_by_role("button", name="Connect again").click()
    await pick(page, LUKAS)
    await page.get_by_role("dialog", name="Account connected").get_by_label("Label").fill("Clinic")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", name="Choose calendars")).to_be_visible()
    await page.get_by_role("link", name="Manage providers").click()
    row = page.get_by_role("row", name="Clinic")
    await expect(row).to_contain_text("Connected")

    await row.get_by_role("button", name="History").click()
    history = page.get_by_role("dialog", name="History of Clinic")
    await expect(history).to_contain_text("Miriam Vogt")
    await expect(history.get_by_role("listitem")).to_have_count(2)
    await expect(history.get_by_role("listitem").last).to_contain_text("Connected.")
    await stands_on_a_phone_in_the_dark(page, shots, "32-history")
    await history.get_by_role("button", name="Close").click()
    await expect(row.get_by_role("button", name="History")).to_be_focused()

    await row.get_by_role("button", name="Remove").click()
    dialog = page.get_by_role("dialog", name="Remove Clinic?")
    await expect(dialog).to_contain_text("myapps.microsoft.com")
    await stands_on_a_phone_in_the_dark(page, shots, "33-remove-account")
    await dialog.get_by_role("button", name="Remove").click()
    await expect(row).to_have_count(0, timeout=30_000)
    await page.reload()
    await page.get_by_text(re.compile("^Removed accounts")).click()
    await expect(page.get_by_role("table", name="Removed accounts").get_by_role("row", name="Clinic")).to_be_visible()
    assert errors == []


async def test_a_lost_account_is_reconnected_in_place_and_what_was_missed_is_made_up_for(
    page: Page, system: Stack, shots: Path
) -> None:
    await sign_in(page, system)
    mira = "mira.lost@bergpraxis.example"
    async with new_outlook(system.sandbox_url, mira) as outlook, SandboxControl(system.sandbox_url) as sandbox:
        await go_to_microsoft(page)
        await pick(page, mira)
        await page.get_by_role("button", name="Accept").click()
        await page.get_by_label("Label").fill("Lost and found")
        await page.get_by_role("button", name="Save").click()
        await page.get_by_role("checkbox").first.check()
        await page.get_by_role("button", name="Save").click()
        row = page.get_by_role("row", name="Lost and found")
        await expect(row).to_contain_text("Up to date", timeout=30_000)

        await sandbox.revoke(mira, "password-reset", at_once=True)
        outlook.http.headers["Authorization"] = f"Bearer {await sandbox.token(mira, OUTLOOK, SCOPES)}"
        await outlook.create("Came while we were away", datetime.now(UTC) + timedelta(days=2))
        await expect(row).to_contain_text("Needs reconnect", timeout=30_000)
        await expect(row).to_contain_text("as happens when a password is reset")
        await row.get_by_role("link", name="Manage providers").click()
        account = page.get_by_role("row", name="Lost and found")
        await expect(account).to_contain_text("Needs reconnect")
        await account.get_by_role("button", name="Reconnect").click()
        await pick(page, mira)

        await expect(page.get_by_text("Lost and found is connected again.")).to_be_visible()
        await expect(account).to_contain_text("Connected", timeout=30_000)
        await page.get_by_role("link", name="Calendars").click()
        await expect(row.get_by_role("cell").filter(has_text=re.compile("^1$"))).to_be_visible(timeout=30_000)
        await expect(row).to_contain_text("Up to date", timeout=30_000)


@pytest.mark.parametrize(
    ("aadsts", "title"),
    [
        (65004, "Nothing was connected"),
        (53003, "Your organization’s rules don’t allow it yet"),
        (50196, "Microsoft can’t be reached"),
        (7000222, "Attendara can’t connect accounts right now"),
        (50055, "The sign-in was not finished"),
    ],
)
async def test_each_refusal_of_microsoft_has_its_page(page: Page, system: Stack, shots: Path, aadsts: int, title: str) -> None:
    await sign_in(page, system)
    await go_to_microsoft(page)
    async with SandboxControl(system.sandbox_url) as sandbox:
        account = await sandbox.account(JONAS)
        async with sandbox.fault(AuthorizeError(account=account.id, aadsts=aadsts, shown="redirect")):
            await pick(page, JONAS)
    await expect(page.get_by_role("heading", name=title)).to_be_visible()
    await expect(page.get_by_role("alert")).to_be_visible()
    assert "AADSTS" not in await page.inner_text("main")
    await stands_on_a_phone_in_the_dark(page, shots, f"34-ended-{aadsts}")
