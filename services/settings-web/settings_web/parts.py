"""What the routes work with, and who may come in: looking needs a session, changing an admin and the CSRF token."""

import hmac
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from common.errors import Rejected
from settings_web.calendars import Calendars
from settings_web.connect import Connecting
from settings_web.connections import Connections
from settings_web.endings import Endings
from settings_web.sessions import Session, Sessions
from settings_web.settings import Settings
from settings_web.signin import SignIn
from settings_web.sync_settings import SyncSettingsOf
from settings_web.view import View

SESSION_COOKIE = "attendara_session"
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"


@dataclass(frozen=True)
class Parts:
    settings: Settings
    sessions: Sessions
    sign_in: SignIn
    calendars: Calendars
    connections: Connections
    connecting: Connecting
    endings: Endings
    sync_settings: SyncSettingsOf
    view: View


class SignInNeeded(Rejected):
    def __init__(self) -> None:
        super().__init__("Sign in first.", status=401, reason="sign-in-needed")


async def parts(request: Request) -> Parts:
    return cast(Parts, request.app.state.parts)


async def session(request: Request) -> Session:
    found = await (await parts(request)).sessions.find(request.cookies.get(SESSION_COOKIE))
    if found is None:
        raise SignInNeeded
    return found


async def same_origin(request: Request, found: Annotated[Session, Depends(session)]) -> Session:
    """The CSRF token as a header (htmx, the API) or as a field (forms)."""
    shown = request.headers.get(CSRF_HEADER)
    if shown is None and request.headers.get("content-type", "").startswith(("application/x-www-form", "multipart/form")):
        shown = str((await request.form()).get(CSRF_FIELD, ""))
    if not hmac.compare_digest((shown or "").encode(), found.csrf.encode()):
        raise Rejected("This form is out of date. Load the page again, and try once more.", status=403, reason="csrf")
    return found


async def changing(found: Annotated[Session, Depends(same_origin)]) -> Session:
    if not found.who.may_change:
        raise Rejected("Only an administrator of your organization can change this.", status=403, reason="not-admin")
    return found


async def admin(found: Annotated[Session, Depends(session)]) -> Session:
    """For pages that only lead to a change."""
    if not found.who.may_change:
        raise Rejected("Only an administrator of your organization can change this.", status=403, reason="not-admin")
    return found


HasParts = Annotated[Parts, Depends(parts)]
Looking = Annotated[Session, Depends(session)]
Admin = Annotated[Session, Depends(admin)]
SameOrigin = Annotated[Session, Depends(same_origin)]
Changing = Annotated[Session, Depends(changing)]
