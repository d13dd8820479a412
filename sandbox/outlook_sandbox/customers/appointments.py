"""The appointments as `appointment.changed` tells them: each at its highest sequence, kept over restarts."""

from datetime import UTC, datetime
from typing import Literal

import msgspec

from outlook_sandbox.database import Database

KIND = "customers-appointment"
Status = Literal["pending", "confirmed", "cancelled"]


class BadMessage(Exception):
    """A message that is not an `appointment.changed`."""


class StatusPart(msgspec.Struct, frozen=True):
    value: str = "pending"
    occurred_at: datetime | None = None


class LabelPart(msgspec.Struct, frozen=True):
    value: str = "none"
    failed: str | None = None
    written_at: datetime | None = None


class Appointment(msgspec.Struct, frozen=True):
    """The fields of an appointment that this reader needs; it ignores all others."""

    appointment: str
    organization: str
    sequence: int
    start: datetime
    end: datetime
    subject: str | None = None
    all_day: bool = False
    start_date: str | None = None
    end_date: str | None = None
    private: bool = False
    called_off: bool = False
    removed: bool = False
    status: StatusPart = StatusPart()
    label: LabelPart = LabelPart()
    changed_at: datetime | None = None


class Appointments:
    """`version` moves with every change, so that a page knows when to look again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known = {key: msgspec.convert(document, Appointment) for key, document in database.load(KIND).items()}
        self.version = 0

    def __len__(self) -> int:
        return len(self._known)

    def get(self, identifier: str) -> Appointment | None:
        return self._known.get(identifier)

    def coming(self, now: datetime) -> list[Appointment]:
        """Those that are not over and not removed, the next one first."""
        listed = (known for known in self._known.values() if known.end > now and not known.removed)
        return sorted(listed, key=lambda appointment: (appointment.start, appointment.appointment))

    def take(self, key: bytes | None, value: bytes | None, changed_at: datetime | None) -> None:
        """Take in one message; an older one than is known changes nothing. Raises BadMessage."""
        if value is None:
            self._forget((key or b"").decode(errors="replace"))
            return
        told = _decode(value)
        known = self._known.get(told.appointment)
        if known is None or told.sequence > known.sequence:
            self._keep(msgspec.structs.replace(told, changed_at=changed_at or datetime.now(UTC)))

    def clear(self) -> None:
        for identifier in list(self._known):
            self._forget(identifier)

    def _keep(self, appointment: Appointment) -> None:
        self._known[appointment.appointment] = appointment
        self._database.put(KIND, appointment.appointment, appointment)
        self.version += 1

    def _forget(self, identifier: str) -> None:
        if self._known.pop(identifier, None) is not None:
            self._database.delete(KIND, identifier)
            self.version += 1


def _decode(value: bytes) -> Appointment:
    try:
        told = msgspec.json.decode(value, type=Appointment)
    except (msgspec.DecodeError, UnicodeDecodeError) as reason:
        raise BadMessage(str(reason)) from reason
    if told.start.tzinfo is None or told.end.tzinfo is None:
        raise BadMessage("start and end need an offset")
    return told
