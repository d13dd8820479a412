"""Settings → Sync settings: the names of the labels, and whether titles are changed."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from common.errors import Rejected
from common.store import SyncSettings
from settings_web.pages.again import again
from settings_web.parts import Changing, HasParts, Looking, Parts
from settings_web.sessions import Notice, Session
from settings_web.sync_settings import Wanted

SYNC_SETTINGS = "/settings/sync"

routes = APIRouter(prefix=SYNC_SETTINGS, include_in_schema=False)


@routes.get("")
async def page(request: Request, parts: HasParts, session: Looking) -> Response:
    return await _page(request, parts, session, await parts.sync_settings.read(session.who.organization))


@routes.post("")
async def save(request: Request, parts: HasParts, session: Changing, wanted: Annotated[Wanted, Form()]) -> Response:
    try:
        await parts.sync_settings.save(session.who.organization, wanted)
    except Rejected as refused:
        return await _page(request, parts, session, wanted, refused)
    return await again(parts, session, SYNC_SETTINGS, Notice(kind="success", text="Sync settings are saved."))


async def _page(
    request: Request, parts: Parts, session: Session, shown: SyncSettings | Wanted, refused: Rejected | None = None
) -> Response:
    status = refused.status if refused else 200
    connections = await parts.connections.all(session.who.organization)
    context = {
        "shown": shown,
        "refused": str(refused) if refused else None,
        "saved": await parts.sync_settings.read(session.who.organization),
        "colourless": [one.username for one in connections if not one.may_write_categories],
    }
    return await parts.view.page(request, session, "sync_settings.html", status=status, **context)
