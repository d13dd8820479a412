"""What became of a connection, and who did it: kept in its document, written in one update with the change itself."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from common.store import Document

KEPT = 100
MICROSOFT, ATTENDARA = "microsoft", "attendara"
"""Who did what no person did: a refusal is Microsoft's, the end of a removal is our sweep's."""


What = Literal["connected", "reconnected", "renamed", "needs-reconnect", "needs-admin-consent", "removing", "removed"]


class Standing(BaseModel):
    """How many calendars and subscriptions stand on a connection."""

    model_config = ConfigDict(frozen=True)

    calendars: int = Field(examples=[2])
    subscriptions: int = Field(examples=[2])

    def __bool__(self) -> bool:
        return bool(self.calendars or self.subscriptions)

    def without(self, left: "Standing") -> "Standing":
        calendars, subscriptions = self.calendars - left.calendars, self.subscriptions - left.subscriptions
        return Standing(calendars=max(0, calendars), subscriptions=max(0, subscriptions))


class Entry(BaseModel):
    """One thing that became of a connection."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    who: str | None = Field(None, description="A user's id, `microsoft` or `attendara`; none if not said.", examples=["usr_7"])
    what: What
    reason: str | None = Field(None, description="Why Microsoft refused.", examples=["grant-revoked"])
    name: str | None = Field(None, description="Renamed: the label since then.")
    name_before: str | None = Field(None, description="Renamed: the label until then.")
    standing: Standing | None = Field(None, description="Removing: what there was to delete.")
    deleted: Standing | None = Field(None, description="Removed: what was deleted of it.")
    left: Standing | None = Field(None, description="Removed: what was not deleted in time, and goes without tokens.")
    destroyed: list[str] | None = Field(None, description="Removed: our secrets.", examples=[["data key", "token cache"]])
    ended: Literal["complete", "patience-over"] | None = Field(None, description="Removed: when nothing was left, or late.")


def stored(entry: Entry) -> Document:
    return entry.model_dump(exclude_none=True)


def recorded(entry: Entry, **of_the_document: str) -> Document:
    """The pipeline stage that adds an entry; `of_the_document`: fields taken from what the document then holds."""
    added: Any = {"$mergeObjects": [{"$literal": stored(entry)}, of_the_document]}
    longer = {"$concatArrays": [{"$ifNull": ["$history", []]}, [added]]}
    return {"$set": {"history": {"$slice": [longer, -KEPT]}}}


def history_of(document: Document) -> list[Entry]:
    """The newest last."""
    return [Entry.model_validate(entry) for entry in document.get("history", [])]
