"""What the provider remembers and decides: codes, access tokens, the signing key, and which requests are right."""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from outlook_sandbox.clock import Clock
from outlook_sandbox.database import Database
from outlook_sandbox.identity.basic import basic_credentials
from outlook_sandbox.identity.keys import SigningKey, signing_key
from outlook_sandbox.identity.pkce import verifier_matches
from outlook_sandbox.issuer.users import User
from outlook_sandbox.settings import Settings

PATH = "/attendara-id"
CODE_LIFETIME = timedelta(minutes=1)
TOKEN_LIFETIME = timedelta(hours=1)
SCOPES = ("openid", "profile", "email")


class Refused(Exception):
    """A request that breaks OAuth's or OpenID Connect's rules; `error` is their word for it."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error

    @property
    def status(self) -> int:
        return 401 if self.error == "invalid_client" else 400

    def body(self) -> dict[str, str]:
        return {"error": self.error, "error_description": str(self)}


@dataclass(frozen=True)
class SignIn:
    """An authorization request that was found right."""

    redirect_uri: str
    state: str | None
    nonce: str | None
    challenge: str


@dataclass(frozen=True)
class _Code:
    user: User
    sign_in: SignIn
    expires_at: datetime


class Provider:
    """Codes and access tokens live in memory; only the signing key survives a restart."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self.issuer = f"http://{settings.name}:{settings.http_port}{PATH}"
        self.sign_in_page = f"http://localhost:{settings.http_port}{PATH}/authorize"
        self._settings = settings
        self._database = database
        self._clock = clock
        self._codes: dict[str, _Code] = {}
        self._bearers: dict[str, tuple[User, datetime]] = {}

    @cached_property
    def key(self) -> SigningKey:
        return signing_key(self._database, "attendara-id")

    def destination(self, params: Mapping[str, str]) -> str:
        """The redirect URI. Raises Refused if nothing may be sent there."""
        if params.get("client_id") != self._settings.oidc_client_id:
            raise Refused("invalid_request", "This client_id is not registered.")
        if params.get("redirect_uri") not in self._settings.oidc_redirects:
            raise Refused("invalid_request", "This redirect_uri is not registered for the client.")
        return params["redirect_uri"]

    def sign_in(self, params: Mapping[str, str]) -> SignIn:
        """The rest of the authorization request. Raises Refused with what the client is to be told."""
        if params.get("response_type") != "code":
            raise Refused("unsupported_response_type", "Only response_type=code is supported.")
        if params.get("response_mode", "query") != "query":
            raise Refused("invalid_request", "Only response_mode=query is supported.")
        if "openid" not in params.get("scope", "").split():
            raise Refused("invalid_scope", "The scope must contain openid.")
        if not params.get("code_challenge") or params.get("code_challenge_method") != "S256":
            raise Refused("invalid_request", "A code_challenge with code_challenge_method=S256 is required.")
        if params.get("prompt") == "none":
            raise Refused("login_required", "Nobody stays signed in here.")
        return SignIn(params["redirect_uri"], params.get("state"), params.get("nonce"), params["code_challenge"])

    def give_code(self, user: User, sign_in: SignIn) -> str:
        now = self._clock.now()
        self._codes = {text: code for text, code in self._codes.items() if code.expires_at > now}
        text = secrets.token_urlsafe(32)
        self._codes[text] = _Code(user, sign_in, now + CODE_LIFETIME)
        return text

    def redeem(self, form: Mapping[str, str], authorization: str | None) -> dict[str, Any]:
        """The token endpoint's 200 body. Raises Refused."""
        self._check_client(form, authorization)
        if form.get("grant_type") != "authorization_code":
            raise Refused("unsupported_grant_type", "Only grant_type=authorization_code is supported.")
        now = self._clock.now()
        code = self._codes.pop(form.get("code", ""), None)
        if code is None or code.expires_at <= now:
            raise Refused("invalid_grant", "The code is unknown, expired or used.")
        if form.get("redirect_uri") != code.sign_in.redirect_uri:
            raise Refused("invalid_grant", "The redirect_uri is not the one of the authorization request.")
        if not verifier_matches(form.get("code_verifier", ""), code.sign_in.challenge, "S256"):
            raise Refused("invalid_grant", "The code_verifier does not belong to the code_challenge.")
        return {
            "access_token": self._bearer(code.user, now),
            "token_type": "Bearer",
            "expires_in": int(TOKEN_LIFETIME.total_seconds()),
            "scope": " ".join(SCOPES),
            "id_token": self.key.sign(self._claims(code, now)),
        }

    def whose(self, authorization: str | None) -> User | None:
        """The user of an access token, or None if it is not valid."""
        scheme, _, bearer = (authorization or "").partition(" ")
        user, expires_at = self._bearers.get(bearer, (None, self._clock.now()))
        return user if scheme.lower() == "bearer" and expires_at > self._clock.now() else None

    def clear(self) -> None:
        """Forget every code and access token; the signing key stays."""
        self._codes.clear()
        self._bearers.clear()

    def _bearer(self, user: User, now: datetime) -> str:
        self._bearers = {text: known for text, known in self._bearers.items() if known[1] > now}
        bearer = secrets.token_urlsafe(32)
        self._bearers[bearer] = (user, now + TOKEN_LIFETIME)
        return bearer

    def _claims(self, code: _Code, now: datetime) -> dict[str, Any]:
        times = {"iat": int(now.timestamp()), "exp": int((now + TOKEN_LIFETIME).timestamp())}
        nonce = {"nonce": code.sign_in.nonce} if code.sign_in.nonce else {}
        return {"iss": self.issuer, "aud": self._settings.oidc_client_id} | times | nonce | code.user.claims()

    def _check_client(self, form: Mapping[str, str], authorization: str | None) -> None:
        client_id, secret = _basic(authorization) or (form.get("client_id", ""), form.get("client_secret", ""))
        expected = self._settings.oidc_client_secret.get_secret_value()
        if client_id != self._settings.oidc_client_id or not hmac.compare_digest(secret.encode(), expected.encode()):
            raise Refused("invalid_client", "The client is unknown or its secret is wrong.")


def answer_address(redirect_uri: str, state: str | None, values: Mapping[str, str]) -> str:
    answer = {**values} | ({"state": state} if state is not None else {})
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(answer)}"


def _basic(authorization: str | None) -> tuple[str, str] | None:
    try:
        return basic_credentials(authorization)
    except ValueError:
        raise Refused("invalid_request", "The Authorization header is not valid.") from None
