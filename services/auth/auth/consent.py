"""The link with which an administrator approves this app for a whole tenant, to be handed to that colleague.

Whoever opens it comes back to a page that says so and changes nothing: the account is then connected again.
Source: learn.microsoft.com/entra/identity-platform/v2-admin-consent.
"""

import secrets
from urllib.parse import parse_qs, quote, urlencode, urlsplit

PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
ANY_TENANT = {"common", "organizations", "consumers", PERSONAL_TENANT}


def admin_consent_url(authorize_url: str, tenant: str | None, return_uri: str) -> str:
    """For what was asked for at `authorize_url`.

    `tenant`: the account's, if it is known; else the authority's own, or that of the administrator who signs in there.
    """
    asked = urlsplit(authorize_url)
    query = parse_qs(asked.query)
    named = asked.path.strip("/").partition("/")[0]
    whose = next((one for one in (tenant, named) if one and one.casefold() not in ANY_TENANT), "organizations")
    wanted = {
        "client_id": query["client_id"][0],
        "scope": query["scope"][0],
        "redirect_uri": return_uri,
        "state": secrets.token_urlsafe(16),
    }
    return f"{asked.scheme}://{asked.netloc}/{quote(whose, safe='')}/v2.0/adminconsent?{urlencode(wanted)}"
