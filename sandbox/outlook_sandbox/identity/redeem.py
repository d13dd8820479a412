"""The token request: a code or a refresh token in, tokens out."""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from outlook_sandbox.accounts import Account, Accounts
from outlook_sandbox.identity.apps import App
from outlook_sandbox.identity.claims import read_claims
from outlook_sandbox.identity.errors import Refused, missing
from outlook_sandbox.identity.pkce import verifier_matches
from outlook_sandbox.identity.scopes import read_scopes
from outlook_sandbox.identity.tenants import belongs, check_account
from outlook_sandbox.identity.tokens import Issued, Tokens


@dataclass(frozen=True)
class TokenRequest:
    """A token request of an app that has proved who it is; `issuer_base` is the https address of the sandbox."""

    tenant: str
    app: App
    form: Mapping[str, str]
    issuer_base: str

    def need(self, field: str) -> str:
        if not self.form.get(field):
            raise missing(field)
        return self.form[field]

    def scopes_within(self, given: frozenset[str]) -> frozenset[str]:
        """The scopes asked for, all those given if none is named. Raises Refused (AADSTS70011) for more."""
        if not self.form.get("scope"):
            return given
        wanted = read_scopes(self.form["scope"])
        if wanted - given:
            more = " ".join(sorted(wanted - given))
            raise Refused(70011, why=f"These were not asked for at the beginning: {more}.", scope=self.form["scope"])
        return wanted


def redeem(request: TokenRequest, tokens: Tokens, accounts: Accounts, now: datetime) -> dict[str, Any]:
    """The 200 body of the token endpoint. Raises Refused for everything else."""
    match request.need("grant_type"):
        case "authorization_code":
            return _redeem_code(request, tokens, accounts, now)
        case "refresh_token":
            return _redeem_refresh_token(request, tokens, accounts, now)
        case other:
            raise Refused(70003, grant=other)


def _redeem_code(request: TokenRequest, tokens: Tokens, accounts: Accounts, now: datetime) -> dict[str, Any]:
    text, redirect_uri = request.need("code"), request.need("redirect_uri")
    claims = read_claims(request.form.get("claims"))
    code = tokens.codes.take(text, now)
    if code.app != request.app.id:
        raise Refused(70000, "The provided value for the 'code' parameter is not valid.")
    if code.redirect_uri != redirect_uri:
        raise Refused(500112, redirect_uri=redirect_uri, expected=code.redirect_uri)
    verifier = request.form.get("code_verifier", "")
    if code.challenge and not verifier_matches(verifier, code.challenge, code.challenge_method):
        raise Refused(501481)
    account = _account(accounts, code.account, request.tenant)
    if not belongs(account, request.tenant):
        raise Refused(700005)
    check_account(account, request.tenant)
    cp1 = claims.cp1 or code.claims.cp1
    issued = tokens.issue(account.id, request.app.id, request.scopes_within(code.scopes), cp1=cp1)
    return _body(request, issued, account, tokens, now, nonce=code.nonce)


def _redeem_refresh_token(request: TokenRequest, tokens: Tokens, accounts: Accounts, now: datetime) -> dict[str, Any]:
    text, claims = request.need("refresh_token"), read_claims(request.form.get("claims"))
    grant = tokens.redeem(text, request.app.id, claims.not_before)
    account = _account(accounts, grant.account, request.tenant)
    check_account(account, request.tenant)
    scopes = request.scopes_within(grant.scopes)
    if scopes - tokens.consents.covering(account, request.app.id):
        raise Refused(65001, app=request.app.id, app_name=request.app.name)
    issued = tokens.issue(account.id, request.app.id, scopes, grant, cp1=claims.cp1)
    return _body(request, issued, account, tokens, now, nonce=None)


def _account(accounts: Accounts, identifier: str, tenant: str) -> Account:
    account = accounts.get(identifier)
    if account is None:
        raise Refused(50034, user=identifier, tenant=tenant)
    return account


def _body(
    request: TokenRequest, issued: Issued, account: Account, tokens: Tokens, now: datetime, *, nonce: str | None
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "token_type": "Bearer",
        "scope": " ".join(sorted(issued.scopes - {"offline_access"})),
        "expires_in": issued.expires_in,
        "ext_expires_in": issued.expires_in,
        "access_token": issued.access_token,
    }
    if issued.refresh_token:
        body["refresh_token"] = issued.refresh_token
    if "openid" in issued.scopes:
        body["id_token"] = tokens.key.sign(_claims(request, account, issued.scopes, now, nonce))
    if request.form.get("client_info") == "1":
        body["client_info"] = _base64url(json.dumps({"uid": account.id, "utid": account.tid}).encode())
    return body


def _claims(request: TokenRequest, account: Account, scopes: frozenset[str], now: datetime, nonce: str | None) -> dict[str, Any]:
    claims = {
        "ver": "2.0",
        "iss": f"{request.issuer_base}/{account.tid}/v2.0",
        "sub": pairwise_subject(account, request.app.id),
        "aud": request.app.id,
        "iat": int(now.timestamp()),
        "nbf": int(now.timestamp()),
        "exp": int(now.timestamp()) + 3600,
        "tid": account.tid,
        "aio": secrets.token_urlsafe(48),
    }
    if "profile" in scopes:
        claims |= {"oid": account.id, "name": account.name, "preferred_username": account.username}
    if "email" in scopes:
        claims["email"] = account.username
    return claims | ({"nonce": nonce} if nonce else {})


def pairwise_subject(account: Account, app: str) -> str:
    """The account's `sub`, which differs for each app."""
    return _base64url(hashlib.sha256(f"{app} {account.id}".encode()).digest())


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
