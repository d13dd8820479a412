"""The sandbox's calendar page in a real browser: what people do to events, and what Graph then says."""

import re
from pathlib import Path

from playwright.async_api import Browser, Locator, Page, expect

from tests.e2e.sandbox_pages import Looker, SandboxProcess, drag, looking, middle, open_window
from tests.serving import until

HOUR = 52
"""Pixels."""


def event(page: Page, title: str) -> Locator:
    return page.locator("#events").get_by_role("button", name=re.compile(rf"^{re.escape(title)}, "))


async def said(page: Page, words: str) -> None:
    await expect(page.locator("#toast")).to_contain_text(words)


async def test_an_event_is_made_with_all_that_the_dialog_offers(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Create")
    page = await looker.open(person)
    await page.keyboard.press("n")
    dialog = page.get_by_role("dialog", name="New event")
    await dialog.get_by_label("Title").fill("Massage")
    await dialog.get_by_label("Start date").fill("2027-03-02")
    await dialog.get_by_label("Start time").fill("14:00")
    await dialog.get_by_label("End time").fill("14:45")
    await dialog.get_by_label("Location").fill("Room 1")
    await dialog.get_by_label("Show as").select_option("Away")
    await dialog.get_by_label("Red category").check()
    await dialog.get_by_label("Blue category").check()
    await dialog.get_by_label("Private").check()
    await dialog.get_by_role("button", name="Save").click()
    await expect(event(page, "Massage")).to_have_accessible_name(
        "Massage, 14:00–14:45, categories Red category, Blue category, private"
    )
    (made,) = await person.events()
    assert (made["showAs"], made["sensitivity"], made["location"]["displayName"]) == ("oof", "private", "Room 1")
    assert made["categories"] == ["Red category", "Blue category"]
    assert await person.times("Massage") == ("02 14:00", "02 14:45")


async def test_only_what_was_changed_is_sent(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Edit")
    await person.make("Before", "09:00", "10:00", categories=["Red category"])
    page = await looker.open(person)
    await event(page, "Before").click()
    dialog = page.get_by_role("dialog", name="Edit event")
    await dialog.get_by_label("Title").fill("After")
    await dialog.get_by_role("button", name="Save").click()
    await said(page, "“After” was saved.")
    await expect(event(page, "After")).to_be_focused()
    await page.keyboard.press("Enter")
    await dialog.get_by_label("All day").check()
    await dialog.get_by_role("button", name="Save").click()
    await expect(event(page, "After")).to_have_accessible_name(re.compile("all day"))
    patches = [entry["body"] for entry in await person.requests("PATCH")]
    assert patches[0] == '{"subject":"After"}'
    assert '"isAllDay":true' in patches[1]
    assert "subject" not in patches[1]


async def test_an_event_is_dragged_to_another_day_and_longer(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Drag")
    await person.make("Dragged", "09:00", "10:00")
    page = await looker.open(person)
    button = event(page, "Dragged")
    day = await page.get_by_role("group", name="Monday 1 March").bounding_box()
    assert day
    await drag(page, await middle(button), 2 * day["width"], 1.5 * HOUR)
    await said(page, "“Dragged” is now on Wednesday 3 March, 10:30–11:30.")
    assert await person.times("Dragged") == ("03 10:30", "03 11:30")
    await drag(page, await middle(button.locator(".edge")), 0, HOUR)
    await said(page, "10:30–12:30")
    assert await person.times("Dragged") == ("03 10:30", "03 12:30")


async def test_an_all_day_event_is_dragged_to_another_day(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Slide")
    await person.make("Away", "00:00", "03 00:00", isAllDay=True)
    page = await looker.open(person)
    day = await page.get_by_role("group", name="Monday 1 March").bounding_box()
    assert day
    await drag(page, await middle(event(page, "Away")), 3 * day["width"], 0)
    await said(page, "“Away” is now on Thursday 4 March, all day until Fri 5 Mar.")
    assert await person.times("Away") == ("04 00:00", "06 00:00")


async def test_a_new_event_is_drawn_with_the_mouse(looker: Looker, sandbox: SandboxProcess) -> None:
    page = await looker.open(await sandbox.person("Draw"))
    day = await page.get_by_role("group", name="Tuesday 2 March").bounding_box()
    assert day
    await drag(page, (day["x"] + 20, day["y"] + 10 * HOUR), 0, 1.25 * HOUR)
    dialog = page.get_by_role("dialog", name="New event")
    await expect(dialog.get_by_label("Start time")).to_have_value("10:00")
    await expect(dialog.get_by_label("End time")).to_have_value("11:15")


async def test_the_keyboard_moves_an_event_and_says_where_it_is(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Keys")
    await person.make("Moved", "09:00", "09:30")
    page = await looker.open(person)
    await event(page, "Moved").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "Shift+ArrowDown"):
        await page.keyboard.press(f"Alt+{key}")
    await expect(page.locator("#live")).to_have_text("Tuesday 2 March, 09:30–10:15")
    await expect(event(page, "Moved")).to_be_focused()
    await said(page, "“Moved” is now on Tuesday 2 March, 09:30–10:15.")
    assert await person.times("Moved") == ("02 09:30", "02 10:15")
    assert len(await person.requests("PATCH")) == 1, "what is pressed in a row is sent at once"
    for _ in range(6):
        await page.keyboard.press("Alt+ArrowRight")
    await said(page, "Monday 8 March")
    await expect(event(page, "Moved")).to_be_focused()
    assert "day=2027-03-08" in page.url


async def test_arrows_go_from_event_to_event_and_enter_opens(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Arrows")
    await person.make("All day", "00:00", "02 00:00", isAllDay=True)
    await person.make("First", "09:00", "09:30")
    await person.make("Second", "11:00", "11:30")
    await person.make("Beside", "03 10:45", "03 11:15")
    page = await looker.open(person)
    await event(page, "First").focus()
    path = [
        ("ArrowDown", "Second"),
        ("ArrowRight", "Beside"),
        ("ArrowLeft", "Second"),
        ("ArrowUp", "First"),
        ("ArrowUp", "All day"),
    ]
    for key, title in path:
        await page.keyboard.press(key)
        await expect(event(page, title)).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog", name="Edit event").get_by_label("Title")).to_have_value("All day")


async def test_delete_asks_first(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Delete")
    await person.make("Doomed", "09:00", "10:00")
    page = await looker.open(person)
    await event(page, "Doomed").press("Delete")
    await page.keyboard.press("Escape")
    assert len(await person.events()) == 1
    await event(page, "Doomed").press("Delete")
    await page.get_by_role("dialog", name="Delete “Doomed”?").get_by_role("button", name="Delete").click()
    await said(page, "“Doomed” was deleted.")
    assert await person.events() == []


async def test_a_series_is_made_and_changed_as_one_event_or_as_a_whole(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Series")
    page = await looker.open(person)
    await page.keyboard.press("n")
    dialog = page.get_by_role("dialog", name="New event")
    await dialog.get_by_label("Title").fill("Yoga")
    await dialog.get_by_label("Start date").fill("2027-03-02")
    await dialog.get_by_label("Start time").fill("18:00")
    await dialog.get_by_label("End time").fill("19:00")
    await dialog.get_by_label("Repeat").select_option("Weekly")
    await dialog.get_by_label("Thursday").check()
    await dialog.get_by_label("Ends").select_option("After a number of times")
    await dialog.get_by_role("spinbutton", name="Number of times").fill("6")
    await dialog.get_by_role("button", name="Save").click()
    await said(page, "“Yoga” was created.")
    assert [one["start"]["dateTime"][8:10] for one in await person.events()] == ["02", "04", "09", "11", "16", "18"]

    await event(page, "Yoga").first.click()
    await page.get_by_role("button", name="Open this event").click()
    await page.get_by_role("dialog", name="Edit event").get_by_label("Title").fill("Yoga outside")
    await page.get_by_role("dialog", name="Edit event").get_by_role("button", name="Save").click()
    await expect(event(page, "Yoga outside")).to_have_accessible_name(re.compile("changed in its series"))
    assert [one["subject"] for one in await person.events()].count("Yoga") == 5

    await event(page, "Yoga").click()
    await page.get_by_role("button", name="Open the series").click()
    series = page.get_by_role("dialog", name="Edit series")
    await expect(series.get_by_role("spinbutton", name="Number of times")).to_have_value("6")
    await series.get_by_label("Location").fill("Hall")
    await series.get_by_role("button", name="Save").click()
    await expect(series).to_be_hidden()
    assert {one["location"]["displayName"] for one in await person.events()} == {"Hall"}

    await event(page, "Yoga").first.press("Delete")
    await page.get_by_role("button", name="Delete this event").click()
    await said(page, "was deleted")
    assert len(await person.events()) == 5
    await event(page, "Yoga outside").press("Delete")
    await page.get_by_role("button", name="Delete the series").click()
    await expect(event(page, "Yoga outside")).to_have_count(0)
    assert await person.events() == []


SERIES = [
    ("Monthly", "day 31", {"type": "absoluteMonthly", "dayOfMonth": 31}),
    ("Monthly", "the last Wednesday", {"type": "relativeMonthly", "daysOfWeek": ["wednesday"], "index": "last"}),
    ("Yearly", "the last Wednesday of March", {"type": "relativeYearly", "index": "last", "month": 3}),
    ("Daily", None, {"type": "daily", "interval": 1}),
]


async def test_single_events_become_series(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Repeat")
    page = await looker.open(person, day="2027-03-31")
    dialog = page.get_by_role("dialog", name="Edit event")
    for number, (repeat, on, pattern) in enumerate(SERIES):
        made = await person.make(f"Once {number}", f"31 {number + 9:02}:00", f"31 {number + 9:02}:45")
        await event(page, f"Once {number}").click()
        await dialog.get_by_label("Repeat").select_option(repeat)
        if on:
            await dialog.get_by_role("combobox", name="On", exact=True).select_option(on)
        await dialog.get_by_role("button", name="Save").click()
        await expect(dialog).to_be_hidden()
        found = (await person.graph("GET", f"/me/events/{made['id']}"))["recurrence"]
        assert found["pattern"] | pattern == found["pattern"]
        assert (found["range"]["type"], found["range"]["startDate"]) == ("noEnd", "2027-03-31")


async def test_the_list_pages_searches_and_is_kept_in_the_address(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("List")
    await person.make("Early", "09:00", "10:00")
    await person.make("Two days", "03 00:00", "05 00:00", isAllDay=True)
    await person.make("Late", "28 09:00", "28 10:00")
    await person.make("Beyond", "30 09:00", "30 10:00")
    page = await looker.open(person)
    await page.keyboard.press("l")
    await expect(page).to_have_url(re.compile("view=list"))
    days = page.locator("#events").get_by_role("list")
    await expect(days.filter(has_text="Early")).to_have_accessible_name("Monday 1 March")
    await expect(event(page, "Two days")).to_have_count(2)
    await expect(event(page, "Beyond")).to_have_count(0)
    await page.keyboard.press("/")
    await page.keyboard.type("lat")
    await expect(page.locator("#events .event")).to_have_count(1)
    await page.reload()
    await expect(event(page, "Late")).to_be_visible()
    await expect(event(page, "Early")).to_have_count(0)
    await page.get_by_role("searchbox").fill("nothing such")
    await expect(page.get_by_text("No event in these four weeks has “nothing such” in its title.")).to_be_visible()
    await page.get_by_role("searchbox").fill("")
    await page.get_by_role("button", name="Later ›").click()
    await expect(event(page, "Beyond")).to_be_visible()
    await page.go_back()
    await expect(event(page, "Early")).to_be_visible()


async def test_a_calendar_that_may_only_be_read_is_left_alone(looker: Looker, sandbox: SandboxProcess) -> None:
    person, other = await sandbox.person("Reader"), await sandbox.person("Owner")
    await other.make("Sabine away", "09:00", "11:00")
    owner = {"name": "Sabine Berg", "address": "sabine@pages.example"}
    shared = await sandbox.do("POST", f"/accounts/{person.id}/calendars", json={"name": "Berg team", "owner": owner})
    file = await sandbox.control.get(f"{sandbox.url}/sandbox/v1/accounts/{other.id}/calendars/{other.calendar}/ics")
    path = f"/accounts/{person.id}/calendars/{shared['id']}/ics"
    await sandbox.do("POST", path, content=file.content, headers={"Content-Type": "text/calendar"})
    page = await looker.open(person)
    button = event(page, "Sabine away")
    await expect(button).to_have_accessible_name(re.compile("read-only"))
    await expect(page.locator(".calendar-row", has_text="Berg team")).to_contain_text("read-only")
    await button.click()
    dialog = page.get_by_role("dialog", name="Event")
    await expect(dialog.get_by_role("button", name="Save")).to_be_hidden()
    await expect(dialog.get_by_role("button", name="Delete")).to_be_hidden()
    await expect(dialog.get_by_label("Title")).to_be_disabled()
    await dialog.get_by_role("button", name="Close").click()
    await drag(page, await middle(button), 0, 2 * HOUR)
    await page.keyboard.press("Escape")
    for key in ("Delete", "Alt+ArrowRight"):
        await button.press(key)
        await said(page, "“Sabine away” is in a calendar that is read-only.")
    await expect(button).to_have_accessible_name(re.compile("^Sabine away, 09:00–11:00"))
    for method in ("PATCH", "DELETE", "POST"):
        assert await person.requests(method) == []


async def test_hidden_calendars_stay_hidden(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Hide")
    second = await person.graph("POST", "/me/calendars", {"name": "Second"})
    await person.make("In first", "09:00", "10:00")
    await person.make("In second", "09:00", "10:00", calendar=second["id"])
    page = await looker.open(person)
    await page.get_by_role("checkbox", name="Second").uncheck()
    await expect(event(page, "In second")).to_have_count(0)
    await page.reload()
    await expect(event(page, "In first")).to_be_visible()
    await expect(event(page, "In second")).to_have_count(0)
    await page.get_by_role("checkbox", name="Second").check()
    await expect(event(page, "In second")).to_be_visible()


async def test_files_are_imported_and_exported(looker: Looker, sandbox: SandboxProcess, tmp_path: Path) -> None:
    person = await sandbox.person("Files")
    made = await person.make("Exported", "09:00", "10:00", categories=["Red category"])
    page = await looker.open(person)
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="Export Calendar as a file").click()
    download = await downloading.value
    assert download.suggested_filename == "Calendar.ics"
    file = tmp_path / "copy.ics"
    await download.save_as(file)
    assert b"SUMMARY:Exported" in file.read_bytes()
    await person.graph("DELETE", f"/me/events/{made['id']}")
    await expect(event(page, "Exported")).to_have_count(0)

    await page.get_by_role("button", name="Import…").click()
    dialog = page.get_by_role("dialog", name="Import events")
    await dialog.get_by_label("File").set_input_files(file)
    await dialog.get_by_role("button", name="Import").click()
    await expect(dialog.get_by_role("status")).to_contain_text("“copy.ics” is loaded: one event or series is now in Calendar.")
    await dialog.get_by_role("button", name="Close").click()
    await expect(event(page, "Exported")).to_have_accessible_name(re.compile("Red category"))


async def test_a_dropped_file_that_can_not_be_loaded_says_why(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Drop")
    page = await looker.open(person)
    await page.evaluate(
        """() => {
          const transfer = new DataTransfer();
          const text = "BEGIN:VCALENDAR\\r\\nBEGIN:VEVENT\\r\\nUID:1\\r\\nSUMMARY:Backwards\\r\\nDTSTART:20270302T100000Z\\r\\n" +
            "DTEND:20270301T100000Z\\r\\nEND:VEVENT\\r\\nEND:VCALENDAR\\r\\n";
          transfer.items.add(new File([text], "bad.ics"));
          const drop = new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
          document.querySelector("#events").dispatchEvent(drop);
        }"""
    )
    dialog = page.get_by_role("dialog", name="Import events")
    await dialog.get_by_role("button", name="Import").click()
    await expect(dialog.get_by_role("alert")).to_have_text(
        "Nothing was loaded. The event “Backwards” can't be loaded: it ends before it starts."
    )
    assert await person.events() == []


async def test_a_change_elsewhere_appears_and_quiet_costs_graph_nothing(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Live")
    page = await looker.open(person)
    await person.make("From elsewhere", "09:00", "10:00")
    await expect(event(page, "From elsewhere")).to_be_visible()

    async def version() -> str:
        async with page.expect_response(re.compile("/outlook/version")) as waiting:
            pass
        return str((await (await waiting.value).json())["version"])

    seen = ""
    while seen != (seen := await version()):
        continue
    before = len(await person.requests("GET"))
    assert await version() == seen
    assert len(await person.requests("GET")) == before


async def test_what_graph_refuses_is_said_in_words_and_can_be_tried_again(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Trouble")
    await person.make("Stubborn", "09:00", "09:30")
    page = await looker.open(person)
    conflict = {"kind": "graph-conflict", "account": person.id, "method": "PATCH", "times": 1}
    await sandbox.do("POST", "/faults", json=conflict)
    await event(page, "Stubborn").press("Alt+ArrowDown")
    await said(page, "This was changed at the same moment by somebody else. (412 ErrorIrresolvableConflict)")
    assert await person.times("Stubborn") == ("01 09:00", "01 09:30")
    await page.locator("#toast").get_by_role("button", name="Try again").click()
    await said(page, "“Stubborn” is now on Monday 1 March, 09:15–09:45.")
    assert await person.times("Stubborn") == ("01 09:15", "01 09:45")


async def test_a_throttled_page_waits_as_long_as_it_is_told(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Throttled")
    await person.make("Patient", "09:00", "09:30")
    page = await looker.open(person)
    throttle = {"kind": "graph-throttled", "account": person.id, "method": "PATCH", "times": 1, "retry_after": "1.5"}
    await sandbox.do("POST", "/faults", json=throttle)
    await event(page, "Patient").press("Alt+ArrowDown")
    await said(page, "Outlook is busy: trying again in 2 s… (429 ApplicationThrottled)")
    await said(page, "“Patient” is now on Monday 1 March, 09:15–09:45.")
    first, second = await person.requests("PATCH")
    assert (first["status"], second["status"]) == (429, 200)


async def test_a_create_whose_answer_was_lost_makes_no_second_event(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Lost")
    page = await looker.open(person)
    lost = {"kind": "graph-cut", "after": True, "account": person.id, "method": "POST"}
    fault = await sandbox.do("POST", "/faults", json=lost)
    await page.keyboard.press("n")
    dialog = page.get_by_role("dialog", name="New event")
    await dialog.get_by_label("Title").fill("Only once")
    await dialog.get_by_label("Start date").fill("2027-03-01")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog.get_by_role("alert")).to_have_text("Outlook can’t be reached.")
    await sandbox.do("DELETE", f"/faults/{fault['id']}")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_be_hidden()
    assert len(await person.events()) == 1


async def test_on_a_phone_one_day_is_shown_and_a_finger_turns_it(browser: Browser, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Phone")
    await person.make("Monday's", "09:00", "10:00")
    await person.make("Tuesday's", "02 09:00", "02 10:00")
    async with open_window(browser, 390, has_touch=True) as window, looking(window, sandbox) as phone:
        page = await phone.open(person)
        await expect(event(page, "Monday's")).to_be_visible()
        await expect(event(page, "Tuesday's")).to_be_hidden()
        await page.evaluate(
            """() => {
              const place = document.querySelector("#events");
              const touch = (x) => new Touch({ identifier: 1, target: place, clientX: x, clientY: 400 });
              const tell = (name, touches, changedTouches) =>
                place.dispatchEvent(new TouchEvent(name, { touches, changedTouches, bubbles: true }));
              tell("touchstart", [touch(300)], [touch(300)]);
              tell("touchend", [], [touch(150)]);
            }"""
        )
        await expect(event(page, "Tuesday's")).to_be_visible()
        await page.get_by_role("button", name="Monday 1 March").click()
        await expect(event(page, "Monday's")).to_be_visible()
        overflow = await page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0


async def test_one_of_many_accounts_is_found_by_typing(looker: Looker, sandbox: SandboxProcess) -> None:
    for number in range(25):
        await sandbox.do("POST", "/accounts", json={"username": f"many{number:02}@pages.example", "name": f"Many {number}"})
    page = await looker.open(await sandbox.person("Picking"))
    account = page.get_by_role("combobox", name="Account")
    await account.click()
    await expect(page.get_by_role("option")).to_have_count(20)
    await account.fill("many 2")
    await expect(page.get_by_role("option")).to_have_count(6)
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(account).to_have_value("Many 20 · many20@pages.example")
    await expect(page).to_have_url(re.compile("account=many20%40pages.example"))


async def test_an_editing_person_sees_the_page_change_without_jumps(looker: Looker, sandbox: SandboxProcess) -> None:
    person = await sandbox.person("Steady")
    await person.make("Kept", "09:00", "10:00")
    page = await looker.open(person)
    scroller = page.locator(".scroller")
    await scroller.evaluate("(box) => box.scrollTo(0, 333)")
    await event(page, "Kept").focus()
    await person.make("Another", "02 11:00", "02 12:00")
    await expect(event(page, "Another")).to_be_visible()
    assert await scroller.evaluate("(box) => box.scrollTop") == 333
    await expect(event(page, "Kept")).to_be_focused()
    assert await until(lambda: scroller.evaluate("(box) => box.scrollTop === 333"))
