"""auth's internal door: beginning and finishing a connect, and what is done to a connection."""

from typing import Any, Literal, TypeVar

import httpx2
import msgspec

from common.errors import NotFound, Permanent, Rejected, Transient

T = TypeVar("T")

Outcome = Literal[
    "accepted",
    "declined",
    "wrong-account",
    "admin-consent-needed",
    "expired",
    "mismatch",
    "no-mailbox",
    "microsoft-away",
    "app-misconfigured",
]


class Begun(msgspec.Struct, frozen=True):
    flow: str
    authorize_url: str


class Finished(msgspec.Struct, frozen=True):
    """How a connect ended. `message` is a sentence for people; `existing`: the account was connected before."""

    outcome: Outcome
    connection: str | None = None
    existing: bool = False
    message: str = ""
    return_to: str | None = None


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
