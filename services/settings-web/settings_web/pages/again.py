"""After a change: a notice for the person, and the page on which it is to be read."""

from fastapi import Response
from fastapi.responses import RedirectResponse

from settings_web.parts import Parts
from settings_web.sessions import Notice, Session


async def again(parts: Parts, session: Session, page: str, notice: Notice) -> Response:
    await parts.sessions.tell(session, notice)
    return RedirectResponse(page, 303)
