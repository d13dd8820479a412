"""The main job, as people meet it: connect a calendar, see a change arrive, see an answer appear. In a real browser."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from attendara_local.stack import Stack
from outlook_sandbox.client import SandboxControl
from tests.e2e.otlp import Collector
from tests.serving import until

ACCOUNT = "anna.keller@bergpraxis.example"
CONFIRMED, CANCELLED = "Attendara — Confirmed", "Attendara — Cancelled"


async def sign_in(page: Page, system: Stack, user: str = "Miriam Vogt") -> None:
    await page.goto(system.settings_url)
    await page.get_by_role("button", name=user).click()
    await expect(page.get_by_role("heading", name="Calendars")).to_be_visible()


async def go_to_microsoft(page: Page) -> None:
    await page.get_by_role("button", name="Add calendar").click()
    await page.get_by_role("button", name="Connect new").click()
    await page.get_by_role("button", name="Microsoft").click()
    await expect(page.get_by_role("heading", name="Pick an account")).to_be_visible()


async def open_outlook(page: Page, system: Stack) -> None:
    """Next week's page: its days are all still to come."""
    await page.goto(f"{system.sandbox_url}/outlook?account={ACCOUNT}")
    await page.get_by_role("button", name="Next week").click()


@pytest.fixture(scope="module")
async def settings(browser: Browser, system: Stack, shots: Path) -> AsyncIterator[Page]:
    """The story's first part: a newcomer signs in, connects a Microsoft account and picks a calendar."""
    context = await browser.new_context(viewport={"width": 1280, "height": 860})
    page = await context.new_page()
    await page.goto(system.settings_url)
    await expect(page.get_by_role("button", name="Miriam Vogt")).to_be_visible()
    await page.screenshot(path=shots / "01-sign-in.png")
    await sign_in(page, system)
    await page.screenshot(path=shots / "02-no-calendar-yet.png")
    await go_to_microsoft(page)
    await page.screenshot(path=shots / "03-pick-an-account.png")
    await page.get_by_role("button", name=ACCOUNT).click()
    await expect(page.get_by_text("Have full access to your calendars")).to_be_visible()
    await page.screenshot(path=shots / "04-permissions.png")
    await page.get_by_role("button", name="Accept").click()
    dialog = page.get_by_role("dialog", name="Account connected")
    await expect(dialog).to_be_visible()
    await page.screenshot(path=shots / "05-label.png")
    await dialog.get_by_label("Label").fill("Front desk")
    await dialog.get_by_role("button", name="Save").click()
    await page.get_by_role("checkbox", name="Calendar", exact=True).check()
    await page.screenshot(path=shots / "06-choose-calendars.png")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("row", name="Front desk")).to_be_visible()
    await page.screenshot(path=shots / "07-first-sync.png")
    await expect(page.get_by_role("row", name="Front desk")).to_contain_text("Up to date", timeout=30_000)
    await page.screenshot(path=shots / "08-up-to-date.png")
    yield page
    await context.close()


async def make_event(outlook: Page, title: str, day: datetime) -> Locator:
    """Through Outlook's own dialog; returns the event on the page."""
    await outlook.get_by_role("button", name="New event").click()
    dialog = outlook.get_by_role("dialog", name="New event")
    await dialog.get_by_label("Title").fill(title)
    for side, time in (("Start", "20:00"), ("End", "20:30")):
        await dialog.get_by_label(f"{side} date").fill(day.strftime("%Y-%m-%d"))
        await dialog.get_by_label(f"{side} time").fill(time)
    await dialog.get_by_role("button", name="Save").click()
    event = outlook.get_by_role("button", name=re.compile(rf"^{re.escape(title)}, "))
    await expect(event).to_be_visible()
    return event


def next_wednesday() -> datetime:
    today = datetime.now(UTC)
    return today + timedelta(days=9 - today.weekday())


def says(row: Locator, words: str) -> Locator:
    return row.get_by_role("button", name=re.compile(rf"^{words}:"))


async def test_the_row_shows_the_last_sync_and_the_number_of_appointments(settings: Page) -> None:
    row = settings.get_by_role("row", name="Front desk")
    await expect(row.get_by_role("time")).to_be_visible()
    await expect(row).to_contain_text(re.compile(r"\b[1-9]\d+\b"))
    await expect(row.get_by_role("button", name="Sync now")).to_be_visible()


async def test_a_change_in_outlook_arrives_and_an_answer_appears_on_the_event(
    settings: Page, browser: Browser, system: Stack, shots: Path
) -> None:
    context = await browser.new_context(viewport={"width": 1400, "height": 1000})
    outlook, customers = await context.new_page(), await context.new_page()
    await customers.goto(f"{system.sandbox_url}/customers")
    await open_outlook(outlook, system)

    event = await make_event(outlook, "Taping – Nora Story", next_wednesday())
    row = customers.get_by_role("row", name="Taping – Nora Story")
    await expect(row).to_be_visible()
    await says(row, "I’ll come").click()
    await expect(row).to_contain_text("confirmed, after")
    await expect(event).to_have_accessible_name(re.compile(CONFIRMED))
    await outlook.screenshot(path=shots / "09-outlook-confirmed.png")
    await customers.screenshot(path=shots / "10-customers.png")

    await says(row, "I can’t").click()
    await expect(event).to_have_accessible_name(re.compile(CANCELLED))
    await says(row, "Undo").click()
    await expect(event).not_to_have_accessible_name(re.compile("Attendara"))

    await event.click()
    dialog = outlook.get_by_role("dialog", name="Edit event")
    await dialog.get_by_label("Title").fill("Taping and massage – Nora Story")
    await dialog.get_by_role("button", name="Save").click()
    await expect(customers.get_by_role("row", name="Taping and massage – Nora Story")).to_be_visible()

    await outlook.get_by_role("button", name=re.compile("^Taping and massage")).click()
    await outlook.get_by_role("dialog", name="Edit event").get_by_role("button", name="Delete").click()
    await expect(customers.get_by_role("row", name="Taping and massage – Nora Story")).to_have_count(0)
    await context.close()


