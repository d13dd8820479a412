"""App registrations: the one app that others registered, and how an app proves who it is."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus

from outlook_sandbox.identity.errors import Refused, missing
from outlook_sandbox.settings import Settings

OUTLOOK_APP = "00000002-0000-0ff1-ce00-000000000000"
"""The sandbox's own Outlook page, first-party: it is handed its tokens and never comes through these doors."""


@dataclass(frozen=True)
class App:
    id: str
    secret: str
    redirect_uris: frozenset[str]
    name: str = "Attendara"
    publisher: str = "attendara.example"


def registered_app(settings: Settings, client_id: str | None) -> App:
    """Raises Refused (AADSTS700016) for a client id that nobody registered."""
    if not client_id:
        raise missing("client_id")
    if client_id != settings.client_id:
        raise Refused(700016, f"Application with identifier '{client_id}' was not found in the directory.")
    return App(client_id, settings.client_secret.get_secret_value(), settings.microsoft_redirects)


def authenticated_app(settings: Settings, form: Mapping[str, str], authorization: str | None) -> App:
    """The app of a token request, by its secret in the body or in a Basic header."""
    client_id, secret = _basic(authorization) or (form.get("client_id"), form.get("client_secret"))
    app = registered_app(settings, client_id)
    if not secret:
        raise Refused(7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")
    if not hmac.compare_digest(secret.encode(), app.secret.encode()):
        raise Refused(
            7000215,
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "
            f"not the client secret ID, for a secret added to app '{app.id}'.",
        )
    return app


def _basic(authorization: str | None) -> tuple[str, str] | None:
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Refused(90023, "The Authorization header is not valid.") from None
    return unquote_plus(name), unquote_plus(secret)
