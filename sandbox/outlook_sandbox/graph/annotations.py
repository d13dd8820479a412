"""An event with the types of its values, as resource data has them: `importance@odata.type` beside `importance`."""

from collections.abc import Mapping
from typing import Any

DATE_TIME = "DateTimeOffset"

# Of each type of Graph its properties that are no plain texts, numbers and truths, with their types.
TYPES: Mapping[str, Mapping[str, str]] = {
    "event": {
        "createdDateTime": DATE_TIME,
        "lastModifiedDateTime": DATE_TIME,
        "originalStart": DATE_TIME,
        "importance": "importance",
        "sensitivity": "sensitivity",
        "showAs": "freeBusyStatus",
        "type": "eventType",
        "onlineMeetingProvider": "onlineMeetingProviderType",
        "categories": "String",
        "body": "itemBody",
        "start": "dateTimeTimeZone",
        "end": "dateTimeTimeZone",
        "location": "location",
        "locations": "location",
        "organizer": "recipient",
        "attendees": "attendee",
        "responseStatus": "responseStatus",
        "recurrence": "patternedRecurrence",
        "onlineMeeting": "onlineMeetingInfo",
    },
    "attendee": {
        "type": "attendeeType",
        "status": "responseStatus",
        "emailAddress": "emailAddress",
        "proposedNewTime": "timeSlot",
    },
    "itemBody": {"contentType": "bodyType"},
    "location": {"locationType": "locationType", "uniqueIdType": "locationUniqueIdType"},
    "patternedRecurrence": {"pattern": "recurrencePattern", "range": "recurrenceRange"},
    "recipient": {"emailAddress": "emailAddress"},
    "recurrencePattern": {
        "type": "recurrencePatternType",
        "daysOfWeek": "dayOfWeek",
        "firstDayOfWeek": "dayOfWeek",
        "index": "weekIndex",
    },
    "recurrenceRange": {"type": "recurrenceRangeType", "startDate": "Date", "endDate": "Date"},
    "responseStatus": {"response": "responseType", "time": DATE_TIME},
    "timeSlot": {"start": "dateTimeTimeZone", "end": "dateTimeTimeZone"},
}
PRIMITIVE = frozenset((DATE_TIME, "Date", "String"))


def annotated(entity: Mapping[str, Any], kind: str = "event") -> dict[str, Any]:
    """The properties of an entity or of a part of it, each with its type where that is not plain from its value."""
    types = TYPES.get(kind, {})
    shown: dict[str, Any] = {}
    for name, value in entity.items():
        kind = types.get(name, "")
        if kind and value is not None and not isinstance(value, dict):
            shown[f"{name}@odata.type"] = f"#Collection({_full(kind)})" if isinstance(value, list) else f"#{_full(kind)}"
        shown[name] = [_part(item, kind) for item in value] if isinstance(value, list) else _part(value, kind)
    return shown


def _part(value: Any, kind: str) -> Any:
    return {"@odata.type": f"#{_full(kind)}", **annotated(value, kind)} if isinstance(value, dict) and kind else value


def _full(kind: str) -> str:
    return kind if kind in PRIMITIVE else f"microsoft.graph.{kind}"
