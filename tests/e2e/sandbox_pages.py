"""For tests of the sandbox's own pages: a sandbox as a process, accounts in it, and a person in front of a browser."""

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
from playwright.async_api import Browser, BrowserContext, Locator, Page

from tests.serving import until

Json = dict[str, Any]
ZONE = "Europe/Zurich"
APP = "5a9d2c1e-7b40-4c7e-9d53-2f6f0b8f6a11"
SCOPES = ["User.Read", "Calendars.ReadWrite", "MailboxSettings.ReadWrite"]


@dataclass
class SandboxProcess:
    """`control` speaks to /sandbox/v1."""

    url: str
    control: httpx2.AsyncClient

    async def do(self, method: str, path: str, **rest: Any) -> Any:
        answer = await self.control.request(method, f"{self.url}/sandbox/v1{path}", **rest)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def person(self, name: str) -> "Person":
        """A new account with one calendar."""
        username = f"{name.lower()}@pages.example"
        account = await self.do("POST", "/accounts", json={"username": username, "name": name})
        token = await self.do("POST", f"/accounts/{account['id']}/token", json={"app": APP, "scopes": SCOPES})
        return Person(self, account["id"], username, account["calendars"][0]["id"], token["access_token"])


@dataclass
class Person:
    """An account, and what Graph says of it."""

    sandbox: SandboxProcess
    id: str
    username: str
    calendar: str
    token: str

    async def graph(self, method: str, path: str, body: Json | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Prefer": f'outlook.timezone="{ZONE}", IdType="ImmutableId"'}
        answer = await self.sandbox.control.request(method, f"{self.sandbox.url}/v1.0{path}", json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def make(self, subject: str, start: str, end: str, **more: Any) -> Json:
        """An event; times are Zurich's, in the week of Monday, 2027-03-01, unless they have a date."""
        path = f"/me/calendars/{more.pop('calendar', self.calendar)}/events"
        times = {"start": moment(start), "end": moment(end)}
        made: Json = await self.graph("POST", path, {"subject": subject} | times | more)
        return made

    async def events(self, calendar: str = "") -> list[Json]:
        """What the calendar shows in March 2027, in order."""
        window = "startDateTime=2027-03-01T00:00:00Z&endDateTime=2027-04-01T00:00:00Z&$top=500"
        listed: list[Json] = (await self.graph("GET", f"/me/calendars/{calendar or self.calendar}/calendarView?{window}"))["value"]
        return listed

    async def times(self, subject: str) -> tuple[str, str]:
        """Start and end of the one event with that subject, as `01 09:00`: day of March and time."""
        (found,) = [one for one in await self.events() if one["subject"] == subject]
        start, end = (found[side]["dateTime"][8:16].replace("T", " ") for side in ("start", "end"))
        return start, end

    async def requests(self, method: str) -> list[Json]:
        """The requests to Graph that the pages made."""
        kept = await self.sandbox.do("GET", "/journal", params={"account": self.id, "method": method, "contains": "/v1.0/"})
        return [entry for entry in kept["entries"] if entry["app"] != APP]


def moment(text: str) -> Json:
    """`09:00` is on the Monday, `03 09:00` on the 3rd of March 2027."""
    day, _, time = text.rpartition(" ")
    return {"dateTime": f"2027-03-{day or '01'}T{time}:00", "timeZone": ZONE}


@dataclass
class Looker:
    """A person's browser on the calendar page; what goes wrong in the page's scripts is kept."""

    page: Page
    sandbox: SandboxProcess
    errors: list[str] = field(default_factory=list)

    async def open(self, person: Person, **query: str) -> Page:
        shown = {"account": person.username, "day": "2027-03-01"} | query
        await self.page.goto(f"{self.sandbox.url}/outlook?{urlencode(shown)}")
        await self.page.locator("#events[aria-busy=false]").wait_for()
        return self.page


@asynccontextmanager
async def open_window(browser: Browser, width: int = 1280, **more: Any) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(viewport={"width": width, "height": 900}, timezone_id=ZONE, **more)
    context.set_default_timeout(8_000)
    yield context
    await context.close()


@asynccontextmanager
async def looking(window: BrowserContext, sandbox: SandboxProcess) -> AsyncIterator[Looker]:
    """A page of its own; in the end nothing went wrong in its scripts."""
    looker = Looker(await window.new_page(), sandbox)
    looker.page.on("pageerror", lambda error: looker.errors.append(str(error)))
    yield looker
    await looker.page.close()
    assert looker.errors == []


@asynccontextmanager
async def sandbox_process(folder: Path) -> AsyncIterator[SandboxProcess]:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        ports = [str(listener.getsockname()[1]) for listener in (first, second)]
    own = {"SANDBOX_DATA": str(folder), "SANDBOX_HTTP_PORT": ports[0], "SANDBOX_HTTPS_PORT": ports[1]}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA", "SANDBOX"))}
    process = subprocess.Popen([sys.executable, "-m", "outlook_sandbox"], env=inherited | own)  # noqa: ASYNC220 - it starts at once
    try:
        async with httpx2.AsyncClient() as control:
            started = SandboxProcess(f"http://localhost:{ports[0]}", control)

            async def answers() -> bool:
                assert process.poll() is None, "the sandbox ended"
                try:
                    return (await control.get(f"{started.url}/readyz")).is_success
                except httpx2.ConnectError:
                    return False

            await until(answers)
            yield started
    finally:
        process.terminate()
        process.wait(20)


async def middle(of: Locator) -> tuple[float, float]:
    box = await of.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


async def drag(page: Page, start: tuple[float, float], across: float, down: float) -> None:
    """With the mouse, in a few steps, as a hand does it."""
    await page.mouse.move(*start)
    await page.mouse.down()
    await page.mouse.move(start[0] + across / 2, start[1] + down / 2, steps=3)
    await page.mouse.move(start[0] + across, start[1] + down, steps=3)
    await page.mouse.up()
