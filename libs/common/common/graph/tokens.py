"""Access tokens: asked from auth, kept in memory for five minutes at most, never written anywhere."""

import hashlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx2
import msgspec

from common import telemetry
from common.errors import AdminConsentNeeded, NotFound, Permanent, ReconnectNeeded, Transient
from common.runner import Clock, utc_now
from common.settings import AuthClientSettings

KEPT = timedelta(minutes=5)
MARGIN = timedelta(seconds=60)


class _Token(msgspec.Struct, frozen=True):
    """What `POST /internal/v1/connections/{id}/token` answers."""

    access_token: str
    expires_at: datetime


class _Problem(msgspec.Struct, frozen=True):
    title: str = "refused"
    detail: str = ""


@dataclass
class AccessTokens:
    """Hands out a connection's access token; `refused` says that Graph answered 401 to one, so that auth gets a new one."""

    http: httpx2.AsyncClient
    clock: Clock = utc_now

    def __post_init__(self) -> None:
        self._kept: dict[str, tuple[_Token, datetime]] = {}

    async def get(self, connection: str, *, refused: str | None = None) -> str:
        """Raises ReconnectNeeded, AdminConsentNeeded or NotFound as auth says, Transient when auth is away."""
        now = self.clock()
        kept = self._kept.get(connection)
        if kept and now < kept[1] and kept[0].access_token != refused:
            return kept[0].access_token
        token = await self._ask(connection, refused)
        self._kept = {name: kept for name, kept in self._kept.items() if now < kept[1]}
        self._kept[connection] = (token, min(now + KEPT, token.expires_at - MARGIN))
        return token.access_token

    async def _ask(self, connection: str, refused: str | None) -> _Token:
        body = {"refused": hashlib.sha256(refused.encode()).hexdigest()} if refused else {}
        try:
            answer = await self.http.post(f"/internal/v1/connections/{connection}/token", json=body)
        except httpx2.HTTPError as error:
            raise Transient(f"auth: {type(error).__name__}", reason="auth-away") from error
        if answer.status_code == 200:
            return msgspec.json.decode(answer.content, type=_Token)
        raise self._refusal(connection, answer)

    def _refusal(self, connection: str, answer: httpx2.Response) -> Exception:
        self._kept.pop(connection, None)
        try:
            problem = msgspec.json.decode(answer.content, type=_Problem)
        except msgspec.MsgspecError:
            problem = _Problem()
        match answer.status_code:
            case 409 if problem.title == "needs-admin-consent":
                return AdminConsentNeeded(problem.detail)
            case 409:
                return ReconnectNeeded(problem.detail, reason=problem.title)
            case 404:
                return NotFound(f"auth knows no connection {connection}")
            case 401 | 403:
                return Permanent("auth refused our service credential", reason="credential-refused")
        return Transient(f"auth answered {answer.status_code}", reason="auth-away")


def auth_client(settings: AuthClientSettings) -> httpx2.AsyncClient:
    """Speaks to auth's internal door with this service's own credential; auth goes on with our trace."""

    async def traced(request: httpx2.Request) -> None:
        request.headers.update(telemetry.carrier())

    return httpx2.AsyncClient(
        base_url=settings.auth_url,
        headers={"Authorization": f"Bearer {settings.service_credential.get_secret_value()}"},
        verify=settings.auth_trust(),
        timeout=httpx2.Timeout(20, connect=3),
        event_hooks={"request": [traced]},
    )


class BearerAuth(httpx2.Auth):
    """Puts the connection's token on a request; a 401 buys one new token and one more try."""

    def __init__(self, tokens: AccessTokens, connection: str) -> None:
        self._tokens = tokens
        self._connection = connection

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        token = await self._tokens.get(self._connection)
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401:
            token = await self._tokens.get(self._connection, refused=token)
            request.headers["Authorization"] = f"Bearer {token}"
            yield request
