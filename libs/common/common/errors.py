"""Every error that services raise, in one tree; what happens next follows from where an error stands in it.

    AttendaraError
    ├── Transient             may work later: try again
    │   ├── Throttled         may work after `retry_after` seconds, not before
    │   └── Conflict          somebody else wrote first: read again and rebuild (Graph's 412 and 409)
    ├── Permanent             will never work: stop
    │   ├── Gone              the thing asked for is no longer there (Graph's 404 and 410)
    │   ├── Refused           the far side understood and said no (other 4xx)
    │   ├── ReconnectNeeded   the account's owner must sign in with Microsoft again
    │   └── AdminConsentNeeded  an administrator of the tenant must agree first
    └── Rejected              the caller is wrong: say so, change nothing
        └── NotFound          no such thing in this organization

Foreign exceptions are translated where each outside system is met: `graph/failures.py`, `store.AWAY`,
`messaging.publish`, `auth.microsoft`. HTTP codes are decided in `web.py`, the outcome of a message in `taking.py`.
"""


class AttendaraError(Exception):
    """The root. `reason` is a short, stable word for metrics, pages and parked messages."""

    default_reason = "error"

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason or self.default_reason


class Transient(AttendaraError):
    default_reason = "unavailable"


class Throttled(Transient):
    """`retry_after`: seconds that the far side asked us to wait."""

    default_reason = "throttled"

    def __init__(self, message: str, *, retry_after: float, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.retry_after = retry_after


class Conflict(Transient):
    default_reason = "conflict"


class Permanent(AttendaraError):
    default_reason = "failed"


class Gone(Permanent):
    default_reason = "gone"


class Refused(Permanent):
    """`code`: the far side's own error code (Graph's `error.code`), `status`: its HTTP status."""

    default_reason = "refused"

    def __init__(self, message: str, *, code: str = "", status: int = 0, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.code = code
        self.status = status


class ReconnectNeeded(Permanent):
    default_reason = "needs-reconnect"


class AdminConsentNeeded(Permanent):
    default_reason = "needs-admin-consent"


class Rejected(AttendaraError):
    """`status`: the HTTP status that fits, when the caller spoke HTTP."""

    default_reason = "rejected"

    def __init__(self, message: str, *, status: int = 400, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.status = status


class NotFound(Rejected):
    default_reason = "not-found"

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message, status=404, reason=reason)


def reason_of(error: BaseException) -> str:
    """The short word for any error: ours, or a foreign one's class."""
    return error.reason if isinstance(error, AttendaraError) else type(error).__name__
