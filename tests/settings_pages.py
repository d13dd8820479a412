"""An administrator in front of the Settings pages, by HTTP: signs in, connects an account, adds its calendars."""

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.consent import give_consent

ADMIN = "usr_miriam"


@dataclass
class SettingsPages:
    """A browser's cookies and, once signed in, the CSRF token of its session."""

    http: httpx2.AsyncClient
    csrf: str = ""

    async def sign_in(self, user: str = ADMIN) -> None:
        to_provider = await self.http.get("/signin")
        back = await self.http.post(to_provider.headers["location"], data={"user": user})
        done = await self.http.get(back.headers["location"])
        assert done.status_code == 303, done.text
        self.csrf = (await self.ask("GET", "/api/v1/session"))["csrf"]

    async def begin_connect(self, connection: str | None = None) -> str:
        """The address of Microsoft's sign-in page, for a new account or for one that is connected already."""
        page = await self.http.post(f"/connect/microsoft{f'/{connection}' if connection else ''}", data={"csrf": self.csrf})
        address = re.search(r'<a [^>]*href="(http[^"]+)"', page.text)
        assert address, page.text
        return html.unescape(address[1])

    async def connect(self, username: str, connection: str | None = None) -> str:
        """The id of the new connection, or of the one that was connected again."""
        query = await give_consent(await self.begin_connect(connection), username)
        back = await self.http.get("/connect/microsoft/return", params=query)
        assert back.is_success or back.is_redirect, back.text
        listed = await self.ask("GET", "/api/v1/connections")
        return str(next(one["id"] for one in listed if one["username"] == username))

    async def add_calendar(self, connection: str, graph_id: str) -> str:
        chosen = {"connection": connection, "graph_ids": [graph_id]}
        added = await self.ask("POST", "/api/v1/calendars", json=chosen)
        return str(added["added"][0])

    async def ask(self, method: str, path: str, **rest: Any) -> Any:
        answer = await self.http.request(method, path, headers={"X-CSRF-Token": self.csrf}, **rest)
        assert answer.is_success, answer.text
        return answer.json()


@asynccontextmanager
async def settings_pages(settings_url: str) -> AsyncIterator[SettingsPages]:
    async with httpx2.AsyncClient(base_url=settings_url, timeout=30) as http:
        yield SettingsPages(http)
