"""Connecting a Microsoft account: what a browser takes along, and what each outcome means for the person."""

import re
import secrets
from dataclasses import dataclass
from typing import Literal

from settings_web.auth_door import AuthDoor, Finished, Outcome
from settings_web.sessions import Notice, Session, hashed

CALENDARS = "/settings/calendars"
ADD_CALENDAR = "/settings/calendars/add"
PROVIDERS = "/settings/providers"

_OWN_PAGE = re.compile(r"/settings(?:/[A-Za-z0-9_-]+)+")

NEXT_STEPS: dict[Outcome, str] = {
    "declined": "Begin again when you are ready, and press Accept on Microsoft’s page.",
    "wrong-account": "Begin again, and pick the account that is to be reconnected.",
    "admin-consent-needed": "Ask the administrator of your Microsoft 365 to approve Attendara, then connect again.",
    "expired": "Begin again; the sign-in has to be finished within ten minutes.",
    "mismatch": "Begin again, and stay in this browser and signed in to Attendara until you are back.",
    "no-mailbox": "Use an account that has a calendar in Outlook.",
    "microsoft-away": "Try again in a few minutes.",
    "app-misconfigured": "Tell Attendara’s support; nothing that you do here can mend this.",
}


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
            sentence = "This browser did not begin the sign-in with Microsoft, or took longer than ten minutes."
            return Finished("expired", message=sentence)
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


def notice_of(finished: Finished) -> Notice:
    if finished.outcome == "accepted":
        return Notice(kind="success", text=finished.message or "The Microsoft account is connected.")
    kind: Literal["warning", "danger"] = "warning" if finished.outcome in ("declined", "expired", "mismatch") else "danger"
    text = finished.message or "The Microsoft account was not connected."
    return Notice(kind=kind, text=text, next_step=NEXT_STEPS[finished.outcome])
