"""The rules of the Settings pages that need no server: who may come in, what may be added, what may be saved."""

from datetime import UTC, datetime
from typing import Any

import pytest

from common.errors import AdminConsentNeeded, AttendaraError, Permanent, ReconnectNeeded, Rejected, Throttled, Transient
from common.graph import GraphCalendar
from common.graph.shapes import EmailAddress
from common.store import Connection
from settings_web.connect import ADD_CALENDAR, own_page
from settings_web.connections import valid_label
from settings_web.offered import offered
from settings_web.settings import Settings
from settings_web.signin import who_is
from settings_web.sync_settings import Wanted, validated
from settings_web.view import sentence_of

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def settings(**given: Any) -> Settings:
    return Settings(
        oidc_issuer="https://id.example",
        oidc_client_id="a",
        oidc_client_secret="b",
        service_credential="settings-web:c",
        service_credentials="cli:d",
        **given,
    )


def test_claims_tell_who_somebody_is_and_what_they_may() -> None:
    claims = {"sub": "u1", "name": "Miriam", "email": "m@x.example", "org_id": "org_1", "org_name": "Praxis", "roles": ["admin"]}
    who = who_is(claims, settings())
    assert (who.user, who.organization, who.organization_name, who.may_change) == ("u1", "org_1", "Praxis", True)
    assert who_is(claims | {"roles": "member"}, settings()).may_change is False


def test_claim_and_role_names_are_settings() -> None:
    names = {"oidc_claim_organization": "tenant", "oidc_claim_roles": "groups", "oidc_role_admin": "boss"}
    who = who_is({"sub": "u1", "tenant": "t1", "groups": ["boss"]}, settings(**names))
    assert (who.organization, who.organization_name, who.name, who.may_change) == ("t1", "t1", "u1", True)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"sub": "u1", "roles": ["admin"]}, "no-organization"),
        ({"sub": "u1", "roles": ["admin"], "org_id": 7}, "no-organization"),
        ({"sub": "u1", "org_id": "o"}, "no-role"),
        ({"sub": "u1", "org_id": "o", "roles": ["guest"]}, "no-role"),
    ],
)
def test_nobody_comes_in_without_an_organization_and_a_role(claims: dict[str, Any], reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        who_is(claims, settings())
    assert (refused.value.reason, refused.value.status) == (reason, 403)


@pytest.mark.parametrize(("url", "local"), [("http://localhost:8400", True), ("https://app.example", False), ("http://app", False)])
def test_cookies_are_secure_outside_localhost(url: str, local: bool) -> None:
    assert settings(public_url=url).local is local


def calendar(name: str, owner: str | None, **given: Any) -> GraphCalendar:
    address = EmailAddress(address=owner, name=owner) if owner else None
    return GraphCalendar(id=name, name=name, owner=address, **{"can_edit": True} | given)


def test_only_the_account_s_own_calendars_that_can_be_written_may_be_added() -> None:
    listed = [
        calendar("Calendar", "Anna@Praxis.example", is_default_calendar=True),
        calendar("Room 2", "anna@praxis.example"),
        calendar("Shared", "sabine@praxis.example"),
        calendar("Birthdays", "anna@praxis.example", can_edit=False),
        calendar("Watched", "anna@praxis.example"),
        calendar("Ownerless", None),
    ]
    found = {one.name: one for one in offered(listed, "anna@praxis.example", {"Watched"})}
    assert [name for name, one in found.items() if one.may_be_added] == ["Calendar", "Room 2", "Ownerless"]
    assert "Shared by sabine@praxis.example" in (found["Shared"].reason or "")
    assert "Read-only" in (found["Birthdays"].reason or "")
    assert found["Watched"].monitored


def test_a_personal_account_owns_its_calendars_under_its_alias_too() -> None:
    listed = [calendar("Calendar", "outlook_42@outlook.com", is_default_calendar=True), calendar("Gym", "outlook_42@outlook.com")]
    assert all(one.may_be_added for one in offered(listed, "lena@gmail.example", set()))


def account(name: str) -> Connection:
    names: Any = {"username": "a@x.example", "name": name, "tid": "t", "oid": "o"}
    return Connection(id="con_1", organization="o1", state="active", since=NOW, created_at=NOW, **names)


def test_a_label_is_kept_without_needless_blanks() -> None:
    assert valid_label("  Front \n desk ", []) == "Front desk"


@pytest.mark.parametrize(("label", "reason"), [(" ", "label-missing"), ("x" * 81, "label-too-long"), ("FRONT desk", "label-taken")])
def test_a_label_is_given_short_and_its_own(label: str, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        valid_label(label, [account("Front desk")])
    assert (refused.value.reason, refused.value.status) == (reason, 422)


WISH = {
    "confirmed_category": "Comes",
    "cancelled_category": "Stays away",
    "prefix_policy": "always",
    "confirmed_prefix": "[OK]",
    "cancelled_prefix": "[NO]",
}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"confirmed_category": "  "}, "need a name"),
        ({"cancelled_category": "x" * 256}, "at most 255"),
        ({"confirmed_category": "a, b"}, "comma"),
        ({"cancelled_category": "COMES"}, "different names"),
        ({"confirmed_prefix": ""}, "need a text"),
        ({"confirmed_prefix": "x" * 41}, "at most 40"),
        ({"cancelled_prefix": "[ok]"}, "must differ"),
    ],
)
def test_sync_settings_that_outlook_could_not_hold_are_refused(changed: dict[str, str], words: str) -> None:
    with pytest.raises(Rejected, match=words):
        validated("org", Wanted.model_validate(WISH | changed))


def test_prefixes_may_be_empty_while_titles_are_never_changed() -> None:
    wish = WISH | {"prefix_policy": "never", "confirmed_prefix": "", "cancelled_prefix": ""}
    assert validated("org", Wanted.model_validate(wish)).confirmed_prefix == ""


@pytest.mark.parametrize(
    "path",
    [None, "", "/", "//evil.example", "/settings/../x", "/settings//x", "https://x/settings/a", "/settings/a?b", "/settings/a\n"],
)
def test_only_our_own_pages_are_returned_to(path: str | None) -> None:
    assert own_page(path) == ADD_CALENDAR
    assert own_page("/settings/calendars/add/con_1") == "/settings/calendars/add/con_1"


@pytest.mark.parametrize(
    "error",
    [
        Transient("GET http://10.0.0.1 refused", reason="graph-away"),
        Transient("Graph 503 internal"),
        Throttled("Graph 429", retry_after=12.3),
        Permanent("Graph 400 secret"),
        ReconnectNeeded("secret"),
        AdminConsentNeeded("secret"),
    ],
)
def test_what_failed_inside_is_not_shown_to_people(error: AttendaraError) -> None:
    sentence = sentence_of(error)
    assert sentence.endswith(".")
    assert str(error) not in sentence
    assert "12 seconds" in sentence or not isinstance(error, Throttled)
