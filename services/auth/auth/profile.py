"""Asks Graph about an account that has just signed in: its address, and whether it has a mailbox with calendars."""

from dataclasses import dataclass

import httpx2
import msgspec

from auth.microsoft import AccessToken
from common.errors import Permanent
from common.graph.failures import failure_of, failure_on_the_way


class NoMailbox(Permanent):
    """The account is real, and has no mailbox that Graph can serve (no Exchange licence, or on premises)."""

    default_reason = "no-mailbox"


class _Me(msgspec.Struct, frozen=True):
    mail: str | None = None
    user_principal_name: str | None = msgspec.field(default=None, name="userPrincipalName")


class _Envelope(msgspec.Struct, frozen=True):
    class Error(msgspec.Struct, frozen=True):
        code: str = ""

    error: Error = Error()


@dataclass
class Profiles:
    """`http` has Graph's address as its base."""

    http: httpx2.AsyncClient

    async def address_of(self, token: AccessToken) -> str | None:
        """The account's mail address. Raises NoMailbox, Transient, or what else Graph says."""
        me = msgspec.json.decode(_content(await self._get("/me?$select=mail,userPrincipalName", token)), type=_Me)
        calendar = await self._get("/me/calendar?$select=id", token)
        # 401, although the same token was good a moment ago: that is how Graph answers a tenant's guests.
        if calendar.status_code in (401, 404) or _code(calendar.content).startswith("MailboxNot"):
            raise NoMailbox(f"Graph has no calendar for this account: {calendar.status_code} {_code(calendar.content)}")
        _content(calendar)
        return me.mail or me.user_principal_name

    async def _get(self, path: str, token: AccessToken) -> httpx2.Response:
        try:
            return await self.http.get(path, headers={"Authorization": f"Bearer {token.value}"})
        except httpx2.HTTPError as error:
            raise failure_on_the_way(error) from None


def _content(answer: httpx2.Response) -> bytes:
    if not answer.is_success:
        raise failure_of(answer.status_code, answer.headers, answer.content)
    return answer.content


def _code(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Envelope).error.code
    except msgspec.MsgspecError:
        return ""
