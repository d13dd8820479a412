"""The time window of a calendar view: two instants, at most five years apart (a setting raises that)."""

from datetime import UTC, datetime

from outlook_sandbox.graph.errors import GraphError, invalid_parameter
from outlook_sandbox.graph.operations import Call

EXCHANGE_YEARS = range(1601, 4501)
WINDOW = frozenset(("startDateTime", "endDateTime", "startdatetime", "enddatetime"))


def read_window(call: Call) -> tuple[int, int]:
    """Start and end in seconds (UTC). Each value's own offset counts, UTC if it has none."""
    texts = {name.casefold(): text for name, text in call.query.items()}
    if "startdatetime" not in texts or "enddatetime" not in texts:
        raise invalid_parameter(
            "This request requires a time window specified by the query string parameters StartDateTime and EndDateTime."
        )
    start = _seconds(texts["startdatetime"], "StartDateTime")
    end = _seconds(texts["enddatetime"], "EndDateTime")
    if end < start:
        raise invalid_parameter("The value of parameter 'EndDateTime' must not be before 'StartDateTime'.")
    most_days = call.sandbox.settings.longest_view_days
    if end - start > most_days * 86400:
        raise GraphError(
            400,
            "ErrorInvalidRequest",
            "Your request can't be completed. The range between the start and end dates is greater than the allowed "
            f"range. Maximum number of days: {most_days}",
        )
    return start, end


def read_start(call: Call) -> int | None:
    """Only where a window begins, if it says so."""
    text = next((text for name, text in call.query.items() if name.casefold() == "startdatetime"), None)
    return None if text is None else _seconds(text, "StartDateTime")


def _seconds(text: str, name: str) -> int:
    try:
        # A "+" that was not encoded arrives as a space; Graph takes it as it was meant.
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as reason:
        raise invalid_parameter(f"The value '{text}' of parameter '{name}' is invalid.") from reason
    if moment.year not in EXCHANGE_YEARS:
        raise invalid_parameter(f"The value '{text}' of parameter '{name}' is out of range.")
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
