"""What Microsoft's OAuth errors mean to us, whether they came by redirect or from the token endpoint.

Decided by `error` and `suberror`; AADSTS numbers only where Microsoft gives nothing else, and for the wording.
Source: learn.microsoft.com/entra/identity-platform/reference-error-codes.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from common.errors import AdminConsentNeeded, AttendaraError, Permanent, ReconnectNeeded, Transient


class Declined(Permanent):
    """Somebody at the consent page said no."""

    default_reason = "declined"


class AppMisconfigured(Transient):
    """Our own registration or secret is wrong: no user's fault, and it works again once an operator has mended it."""

    default_reason = "app-misconfigured"


class SignInNeeded(ReconnectNeeded):
    """The account's owner must sign in again. `claims`: what that sign-in must carry to satisfy a policy (JSON)."""

    def __init__(self, message: str, *, reason: str, claims: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.claims = claims


AWAY = {"temporarily_unavailable", "server_error"}
AWAY_CODES = {50196, 70012, 90033, 90055}
OURS = {
    "invalid_client",
    "invalid_request",
    "invalid_resource",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
}
SIGN_IN_AGAIN = {"invalid_grant", "interaction_required", "login_required", "consent_required"}
"""The only errors that end a connection; one that nobody documented is taken for trouble at Microsoft's."""
ADMIN_CODES = {90094, 90095}
USER_CONSENT = 65001
DECLINED = 65004
LONGEST_CLAIMS = 4_000

CONDITIONAL_ACCESS, NOT_ASSIGNED, ELSEWHERE = "conditional-access", "not-assigned", "account-elsewhere"
REASONS = {
    50034: "account-gone",
    50055: "password-expired",
    50057: "account-disabled",
    50132: "session-revoked",
    50133: "session-revoked",
    50173: "grant-revoked",
    65001: "consent-withdrawn",
    70008: "grant-expired",
    70043: "sign-in-too-old",
    700082: "grant-expired",
    700084: "grant-expired",
} | dict.fromkeys((50058, 50072, 50074, 50076, 50078, 50079, 50097), "sign-in-required")
BARRED = {50105: NOT_ASSIGNED, 16000: ELSEWHERE, 50020: ELSEWHERE} | dict.fromkeys(
    (50131, 53000, 53001, 53003, 530032, 530035), CONDITIONAL_ACCESS
)
"""This account may not come in, whatever it says at the consent page."""


def failure_of(answer: Mapping[str, Any]) -> AttendaraError:
    """The error for an answer without tokens. Its message names error and AADSTS numbers, nothing that the answer says."""
    error, codes = _word(answer.get("error")), _codes(answer)
    words = " ".join(["Microsoft answered", error or "without an error", *(f"AADSTS{code}" for code in sorted(codes))])
    if error in AWAY or codes & AWAY_CODES:
        return Transient(words, reason="microsoft-away")
    if codes & ADMIN_CODES:
        return AdminConsentNeeded(words, reason="admin-approval")
    if codes & BARRED.keys():
        return SignInNeeded(words, reason=_reason(BARRED, codes, ""), claims=_claims(answer))
    if error == "access_denied" or DECLINED in codes:
        return Declined(words)
    if error == "consent_required" and USER_CONSENT not in codes:
        return AdminConsentNeeded(words, reason="admin-approval")
    if error in OURS:
        return AppMisconfigured(words)
    if error in SIGN_IN_AGAIN:
        otherwise = "grant-refused" if error == "invalid_grant" else "sign-in-required"
        return SignInNeeded(words, reason=_reason(REASONS, codes, otherwise), claims=_claims(answer))
    return Transient(words, reason="microsoft-away")


def _reason(reasons: Mapping[int, str], codes: set[int], otherwise: str) -> str:
    return next((reasons[code] for code in sorted(codes) if code in reasons), otherwise)


def _word(error: object) -> str:
    """A redirect's `error` is written by whoever made the address: only a word is taken over."""
    if not isinstance(error, str) or not error:
        return ""
    return error if re.fullmatch(r"[a-z_]{1,40}", error) else "unknown_error"


def _codes(answer: Mapping[str, Any]) -> set[int]:
    listed = answer.get("error_codes")
    told = re.match(r"AADSTS(\d{4,8})\b", str(answer.get("error_description", "")))
    codes = {code for code in listed if isinstance(code, int)} if isinstance(listed, list) else set()
    return codes | ({int(told[1])} if told else set())


def _claims(answer: Mapping[str, Any]) -> str | None:
    claims = answer.get("claims")
    if not isinstance(claims, str) or len(claims) > LONGEST_CLAIMS:
        return None
    try:
        return claims if isinstance(msgspec.json.decode(claims), dict) else None
    except (msgspec.MsgspecError, RecursionError):
        return None
