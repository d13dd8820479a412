"""Sign-in of Attendara's own users by OpenID Connect, with any provider that publishes its discovery document.

Authlib does the protocol (code, PKCE, state, nonce, the id_token's signature); what belongs to one sign-in is kept in
Redis under the hash of a short-lived cookie, and is used once.
"""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import msgspec
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import StarletteIntegration, StarletteOAuth2App
from fastapi import Request
from joserfc.errors import JoseError
from redis.asyncio import Redis

from common.errors import Rejected, Transient
from settings_web.sessions import Who, hashed, redis_translated
from settings_web.settings import Settings

LIFETIME = timedelta(minutes=10)


class _Kept(msgspec.Struct, frozen=True):
    """What must be known when the browser comes back: Authlib's own memory, and where the person wanted to go."""

    flow: dict[str, Any]
    next_page: str


@dataclass(frozen=True)
class Begun:
    """`cookie` belongs into the browser, which then goes to `url`."""

    cookie: str
    url: str


class SignIn:
    """`transport` is the seam for tests; by default the network."""

    def __init__(self, settings: Settings, redis: Redis, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._redis = redis
        issuer = settings.oidc_issuer.rstrip("/")
        client_kwargs: dict[str, Any] = {"scope": settings.oidc_scope, "code_challenge_method": "S256", "timeout": 10}
        self._provider = StarletteOAuth2App(
            StarletteIntegration("attendara"),
            name="attendara",
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret.get_secret_value(),
            server_metadata_url=f"{issuer}/.well-known/openid-configuration",
            client_kwargs=client_kwargs | ({"transport": transport} if transport else {}),
        )

    async def begin(self, request: Request, next_page: str) -> Begun:
        """Raises Transient when the provider is away."""
        flow: dict[str, Any] = {}
        request.scope["session"] = flow
        with _translated():
            redirect = await self._provider.authorize_redirect(request, self._settings.own("/signin/return"))
        cookie = secrets.token_urlsafe(32)
        with redis_translated():
            await self._redis.set(_key(cookie), msgspec.json.encode(_Kept(flow, next_page)), ex=LIFETIME)
        return Begun(cookie, redirect.headers["location"])

    async def finish(self, request: Request, cookie: str | None) -> tuple[Who, str]:
        """Who came back, and the page they wanted. Raises Rejected when the answer is not right or not this browser's."""
        with redis_translated():
            raw = await self._redis.getdel(_key(cookie)) if cookie else None
        if raw is None:
            raise Rejected("This sign-in has expired or was begun in another browser.", reason="signin-expired")
        kept = msgspec.json.decode(raw, type=_Kept)
        request.scope["session"] = kept.flow
        with _translated():
            token = await self._provider.authorize_access_token(request, claims_options=await self._wanted_claims())
        if not token.get("userinfo"):
            raise Rejected("The sign-in service sent no identity.", reason="signin-failed")
        return who_is(token["userinfo"], self._settings), kept.next_page

    async def _wanted_claims(self) -> dict[str, Any]:
        """The issuer that we were told to trust, not the one that a discovery document names; and ourselves as audience."""
        metadata = await self._provider.load_server_metadata()
        if metadata["issuer"].rstrip("/") != self._settings.oidc_issuer.rstrip("/"):
            raise Rejected("The sign-in service is not the one that we trust.", status=502, reason="issuer-mismatch")
        return {
            "iss": {"essential": True, "value": metadata["issuer"]},
            "aud": {"essential": True, "value": self._settings.oidc_client_id},
        }


def who_is(claims: Mapping[str, Any], settings: Settings) -> Who:
    """Raises Rejected (403) for somebody without an organization or without a role here."""
    organization = claims.get(settings.oidc_claim_organization)
    if not isinstance(organization, str) or not organization:
        raise Rejected("Your account belongs to no organization.", status=403, reason="no-organization")
    given = claims.get(settings.oidc_claim_roles) or []
    roles = [given] if isinstance(given, str) else given
    if settings.oidc_role_admin not in roles and settings.oidc_role_member not in roles:
        raise Rejected("Your account has no role in Attendara's settings.", status=403, reason="no-role")
    return Who(
        user=claims["sub"],
        name=claims.get("name") or claims.get("email") or claims["sub"],
        email=claims.get("email"),
        organization=organization,
        organization_name=claims.get(settings.oidc_claim_organization_name) or organization,
        may_change=settings.oidc_role_admin in roles,
    )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (httpx2.HTTPError, RuntimeError, ValueError) as error:
        raise Transient(f"OpenID provider: {type(error).__name__}", reason="signin-away") from error
    except (AuthlibBaseError, JoseError) as error:
        cancelled = getattr(error, "error", "") == "access_denied"
        sentence = "The sign-in was cancelled." if cancelled else "The sign-in service's answer could not be accepted."
        raise Rejected(sentence, status=403, reason="signin-cancelled" if cancelled else "signin-failed") from error


def _key(cookie: str) -> str:
    return f"signin:{hashed(cookie)}"
