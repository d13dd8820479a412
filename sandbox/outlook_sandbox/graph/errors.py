"""Graph's refusals: one exception that carries status, code and message, and its envelope."""

from datetime import datetime
from typing import Any


class GraphError(Exception):
    """A request that Graph refuses."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: dict[str, str] | None = None,
        inner: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
        self.inner = inner or {}

    def envelope(self, now: datetime, request_id: str, client_request_id: str) -> dict[str, Any]:
        ids = {"request-id": request_id, "client-request-id": client_request_id}
        inner = self.inner | {"date": f"{now:%Y-%m-%dT%H:%M:%S}"} | ids
        return {"error": {"code": self.code, "message": self.message, "innerError": inner}}


def access_denied() -> GraphError:
    return GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")


def bad_request(message: str) -> GraphError:
    return GraphError(400, "BadRequest", message)


def challenged(claims: str) -> GraphError:
    """A claims challenge (continuous access evaluation): the client must ask for a new token with these `claims` (base64)."""
    challenge = (
        'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
        f'error="insufficient_claims", claims="{claims}"'
    )
    return GraphError(
        401,
        "InvalidAuthenticationToken",
        "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: "
        "TokenIssuedBeforeRevocationTimestamp",
        {"WWW-Authenticate": challenge},
    )


def body_refused(message: str) -> GraphError:
    return GraphError(400, "RequestBodyRead", message)


def no_such_property(name: str, kind: str) -> GraphError:
    """Of a body; `kind` is the type's name without its namespace."""
    return body_refused(
        f"The property '{name}' does not exist on type 'microsoft.graph.{kind}'. Make sure to only use property names that "
        "are defined by the type or mark the type as open type."
    )


def invalid_parameter(message: str) -> GraphError:
    return GraphError(400, "ErrorInvalidParameter", message)


def invalid_property(message: str) -> GraphError:
    return GraphError(400, "ErrorPropertyValidationFailure", message)


def invalid_request(message: str) -> GraphError:
    """Graph's own refusal of a subscription, before Exchange is asked."""
    return GraphError(400, "InvalidRequest", message)


def not_found() -> GraphError:
    return GraphError(404, "ErrorItemNotFound", "The specified object was not found in the store.")


def stale_change_key() -> GraphError:
    return GraphError(
        412,
        "ErrorIrresolvableConflict",
        "The send or update operation could not be performed because the change key passed in the request does not "
        "match the current change key for the item.",
    )


def sync_state_not_found(generation: int, newest: int) -> GraphError:
    return GraphError(
        410,
        "SyncStateNotFound",
        f"The sync state generation is not found; generation={generation};[highest={newest}][{newest}].",
    )


def sync_state_invalid() -> GraphError:
    """Of a good token of another calendar, resource or mailbox."""
    message = "The delta token is no longer valid, and the app must reset the sync state."
    return GraphError(410, "SyncStateNotFound", message, inner={"code": "SyncStateInvalid"})


def resync_required(location: str) -> GraphError:
    """`location` is where to begin anew: the same request with an empty token."""
    message = "Resync is required. Replace any local items with the server's version."
    return GraphError(410, "resyncRequired", message, {"Location": location})


def throttled(limit: str = "MailboxConcurrency", retry_after: str | None = "1", status: int = 429) -> GraphError:
    """Exchange's refusal; without `retry_after` (seconds, perhaps decimal) it doesn't say when to come again."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return GraphError(status, "ApplicationThrottled", f"Application is over its {limit} limit.", headers)


def too_many_requests(retry_after: int) -> GraphError:
    """The refusal of Graph itself, before any service behind it."""
    inner = {"code": "429", "message": "Please retry after", "status": "429"}
    return GraphError(429, "TooManyRequests", "Please retry again later.", {"Retry-After": str(retry_after)}, inner)


def unauthenticated(message: str) -> GraphError:
    challenge = (
        'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
        'client_id="00000003-0000-0000-c000-000000000000"'
    )
    return GraphError(401, "InvalidAuthenticationToken", message, {"WWW-Authenticate": challenge})
