"""The properties that lists can be filtered and sorted by, and how their values compare."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from outlook_sandbox.graph.errors import GraphError
from outlook_sandbox.graph.extended import normal

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A simple value: its name in OData, and what of it is compared."""

    edm: str
    fold: Callable[[Any], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Complex:
    """An object with properties. `name` is what messages call it; a property that is None exists but can't be used."""

    name: str
    properties: "Mapping[str, Kind]"

    def get(self, name: str) -> "tuple[str, Scalar | Complex | Many]":
        """A property's name as it is written, and its kind; upper and lower case don't matter. Raises GraphError 400."""
        for written, kind in self.properties.items():
            if written.casefold() == name.casefold():
                if kind is None:
                    raise GraphError(400, "ErrorInvalidProperty", f"The property '{written}' does not support filtering.")
                return written, kind
        message = f"Could not find a property named '{name}' on type '{self.name}'."
        raise GraphError(400, "RequestBroker--ParseUri", message)


@dataclass(frozen=True, slots=True)
class Many:
    """A list of values of one kind."""

    each: Scalar | Complex


Kind = Scalar | Complex | Many | None


def instant(text: str) -> float:
    """Seconds since 1970 of a time, in UTC unless it says otherwise. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


TEXT = Scalar("Edm.String", str.casefold)
FLAG = Scalar("Edm.Boolean", bool)
NUMBER = Scalar("Edm.Int32", float)
MOMENT = Scalar("Edm.DateTimeOffset", instant)
# The dateTime of start and end: a text for OData, but it is compared as a time.
WALL = Scalar("Edm.String", instant)
PROPERTY_ID = Scalar("Edm.String", normal)

_TIME = Complex("microsoft.graph.dateTimeTimeZone", {"dateTime": WALL, "timeZone": TEXT})
_ADDRESS = Complex("microsoft.graph.emailAddress", {"name": TEXT, "address": TEXT})
EXTENDED = Complex("microsoft.graph.singleValueLegacyExtendedProperty", {"id": PROPERTY_ID, "value": TEXT})
EVENT = Complex(
    "microsoft.graph.event",
    dict.fromkeys(
        (
            "subject", "bodyPreview", "iCalUId", "importance", "sensitivity", "showAs", "type", "seriesMasterId", "transactionId",
            "originalStartTimeZone", "originalEndTimeZone", "onlineMeetingProvider", "onlineMeetingUrl",
        ),
        TEXT,
    )
    | dict.fromkeys(
        (
            "isAllDay", "isCancelled", "isDraft", "isOrganizer", "isReminderOn", "isOnlineMeeting", "hasAttachments",
            "responseRequested", "allowNewTimeProposals", "hideAttendees",
        ),
        FLAG,
    )
    | dict.fromkeys(("createdDateTime", "lastModifiedDateTime", "originalStart"), MOMENT)
    | dict.fromkeys(
        (
            "id", "changeKey", "webLink", "body", "attendees", "locations", "recurrence", "onlineMeeting", "cancelledOccurrences",
            "exceptionOccurrences", "instances", "attachments", "extensions", "multiValueExtendedProperties", "calendar",
        ),
    )
    | {
        "reminderMinutesBeforeStart": NUMBER,
        "start": _TIME,
        "end": _TIME,
        "location": Complex("microsoft.graph.location", {"displayName": TEXT}),
        "organizer": Complex("microsoft.graph.recipient", {"emailAddress": _ADDRESS}),
        "responseStatus": Complex("microsoft.graph.responseStatus", {"response": TEXT, "time": MOMENT}),
        "categories": Many(TEXT),
        "singleValueExtendedProperties": Many(EXTENDED),
    },
)  # fmt: skip
CALENDAR = Complex(
    "microsoft.graph.calendar",
    dict.fromkeys(("name", "color", "hexColor", "defaultOnlineMeetingProvider"), TEXT)
    | dict.fromkeys(
        ("isDefaultCalendar", "canShare", "canViewPrivateItems", "canEdit", "isTallyingResponses", "isRemovable"), FLAG
    )
    | dict.fromkeys(("id", "changeKey", "allowedOnlineMeetingProviders"))
    | {"owner": _ADDRESS},
)  # fmt: skip
