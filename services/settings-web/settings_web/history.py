"""A connection's history in sentences: what became of it, who did it, and when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from settings_web.auth_door import Entry, Standing
from settings_web.reasons import WHY

NOT_PEOPLE: Mapping[str, str] = {"microsoft": "Microsoft", "attendara": "Attendara"}


@dataclass(frozen=True)
class Line:
    at: datetime
    text: str
    who: str | None


def story(entries: Sequence[Entry], names: Mapping[str, str]) -> list[Line]:
    """The newest first. `names`: of those people that we know, by their ids; others are shown by their id."""
    return [Line(one.at, _text(one), _who(one.who, names)) for one in reversed(entries)]


def people(entries: Sequence[Entry]) -> set[str]:
    """The ids of those who did something."""
    return {one.who for one in entries if one.who} - NOT_PEOPLE.keys()


def _who(who: str | None, names: Mapping[str, str]) -> str | None:
    return NOT_PEOPLE.get(who) or names.get(who, who) if who else None


def _text(entry: Entry) -> str:
    match entry.what:
        case "connected":
            return "Connected."
        case "reconnected":
            return "Connected again."
        case "renamed":
            return f"Renamed from “{entry.name_before}” to “{entry.name}”." if entry.name_before else f"Named “{entry.name}”."
        case "needs-reconnect" | "needs-admin-consent" as state:
            otherwise = WHY["admin-approval" if state == "needs-admin-consent" else "grant-refused"]
            return WHY.get(entry.reason or "", otherwise)[0]
        case "removing":
            return f"Removal begun, of {_standing(entry.standing)}." if entry.standing else "Removal begun."
        case "removed":
            return _removed(entry)
    return f"{entry.what.replace('-', ' ').capitalize()}."


def _removed(entry: Entry) -> str:
    text = "Removed, and the access to the account destroyed."
    if entry.deleted:
        text += f" Deleted: {_standing(entry.deleted)}."
    if entry.left:
        text += f" Not deleted in time: {_standing(entry.left)}; these end by themselves."
    return text


def _standing(standing: Standing) -> str:
    amounts = ((standing.calendars, "calendar"), (standing.subscriptions, "subscription"))
    return " and ".join(f"{amount} {thing}{'' if amount == 1 else 's'}" for amount, thing in amounts if amount)
