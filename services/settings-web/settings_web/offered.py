"""Which of an account's calendars may be monitored: its own, and only where we may write labels."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from common.graph import GraphCalendar


@dataclass(frozen=True)
class Offered:
    """One calendar as Microsoft lists it. `reason`: why it can't be added, for people; None if it can."""

    graph_id: str
    name: str
    monitored: bool
    reason: str | None
    owner: str | None

    @property
    def may_be_added(self) -> bool:
        return self.reason is None and not self.monitored


def offered(listed: Sequence[GraphCalendar], username: str, monitored: Collection[str]) -> list[Offered]:
    """The account's own addresses: its user name, and whoever owns its default calendar (a personal account may have an alias)."""
    own = {username.casefold()}
    own |= {_owner(calendar) for calendar in listed if calendar.is_default_calendar}
    return [
        Offered(calendar.id, calendar.name, calendar.id in monitored, _reason(calendar, own), _shown(calendar))
        for calendar in listed
    ]


def _reason(calendar: GraphCalendar, own: Collection[str]) -> str | None:
    if _owner(calendar) and _owner(calendar) not in own:
        return f"Shared by {_shown(calendar)}. Outlook reports changes in an account’s own calendars only: connect that one."
    if not calendar.can_edit:
        return "Read-only. Attendara could not write answers on its events."
    return None


def _owner(calendar: GraphCalendar) -> str:
    return (calendar.owner.address or "").casefold() if calendar.owner else ""


def _shown(calendar: GraphCalendar) -> str | None:
    return (calendar.owner.name or calendar.owner.address) if calendar.owner else None
