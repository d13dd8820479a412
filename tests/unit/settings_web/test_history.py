"""A connection's history, told in sentences."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest

from auth import history as of_auth
from settings_web.auth_door import Entry, Standing
from settings_web.history import people, story

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def told(**entry: Any) -> str:
    return story([Entry(at=NOW, **entry)], {})[0].text


def test_the_newest_comes_first_and_people_are_named_where_they_are_known() -> None:
    entries = [
        Entry(at=NOW, who="usr_1", what="connected"),
        Entry(at=NOW + timedelta(days=1), who="microsoft", what="needs-reconnect", reason="grant-revoked"),
        Entry(at=NOW + timedelta(days=2), who="usr_2", what="reconnected"),
        Entry(at=NOW + timedelta(days=3), what="renamed", name="Desk"),
        Entry(at=NOW + timedelta(days=4), who="attendara", what="removed"),
    ]
    lines = story(entries, {"usr_1": "Miriam Vogt"})
    assert [line.who for line in lines] == ["Attendara", None, "usr_2", "Microsoft", "Miriam Vogt"]
    assert lines[0].at > lines[1].at
    assert people(entries) == {"usr_1", "usr_2"}


def test_a_user_s_id_can_t_pass_for_microsoft() -> None:
    assert story([Entry(at=NOW, who="microsoft", what="connected")], {"microsoft": "Mallory"})[0].who == "Microsoft"


@pytest.mark.parametrize("what", get_args(of_auth.What))
def test_whatever_auth_records_is_a_sentence(what: str) -> None:
    text = told(what=what, name="B", name_before="A")
    assert text.endswith(".")
    assert what not in text or what in ("connected", "removed")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"what": "renamed", "name_before": "Desk", "name": "Front desk"}, "Renamed from “Desk” to “Front desk”."),
        ({"what": "needs-reconnect", "reason": "password-expired"}, "The account’s password has expired."),
        ({"what": "needs-admin-consent"}, "An administrator of your Microsoft 365 has to approve Attendara."),
        ({"what": "removing"}, "Removal begun."),
        ({"what": "removing", "standing": Standing(2, 1)}, "Removal begun, of 2 calendars and 1 subscription."),
        ({"what": "removed", "deleted": Standing(1, 0)}, "destroyed. Deleted: 1 calendar."),
        ({"what": "removed", "deleted": Standing(), "left": Standing(0, 3)}, "Not deleted in time: 3 subscriptions; these end"),
        ({"what": "something-new"}, "Something new."),
    ],
)
def test_what_happened_is_told(entry: dict[str, Any], words: str) -> None:
    assert words in told(**entry)


def test_auth_s_entries_are_read_as_they_are_written() -> None:
    written = of_auth.Entry(
        at=NOW,
        who="attendara",
        what="removed",
        deleted=of_auth.Standing(calendars=2, subscriptions=2),
        left=of_auth.Standing(calendars=0, subscriptions=1),
        destroyed=["data key"],
        ended="patience-over",
    )
    read = msgspec.json.decode(written.model_dump_json(exclude_none=True), type=Entry)
    assert (read.at, read.deleted, read.left) == (NOW, Standing(2, 2), Standing(0, 1))
