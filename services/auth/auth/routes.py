"""auth's internal door: decode, call, answer."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, FastAPI, Path, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from auth.connect import Asker, Connect, Ending
from auth.connections import Connections
from auth.forget import Forget
from auth.history import Entry
from auth.keys import MOST_AT_ONCE, Keys, KeyUse, Rewrapped
from auth.tokens import Tokens, Wish
from common.announce import Announcer, announce_door
from common.errors import Transient
from common.runner import Once, utc_now
from common.store import Connection, ConnectionState
from common.web import problems

Word = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Fingerprint = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
Parameter = Annotated[str, StringConstraints(max_length=8_000)]

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
AWAY = (503, "microsoft-away", "Microsoft doesn't answer as it should; try again")
SLOW = (503, "refresh-in-progress", "another refresh of this connection takes long; try again")
OTHER_KEY = (409, "another-active-key", "this replica has another active key: wait until all have the same TOKEN_KEYS")


def _own_page(path: str) -> str:
    if not path.startswith("/") or path.startswith("//") or "\\" in path or not path.isprintable():
        raise ValueError("must be a path on our own site")
    return path


def _claims(text: str) -> str:
    try:
        challenge = json.loads(text)
    except RecursionError:
        challenge = None
    if not isinstance(challenge, dict):
        raise ValueError("must be a JSON object")
    return text


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True)


class AskerBody(_Body):
    """Whose sign-in it is. `binding`: SHA-256, in hex, of a cookie that only this browser has."""

    organization: Word = Field(examples=["org_bergpraxis"])
    user: Word = Field(examples=["usr_7"])
    session: Word = Field(examples=["ses_1f0c"])
    binding: Fingerprint = Field(examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])

    @property
    def asker(self) -> Asker:
        return Asker(organization=self.organization, user=self.user, session=self.session, binding=self.binding)


class BeginBody(AskerBody):
    """`connection`: the one to reconnect; none for a new one."""

    return_to: Annotated[str, StringConstraints(max_length=500), AfterValidator(_own_page)] | None = None
    connection: Word | None = None


class BegunView(_Body):
    """Where to send the browser. `flow` is the OAuth state."""

    flow: str = Field(examples=["bWRtY2x0d2Jo"])
    authorize_url: str = Field(examples=["https://login.microsoftonline.com/common/oauth2/v2.0/authorize?client_id=…"])


class FinishBody(AskerBody):
    """`query`: what Microsoft's redirect came back with, as it is."""

    query: dict[Word, Parameter] = Field(max_length=30, examples=[{"code": "1.AXkA…", "state": "bWRtY2x0d2Jo"}])


class OutcomeView(_Body):
    """How a connect ended: an error of Microsoft's is an outcome too. `message` is a sentence for the page."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Ending = Field(examples=["accepted"])
    connection: str | None = Field(examples=["con_01kb3v5r2m8q4x7n9t6w0y1z2a"])
    existing: bool = Field(description="The account was connected already, and its connection has been refreshed.")
    message: str = Field(examples=["Your Microsoft account is connected."])
    return_to: str | None = Field(examples=["/settings/calendars/add"])


class TokenBody(_Body):
    """`refused`: SHA-256, in hex, of a token that Graph answered 401. `claims`: the challenge that came with it."""

    refused: Fingerprint | None = Field(None, examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
    claims: Annotated[str, StringConstraints(max_length=4_000), AfterValidator(_claims)] | None = Field(
        None, examples=['{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}']
    )


class TokenView(_Body):
    """A token that lives for five minutes at least. Keep it in memory, for no longer than that."""

    access_token: str = Field(examples=["eyJ0eXAiOiJKV1QiLCJub25jZSI6…"])
    expires_at: datetime


class NameBody(_Body):
    """A connection's new label."""

    organization: Word = Field(examples=["org_bergpraxis"])
    name: Name = Field(examples=["Front desk"])
    user: Word | None = Field(default=None, description="Who wishes it, for the history.", examples=["usr_7"])


class ConnectionView(_Body):
    """A connection as callers see it. `reason`: why its people are needed; `since`: when it came into its state."""

    id: str = Field(examples=["con_01kb3v5r2m8q4x7n9t6w0y1z2a"])
    name: str = Field(examples=["Front desk"])
    username: str = Field(examples=["anna.keller@bergpraxis.example"])
    state: ConnectionState
    reason: str | None = Field(examples=["grant-revoked"])
    since: datetime
    created_at: datetime


class RemovingView(_Body):
    """It is being removed; the rest follows by itself."""

    state: ConnectionState = Field("removing", examples=["removing"])


class RotateBody(_Body):
    """`to`: the key that must be active here. `after`: where the call before ended."""

    to: Word = Field(examples=["k2026"])
    after: Annotated[str, StringConstraints(max_length=100)] = ""
    limit: int = Field(MOST_AT_ONCE, ge=1, le=MOST_AT_ONCE)


@dataclass
class Doors:
    """What the door opens to."""

    connect: Connect
    tokens: Tokens
    forget: Forget
    connections: Connections
    keys: Keys
    announcer: Announcer


def internal_routes(doors: Doors, lock: Any) -> APIRouter:
    routes = APIRouter(prefix="/internal/v1", dependencies=[Depends(lock)], responses=EVERYWHERE)
    _open_connects(routes, doors)
    _open_connections(routes, doors)
    _open_keys(routes, doors)
    return routes


def _open_connects(routes: APIRouter, doors: Doors) -> None:
    @routes.post("/connects", status_code=201, responses=problems(UNKNOWN, AWAY))
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
        return [_view(connection) for connection in await doors.connections.of_organization(organization)]

    @routes.post("/connections/{connection}/token", responses=problems(UNKNOWN, *DEAD, UNREADABLE, AWAY, SLOW))
    async def get_access_token(connection: ConnectionId, response: Response, body: TokenBody | None = None) -> TokenView:
        """Get a valid access token.

        The one that is kept, or a new one: when it ends soon, when it is the one that Graph refused, or when there is a challenge.
        """
        wish = Wish(body.refused, body.claims) if body else Wish()
        given = await doors.tokens.get(connection, wish)
        response.headers["Cache-Control"] = "no-store"
        return TokenView(access_token=given.value, expires_at=given.expires_at)

    @routes.patch("/connections/{connection}", responses=problems(UNKNOWN))
    async def rename_connection(connection: ConnectionId, body: NameBody) -> ConnectionView:
        """Give a connection another label."""
        return _view(await doors.connections.rename(body.organization, connection, body.name, utc_now(), who=body.user))

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


def open_doors(app: FastAPI, doors: Doors, lock: Any, prepared: Once) -> None:
    async def admitted(_: Annotated[str, Depends(lock)]) -> None:
        """Before the indexes are made and the keys have been checked, nothing is touched."""
        if words := await prepared.readiness():
            raise Transient(words, reason="not-ready")

    app.include_router(internal_routes(doors, admitted))
    app.include_router(announce_door(doors.announcer, admitted), responses=EVERYWHERE)


def _view(connection: Connection) -> ConnectionView:
    return ConnectionView(
        id=connection.id,
        name=connection.name,
        username=connection.username,
        state=connection.state,
        reason=connection.reason,
        since=connection.since,
        created_at=connection.created_at,
    )
