"""The border: each way that Graph or the road to it can fail, as one of our errors.

Branches on status and code, never on message. Sources: learn.microsoft.com/graph/errors and /graph/throttling; the
Outlook codes are observed ones. The message kept is Graph's, cut short; it names codes and ids, never a token.
"""

import math
import random
from collections.abc import Mapping

import httpx2
import msgspec

from common.errors import AttendaraError, Conflict, Gone, ReconnectNeeded, Refused, Throttled, Transient

LONGEST_RETRY_AFTER = 900.0


class LinkExpired(Gone):
    """410: the delta link or nextLink is no longer known (SyncStateNotFound); begin a new chain."""

    default_reason = "link-expired"


class _Error(msgspec.Struct, frozen=True):
    code: str = ""
    message: str = ""


class _Envelope(msgspec.Struct, frozen=True):
    error: _Error = _Error()


def failure_of(status: int, headers: Mapping[str, str], body: bytes) -> AttendaraError:
    """The error for an answer that is not 2xx; inside a `$batch` its headers are plain JSON, in any case."""
    headers = httpx2.Headers(headers)
    error = _read(body)
    words = f"Graph {status} {error.code}: {error.message[:200]}"
    match status:
        case 429:
            return Throttled(words, retry_after=retry_after(headers))
        case 503 | 504 | 509 if "retry-after" in headers:
            return Throttled(words, retry_after=retry_after(headers))
        case 401:
            return ReconnectNeeded(words, reason="token-refused")
        case 404:
            return Gone(words)
        case 410:
            return LinkExpired(words)
        case 409 | 412 | 423:
            return Conflict(words)
        case 408 | 500 | 502 | 503 | 504:
            return Transient(words)
    if status >= 500:
        return Transient(words)
    return Refused(words, code=error.code, status=status)


def failure_on_the_way(error: httpx2.HTTPError) -> Transient:
    """No answer, or half of one."""
    return Transient(f"Graph: {type(error).__name__}", reason="graph-away")


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds; Graph sends whole and decimal numbers, and sometimes none (then a few jittered seconds)."""
    try:
        seconds = float(headers["retry-after"])
    except (KeyError, ValueError):
        seconds = math.nan
    if math.isnan(seconds):
        return random.uniform(1, 5)  # noqa: S311
    return min(max(seconds, 0.1), LONGEST_RETRY_AFTER)


def _read(body: bytes) -> _Error:
    try:
        return msgspec.json.decode(body, type=_Envelope).error
    except msgspec.MsgspecError:
        return _Error(message="no error envelope")
