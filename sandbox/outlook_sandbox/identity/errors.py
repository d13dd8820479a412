"""What the identity platform answers when it refuses: AADSTS numbers, OAuth errors, and the body that carries them."""

from datetime import datetime
from typing import Any
from uuid import uuid4

OAUTH_ERRORS = {
    16000: "interaction_required",
    50011: "invalid_request",
    50020: "invalid_grant",
    50034: "invalid_grant",
    50058: "login_required",
    50173: "invalid_grant",
    54005: "invalid_grant",
    65001: "interaction_required",
    70000: "invalid_grant",
    70003: "unsupported_grant_type",
    70008: "invalid_grant",
    70011: "invalid_scope",
    90002: "invalid_request",
    90023: "invalid_request",
    500112: "invalid_grant",
    501481: "invalid_grant",
    501491: "invalid_request",
    700005: "invalid_grant",
    700016: "unauthorized_client",
    700054: "unsupported_response_type",
    700082: "invalid_grant",
    900144: "invalid_request",
    7000215: "invalid_client",
    7000218: "invalid_client",
}


class Refused(Exception):
    """A request that the identity platform turns down, with Microsoft's number for the reason."""

    def __init__(self, code: int, reason: str, *, suberror: str | None = None) -> None:
        super().__init__(f"AADSTS{code}: {reason}")
        self.code = code
        self.reason = reason
        self.suberror = suberror

    @property
    def error(self) -> str:
        return OAUTH_ERRORS[self.code]

    @property
    def status(self) -> int:
        return 401 if self.error == "invalid_client" else 400

    def body(self, now: datetime) -> dict[str, Any]:
        """The JSON body of a refusal at the token endpoint."""
        trace, correlation, timestamp = str(uuid4()), str(uuid4()), f"{now:%Y-%m-%d %H:%M:%SZ}"
        return {
            "error": self.error,
            "error_description": f"{self}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {timestamp}",
            "error_codes": [self.code],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
        } | ({"suberror": self.suberror} if self.suberror else {})


def missing(field: str) -> Refused:
    return Refused(900144, f"The request body must contain the following parameter: '{field}'.")
