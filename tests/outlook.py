"""A person at their Outlook calendar, as far as the sandbox's Graph shows it over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import msgspec

from outlook_sandbox.client import SandboxControl
from tests.graph_contract import CHECKED

OUTLOOK = "outlook-web"
"""An app of its own: what a person does doesn't use up what Microsoft allows Attendara at once."""
SCOPES = ["User.Read", "Calendars.ReadWrite", "MailboxSettings.ReadWrite"]
HEADERS = {"Prefer": 'IdType="ImmutableId", outlook.timezone="UTC"'}
LABELS = {"Attendara — Confirmed": "confirmed", "Attendara — Cancelled": "cancelled"}


class Standing(msgspec.Struct, frozen=True):
    """What every place must say alike of an event: Outlook, MongoDB, and whoever reads `appointment.changed`."""

    subject: str | None
    start: datetime
    end: datetime
    label: str


@dataclass
class Outlook:
    """One account and its calendar."""

    http: httpx2.AsyncClient
    username: str
    calendar: str

    async def create(self, subject: str, start: datetime) -> str:
        event = {"subject": subject} | _times(start)
        return str((await self._ask("POST", f"/me/calendars/{self.calendar}/events", json=event))["id"])

    async def rename(self, event: str, subject: str) -> None:
        await self._ask("PATCH", f"/me/events/{event}", json={"subject": subject})

    async def move(self, event: str, start: datetime) -> None:
        await self._ask("PATCH", f"/me/events/{event}", json=_times(start))

    async def delete(self, event: str) -> None:
        await self._ask("DELETE", f"/me/events/{event}")

    async def listed(self) -> dict[str, Standing]:
        """Every event of the calendar by its id."""
        today = datetime.now(UTC)
        days = {"startDateTime": today - timedelta(days=1), "endDateTime": today + timedelta(days=300)}
        window = {name: f"{day:%Y-%m-%dT%H:%M:%SZ}" for name, day in days.items()} | {"$top": "1000"}
        page = await self._ask("GET", f"/me/calendars/{self.calendar}/calendarView", params=window)
        assert "@odata.nextLink" not in page
        return {event["id"]: _standing(event) for event in page["value"]}

    async def _ask(self, method: str, path: str, **rest: Any) -> dict[str, Any]:
        answer = await self.http.request(method, f"/v1.0{path}", **rest)
        assert answer.is_success, answer.text
        return dict(answer.json()) if answer.content else {}


@asynccontextmanager
async def new_outlook(sandbox_url: str, username: str) -> AsyncIterator[Outlook]:
    """A new account with an empty calendar, and its owner at it."""
    async with httpx2.AsyncClient(base_url=sandbox_url, headers=HEADERS, timeout=20, event_hooks=CHECKED) as http:
        control = SandboxControl(client=http)
        account = await control.create_account(username, "Tess Ting")
        http.headers["Authorization"] = f"Bearer {await control.token(account.id, OUTLOOK, SCOPES)}"
        yield Outlook(http, username, account.calendars[0].id)


def _times(start: datetime) -> dict[str, Any]:
    ends = {"start": start, "end": start + timedelta(minutes=30)}
    return {name: {"dateTime": f"{moment:%Y-%m-%dT%H:%M:%S}", "timeZone": "UTC"} for name, moment in ends.items()}


def _standing(event: dict[str, Any]) -> Standing:
    labels = [LABELS[name] for name in event["categories"] if name in LABELS]
    start, end = (datetime.fromisoformat(event[name]["dateTime"][:19]).replace(tzinfo=UTC) for name in ("start", "end"))
    return Standing(event["subject"], start, end, "+".join(labels) or "none")
