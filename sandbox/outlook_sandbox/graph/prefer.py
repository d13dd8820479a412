"""The Prefer header: which of its wishes a request makes."""

import re
from dataclasses import dataclass
from functools import lru_cache

from outlook_sandbox.graph.errors import GraphError
from outlook_sandbox.zones import UnknownZone, zone

MOST_PER_PAGE = 1000
# A whole word, perhaps with a value. Never tried from the middle of a word, so that a long header takes no longer than it is.
_WISH = re.compile(r'(?<![^=,;\s"])([^=,;\s"]++)\s*+(?:=\s*+(?:"([^"]*)"|([^,;\s]*)))?\s*+(?:[,;]|$)')


@dataclass(frozen=True)
class Preferences:
    """What the client prefers; `applied` is what the answer's preference-applied header says."""

    zone: str = "UTC"
    immutable_ids: bool = False
    text_bodies: bool = False
    page_size: int | None = None
    applied: tuple[str, ...] = ()


def zone_not_supported(name: str) -> GraphError:
    return GraphError(
        400,
        "TimeZoneNotSupportedException",
        f"A valid TimeZone value must be specified. The following TimeZone value is not supported: '{name}'.",
    )


@lru_cache(maxsize=512)
def read_preferences(header: str) -> Preferences:
    """Understand a Prefer header; unknown wishes are ignored, as RFC 7240 asks."""
    wishes = {name.casefold(): quoted or plain for name, quoted, plain in _WISH.findall(header)}
    applied: list[str] = []
    zone_name = wishes.get("outlook.timezone", "UTC")
    if "outlook.timezone" in wishes:
        check_zone(zone_name)
        applied.append(f'outlook.timezone="{zone_name}"')
    immutable = wishes.get("idtype", "").casefold() == "immutableid"
    if immutable:
        applied.append('IdType="ImmutableId"')
    text = wishes.get("outlook.body-content-type", "").casefold() == "text"
    if text:
        applied.append('outlook.body-content-type="text"')
    size = wishes.get("odata.maxpagesize", "")
    page_size = min(int(size), MOST_PER_PAGE) if re.fullmatch("[1-9][0-9]{0,9}", size) else None
    if page_size is not None:
        applied.append(f"odata.maxpagesize={page_size}")
    return Preferences(zone_name, immutable, text, page_size, tuple(applied))


def check_zone(name: str) -> None:
    """Raise GraphError 400 for a zone that nobody knows."""
    try:
        zone(name)
    except UnknownZone as reason:
        raise zone_not_supported(name) from reason
