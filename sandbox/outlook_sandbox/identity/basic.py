"""A client's id and secret in the Authorization header, as OAuth 2.0 has them there (RFC 6749, 2.3.1)."""

import base64
from urllib.parse import unquote_plus


def basic_credentials(authorization: str | None) -> tuple[str, str] | None:
    """None without a header or with one of another scheme. Raises ValueError for one that can't be read."""
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    name, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
    return unquote_plus(name), unquote_plus(secret)
