"""auth's internal door: decode, call, answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, FastAPI, Path, Query, Response

from auth.bodies import (
    AdminConsentView,
    BeginBody,
    BegunView,
    ConnectionView,
    FinishBody,
    NameBody,
    OutcomeView,
    RemovingView,
    RotateBody,
    TokenBody,
    TokenView,
)
from auth.connect import Connect
from auth.connections import Connections
from auth.forget import Forget
from auth.history import Entry
from auth.keys import Keys, KeyUse, Rewrapped
from auth.tokens import Tokens, Wish
from common.announce import Announcer, announce_door
from common.errors import Transient
from common.runner import Once, utc_now
from common.web import Lock, problems

ConnectionId = Annotated[str, Path(max_length=100, examples=["con_01kb3v5r2m8q4x7n9t6w0y1z2a"])]
Organization = Annotated[str, Query(min_length=1, max_length=300, examples=["org_bergpraxis"])]
User = Annotated[str | None, Query(min_length=1, max_length=300, description="Who wishes it, for the history.")]

EVERYWHERE = problems(
    (400, "malformed", "the body can't be read as JSON"),
    (401, "no-credential", "no valid service credential was shown"),
    (413, "too-large", "the body is larger than 64 KiB"),
    (422, "invalid", "a parameter is missing, malformed or too long; the detail names it and repeats nothing"),
    (503, "store-away", "MongoDB is away; try again"),
    (503, "not-ready", "this replica has just started, or has a wrong key in TOKEN_KEYS"),
)
UNKNOWN = (404, "not-found", "no such connection, or another organization's, or one that was removed")
DEAD = (
    (409, "needs-reconnect", "the account's owner must sign in again: begin a connect with this connection"),
    (409, "needs-admin-consent", "an administrator of the account's tenant must approve first"),
)
UNREADABLE = (502, "unreadable", "the stored tokens can't be opened with this replica's TOKEN_KEYS")
MICROSOFT = (
    (503, "microsoft-away", "Microsoft doesn't answer as it should; try again"),
    (503, "microsoft-slow", "Microsoft answers so slowly that too many calls wait already; try again"),
    (503, "app-misconfigured", "Microsoft refuses this app's own registration or credentials; an operator must mend it"),
)
SLOW = (503, "refresh-in-progress", "another refresh of this connection takes long; try again")
OTHER_KEY = (409, "another-active-key", "this replica has another active key: wait until all have the same TOKEN_KEYS")


@dataclass
class Doors:
    """What the door opens to."""

    connect: Connect
    tokens: Tokens
    forget: Forget
    connections: Connections
    keys: Keys
    announcer: Announcer


def internal_routes(doors: Doors, lock: Callable[..., Any]) -> APIRouter:
    routes = APIRouter(prefix="/internal/v1", dependencies=[Depends(lock)], responses=EVERYWHERE)
    _open_connects(routes, doors)
    _open_connections(routes, doors)
    _open_keys(routes, doors)
    return routes


def _open_connects(routes: APIRouter, doors: Doors) -> None:
    @routes.post("/connects", status_code=201, responses=problems(UNKNOWN, *MICROSOFT))
    async def begin_connect(body: BeginBody) -> BegunView:
        """Begin a sign-in with Microsoft, for a new connection or to reconnect one.

        It is kept for ten minutes and for one use, and belongs to this organization, user, session and browser.
        """
        begun = await doors.connect.begin(body.asker, return_to=body.return_to, connection=body.connection)
        return BegunView(**msgspec.structs.asdict(begun))

    @routes.post("/connects/finish")
    async def finish_connect(body: FinishBody) -> OutcomeView:
        """Finish it with what Microsoft's redirect brought. However it ends is an outcome, and not an error."""
        return OutcomeView(**msgspec.structs.asdict(await doors.connect.finish(body.asker, dict(body.query))))


def _open_connections(routes: APIRouter, doors: Doors) -> None:
    @routes.get("/connections")
    async def list_connections(organization: Organization) -> list[ConnectionView]:
        """List an organization's connections, but for those that were removed."""
        return [ConnectionView.of(connection) for connection in await doors.connections.of_organization(organization)]

    @routes.post("/connections/{connection}/token", responses=problems(UNKNOWN, *DEAD, UNREADABLE, *MICROSOFT, SLOW))
    async def get_access_token(connection: ConnectionId, response: Response, body: TokenBody | None = None) -> TokenView:
        """Get a valid access token.

        The one that is kept, or a new one: when it ends soon, when it is the one that Graph refused, or when there is a challenge.
        """
        given = await doors.tokens.get(connection, body.wish if body else Wish())
        response.headers["Cache-Control"] = "no-store"
        return TokenView(access_token=given.value, expires_at=given.expires_at)

    @routes.get("/connections/{connection}/admin-consent", responses=problems(UNKNOWN, *MICROSOFT))
    async def get_admin_consent_link(connection: ConnectionId, organization: Organization) -> AdminConsentView:
        """Get the link with which an administrator approves what a connection needs. Opening it changes nothing here."""
        return AdminConsentView(url=await doors.connect.admin_consent_url(organization, connection))

    @routes.patch("/connections/{connection}", responses=problems(UNKNOWN))
    async def rename_connection(connection: ConnectionId, body: NameBody) -> ConnectionView:
        """Give a connection another label."""
        renamed = await doors.connections.rename(body.organization, connection, body.name, utc_now(), who=body.user)
        return ConnectionView.of(renamed)

    @routes.delete("/connections/{connection}", status_code=202, responses=problems(UNKNOWN))
    async def remove_connection(connection: ConnectionId, organization: Organization, user: User = None) -> RemovingView:
        """Remove a connection: at once for people, and to the end in the background. Asking again changes nothing."""
        await doors.forget.begin(organization, connection, who=user)
        return RemovingView()

    @routes.get("/connections/{connection}/history", response_model_exclude_none=True, responses=problems(UNKNOWN))
    async def get_history(connection: ConnectionId, organization: Organization) -> list[Entry]:
        """Tell what became of a connection, the newest last; also of one that was removed."""
        return await doors.connections.history(organization, connection)


def _open_keys(routes: APIRouter, doors: Doors) -> None:
    @routes.get("/keys")
    async def list_keys() -> list[KeyUse]:
        """List the keys that wrap connections' data keys, the active one first, and how many records need each."""
        return await doors.keys.in_use()

    @routes.post("/keys/rotate", responses=problems(OTHER_KEY))
    async def rotate_keys(body: RotateBody) -> Rewrapped:
        """Re-wrap the next records that aren't under the active key. Go on with `after` until that is null."""
        return await doors.keys.rewrap(body.to, body.after, body.limit)


def open_doors(app: FastAPI, doors: Doors, lock: Lock, prepared: Once) -> None:
    async def admitted(_: Annotated[str, Depends(lock)]) -> None:
        """Before the indexes are made and the keys have been checked, nothing is touched."""
        if words := await prepared.readiness():
            raise Transient(words, reason="not-ready")

    app.include_router(internal_routes(doors, admitted))
    app.include_router(announce_door(doors.announcer, admitted), responses=EVERYWHERE)
