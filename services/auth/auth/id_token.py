"""The checks of an id_token, which MSAL no longer makes: signature, audience, issuer, time, nonce."""

from dataclasses import dataclass
from typing import Any

import jwt

from common.errors import Permanent

LEEWAY_SECONDS = 120
TENANT = "{tenantid}"


class Untrusted(Permanent):
    """An id_token that isn't the answer to what we asked. The message says which check failed, never a claim."""

    default_reason = "untrusted-id-token"


class UnknownKey(Untrusted):
    """Signed with a key that isn't among those that we know: it may have been published since."""


@dataclass(frozen=True)
class Published:
    """What the authority publishes: its issuer, a template where several tenants sign in, and its signing keys by id."""

    issuer: str
    keys: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Identity:
    """Who signed in: a user is `oid` within `tid`; `username` is for people and may change."""

    tid: str
    oid: str
    username: str | None


def check_id_token(token: str, published: Published, *, client_id: str, nonce: str) -> Identity:
    """Raises Untrusted. Source: learn.microsoft.com/entra/identity-platform/access-tokens#validate-the-issuer."""
    key = _key_of(token, published)
    try:
        claims = jwt.decode(
            token,
            jwt.PyJWK(key, algorithm="RS256").key,
            algorithms=["RS256"],
            audience=client_id,
            leeway=LEEWAY_SECONDS,
            options={"require": ["aud", "exp", "iss", "nonce", "oid", "tid"]},
        )
    except jwt.PyJWTError as error:
        raise Untrusted(f"the id_token failed its check: {type(error).__name__}") from None
    issuers = {template.replace(TENANT, str(claims["tid"])) for template in (published.issuer, key.get("issuer", published.issuer))}
    if issuers != {claims["iss"]}:
        raise Untrusted("the id_token is from another issuer")
    if claims["nonce"] != nonce:
        raise Untrusted("the id_token answers another sign-in")
    return Identity(str(claims["tid"]), str(claims["oid"]), claims.get("preferred_username"))


def _key_of(token: str, published: Published) -> dict[str, Any]:
    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError:
        raise Untrusted("the id_token is not a token") from None
    if kid not in published.keys:
        raise UnknownKey("the id_token is signed with a key that is not published")
    return published.keys[kid]
