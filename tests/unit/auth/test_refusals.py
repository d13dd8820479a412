"""What each of Microsoft's refusals means: who must act, and never our wording of a stranger's text."""

import pytest

from auth.refusals import AppMisconfigured, Declined, failure_of
from common.errors import AdminConsentNeeded, AttendaraError, ReconnectNeeded, Transient


@pytest.mark.parametrize(
    ("error", "code", "kind", "reason"),
    [
        ("invalid_grant", 50173, ReconnectNeeded, "grant-revoked"),
        ("invalid_grant", 700082, ReconnectNeeded, "grant-expired"),
        ("invalid_grant", 70000, ReconnectNeeded, "grant-refused"),
        ("invalid_grant", 53003, ReconnectNeeded, "conditional-access"),
        ("interaction_required", 50076, ReconnectNeeded, "sign-in-required"),
        ("interaction_required", 65001, ReconnectNeeded, "consent-withdrawn"),
        ("consent_required", 65001, ReconnectNeeded, "consent-withdrawn"),
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
