"""auth's internal door: beginning and finishing a connect, and what is done to a connection."""

from datetime import datetime
from typing import Any, TypeVar

import httpx2
import msgspec

from common.errors import NotFound, Permanent, Rejected, Transient

T = TypeVar("T")


class Begun(msgspec.Struct, frozen=True):
    flow: str
    authorize_url: str


class Finished(msgspec.Struct, frozen=True):
    """How a connect ended. `message` and `next_step` are sentences for people, `outcome` a word that may be new to us.

    `existing`: the account was connected before. `admin_consent_url`: for the administrator who must approve first.
    """

    outcome: str
    connection: str | None = None
    existing: bool = False
    message: str = ""
    next_step: str = ""
    admin_consent_url: str | None = None
    return_to: str | None = None


class Standing(msgspec.Struct, frozen=True):
    """How many calendars and subscriptions stood on a connection."""

    calendars: int = 0
    subscriptions: int = 0

    def __bool__(self) -> bool:
        return bool(self.calendars or self.subscriptions)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that became of a connection. `who`: a user's id, `microsoft`, `attendara`, or nobody who was named.

    `deleted` and `left`: what a removal deleted, and what it could not delete in time.
    """

    at: datetime
    who: str | None = None
    what: str
    reason: str | None = None
    name: str | None = None
    name_before: str | None = None
    standing: Standing | None = None
    deleted: Standing | None = None
    left: Standing | None = None


class _Link(msgspec.Struct, frozen=True):
    url: str


class _Problem(msgspec.Struct, frozen=True):
    title: str = "refused"
    detail: str = ""


class AuthDoor:
    """Raises Transient (reason auth-away) when auth can't be reached, Rejected or NotFound as it says."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def begin(self, **flow: str | None) -> Begun:
        return await self._call(Begun, "POST", "/internal/v1/connects", json=flow)

    async def finish(self, **answer: Any) -> Finished:
        return await self._call(Finished, "POST", "/internal/v1/connects/finish", json=answer)

    async def rename(self, organization: str, connection: str, name: str, user: str) -> None:
        body = {"organization": organization, "name": name, "user": user}
        await self._call(msgspec.Raw, "PATCH", f"/internal/v1/connections/{connection}", json=body)

    async def remove(self, organization: str, connection: str, user: str) -> None:
        path = f"/internal/v1/connections/{connection}"
        await self._send("DELETE", path, params={"organization": organization, "user": user})

    async def history(self, organization: str, connection: str) -> list[Entry]:
        """The newest last; also of a connection that was removed."""
        path = f"/internal/v1/connections/{connection}/history"
        return await self._call(list[Entry], "GET", path, params={"organization": organization})

    async def admin_consent_url(self, organization: str, connection: str) -> str:
        path = f"/internal/v1/connections/{connection}/admin-consent"
        return (await self._call(_Link, "GET", path, params={"organization": organization})).url

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _call(self, kind: type[T], method: str, path: str, **rest: Any) -> T:
        answer = await self._send(method, path, **rest)
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except msgspec.MsgspecError as error:
            raise Permanent(f"auth's answer is not what was agreed: {error}", reason="unreadable-answer") from error

    async def _send(self, method: str, path: str, **rest: Any) -> httpx2.Response:
        try:
            answer = await self._http.request(method, path, **rest)
        except httpx2.HTTPError as error:
            raise Transient(f"auth: {type(error).__name__}", reason="auth-away") from error
        if answer.is_success:
            return answer
        raise _refusal(answer)


def _refusal(answer: httpx2.Response) -> Exception:
    try:
        problem = msgspec.json.decode(answer.content, type=_Problem)
    except msgspec.MsgspecError:
        problem = _Problem()
    match answer.status_code:
        case 404:
            return NotFound("no such connection")
        case 401 | 403:
            return Permanent("auth refused our service credential", reason="credential-refused")
        case 413 | 422:  # its detail is written for programs
            return Rejected("Attendara can’t use what was sent. Please begin again.", status=422, reason=problem.title)
        case status if 400 <= status < 500:
            return Rejected(problem.detail or "auth refused", status=status, reason=problem.title)
    return Transient(f"auth answered {answer.status_code}", reason="auth-away")
