"""Microsoft's identity platform through MSAL: sign-in, code for tokens, refresh. Every foreign error is translated here.

MSAL is synchronous: each call runs in a thread. Its HTTP is ours (an httpx2 client), so that the certificate authority is
the one that we were told. Tokens live in MSAL's cache, which is handed in and out as text.
"""

import asyncio
import hashlib
import json
import logging
import ssl
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
import msal
import msgspec
from msal.authority import WELL_KNOWN_AUTHORITY_HOSTS
from msal.exceptions import MsalError

from auth.id_token import Identity, Published, UnknownKey, Untrusted, check_id_token
from auth.refusals import AppMisconfigured, Declined, failure_of
from auth.settings import Settings
from common.errors import ReconnectNeeded, Transient

T = TypeVar("T")

CALENDARS = "Calendars.ReadWrite"
SCOPES = [CALENDARS, "MailboxSettings.ReadWrite", "User.Read"]
"""MSAL adds `openid profile offline_access`."""

METADATA_KEPT_SECONDS = 24 * 3600.0
MARGIN = timedelta(minutes=5)
"""A token is handed out only if it lives at least this long: callers keep it as long."""


@dataclass(frozen=True)
class AccessToken:
    value: str = field(repr=False)
    expires_at: datetime

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.value.encode()).hexdigest()


@dataclass(frozen=True)
class Refreshed:
    """A new access token, and the cache that must be stored before it is handed out."""

    token: AccessToken
    cache: str = field(repr=False)


@dataclass(frozen=True)
class SignedIn(Refreshed):
    identity: Identity


class _Metadata(msgspec.Struct, frozen=True):
    issuer: str
    jwks_uri: str


