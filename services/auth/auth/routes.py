"""auth's internal door: decode, call, answer."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from auth.connect import Asker, Connect
from auth.connections import Connections
from auth.forget import Forget
from auth.tokens import Tokens, Wish
from common.announce import Announcer, announce_door
from common.store import Connection
from common.web import problem

Word = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Fingerprint = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
Parameter = Annotated[str, StringConstraints(max_length=8_000)]


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
    organization: Word
    user: Word
    session: Word
    binding: Fingerprint

    @property
    def asker(self) -> Asker:
        return Asker(organization=self.organization, user=self.user, session=self.session, binding=self.binding)


class BeginBody(AskerBody):
    return_to: Annotated[str, StringConstraints(max_length=500), AfterValidator(_own_page)] | None = None
    connection: Word | None = None


class FinishBody(AskerBody):
    query: dict[Word, Parameter] = Field(max_length=30)


class TokenBody(_Body):
    refused: Fingerprint | None = None
    claims: Annotated[str, StringConstraints(max_length=4_000), AfterValidator(_claims)] | None = None


class NameBody(_Body):
    organization: Word
    name: Name


class ConnectionView(_Body):
    """A connection as callers see it."""

    id: str
    name: str
    username: str
    state: str
    reason: str | None
    since: datetime
    created_at: datetime


@dataclass
class Doors:
    """What the door opens to."""

    connect: Connect
    tokens: Tokens
    forget: Forget
    connections: Connections
    announcer: Announcer


def internal_routes(doors: Doors, lock: Any) -> APIRouter:
    routes = APIRouter(prefix="/internal/v1", dependencies=[Depends(lock)])

    @routes.post("/connects", status_code=201)
    async def begin(body: BeginBody) -> dict[str, Any]:
        begun = await doors.connect.begin(body.asker, return_to=body.return_to, connection=body.connection)
        return msgspec.structs.asdict(begun)

    @routes.post("/connects/finish")
    async def finish(body: FinishBody) -> dict[str, Any]:
        return msgspec.structs.asdict(await doors.connect.finish(body.asker, dict(body.query)))

    @routes.post("/connections/{connection}/token")
    async def token(connection: str, response: Response, body: TokenBody | None = None) -> dict[str, Any]:
        wish = Wish(body.refused, body.claims) if body else Wish()
        given = await doors.tokens.get(connection, wish)
        response.headers["Cache-Control"] = "no-store"
        return {"access_token": given.value, "expires_at": given.expires_at}

    @routes.patch("/connections/{connection}")
    async def rename(connection: str, body: NameBody) -> ConnectionView:
        return _view(await doors.connections.rename(body.organization, connection, body.name))

    @routes.delete("/connections/{connection}", status_code=202)
    async def forget(connection: str, organization: Annotated[str, Query(max_length=300)]) -> dict[str, str]:
        await doors.forget.begin(organization, connection)
        return {"state": "removing"}

    @routes.get("/connections")
    async def connections(organization: Annotated[str, Query(max_length=300)]) -> list[ConnectionView]:
        return [_view(connection) for connection in await doors.connections.of_organization(organization)]

    return routes


def open_doors(app: FastAPI, doors: Doors, lock: Any) -> None:
    app.include_router(internal_routes(doors, lock))
    app.include_router(announce_door(doors.announcer, lock))
    app.add_exception_handler(RequestValidationError, _invalid)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """FastAPI's own answer repeats what was sent: here that may be a code or a token."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    wrong = "; ".join(f"{'.'.join(str(step) for step in one['loc'])}: {one['msg']}" for one in found)
    return problem(422, "invalid", wrong)


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
