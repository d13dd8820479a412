"""Access tokens: asked from auth, kept in memory for five minutes at most, never written anywhere."""

import base64
import binascii
import hashlib
import re
from collections.abc import AsyncGenerator, Mapping
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
LONGEST_CLAIMS = 4_000
"""What auth takes."""


class _Token(msgspec.Struct, frozen=True):
    """What `POST /internal/v1/connections/{id}/token` answers."""

    access_token: str
    expires_at: datetime


class _Problem(msgspec.Struct, frozen=True):
    title: str = "refused"
    detail: str = ""


@dataclass
class AccessTokens:
    """Hands out a connection's access token.

    `refused` says that Graph answered 401 to one, so that auth gets a new one, and `claims` with what challenge; `life` for
    how long it must live at least (50 minutes are the most that may be asked for).
    """

    http: httpx2.AsyncClient
    clock: Clock = utc_now

    def __post_init__(self) -> None:
        self._kept: dict[str, tuple[_Token, datetime]] = {}

    async def get(self, connection: str, *, refused: str | None = None, claims: str | None = None, life: timedelta = KEPT) -> str:
        """Raises ReconnectNeeded, AdminConsentNeeded or NotFound as auth says, Transient when auth is away."""
        now = self.clock()
        kept = self._kept.get(connection)
        if kept and now < kept[1] and kept[0].access_token != refused and (life <= KEPT or now + life < kept[0].expires_at):
            return kept[0].access_token
        token = await self._ask(connection, refused, claims, life)
        self._kept = {name: kept for name, kept in self._kept.items() if now < kept[1]}
        self._kept[connection] = (token, min(now + KEPT, token.expires_at - MARGIN))
        return token.access_token

    async def _ask(self, connection: str, refused: str | None, claims: str | None, life: timedelta) -> _Token:
        fingerprint = hashlib.sha256(refused.encode()).hexdigest() if refused else None
        body = {"refused": fingerprint, "claims": claims, "min_life": int(life.total_seconds())}
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
    """Puts the connection's token on a request; a 401, or a claims challenge, buys one new token and one more try."""

    def __init__(self, tokens: AccessTokens, connection: str, life: timedelta = KEPT) -> None:
        self._tokens = tokens
        self._connection = connection
        self._life = life

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        token = await self._tokens.get(self._connection, life=self._life)
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        claims = challenge_of(response.headers)
        if response.status_code == 401 or (response.status_code == 403 and claims):
            token = await self._tokens.get(self._connection, refused=token, claims=claims, life=self._life)
            request.headers["Authorization"] = f"Bearer {token}"
            yield request


def challenge_of(headers: Mapping[str, str]) -> str | None:
    """The claims (JSON) that Graph wants of the next token, after a revocation or for a policy; None if it asks for none.

    Source: learn.microsoft.com/entra/identity-platform/claims-challenge.
    """
    told = headers.get("www-authenticate", "")
    found = re.search(r'\bclaims="([^"]+)"', told) if 'error="insufficient_claims"' in told else None
    if not found:
        return None
    encoded = found[1].translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        claims = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode()
        usable = len(claims) <= LONGEST_CLAIMS and isinstance(msgspec.json.decode(claims), dict)
    except (binascii.Error, UnicodeDecodeError, msgspec.MsgspecError, RecursionError):
        return None
    return claims if usable else None