class _Keys(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class Microsoft:
    """One app registration at one authority."""

    def __init__(self, settings: Settings, http: httpx2.Client) -> None:
        self._settings = settings
        self._http = _MsalHttp(http)
        self._warning = threading.Lock()  # filters of warnings belong to the whole process
        logging.getLogger("msal").setLevel(logging.CRITICAL)  # it logs codes, verifiers, and answers that aren't JSON

    async def begin(self, *, login_hint: str | None) -> dict[str, Any]:
        """A sign-in as MSAL's flow: `state`, `auth_uri`, and what redeeming needs. With a hint for a known account."""
        return await asyncio.to_thread(self._begin, login_hint)

    async def redeem(self, flow: Mapping[str, Any], query: Mapping[str, str]) -> SignedIn:
        """Raises Declined, AdminConsentNeeded, AppMisconfigured, ReconnectNeeded (the code is no good), Untrusted, Transient."""
        return await asyncio.to_thread(self._redeem, dict(flow), dict(query))

    async def refresh(self, cache: str, *, claims: str | None = None) -> Refreshed:
        """Always asks on the wire. Raises ReconnectNeeded, AdminConsentNeeded, AppMisconfigured, Transient."""
        return await asyncio.to_thread(self._refresh, cache, claims)

    def _begin(self, login_hint: str | None) -> dict[str, Any]:
        chosen = {"login_hint": login_hint} if login_hint else {"prompt": "select_account"}
        redirect_uri = self._settings.microsoft_redirect_uri
        with _translated():
            app = self._app(msal.SerializableTokenCache())
        # RFC 9700 prefers form_post; then SameSite=Lax cookies are missing and the flow can't be bound to the browser.
        with self._warning, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*response_mode.*", category=UserWarning)
            flow: dict[str, Any] = app.initiate_auth_code_flow(SCOPES, redirect_uri, response_mode="query", **chosen)
        return flow

    def _redeem(self, flow: dict[str, Any], query: dict[str, str]) -> SignedIn:
        cache = msal.SerializableTokenCache()
        with _translated():
            app = self._app(cache)
            try:
                answer = app.acquire_token_by_auth_code_flow(flow, query)
            except json.JSONDecodeError:
                raise
            except (ValueError, RuntimeError):  # state or nonce don't fit; their texts quote both
                raise Untrusted("the answer does not fit the sign-in that was begun") from None
            token = _token_of(answer)
            identity = self._identity(str(answer.get("id_token", "")), flow)
        _check_granted(str(answer.get("scope", "")), cache)
        return SignedIn(token, cache.serialize(), identity)

    def _refresh(self, text: str, claims: str | None) -> Refreshed:
        cache = _read_cache(text)
        with _translated():
            app = self._app(cache)
            account = next(iter(app.get_accounts()), None)
            answer = account and app.acquire_token_silent_with_error(SCOPES, account, force_refresh=True, claims_challenge=claims)
        if not answer:
            raise ReconnectNeeded("no refresh token is left", reason="grant-missing")
        return Refreshed(_token_of(answer), cache.serialize())

    def _app(self, cache: msal.SerializableTokenCache) -> Any:
        """One per call, with a memory of its own: a shared one would repeat Microsoft's refusals for a minute."""
        known = urlsplit(self._settings.microsoft_authority).hostname in WELL_KNOWN_AUTHORITY_HOSTS
        try:
            return msal.ConfidentialClientApplication(
                self._settings.microsoft_client_id,
                client_credential=self._settings.microsoft_client_secret.get_secret_value(),
                authority=self._settings.microsoft_authority,
                instance_discovery=None if known else False,
                token_cache=cache,
                http_client=self._http,
            )
        except (ValueError, RuntimeError):
            raise AppMisconfigured(f"no metadata can be had from {self._settings.microsoft_authority}") from None

    def _identity(self, id_token: str, flow: Mapping[str, Any]) -> Identity:
        nonce = hashlib.sha256(str(flow["nonce"]).encode()).hexdigest()  # MSAL sends it hashed
        client_id = self._settings.microsoft_client_id
        try:
            return check_id_token(id_token, self._published(), client_id=client_id, nonce=nonce)
        except UnknownKey:
            self._http.forget()
            return check_id_token(id_token, self._published(), client_id=client_id, nonce=nonce)

    def _published(self) -> Published:
        authority = self._settings.microsoft_authority.rstrip("/")
        metadata = self._read(f"{authority}/v2.0/.well-known/openid-configuration", _Metadata)
        keys = self._read(metadata.jwks_uri, _Keys).keys
        return Published(metadata.issuer, {key["kid"]: key for key in keys if "kid" in key})

    def _read(self, url: str, kind: type[T]) -> T:
        return msgspec.json.decode(self._http.get(url).raise_for_status().content, type=kind)


def kept_token(cache: str, now: datetime) -> AccessToken | None:
    """The access token that a cache still holds, unless it ends within the margin."""
    held = _read_cache(cache).search(msal.TokenCache.CredentialType.ACCESS_TOKEN)
    tokens = [AccessToken(entry["secret"], datetime.fromtimestamp(int(entry["expires_on"]), UTC)) for entry in held]
    newest = max(tokens, key=lambda token: token.expires_at, default=None)
    return newest if newest and newest.expires_at > now + MARGIN else None


def make_microsoft_http(settings: Settings) -> httpx2.Client:
    """Trusts what the platform does, or what MICROSOFT_CA_FILE says; variables like REQUESTS_CA_BUNDLE don't matter."""
    trust: ssl.SSLContext | bool = True
    if settings.microsoft_ca_file:
        trust = ssl.create_default_context(cafile=str(settings.microsoft_ca_file))
    return httpx2.Client(verify=trust, timeout=httpx2.Timeout(8, connect=3))


class _MsalHttp:
    """What MSAL wants of an HTTP client. Metadata is read once a day; the client is closed by whoever made it."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client
        self._metadata: dict[str, tuple[httpx2.Response, float]] = {}

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> httpx2.Response:
        if params:
            return self._client.get(url, params=params, headers=headers)
        answer, until = self._metadata.get(url, (None, 0.0))
        if answer is None or time.monotonic() > until:
            answer = self._client.get(url, headers=headers)
            if answer.is_success:
                self._metadata[url] = answer, time.monotonic() + METADATA_KEPT_SECONDS
        return answer

    def forget(self) -> None:
        self._metadata.clear()

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> httpx2.Response:
        return self._client.post(url, params=params, data=data, headers=headers)

    def close(self) -> None:
        pass


@contextmanager
def _translated() -> Iterator[None]:
    """Network trouble, 5xx and answers that aren't JSON: Microsoft is away, whatever it was."""
    try:
        yield
    except (httpx2.HTTPError, MsalError, json.JSONDecodeError, msgspec.MsgspecError) as error:
        raise Transient(f"Microsoft's identity platform: {type(error).__name__}", reason="microsoft-away") from None


def _token_of(answer: Mapping[str, Any]) -> AccessToken:
    if "access_token" not in answer:
        raise failure_of(answer)
    return AccessToken(answer["access_token"], datetime.now(UTC) + timedelta(seconds=int(answer.get("expires_in", 3600))))


def _check_granted(scope: str, cache: msal.SerializableTokenCache) -> None:
    """Without the calendars, or without a refresh token, there is nothing that we could do with a connection."""
    if CALENDARS.casefold() not in {name.rpartition("/")[2].casefold() for name in scope.split()}:
        raise Declined("access to the calendars was not given")
    if not list(cache.search(msal.TokenCache.CredentialType.REFRESH_TOKEN)):
        raise AppMisconfigured("Microsoft gave no refresh token")


def _read_cache(text: str) -> msal.SerializableTokenCache:
    cache = msal.SerializableTokenCache()
    cache.deserialize(text)
    return cache
