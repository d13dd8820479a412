"""Connecting a Microsoft account: what a browser takes along, and what it must bring back."""

import re
import secrets
from dataclasses import dataclass

from settings_web.auth_door import AuthDoor, Finished
from settings_web.sessions import Session, hashed

CALENDARS = "/settings/calendars"
ADD_CALENDAR = "/settings/calendars/add"
PROVIDERS = "/settings/providers"

NOT_BEGUN_HERE = "This browser did not begin the sign-in with Microsoft, or took longer than ten minutes."

_OWN_PAGE = re.compile(r"/settings(?:/[A-Za-z0-9_-]+)+")


@dataclass(frozen=True)
class Begun:
    """`cookie` binds the flow to this browser; `url` is Microsoft's page."""

    cookie: str
    url: str


@dataclass
class Connecting:
    auth: AuthDoor

    async def begin(self, session: Session, return_to: str, connection: str | None = None) -> Begun:
        cookie = secrets.token_urlsafe(32)
        begun = await self.auth.begin(
            organization=session.who.organization,
            user=session.who.user,
            session=session.key,
            return_to=own_page(return_to),
            connection=connection,
            binding=hashed(cookie),
        )
        return Begun(cookie, begun.authorize_url)

    async def finish(self, session: Session, cookie: str | None, query: dict[str, str]) -> Finished:
        if not cookie:
            return Finished("expired", message=NOT_BEGUN_HERE, next_step="Begin again in this browser.")
        return await self.auth.finish(
            organization=session.who.organization,
            user=session.who.user,
            session=session.key,
            binding=hashed(cookie),
            query=query,
        )


def own_page(path: str | None, otherwise: str = ADD_CALENDAR) -> str:
    """Only our own pages are ever returned to."""
    return path if path and _OWN_PAGE.fullmatch(path) else otherwise