async def test_an_answer_keeps_the_categories_of_the_user(settings: Page, browser: Browser, system: Stack) -> None:
    context = await browser.new_context()
    outlook, customers = await context.new_page(), await context.new_page()
    await customers.goto(f"{system.sandbox_url}/customers")
    await open_outlook(outlook, system)
    event = await make_event(outlook, "Category keeper", next_wednesday())
    await event.click()
    dialog = outlook.get_by_role("dialog", name="Edit event")
    await dialog.get_by_role("checkbox", name="Blue category").check()
    await dialog.get_by_role("button", name="Save").click()
    row = customers.get_by_role("row", name="Category keeper")
    await says(row, "I’ll come").click()
    await expect(event).to_have_accessible_name(re.compile(f"Blue category, {CONFIRMED}"))
    await context.close()


async def test_a_declined_consent_comes_back_with_a_clear_sentence(settings: Page, page: Page, system: Stack, shots: Path) -> None:
    await sign_in(page, system)
    await go_to_microsoft(page)
    await page.get_by_role("button", name="bergpraxis.lehmann@outlook.example").click()
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.get_by_role("alert").or_(page.get_by_role("status")).first).to_contain_text("Access was not given")
    await page.screenshot(path=shots / "11-declined.png")


async def test_two_linked_traces_tell_the_story(settings: Page, browser: Browser, system: Stack, collector: Collector) -> None:
    """Graph's POST → round → appointment.changed acknowledged; status received → PATCH answered, linked to the first."""
    context = await browser.new_context()
    outlook, customers = await context.new_page(), await context.new_page()
    await customers.goto(f"{system.sandbox_url}/customers")
    await open_outlook(outlook, system)
    await make_event(outlook, "Traced", next_wednesday())
    row = customers.get_by_role("row", name="Traced")
    await expect(row).to_be_visible()
    await says(row, "I’ll come").click()
    await expect(row).to_contain_text("confirmed, after")
    await context.close()

    labels = await until(lambda: [one for one in collector.named("write label") if one.links])
    label = labels[-1]
    patch = await until(lambda: [one for one in collector.named("Graph patch event") if one.trace == label.trace])
    assert patch[-1].attributes["http.response.status_code"] == "200"
    path = ["label", "process appointment.status-reported.v1"]
    await until(lambda: collector.path_to_root(patch[-1])[-2:] == path)

    first = label.links[0][0]
    assert first != label.trace
    sent = await until(lambda: [one for one in collector.named("send appointment.changed.v1") if one.trace == first])
    path = [
        "delta round",
        "process outlook.notification-received.v1",
        "send outlook.notification-received.v1",
        "POST /graph/notifications",
    ]
    await until(lambda: collector.path_to_root(sent[0])[-4:] == path)  # each service sends its part when it likes
    queries = {one.attributes["url.query"] for one in collector.spans if "url.query" in one.attributes}
    assert queries == {"left out"}, "a code, a state or a validation token would stand there"


@pytest.mark.parametrize("path", ["/settings/calendars", "/settings/calendars/add", "/settings/providers", "/settings/sync"])
async def test_every_page_stands_on_a_phone_and_in_the_dark(
    settings: Page, browser: Browser, system: Stack, shots: Path, path: str
) -> None:
    state = await settings.context.storage_state()
    context = await browser.new_context(storage_state=state, viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(system.settings_url + path)
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await page.screenshot(path=shots / f"20-phone-{path.rsplit('/', 1)[-1]}.png", full_page=True)
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "the page scrolls sideways"
    assert errors == []
    await context.close()


async def test_a_removed_calendar_leaves_nothing_behind(settings: Page, browser: Browser, system: Stack, shots: Path) -> None:
    async with SandboxControl(system.sandbox_url) as sandbox:

        async def subscribed() -> int:
            account = await sandbox.account(ACCOUNT)
            calendar = next(one.id for one in account.calendars if one.name == "Calendar")
            return sum(calendar in one.resource for one in await sandbox.subscriptions())

        assert await subscribed() == 1
        context = await browser.new_context()
        customers = await context.new_page()
        await customers.goto(f"{system.sandbox_url}/customers")
        await expect(customers.get_by_role("row", name="Traced")).to_be_visible()
        await settings.goto(f"{system.settings_url}/settings/calendars")
        await settings.get_by_role("row", name="Front desk").get_by_role("button", name="Remove").click()
        dialog = settings.get_by_role("dialog")
        await expect(dialog).to_be_visible()
        await settings.screenshot(path=shots / "12-remove.png")
        await dialog.get_by_role("button", name="Remove").click()
        await expect(settings.get_by_role("row", name="Front desk")).to_have_count(0)
        await expect(customers.get_by_role("row", name="Traced")).to_have_count(0)
        await context.close()

        async def gone() -> bool:
            return await subscribed() == 0

        await until(gone)
