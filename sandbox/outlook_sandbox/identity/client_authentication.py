"""How an app proves who it is at the token endpoint: a secret, or an assertion signed with its certificate (RFC 7523)."""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from outlook_sandbox.identity.apps import App, Apps
from outlook_sandbox.identity.basic import basic_credentials
from outlook_sandbox.identity.errors import Refused, missing

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ["PS256", "RS256"]
LEEWAY = 300
"""Seconds by which the app's clock may differ."""


@dataclass(frozen=True)
class ClientRequest:
    """A token request as far as it says who sends it; `audiences` are the names that the endpoint has in an assertion."""

    tenant: str
    form: Mapping[str, str]
    authorization: str | None
    audiences: tuple[str, ...]


def authenticated_app(apps: Apps, request: ClientRequest, now: datetime) -> App:
    """Raises Refused if the app is unknown or doesn't prove who it is."""
    client_id, secret = _basic(request.authorization) or (request.form.get("client_id"), request.form.get("client_secret"))
    assertion = request.form.get("client_assertion")
    if not client_id and assertion:
        client_id = str(_unverified(assertion)[1].get("sub", ""))
    app = apps.need(client_id, request.tenant)
    if app.public and (secret or assertion):
        raise Refused(700025)
    if app.public:
        return app
    if assertion:
        if request.form.get("client_assertion_type") != ASSERTION_TYPE:
            raise missing("client_assertion_type")
        _check_assertion(app, assertion, request.audiences, now)
    elif secret:
        _check_secret(app, secret, now)
    else:
        raise Refused(7000218)
    return app


def _check_secret(app: App, secret: str, now: datetime) -> None:
    known = [one for one in app.secrets if hmac.compare_digest(one.value.encode(), secret.encode())]
    if not known:
        raise Refused(7000215, app=app.id)
    if all(one.expires_at and one.expires_at <= now for one in known):
        raise Refused(7000222, app=app.id)


def _check_assertion(app: App, assertion: str, audiences: tuple[str, ...], now: datetime) -> None:
    """An assertion's times are the app's, which knows nothing of the sandbox's clock: they are held against the real one.

    One and the same assertion may come again: MSAL uses each for nine minutes.
    """
    header, claims = _unverified(assertion)
    thumbprint = header.get("x5t#S256") or header.get("x5t")
    if not isinstance(thumbprint, str):
        raise Refused(50027, why="No certificate thumbprint specified in token header.")
    certificate = _certificate(app, thumbprint.rstrip("="))
    if certificate is None:
        raise Refused(700027, why="The key was not found.", key=thumbprint)
    if certificate.not_valid_after_utc <= now:
        raise Refused(700027, why="The key used is expired.", key=thumbprint)
    if claims.get("iss") != app.id or claims.get("sub") != app.id:
        raise Refused(700021)
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey):
        raise Refused(700027, why="The key is not an RSA key.", key=thumbprint)
    try:
        jwt.decode(assertion, key, ALGORITHMS, {"require": ["aud", "exp"]}, audience=audiences, leeway=LEEWAY)
    except jwt.InvalidAudienceError:
        raise Refused(700023, expected=audiences[0]) from None
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
        raise Refused(700024) from None
    except jwt.InvalidTokenError as reason:
        raise Refused(700027, why=str(reason), key=thumbprint) from None


def _certificate(app: App, thumbprint: str) -> x509.Certificate | None:
    """The app's certificate with this SHA-256 or SHA-1 thumbprint, in base64url."""
    for pem in app.certificates:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        prints = [certificate.fingerprint(method) for method in (hashes.SHA256(), hashes.SHA1())]  # noqa: S303 - as x5t is
        if thumbprint in [base64.urlsafe_b64encode(one).rstrip(b"=").decode() for one in prints]:
            return certificate
    return None


def _unverified(assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Its header and its claims as they stand there."""
    try:
        complete = jwt.decode_complete(assertion, options={"verify_signature": False})
    except jwt.InvalidTokenError as reason:
        raise Refused(50027, why=str(reason)) from None
    return complete["header"], complete["payload"]


def _basic(authorization: str | None) -> tuple[str, str] | None:
    try:
        return basic_credentials(authorization)
    except ValueError:
        raise Refused(90023, why="The Authorization header is not valid.") from None
