"""The link for an administrator: to the tenant that is known, never to an address that Microsoft refuses."""

from urllib.parse import parse_qs, urlsplit

import pytest

from auth.consent import PERSONAL_TENANT, admin_consent_url

TENANT = "6e0b2c1e-94a7-4f53-8a25-60f9d2ac4b11"
BACK = "https://settings.example/connect/microsoft/admin-return"


def asked(tenant: str, host: str = "login.microsoftonline.com") -> str:
    return f"https://{host}/{tenant}/oauth2/v2.0/authorize?client_id=an-app&scope=Calendars.ReadWrite+openid&state=s&nonce=n"


@pytest.mark.parametrize(
    ("authority", "tenant", "path"),
    [
        ("common", None, "/organizations/v2.0/adminconsent"),
        ("common", TENANT, f"/{TENANT}/v2.0/adminconsent"),
        ("organizations", None, "/organizations/v2.0/adminconsent"),
        ("consumers", None, "/organizations/v2.0/adminconsent"),
        ("common", PERSONAL_TENANT, "/organizations/v2.0/adminconsent"),
        (TENANT, None, f"/{TENANT}/v2.0/adminconsent"),
        ("praxis.example", None, "/praxis.example/v2.0/adminconsent"),
        ("common", "../evil?x", "/..%2Fevil%3Fx/v2.0/adminconsent"),
    ],
)
def test_it_leads_to_the_tenant_that_is_known(authority: str, tenant: str | None, path: str) -> None:
    assert urlsplit(admin_consent_url(asked(authority), tenant, BACK)).path == path


def test_it_asks_for_the_same_and_comes_back_to_a_page_of_ours() -> None:
    link = urlsplit(admin_consent_url(asked("common", "login.microsoftonline.us"), None, BACK))

    query = parse_qs(link.query)
    state = query.pop("state")
    assert (link.scheme, link.netloc) == ("https", "login.microsoftonline.us")
    assert query == {"client_id": ["an-app"], "scope": ["Calendars.ReadWrite openid"], "redirect_uri": [BACK]}
    assert state != ["s"]
