"""Time zones by the two kinds of name that Outlook uses: Windows names and IANA names."""

from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

_BY_FOLDED_NAME = {name.casefold(): olson for name, olson in WINDOWS_TO_OLSON.items()} | {
    "utc": "UTC",
    "coordinated universal time": "UTC",
    "tzone://microsoft/utc": "UTC",
}


class UnknownZone(ValueError):
    """A zone name that neither Windows nor IANA knows."""


@lru_cache(maxsize=1024)
def zone(name: str) -> tzinfo:
    """The zone of that name; raises UnknownZone."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(_BY_FOLDED_NAME.get(name.casefold(), name))
    except (OSError, ValueError, KeyError) as reason:
        raise UnknownZone(name) from reason


def instant(wall: datetime, name: str) -> int:
    """Seconds since 1970 (UTC) of a wall clock's reading; one that a clock change skips counts as an hour later."""
    return int(wall.replace(tzinfo=zone(name)).timestamp())


def wall_clock(seconds: int, name: str) -> datetime:
    """What a clock on the wall shows at that instant, without zone."""
    return datetime.fromtimestamp(seconds, zone(name)).replace(tzinfo=None)
