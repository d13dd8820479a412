"""The merge of a label: what is the user's stays, what is ours is what it should be."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from common.messages import StatusWritten
from common.store import PrefixPolicy, SyncSettings
from sync_worker.label import Plan, plan_label

NAMES = {"confirmed": "Attendara — Confirmed", "cancelled": "Attendara — Cancelled"}
PREFIXES = {"confirmed": "[Confirmed]", "cancelled": "[Cancelled]"}
FORMER = ["Came before", "Was being written"]
OURS = {*NAMES.values(), *FORMER}

statuses = st.sampled_from(["none", "confirmed", "cancelled"])
theirs = st.text(min_size=1, max_size=12).filter(lambda name: name not in OURS)
categories = st.lists(st.one_of(theirs, st.sampled_from(sorted(OURS))), max_size=8)
titles = st.one_of(st.none(), st.text(max_size=12), st.just("$ub"))
former = st.sampled_from([None, *PREFIXES.values()])


def plan(wanted: Any, label: dict[str, Any], outlook: dict[str, Any], policy: PrefixPolicy = "never") -> Plan:
    return plan_label(SyncSettings(id="org", prefix_policy=policy), label, outlook, wanted)


def after(planned: Plan, outlook: dict[str, Any]) -> dict[str, Any]:
    return outlook | planned.change


@given(found=categories, wanted=statuses)
def test_a_label_keeps_the_users_names_in_their_order_and_has_ours_once(found: list[str], wanted: StatusWritten) -> None:
    label = {"category": FORMER[0], "writing": {"category": FORMER[1]}}
    outlook = {"categories": found, "subject": "Massage", "attendees": 0}
    planned = plan(wanted, label, outlook)
    written = after(planned, outlook)["categories"]
    assert [name for name in written if name not in OURS] == [name for name in found if name not in OURS]
    assert [name for name in written if name in OURS] == ([NAMES[wanted]] if wanted != "none" else [])


@given(
    found=categories,
    title=titles,
    attendees=st.integers(0, 2),
    wanted=statuses,
    policy=st.sampled_from(["never", "no-attendees", "always"]),
)
def test_a_label_that_stands_needs_no_change(
    found: list[str], title: str | None, attendees: int, wanted: StatusWritten, policy: PrefixPolicy
) -> None:
    outlook = {"categories": found, "subject": title, "attendees": attendees}
    first = plan(wanted, {}, outlook, policy)
    label = {"value": first.value, "category": first.category, "prefix": first.prefix}
    assert plan(wanted, label, after(first, outlook), policy).change == {}


@given(title=st.text(min_size=1, max_size=12), steps=st.lists(statuses, max_size=4))
def test_the_title_comes_back_to_the_letter_when_the_label_goes(title: str, steps: list[StatusWritten]) -> None:
    outlook: dict[str, Any] = {"categories": [], "subject": title, "attendees": 0}
    label: dict[str, Any] = {}
    for wanted in [*steps, "none"]:
        planned = plan(wanted, label, outlook, "no-attendees")
        outlook = after(planned, outlook)
        label = {"prefix": planned.prefix, "category": planned.category}
        expected = title if wanted == "none" else f"{PREFIXES[wanted]} {title}"
        assert outlook["subject"] == expected
    assert outlook == {"categories": [], "subject": title, "attendees": 0}


@given(title=titles, attendees=st.integers(1, 3), wanted=statuses, written=former, began=former)
def test_the_title_of_a_meeting_is_never_touched_unless_the_policy_says_always(
    title: str | None, attendees: int, wanted: StatusWritten, written: str | None, began: str | None
) -> None:
    outlook: dict[str, Any] = {"categories": [], "subject": title, "attendees": attendees}
    label = {"prefix": written, "writing": {"prefix": began}}
    for policy in ("never", "no-attendees"):
        assert "subject" not in plan(wanted, label, outlook, policy).change


def test_a_prefix_that_the_user_wrote_is_the_users() -> None:
    outlook: dict[str, Any] = {"categories": [], "subject": "[Confirmed] Massage", "attendees": 0}
    assert plan("none", {}, outlook, "always").change == {}
    assert plan("cancelled", {}, outlook, "always").change["subject"] == "[Cancelled] [Confirmed] Massage"


def test_what_a_lost_answer_left_behind_is_ours() -> None:
    """The PATCH was applied, its answer never came: only the intent is stored."""
    label = {"value": "none", "writing": {"category": "Old name", "prefix": "[Confirmed]"}}
    outlook: dict[str, Any] = {"categories": ["Red category", "Old name"], "subject": "[Confirmed] Massage", "attendees": 0}
    assert plan("cancelled", label, outlook, "no-attendees").change == {
        "categories": ["Red category", NAMES["cancelled"]],
        "subject": "[Cancelled] Massage",
    }


def test_a_prefix_comes_off_when_prefixes_are_no_longer_wanted() -> None:
    outlook = {"categories": [NAMES["confirmed"]], "subject": "[Confirmed] Massage", "attendees": 0}
    label = {"value": "confirmed", "category": NAMES["confirmed"], "prefix": "[Confirmed]"}
    planned = plan("confirmed", label, outlook)
    assert (planned.change, planned.prefix) == ({"subject": "Massage"}, None)
