"""Microsoft's identity platform through MSAL: sign-in, code for tokens, refresh. Every foreign error is translated here.

MSAL is synchronous: each call runs in a thread. Its HTTP is ours (an httpx2 client), so that the certificate authority is
the one that we were told. Tokens live in MSAL's cache, which is handed in and out as text.
"""

import hashlib
import json
import logging
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
import msal
import msgspec
import structlog
from msal.authority import WELL_KNOWN_AUTHORITY_HOSTS
from msal.exceptions import MsalError

from auth.consent import admin_consent_url
from auth.credentials import Credential, Credentials
from auth.id_token import Identity, Published, UnknownKey, Untrusted, check_id_token
from auth.refusals import AppMisconfigured, Declined, SignInNeeded, failure_of
from auth.settings import Settings
from auth.threads import Threads
from common.errors import Transient

log = structlog.get_logger()

T = TypeVar("T")

CALENDARS = "Calendars.ReadWrite"
CATEGORIES = "MailboxSettings.ReadWrite"
PROFILE = "User.Read"
"""MSAL adds `openid profile offline_access`."""
CAPABILITIES = ["CP1"]
"""We handle claims challenges: Graph revokes our tokens at once, and lets them live for a day instead of an hour."""

METADATA_KEPT_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class AccessToken:
    value: str = field(repr=False)
    expires_at: datetime

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.value.encode()).hexdigest()


@dataclass(frozen=True)
class Refreshed:
    """A new access token, what it may do, and the cache that must be stored before it is handed out."""

    token: AccessToken
    cache: str = field(repr=False)
    scopes: list[str]


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

    def __init__(self, settings: Settings, http: httpx2.Client, credentials: Credentials) -> None:
        self._settings = settings
        self._http = _MsalHttp(http)
        self.credentials = credentials
        self._proved = False
        self._wrong_authority: str | None = None
        self._sign_ins = Threads("sign-ins", settings.microsoft_sign_ins_at_once)
        self._refreshes = Threads("refreshes", settings.microsoft_refreshes_at_once)
        self._warning = threading.Lock()  # filters of warnings belong to the whole process
        logging.getLogger("msal").setLevel(logging.CRITICAL)  # it logs codes, verifiers, and answers that aren't JSON

    async def begin(self, *, login_hint: str | None, claims: str | None = None) -> dict[str, Any]:
        """A sign-in as MSAL's flow: `state`, `auth_uri`, and what redeeming needs. With a hint for a known account."""
        return await self._sign_ins.run(self._begin, login_hint, claims)

    async def redeem(self, flow: Mapping[str, Any], query: Mapping[str, str]) -> SignedIn:
        """Raises Declined, AdminConsentNeeded, AppMisconfigured, SignInNeeded (the code is no good), Untrusted, Transient."""
        return await self._sign_ins.run(self._redeem, dict(flow), dict(query))

    async def refresh(self, cache: str, *, claims: str | None = None) -> Refreshed:
        """Always asks on the wire. Raises SignInNeeded, AdminConsentNeeded, AppMisconfigured, Transient."""
        return await self._refreshes.run(self._refresh, cache, claims)

    async def check(self) -> None:
        """That the authority is one; once it has proved so, it stays one.

        Raises AppMisconfigured when it isn't, Transient when nobody answers.
        """
        if self._proved:
            return
        try:
            await self._sign_ins.run(self._check)
            self._proved, self._wrong_authority = True, None
        except AppMisconfigured as error:
            self._wrong_authority = str(error)
            raise

    async def readiness(self) -> str | None:
        """Only an authority that isn't one keeps us from work: with tokens that are kept we can do without Microsoft."""
        return self._wrong_authority

    def admin_consent_url(self, flow: Mapping[str, Any], tenant: str | None) -> str:
        """Where an administrator approves what a sign-in asked for; `tenant`: of the account, if it is known."""
        return admin_consent_url(str(flow["auth_uri"]), tenant, self._settings.admin_return)

    @property
    def _scopes(self) -> list[str]:
        return [CALENDARS, *([CATEGORIES] if self._settings.microsoft_category_scope else []), PROFILE]

    def _begin(self, login_hint: str | None, claims: str | None) -> dict[str, Any]:
        chosen = {"login_hint": login_hint} if login_hint else {"prompt": "select_account"}
        if claims:
            chosen["claims_challenge"] = claims
        redirect_uri = self._settings.microsoft_redirect_uri
        with _translated():
            app = self._app(msal.SerializableTokenCache(), self.credentials.in_order()[0])
        # RFC 9700 prefers form_post; then SameSite=Lax cookies are missing and the flow can't be bound to the browser.
        with self._warning, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*response_mode.*", category=UserWarning)
            flow: dict[str, Any] = app.initiate_auth_code_flow(self._scopes, redirect_uri, response_mode="query", **chosen)
        return flow

    def _redeem(self, flow: dict[str, Any], query: dict[str, str]) -> SignedIn:
        def ask(app: Any) -> Any:
            try:
                return app.acquire_token_by_auth_code_flow(dict(flow), query)
            except json.JSONDecodeError:
                raise
            except (ValueError, RuntimeError):  # state or nonce don't fit; their texts quote both
                raise Untrusted("the answer does not fit the sign-in that was begun") from None

        with _translated():
            answer, cache = self._ask(ask, "")
            token = _token_of(answer)
            identity = self._identity(str(answer.get("id_token", "")), flow)
        scopes = _granted(answer, self._scopes)
        _check_granted(scopes, cache)
        return SignedIn(token, cache.serialize(), scopes, identity)

    def _refresh(self, text: str, claims: str | None) -> Refreshed:
        wanted = _given(_read_cache(text)) or self._scopes  # whoever asks for more than was given is refused

        def ask(app: Any) -> Any:
            account = next(iter(app.get_accounts()), None)
            return account and app.acquire_token_silent_with_error(wanted, account, force_refresh=True, claims_challenge=claims)

        with _translated():
            answer, cache = self._ask(ask, text)
        if not answer:
            raise SignInNeeded("no refresh token is left", reason="grant-missing")
        token = _token_of(answer)
        _drop_replaced(cache, text)
        return Refreshed(token, cache.serialize(), _granted(answer, wanted))

    def _ask(self, ask: Callable[[Any], Any], text: str) -> tuple[Any, msal.SerializableTokenCache]:
        """As the app: with the first of its credentials that Microsoft takes."""
        for credential in self.credentials.in_order():
            cache = _read_cache(text)
            answer = ask(self._app(cache, credential))
            if not answer or answer.get("error") != "invalid_client":
                break
            self.credentials.refused(credential)
        if answer and "access_token" in answer:
            self.credentials.accepted(credential)
        return answer, cache

    def _app(self, cache: msal.SerializableTokenCache, credential: Credential) -> Any:
        """One per call, with a memory of its own: a shared one would repeat Microsoft's refusals for a minute.

        Without instance discovery: that guards against an authority that a stranger named, and ours is an operator's word.
        """
        try:
            return msal.ConfidentialClientApplication(
                self._settings.microsoft_client_id,
                client_credential=credential.msal,
                authority=self._settings.microsoft_authority,
                instance_discovery=False,
                client_capabilities=CAPABILITIES,
                token_cache=cache,
                http_client=self._http,
            )
        except (ValueError, RuntimeError):
            raise AppMisconfigured(f"no metadata can be had from {self._settings.microsoft_authority}") from None

    def _check(self) -> None:
        authority = self._settings.microsoft_authority
        if urlsplit(authority).hostname not in WELL_KNOWN_AUTHORITY_HOSTS and not self._settings.microsoft_ca_file:
            log.warning("MICROSOFT_AUTHORITY is none of Microsoft's own", authority=authority)
        with _translated():
            self._app(msal.SerializableTokenCache(), self.credentials.in_order()[0])

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


