"""Behind the scenes: the sandbox's control page in a real browser, from a fault that is switched on to a reset."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.async_api import Browser, Page, expect

from tests.consent import give_consent
from tests.e2e.sandbox_pages import APP, Looker, Person, SandboxProcess, looking, open_window
from tests.serving import until
from tests.unit.sandbox.graph_client import endpoint

RETURN = "http://localhost:8400/connect/microsoft/return"
PAGES = ["/", "/outlook", "/outlook?view=list", "/sandbox#faults", "/sandbox#clock", "/sandbox#journal", "/sandbox#subscriptions",
         "/sandbox#accounts", "/sandbox#reset"]  # fmt: skip


NAMELESS = re.compile(
    r"- (?:button|link|textbox|combobox|checkbox|radio|spinbutton|searchbox|dialog|group)(?: \[\w+\])*:?$", re.MULTILINE
)


async def open_section(looker: Looker, name: str) -> Page:
    await looker.page.goto(f"{looker.sandbox.url}/sandbox#{name.lower()}")
    await expect(looker.page.get_by_role("heading", name=name, exact=True, level=1)).to_be_visible()
    return looker.page


async def status_of(person: Person) -> int:
    headers = {"Authorization": f"Bearer {person.token}"}
    return (await person.sandbox.control.get(f"{person.sandbox.url}/v1.0/me/calendars", headers=headers)).status_code


async def choose_account(page: Page, label: str, person: Person) -> None:
    account = page.get_by_role("combobox", name=label)
    await account.fill(person.username)
    await page.get_by_role("option", name=person.username).click()


async def test_a_fault_is_switched_on_strikes_and_is_switched_off(looker: Looker, sandbox: SandboxProcess) -> None:
    person, other = await sandbox.person("Struck"), await sandbox.person("Spared")
    page = await open_section(looker, "Faults")
    await page.get_by_role("radio", name="Graph throttled").check()
    await choose_account(page, "Account", person)
    await page.get_by_label("Retry after").fill("7")
    await page.get_by_role("button", name="Switch on").click()
    on = page.get_by_role("listitem").filter(has_text="Graph throttled")
    await expect(on).to_contain_text(f"account {person.username}")
    await expect(on).to_contain_text("struck 0 times")

    answer = await sandbox.control.get(f"{sandbox.url}/v1.0/me", headers={"Authorization": f"Bearer {person.token}"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert await status_of(other) == 200
    await expect(on).to_contain_text("struck once")
    await on.get_by_role("button", name="Switch off").click()
    await expect(page.get_by_text("None: everything works.")).to_be_visible()
    assert await status_of(person) == 200


async def test_every_kind_of_fault_has_a_form_that_works(looker: Looker, sandbox: SandboxProcess) -> None:
    page = await open_section(looker, "Faults")
    kinds = await sandbox.do("GET", "/faults/kinds")
    await expect(page.get_by_role("radio")).to_have_count(len(kinds))
    for kind in kinds:
        await page.locator(f"input[name=kind][value={kind['kind']}]").check()
        for name in kind["schema"].get("required", []):
            await page.locator(f"#fault-fields [name={name}]").fill("50173" if name == "aadsts" else "1")
        await page.get_by_role("button", name="Switch on").click()
        await expect(page.locator("#faults-on li")).to_have_count(kinds.index(kind) + 1)
    on = await sandbox.do("GET", "/faults")
    assert [one["fault"]["kind"] for one in on] == [kind["kind"] for kind in kinds]
    await page.get_by_role("button", name="Switch all off").click()
    await expect(page.locator("#faults-on li")).to_have_count(0)


async def test_a_field_that_is_wrong_is_named(looker: Looker, sandbox: SandboxProcess) -> None:
    page = await open_section(looker, "Faults")
    await page.get_by_role("radio", name="Graph slow").check()
    await page.get_by_role("button", name="Switch on").click()
    await expect(page.get_by_role("alert")).to_contain_text("Seconds: ")
    await expect(page.get_by_role("spinbutton", name="Seconds")).to_be_focused()
    await page.get_by_role("spinbutton", name="Seconds").fill("1")
    await page.get_by_role("spinbutton", name="Probability").fill("7")
    await page.get_by_role("button", name="Switch on").click()
    await expect(page.get_by_role("alert")).to_contain_text("Probability: ")
    assert await sandbox.do("GET", "/faults") == []


async def test_the_clock_moves_and_what_has_its_time_ends(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Clock")
    page = await open_section(looker, "Clock")
    assert await status_of(person) == 200
    await page.get_by_role("button", name="+ 3 days").click()
    await expect(page.locator("#clock-ahead")).to_have_text("3 days ahead of real time")
    await expect(page.get_by_role("link", name="Clock").first).to_contain_text("3 days ahead")
    assert await status_of(person) == 401
    now = datetime.fromisoformat((await sandbox.do("GET", "/clock"))["now"])
    assert now - datetime.now(UTC) > timedelta(days=2)
    await page.get_by_role("button", name="Back to real time").click()
    await expect(page.locator("#clock-ahead")).to_have_text("real time")
    await expect(page.get_by_role("button", name="Back to real time")).to_be_disabled()


async def test_the_journal_shows_requests_as_they_come(looker: Looker, sandbox: SandboxProcess) -> None:
    person, other = await sandbox.person("Journal"), await sandbox.person("Elsewhere")
    page = await open_section(looker, "Journal")
    await choose_account(page, "Account", person)
    await expect(page.get_by_text("Nothing yet.")).to_be_visible()
    await person.make("Written down", "09:00", "10:00")
    await other.events()
    row = page.get_by_role("row").filter(has_text="POST")
    await expect(row).to_contain_text("201")
    await expect(row).to_contain_text(person.username)
    await row.get_by_role("button").click()
    await expect(page.locator(".detail pre")).to_contain_text('"subject": "Written down"')
    await expect(page.locator(".detail")).to_contain_text(APP)
    assert await status_of(person) == 200
    await expect(page.locator("#journal-rows .request")).to_have_count(2)
    await page.get_by_label("Status").fill("201")
    await expect(page.locator("#journal-rows .request")).to_have_count(1)
    await page.get_by_label("Path contains").fill("/nothing")
    await expect(page.get_by_text("Nothing yet.")).to_be_visible()
    await page.get_by_role("button", name="Clear").click()
    assert await until(lambda: _is_empty(sandbox, person))


async def _is_empty(sandbox: SandboxProcess, person: Person) -> bool:
    return not (await sandbox.do("GET", "/journal", params={"account": person.id}))["entries"]


async def test_subscriptions_are_seen_and_told_of_their_life(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Subscriber")
    async with endpoint() as there:
        ends = datetime.now(UTC) + timedelta(days=2)
        wanted = {"changeType": "created", "resource": "/me/events", "notificationUrl": there.url, "clientState": "mine"}
        await person.graph(
            "POST", "/subscriptions", wanted | {"lifecycleNotificationUrl": there.url, "expirationDateTime": ends.isoformat()}
        )
        page = await open_section(looker, "Subscriptions")
        row = page.get_by_role("listitem").filter(has_text=person.username)
        await expect(row).to_contain_text("/me/events · created")
        await row.get_by_role("button", name="missed").click()
        await there.until(lambda: [one.get("lifecycleEvent") for one in there.notifications] == ["missed"])
        await expect(page.get_by_role("row").filter(has_text=there.url)).to_contain_text("normal")
        await row.get_by_role("button", name="subscriptionRemoved").click()
        await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        await expect(row).to_have_count(0)


async def test_an_account_is_found_and_its_grants_end(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Granter")
    client = (await sandbox.do("GET", "/settings"))["client_id"]
    query = {"client_id": client, "response_type": "code", "redirect_uri": RETURN, "scope": "offline_access Calendars.ReadWrite"}
    await give_consent(f"{sandbox.url}/common/oauth2/v2.0/authorize?{urlencode(query)}", person.username)
    page = await open_section(looker, "Accounts")
    await page.get_by_role("searchbox", name="Find").fill("granter")
    await page.get_by_role("button", name="Granter").click()
    consent = page.get_by_role("listitem").filter(has_text="Calendars.ReadWrite")
    await consent.get_by_role("button", name="Withdraw").click()
    await expect(page.get_by_text("The account has allowed no app anything.")).to_be_visible()
    assert await sandbox.do("GET", f"/accounts/{person.id}/consents") == []

    await page.get_by_label("What happens").select_option("The account is disabled")
    await page.get_by_label("Access tokens end at once too").check()
    await page.get_by_role("button", name="End the grants").click()
    await expect(page.get_by_role("listitem").filter(has_text="Granter")).to_contain_text("disabled")
    assert await status_of(person) == 401
    await page.get_by_role("button", name="Enable it again").click()
    await expect(page.get_by_role("listitem").filter(has_text="Granter")).not_to_contain_text("disabled")

    await page.get_by_role("combobox", name=re.compile("^Consent in")).select_option("Only an administrator may consent")
    await expect(page.locator("#toast")).to_contain_text("has changed")
    account = await sandbox.do("GET", f"/accounts/{person.id}")
    (policy,) = [tenant["user_consent"] for tenant in await sandbox.do("GET", "/tenants") if tenant["id"] == account["tid"]]
    assert policy == "forbidden"

    await page.get_by_role("button", name="Delete the account…").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("Granter is gone.")).to_be_visible()
    assert (await sandbox.control.get(f"{sandbox.url}/sandbox/v1/accounts/{person.id}")).status_code == 404


async def test_an_account_is_made(looker: Looker, sandbox: SandboxProcess) -> None:
    page = await open_section(looker, "Accounts")
    await page.get_by_label("User name").fill("nonsense")
    await page.get_by_label("Name", exact=True).fill("Made Here")
    await page.get_by_label("Made-up events").fill("12")
    await page.get_by_role("button", name="Create").click()
    await expect(page.get_by_role("alert")).to_contain_text("username: ")
    await page.get_by_label("User name").fill("made@pages.example")
    await page.get_by_role("button", name="Create").click()
    await expect(page.get_by_role("heading", name="Made Here")).to_be_focused()
    await expect(page.locator("#account")).to_contain_text("Calendar (12)")


async def test_a_reset_asks_first(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Forgotten")
    page = await open_section(looker, "Reset")
    await page.get_by_role("button", name="Reset the sandbox…").click()
    await page.keyboard.press("Escape")
    assert await status_of(person) == 200
    await page.get_by_role("button", name="Reset the sandbox…").click()
    await page.get_by_role("dialog", name="Reset the sandbox?").get_by_role("button", name="Reset").click()
    await expect(page.locator("#toast")).to_contain_text("The sandbox has begun again.")
    assert await status_of(person) == 401


async def test_an_account_of_thousands_is_found_from_the_first_page(looker: Looker, sandbox: SandboxProcess) -> None:
    await sandbox.do("POST", "/population", json={"mailboxes": 2000, "domain": "crowd.example"})
    await looker.page.goto(sandbox.url)
    await expect(looker.page.locator("#accounts li")).to_have_count(20)
    await looker.page.get_by_role("searchbox", name="Find an account").fill("1999@crowd")
    await looker.page.get_by_role("link", name="person1999@crowd.example").click()
    await expect(looker.page.get_by_role("combobox", name="Account")).to_have_value(re.compile("person1999@crowd.example"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_whoever_looks_or_listens_can_use_every_page(browser: Browser, sandbox: SandboxProcess, scheme: Any) -> None:
    """Each control has a name, each page one first heading and one main part, no id is there twice, and words stand out."""
    async with open_window(browser, color_scheme=scheme) as window, looking(window, sandbox) as looker:
        for path in PAGES:
            await looker.page.goto(f"{sandbox.url}{path}")
            await expect(looker.page.get_by_role("heading", level=1)).to_be_visible()
            await expect(looker.page.get_by_role("heading", level=1)).to_have_count(1)
            if "faults" in path:
                await looker.page.get_by_role("radio", name="Graph error").check()
            tree = await looker.page.locator("body").aria_snapshot()
            assert not re.findall(
                r"- (?:button|link|textbox|combobox|checkbox|radio|spinbutton|searchbox|dialog|group)(?: \[\w+\])*:?$", tree, re.M
            )
            assert len(re.findall(r"- main", tree)) == 1
            assert await looker.page.evaluate(TWICE) == []
            assert await looker.page.evaluate(TOO_FAINT) == []


async def test_no_page_is_wider_than_a_phone(browser: Browser, sandbox: SandboxProcess) -> None:
    async with open_window(browser, 390) as window, looking(window, sandbox) as phone:
        for path in PAGES:
            await phone.page.goto(f"{sandbox.url}{path}")
            await expect(phone.page.get_by_role("heading", level=1)).to_be_visible()
            assert await phone.page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0, path


TWICE = """() => {
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  return ids.filter((id, at) => ids.indexOf(id) !== at);
}"""
TOO_FAINT = """() => {
  // WCAG 2: text on its ground, 4.5 to 1; what the pages' colours are is in base.css.
  const style = getComputedStyle(document.documentElement);
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = (name) => {
    paint.fillStyle = style.getPropertyValue(name);
    paint.fillRect(0, 0, 1, 1);
    const parts = [...paint.getImageData(0, 0, 1, 1).data].map((value) => value / 255);
    const [r, g, b] = parts.map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const pairs = [
    ["--text", "--ground"], ["--text", "--surface"], ["--quiet", "--ground"], ["--quiet", "--surface"], ["--blue", "--surface"],
    ["--on-blue", "--blue"], ["--blue", "--blue-soft"], ["--text", "--blue-soft"], ["--quiet", "--blue-soft"],
    ["--danger", "--surface"], ["--danger", "--danger-soft"], ["--good", "--good-soft"], ["--now", "--surface"],
  ];
  return pairs.filter((pair) => contrast(...pair) < 4.5).map((pair) => `${pair} ${contrast(...pair).toFixed(2)}`);
}"""
