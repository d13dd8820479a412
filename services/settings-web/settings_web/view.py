"""Pages from templates: what every page has, the headers that guard it, and the sentences for what can go wrong."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from common.errors import AdminConsentNeeded, AttendaraError, ReconnectNeeded, Rejected, Throttled
from settings_web.reasons import STATES
from settings_web.rows import ago, exact
from settings_web.sessions import Session, Sessions

STATIC = Path(__file__).parent / "static"
ICONS = STATIC / "vendor" / "bootstrap-icons-1.13.2.sprite.svg"

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}

MICROSOFT = {
    "personal_apps": "https://account.live.com/consent/Manage",
    "my_apps": "https://myapps.microsoft.com",
    "entra": "https://entra.microsoft.com",
}
"""Where people look after what they have allowed apps: a personal account, a work account, and a tenant's administrator."""


class View:
    """Renders templates; `sessions` has the notice that waits for the next page."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._templates = Environment(
            loader=PackageLoader("settings_web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        icons = Markup(ICONS.read_text())  # noqa: S704
        self._templates.globals.update(static=static, icons=icons, exact=exact, ago=ago, now=lambda: datetime.now(UTC))
        self._templates.globals.update(microsoft=MICROSOFT, states=STATES)

    async def page(self, request: Request, session: Session, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """A whole page for somebody who is signed in."""
        notice = await self._sessions.told(session)
        return self.bare(request, template, status=status, session=session, notice=notice, **context)

    def bare(self, request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """A page that needs no session; HEADERS are put on by every way out, errors included."""
        return HTMLResponse(self.text(request, template, **context), status, HEADERS)

    async def dialog(self, request: Request, session: Session, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """The dialog alone for htmx, which puts it over the page; else a page with the dialog on it."""
        layout = "fragment.html" if is_fragment(request) else "dialog_page.html"
        if is_fragment(request):
            return self.bare(request, template, status=status, session=session, layout=layout, **context)
        return await self.page(request, session, template, status=status, layout=layout, **context)

    def text(self, request: Request, template: str, **context: Any) -> Markup:
        """Ready to stand in another template."""
        standing: dict[str, Any] = {"session": None, "notice": None, "path": request.url.path}
        return Markup(self._templates.get_template(template).render(standing | context))  # noqa: S704


def is_fragment(request: Request) -> bool:
    return request.headers.get("hx-request") == "true" and "hx-history-restore-request" not in request.headers


@cache
def static(path: str) -> str:
    """The address of a static file; it changes with the content, so that browsers may keep it for ever."""
    return f"/static/{path}?v={hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:12]}"


SENTENCES: Mapping[str, str] = {
    "auth-away": "Attendara’s sign-in service for accounts can’t be reached right now. Try again in a minute.",
    "graph-away": "Microsoft Outlook can’t be reached right now. Try again in a minute.",
    "broker-away": "Attendara can’t pass this on right now. Try again in a minute.",
    "sessions-away": "Attendara can’t look up who is signed in right now. Try again in a minute.",
    "signin-away": "The sign-in service can’t be reached right now. Try again in a minute.",
    "store-away": "Attendara’s database can’t be reached right now. Try again in a minute.",
    "not-found": "This page isn’t there, or belongs to another organization.",
}


def sentence_of(error: AttendaraError) -> str:
    """What a person reads; never the error's own text unless it was written for people (Rejected)."""
    if error.reason in SENTENCES:
        return SENTENCES[error.reason]
    match error:
        case Rejected():
            return str(error)
        case ReconnectNeeded():
            return "Microsoft asks the account’s owner to sign in again. Reconnect the account, then try again."
        case AdminConsentNeeded():
            return "An administrator of your Microsoft 365 has to approve Attendara first."
        case Throttled():
            return f"Microsoft asks us to wait. Try again in {max(1, round(error.retry_after))} seconds."
    return "Microsoft Outlook didn’t give a usable answer. Try again in a minute."