def kept_token(cache: str) -> AccessToken | None:
    """The access token that a cache still holds."""
    held = _read_cache(cache).search(msal.TokenCache.CredentialType.ACCESS_TOKEN)
    newest = max(held, key=lambda entry: int(entry["cached_at"]), default=None)
    return AccessToken(newest["secret"], datetime.fromtimestamp(int(newest["expires_on"]), UTC)) if newest else None


def make_microsoft_http(settings: Settings) -> httpx2.Client:
    """Trusts what the platform does, or what MICROSOFT_CA_FILE says; variables like REQUESTS_CA_BUNDLE don't matter."""
    trust: ssl.SSLContext | bool = True
    if settings.microsoft_ca_file:
        trust = ssl.create_default_context(cafile=str(settings.microsoft_ca_file))
    places = settings.microsoft_sign_ins_at_once + settings.microsoft_refreshes_at_once
    limits = httpx2.Limits(max_connections=places, max_keepalive_connections=places, keepalive_expiry=30)
    return httpx2.Client(verify=trust, timeout=httpx2.Timeout(8, connect=3), limits=limits)


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
        form = {name: value.decode() if isinstance(value, bytes) else value for name, value in (data or {}).items()}
        return self._client.post(url, params=params, data=form, headers=headers)

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


def _granted(answer: Mapping[str, Any], asked: list[str]) -> list[str]:
    """What we may do: what we asked for, unless Microsoft says something else."""
    return _plain(str(answer["scope"])) if "scope" in answer else asked


def _given(cache: msal.SerializableTokenCache) -> list[str]:
    """What the refresh token was given for."""
    held = cache.search(msal.TokenCache.CredentialType.REFRESH_TOKEN)
    return _plain(next((str(entry.get("target", "")) for entry in held), ""))


def _plain(scope: str) -> list[str]:
    """Those of our scopes that are named, also with the resource's address in front."""
    named = {name.rpartition("/")[2].casefold() for name in scope.split()}
    return [name for name in (CALENDARS, CATEGORIES, PROFILE) if name.casefold() in named]


def _check_granted(scopes: list[str], cache: msal.SerializableTokenCache) -> None:
    """Without the calendars, or without a refresh token, there is nothing that we could do with a connection."""
    if CALENDARS not in scopes:
        raise Declined("access to the calendars was not given")
    if not list(cache.search(msal.TokenCache.CredentialType.REFRESH_TOKEN)):
        raise AppMisconfigured("Microsoft gave no refresh token")


def _drop_replaced(cache: msal.SerializableTokenCache, before: str) -> None:
    """Microsoft may name other scopes than last time, and MSAL then keeps the old tokens beside the new ones."""
    kinds, old = msal.TokenCache.CredentialType, _read_cache(before)
    for kind, remove in ((kinds.ACCESS_TOKEN, cache.remove_at), (kinds.REFRESH_TOKEN, cache.remove_rt)):
        known = {entry["secret"] for entry in old.search(kind)}
        replaced = [entry for entry in cache.search(kind) if entry["secret"] in known]
        if len(list(cache.search(kind))) > len(replaced):
            for entry in replaced:
                remove(entry)


def _read_cache(text: str) -> msal.SerializableTokenCache:
    cache = msal.SerializableTokenCache()
    cache.deserialize(text)
    return cache
