"""What each of Microsoft's refusals means: who must act, and never our wording of a stranger's text."""

import pytest

from auth.refusals import AppMisconfigured, Declined, SignInNeeded, failure_of
from common.errors import AdminConsentNeeded, AttendaraError, Transient


@pytest.mark.parametrize(
    ("error", "code", "kind", "reason"),
    [
        ("invalid_grant", 50173, SignInNeeded, "grant-revoked"),
        ("invalid_grant", 700082, SignInNeeded, "grant-expired"),
        ("invalid_grant", 70000, SignInNeeded, "grant-refused"),
        ("invalid_grant", 53003, SignInNeeded, "conditional-access"),
        ("interaction_required", 50076, SignInNeeded, "sign-in-required"),
        ("interaction_required", 65001, SignInNeeded, "consent-withdrawn"),
        ("consent_required", 65001, SignInNeeded, "consent-withdrawn"),
        ("consent_required", 90094, AdminConsentNeeded, "admin-approval"),
        ("access_denied", 90095, AdminConsentNeeded, "admin-approval"),
        ("invalid_grant", 90095, AdminConsentNeeded, "admin-approval"),
        ("consent_required", 65004, Declined, "declined"),
        ("access_denied", None, Declined, "declined"),
        ("invalid_client", 7000222, AppMisconfigured, "app-misconfigured"),
        ("unauthorized_client", 700016, AppMisconfigured, "app-misconfigured"),
        ("temporarily_unavailable", None, Transient, "microsoft-away"),
        ("server_error", None, Transient, "microsoft-away"),
        ("invalid_grant", 70012, Transient, "microsoft-away"),
        ("invalid_request", 90055, Transient, "microsoft-away"),
        (None, None, Transient, "microsoft-away"),
        ("invalid_grant", 50020, SignInNeeded, "account-elsewhere"),
        ("access_denied", 50105, SignInNeeded, "not-assigned"),
        ("access_denied", 53003, SignInNeeded, "conditional-access"),
        ("invalid_grant", 700084, SignInNeeded, "grant-expired"),
        ("login_required", 50058, SignInNeeded, "sign-in-required"),
        ("interaction_required", None, SignInNeeded, "sign-in-required"),
        ("invalid_grant", 12345678, SignInNeeded, "grant-refused"),
        ("temporarily_unavailable", 90033, Transient, "microsoft-away"),
        ("invalid_grant", 50196, Transient, "microsoft-away"),
        ("never_heard_of", 50173, Transient, "microsoft-away"),
    ],
)
def test_each_refusal_has_its_kind_and_reason(error: str | None, code: int | None, kind: type[AttendaraError], reason: str) -> None:
    from_token_endpoint = failure_of({"error": error, "error_codes": [code] if code else []})
    by_redirect = failure_of({"error": error, "error_description": f"AADSTS{code}: Words." if code else "words"})
    for failure in (from_token_endpoint, by_redirect):
        assert (type(failure), failure.reason) == (kind, reason)


def test_a_strangers_words_are_not_taken_over() -> None:
    failure = failure_of({"error": "<script>alert(1)</script>", "error_description": "call this number"})
    assert str(failure) == "Microsoft answered unknown_error"


@pytest.mark.parametrize(
    "error", ["never_heard_of", "Invalid_Grant", "invalid_grant ", "", "x" * 41, "dead", 7, None, ["invalid_grant"]]
)
def test_an_error_that_nobody_documented_ends_no_connection(error: object) -> None:
    assert isinstance(failure_of({"error": error, "error_codes": [50173]}), Transient)


POLICY = '{"access_token":{"capolids":{"essential":true,"values":["a-policy"]}}}'


@pytest.mark.parametrize(
    ("claims", "kept"),
    [
        (POLICY, POLICY),
        ("[]", None),
        ("no JSON", None),
        ("[" * 4_000, None),
        ('{"a":"' + "x" * 4_000 + '"}', None),
        ({"a": 1}, None),
        (None, None),
    ],
    ids=["policy", "list", "words", "deep", "long", "dict", "none"],
)
def test_what_the_next_sign_in_must_carry_is_kept_if_it_is_claims(claims: object, kept: str | None) -> None:
    failure = failure_of({"error": "invalid_grant", "error_codes": [50076], "claims": claims})
    assert isinstance(failure, SignInNeeded)
    assert failure.claims == kept
