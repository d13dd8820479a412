"""sync-worker against real servers: what Outlook shows becomes appointments, and answers become labels."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.messages import AppointmentStatusReported, CalendarSyncRequested, OutlookEvent
from common.store import Database
from outlook_sandbox.graph.fields import read_event
from outlook_sandbox.graph.writing import create_event
from tests.integration.world import Worker, World, parked_by, worker, world_in
from tests.servers import Kafka, Servers
from tests.serving import until
from tests.unit.sandbox.graph_client import event, weekly

CONFIRMED = "Attendara — Confirmed"
CANCELLED = "Attendara — Cancelled"


@pytest.fixture(scope="module")
async def running_worker(module_database: Database, topics: Kafka, servers: Servers) -> AsyncIterator[Worker]:
    async with worker(module_database, servers.redis_url, topics) as running:
        yield running


@pytest.fixture
async def here(running_worker: Worker) -> AsyncIterator[World]:
    async with world_in(running_worker) as made:
        yield made


async def test_the_first_round_stores_and_announces_what_the_calendar_holds(here: World) -> None:
    await here.outlook.create(subject="Massage", location={"displayName": "Room 2"}, zone="Europe/Zurich")
    await here.outlook.create(subject="Holiday", isAllDay=True, start="2026-11-26T00:00:00", end="2026-11-27T00:00:00")
    calendar = await here.add_calendar()
    said = {one["subject"]: one for one in await here.said("created", count=2)}
    massage = said["Massage"]
    assert (massage["start"], massage["end"]) == ("2026-11-24T08:00:00Z", "2026-11-24T08:30:00Z")
    assert massage["location"] == "Room 2"
    assert massage["calendar"] == calendar
    assert (massage["sequence"], massage["status"]["value"], massage["label"]["value"]) == (1, "pending", "none")
    assert (said["Holiday"]["start_date"], said["Holiday"]["end_date"]) == ("2026-11-26", "2026-11-27")
    state = await here.database.sync_states.find_one({"_id": calendar})
    assert state
    assert state["appointments"] == 2


async def test_all_pages_of_a_large_calendar_arrive(here: World) -> None:
    mailbox, calendar = here.outlook.mailbox, here.outlook.mailbox.calendars[here.outlook.calendar]
    for number in range(450):
        starts = datetime(2026, 11, 24, 8, tzinfo=UTC) + timedelta(hours=number)
        times = event(start=f"{starts:%Y-%m-%dT%H:%M:%S}", end=f"{starts:%Y-%m-%dT%H}:30:00")
        create_event(mailbox, calendar, read_event(times), here.clock())
    await here.add_calendar()
    listed = await here.outlook.view("2026-10-25T12:00:00Z", "2027-11-24T12:00:00Z")
    assert 400 < len(listed) == len(await here.subjects())
    assert len(here.requests("GET", "calendarView/delta")) >= 3


async def test_a_notification_brings_the_change_in(here: World) -> None:
    made = await here.outlook.create(subject="Massage")
    calendar = await here.add_calendar()
    appointment = await here.appointment(**{"content.subject": "Massage"})
    await here.outlook.patch(made["id"], {"subject": "Massage, long"})
    await here.notify(calendar)
    [said] = await here.said("updated")
    assert (said["appointment"], said["subject"], said["sequence"]) == (appointment["_id"], "Massage, long", 2)


async def test_occurrences_take_their_subject_from_the_series(here: World) -> None:
    await here.outlook.create(subject="Pilates", recurrence=weekly())
    calendar = await here.add_calendar()
    occurrences = [one async for one in here.database.appointments.find({"calendar": calendar}).sort("start", 1)]
    assert len(occurrences) > 40
    assert {one["content"]["subject"] for one in occurrences} == {"Pilates"}
    assert len({one["series"] for one in occurrences}) == 1


async def test_a_deleted_occurrence_is_announced_removed_though_graph_sends_no_tombstone(here: World) -> None:
    await here.outlook.create(subject="Pilates", recurrence=weekly())
    calendar = await here.add_calendar()
    [one] = await here.outlook.view("2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z")
    assert (await here.outlook.ask("DELETE", f"/me/events/{one['id']}")).status_code == 204
    await here.notify(calendar)
    [said] = await here.said("removed")
    assert (said["reason"], said["removed"], said["start"][:10]) == ("deleted", True, "2026-12-01")
    await here.idle()
    assert await here.database.appointments.count_documents(here.mine | {"removed": {"$ne": None}}) == 1


async def test_a_deleted_event_is_announced_removed_after_it_was_missed_twice(here: World) -> None:
    made = await here.outlook.create(subject="Massage")
    calendar = await here.add_calendar()
    assert (await here.outlook.ask("DELETE", f"/me/events/{made['id']}")).status_code == 204
    await here.notify(calendar)
    [said] = await here.said("removed")
    assert said["reason"] == "deleted"
    assert len(here.requests("POST", "/$batch")) >= 2


async def test_a_deleted_series_takes_all_its_occurrences_along_however_many(here: World) -> None:
    daily = {
        "pattern": {"type": "daily", "interval": 1},
        "range": {"type": "numbered", "startDate": "2026-11-24", "numberOfOccurrences": 130},
    }
    made = await here.outlook.create(subject="Pilates", recurrence=daily)
    await here.outlook.create(subject="Massage")
    calendar = await here.add_calendar()
    assert await here.database.appointments.count_documents(here.mine) == 131
    assert (await here.outlook.ask("DELETE", f"/me/events/{made['id']}")).status_code == 204
    await here.notify(calendar)
    said = await here.said("removed", count=130)
    assert {one["reason"] for one in said} == {"deleted"}
    await here.idle()
    assert await here.subjects() == ["Massage"]
    state = await here.database.sync_states.find_one({"_id": calendar})
    assert state
    assert state["appointments"] == 1


async def test_an_event_that_left_the_window_is_not_declared_removed(here: World) -> None:
    made = await here.outlook.create(subject="Massage")
    calendar = await here.add_calendar()
    far = {"dateTime": "2029-01-10T09:00:00", "timeZone": "UTC"}
    await here.outlook.patch(made["id"], {"start": far, "end": far | {"dateTime": "2029-01-10T10:00:00"}})
    await here.notify(calendar)
    [said] = await here.said("updated")
    assert (said["start"], said["removed"]) == ("2029-01-10T09:00:00Z", False)


async def test_an_event_of_many_years_that_left_the_window_is_not_declared_removed(here: World) -> None:
    made = await here.outlook.create(subject="Lease of the practice")
    calendar = await here.add_calendar()
    start, end = ({"dateTime": f"{year}-01-10T09:00:00", "timeZone": "UTC"} for year in (2018, 2022))
    await here.outlook.patch(made["id"], {"start": start, "end": end})
    await here.notify(calendar)
    [said] = await here.said("updated")
    assert (said["start"], said["end"], said["removed"]) == ("2018-01-10T09:00:00Z", "2022-01-10T09:00:00Z", False)


async def test_an_event_that_moves_to_another_monitored_calendar_keeps_its_appointment(here: World) -> None:
    made = await here.outlook.create(subject="Massage")
    other = (await here.outlook.ask("POST", "/me/calendars", {"name": "Room 2"})).json()["id"]
    first, second = await here.add_calendar(), await here.add_calendar(other)
    before = await here.appointment(**{"content.subject": "Massage"})
    here.move(made["id"], other)
    await here.notify(second)
    await here.notify(first)
    await until(lambda: here.database.appointments.find_one({"_id": before["_id"], "calendar": second, "removed": None}))
    await here.idle()
    after = await here.appointment(_id=before["_id"])
    assert (after["calendar"], after["removed"]) == (second, None)


async def test_an_event_that_moves_to_a_calendar_of_no_concern_is_removed_from_here(here: World) -> None:
    made = await here.outlook.create(subject="Massage")
    other = (await here.outlook.ask("POST", "/me/calendars", {"name": "Private"})).json()["id"]
    calendar = await here.add_calendar()
    here.move(made["id"], other)
    await here.notify(calendar)
    [said] = await here.said("removed")
    assert said["reason"] == "moved-away"


async def test_an_expired_link_leads_to_a_full_round_that_heals(here: World) -> None:
    kept = await here.outlook.create(subject="Massage")
    lost = await here.outlook.create(subject="Taping")
    calendar = await here.add_calendar()
    await here.outlook.patch(kept["id"], {"subject": "Massage, long"})
    await here.outlook.ask("DELETE", f"/me/events/{lost['id']}")
    sandbox_calendar = here.outlook.mailbox.calendars[here.outlook.calendar]
    sandbox_calendar.generation += 1
    await here.notify(calendar)
    assert (await here.said("updated"))[0]["subject"] == "Massage, long"
    assert (await here.said("removed"))[0]["subject"] == "Taping"


async def test_a_manual_sync_does_not_wait_for_the_end_of_a_pause_after_failures(here: World) -> None:
    calendar = await here.add_calendar()
    later = here.clock() + timedelta(minutes=15)
    paused = {"wanted_at": here.clock(), "due_at": later, "attempts": 9, "last_error": "gone"}
    await here.database.sync_states.update_one({"_id": calendar}, {"$set": {"delta": paused}})
    await here.outlook.create(subject="Massage")
    asked = CalendarSyncRequested(organization=here.organization, calendar=calendar, reason="manual")
    await here.messaging.publish(asked)
    assert (await here.said("created"))[0]["subject"] == "Massage"


async def test_a_thousand_notifications_cost_few_rounds(here: World) -> None:
    calendar = await here.add_calendar()
    before = len(here.requests("GET", "calendarView/delta"))
    await here.notify(calendar, times=1000)
    await until(lambda: len(here.requests("GET", "calendarView/delta")) > before)
    await here.idle()
    assert len(here.requests("GET", "calendarView/delta")) - before <= 3


async def test_private_events_carry_times_only(here: World) -> None:
    await here.outlook.create(subject="Therapy", sensitivity="private", location={"displayName": "Elsewhere"})
    await here.add_calendar()
    [said] = await here.said("created")
    assert (said["subject"], said["location"], said["private"]) == (None, None, True)
    assert said["start"] == "2026-11-24T09:00:00Z"


async def test_an_answer_becomes_a_category_and_the_users_own_stay(here: World) -> None:
    made = await here.outlook.create(subject="Massage", categories=["Red category"])
    calendar = await here.add_calendar()
    appointment = await here.appointment(**{"content.subject": "Massage"})
    await here.report(appointment["_id"], "confirmed")
    [said] = await here.said("label-written")
    assert (said["status"]["value"], said["label"]["value"]) == ("confirmed", "confirmed")
    assert (await here.outlook.get(f"/me/events/{made['id']}"))["categories"] == ["Red category", CONFIRMED]
    await here.report(appointment["_id"], "cancelled")
    await here.said("label-written", count=2)
    assert (await here.outlook.get(f"/me/events/{made['id']}"))["categories"] == ["Red category", CANCELLED]
    await here.report(appointment["_id"], "pending")
    await here.said("label-written", count=3)
    assert (await here.outlook.get(f"/me/events/{made['id']}"))["categories"] == ["Red category"]
    await here.notify(calendar)
    await here.idle()
    assert [one["kind"] for one in here.published] == ["created", "label-written", "label-written", "label-written"]


async def test_a_label_costs_one_request(here: World) -> None:
    await here.outlook.create(subject="Massage")
    await here.add_calendar()
    appointment = await here.appointment(**{"content.subject": "Massage"})
    before = {method: len(here.requests(method, "")) for method in ("GET", "PATCH", "POST")}
    await here.report(appointment["_id"], "confirmed")
    await here.said("label-written")
    assert {method: len(here.requests(method, "")) - count for method, count in before.items()} == {"GET": 0, "PATCH": 1, "POST": 0}


async def test_a_label_is_rebuilt_when_somebody_else_was_faster(here: World) -> None:
    made = await here.outlook.create(subject="Massage")
    await here.add_calendar()
    appointment = await here.appointment(**{"content.subject": "Massage"})
    await here.outlook.patch(made["id"], {"categories": ["Blue category"]})
    await here.report(appointment["_id"], "confirmed")
    await here.said("label-written")
    assert (await here.outlook.get(f"/me/events/{made['id']}"))["categories"] == ["Blue category", CONFIRMED]
    assert here.requests("PATCH", "/me/events/")[-2:] == [412, 200]


async def test_an_answer_on_one_occurrence_labels_that_occurrence_only(here: World) -> None:
    await here.outlook.create(subject="Pilates", recurrence=weekly(), categories=["Red category"])
    await here.add_calendar()
    appointment = (await here.database.appointments.find(here.mine).sort("start", 1).to_list())[5]
    await here.report(appointment["_id"], "confirmed")
    await here.said("label-written")
    labelled = [
        one for one in await here.outlook.view("2026-11-01T00:00:00Z", "2027-03-01T00:00:00Z") if CONFIRMED in one["categories"]
    ]
    assert [(one["type"], one["categories"]) for one in labelled] == [("exception", ["Red category", CONFIRMED])]


async def test_an_older_answer_is_ignored(here: World) -> None:
    await here.outlook.create(subject="Massage")
    await here.add_calendar()
    appointment = await here.appointment(**{"content.subject": "Massage"})
    await here.report(appointment["_id"], "confirmed", here.clock())
    await here.said("label-written")
    await here.report(appointment["_id"], "cancelled", here.clock() - timedelta(hours=1))
    await here.report(appointment["_id"], "pending", here.clock())
    await here.said("label-written", count=2)
    assert [one["status"]["value"] for one in here.published if one["kind"] == "label-written"] == ["confirmed", "pending"]


async def test_of_two_answers_within_a_millisecond_the_later_one_counts(here: World) -> None:
    await here.outlook.create(subject="Massage")
    await here.add_calendar()
    appointment = await here.appointment(**{"content.subject": "Massage"})
    moment = here.clock().replace(microsecond=5000)
    await here.report(appointment["_id"], "confirmed", moment)
    await here.report(appointment["_id"], "cancelled", moment + timedelta(microseconds=400))
    await here.appointment(**{"label.value": "cancelled"})


async def test_an_answer_on_an_event_that_is_not_known_yet_waits_for_it(here: World) -> None:
    calendar = await here.add_calendar()
    made = await here.outlook.create(subject="Massage")
    event = OutlookEvent(connection=here.connection, id=here.immutable(made["id"]))
    await here.messaging.publish(
        AppointmentStatusReported(organization=here.organization, event=event, status="confirmed", occurred_at=here.clock())
    )
    await until(lambda: here.database.waiting_statuses.find_one(here.mine))
    await here.notify(calendar)
    await here.said("label-written")
    assert (await here.outlook.get(f"/me/events/{made['id']}"))["categories"] == [CONFIRMED]
    assert await here.database.waiting_statuses.find_one(here.mine) is None


async def test_an_answer_that_names_nothing_we_know_is_parked_with_its_reason(here: World, topics: Kafka) -> None:
    async with parked_by(topics, "sync-worker") as parked:
        await here.report("apt_unknown", "confirmed")
        record = await until(lambda: next((one for one in parked if here.organization.encode() in one.value), None))
    headers = dict(record.headers)
    assert headers["x-reason"].startswith(b"unknown-appointment")
    assert headers["x-origin"].startswith(b"appointment.status-reported.v1/")


async def test_another_organizations_appointment_looks_unknown(here: World) -> None:
    await here.outlook.create(subject="Massage")
    await here.add_calendar()
    appointment = await here.appointment(**{"content.subject": "Massage"})
    said = AppointmentStatusReported(
        organization="org_other", appointment=appointment["_id"], status="confirmed", occurred_at=here.clock()
    )
    await here.messaging.publish(said)
    await here.report(appointment["_id"], "cancelled")
    [written] = await here.said("label-written")
    assert written["status"]["value"] == "cancelled"


async def test_a_refused_label_is_announced_as_failed(here: World) -> None:
    made = await here.outlook.create(subject="Massage")
    await here.add_calendar()
    appointment = await here.appointment(**{"content.subject": "Massage"})
    here.outlook.mailbox.calendars[here.outlook.calendar].can_edit = False
    await here.report(appointment["_id"], "confirmed")
    [said] = await here.said("label-failed")
    assert said["label"] == {"value": "none", "failed": "refused", "written_at": None}
    assert (await here.outlook.get(f"/me/events/{made['id']}"))["categories"] == []


async def test_the_two_categories_are_made_once_and_one_that_exists_is_left_alone(here: World) -> None:
    await here.outlook.ask("POST", "/me/outlook/masterCategories", {"displayName": CONFIRMED, "color": "preset20"})
    other = (await here.outlook.ask("POST", "/me/calendars", {"name": "Room 2"})).json()["id"]
    await here.add_calendar()
    await here.add_calendar(other)
    listed = (await here.outlook.get("/me/outlook/masterCategories"))["value"]
    ours = {one["displayName"]: one["color"] for one in listed if "Attendara" in one["displayName"]}
    assert ours == {CONFIRMED: "preset20", CANCELLED: "preset0"}


async def test_a_prefix_is_written_only_where_nobody_is_mailed(here: World) -> None:
    attendee = {"emailAddress": {"address": "c@example.org", "name": "C"}, "type": "required"}
    await here.database.sync_settings.insert_one({"_id": here.organization, "prefix_policy": "no-attendees"})
    alone = await here.outlook.create(subject="Massage")
    meeting = await here.outlook.create(subject="Review", attendees=[attendee])
    calendar = await here.add_calendar()
    for subject in ("Massage", "Review"):
        await here.report((await here.appointment(**{"content.subject": subject}))["_id"], "confirmed")
    await here.said("label-written", count=2)
    assert (await here.outlook.get(f"/me/events/{alone['id']}"))["subject"] == "[Confirmed] Massage"
    assert (await here.outlook.get(f"/me/events/{meeting['id']}"))["subject"] == "Review"
    await here.notify(calendar)
    await here.idle()
    assert await here.subjects() == ["Massage", "Review"]


async def test_a_calendar_that_leaves_takes_its_appointments_and_labels_along(here: World) -> None:
    made = await here.outlook.create(subject="Massage", start="2026-11-25T09:00:00", end="2026-11-25T09:30:00")
    calendar = await here.add_calendar()
    appointment = await here.appointment(**{"content.subject": "Massage"})
    await here.report(appointment["_id"], "confirmed")
    await here.said("label-written")
    await here.database.calendars.update_one({"_id": calendar}, {"$set": {"state": "removing", "remove_labels": True}})
    await here.tell_calendar(calendar, "removing")
    await until(lambda: _none(here.database.sync_states.find_one({"_id": calendar})))
    [said] = await here.said("removed")
    assert said["reason"] == "calendar-removed"
    assert (await here.outlook.get(f"/me/events/{made['id']}"))["categories"] == []
    assert await here.database.appointments.count_documents(here.mine) == 0


async def test_what_a_full_round_saw_too_late_to_store_is_not_lost(here: World) -> None:
    """A delta round overtook it: what it then sees is fenced off, and its own link will not tell it again."""
    made = await here.outlook.create(subject="Massage")
    calendar = await here.add_calendar()
    await here.idle()
    states = here.database.sync_states
    counter = await states.find_one({"_id": here.connection})
    window = (await states.find_one({"_id": calendar}) or {})["window"]
    assert counter
    interrupted = {"number": counter["rounds"], "window": window, "link": None, "pages": 0, "events": 0}
    await states.update_one({"_id": calendar}, {"$set": {"chain": interrupted}})
    await here.outlook.patch(made["id"], {"subject": "Massage, long"})
    await here.notify(calendar)
    await here.said("updated")
    await here.idle()
    await here.outlook.patch(made["id"], {"subject": "Massage, short"})
    await here.ask_for_round(calendar, "full")
    await here.said("updated", count=2)
    assert await here.subjects() == ["Massage, short"]
    await here.idle()
    state = await states.find_one({"_id": calendar})
    assert state
    assert "newer_link" not in state


async def test_a_calendar_leaves_only_after_the_round_that_still_reads_it(here: World) -> None:
    await here.outlook.create(subject="Massage", start="2026-11-25T09:00:00", end="2026-11-25T09:30:00")
    calendar = await here.add_calendar()
    await here.idle()
    appointment = await here.appointment(**{"content.subject": "Massage"})
    states = here.database.sync_states
    reading = {"wanted_at": here.clock(), "due_at": here.clock() + timedelta(minutes=1), "lease": "another replica's"}
    await states.update_one({"_id": calendar}, {"$set": {"full": reading}})
    await here.database.calendars.update_one({"_id": calendar}, {"$set": {"state": "removing"}})
    await here.tell_calendar(calendar, "removing")
    closed = await until(lambda: states.find_one({"_id": calendar, "state": "closed"}))
    waited = {"_id": calendar, "closing.wanted_at": {"$gt": closed["closing"]["wanted_at"]}}
    await until(lambda: states.find_one(waited))
    late = {"_id": f"{appointment['_id']}-late", "event_id": "late"}
    await here.database.appointments.insert_one(appointment | late)
    await states.update_one({"_id": calendar}, {"$unset": {"full": ""}})
    await until(lambda: _none(states.find_one({"_id": calendar})))
    assert await here.database.appointments.count_documents(here.mine) == 0


async def test_suspects_of_a_calendar_that_leaves_keep_nobody_busy(here: World) -> None:
    await here.outlook.create(subject="Massage")
    calendar = await here.add_calendar()
    await here.idle()
    await here.database.appointments.update_many(here.mine, {"$set": {"suspect": {"misses": 0}}})
    now = here.clock()
    checks = {"wanted_at": now, "due_at": now}
    states = here.database.sync_states
    await states.update_one({"_id": calendar}, {"$set": {"state": "closed", "checks": checks}})
    await until(lambda: states.find_one({"_id": calendar, "checks": {"$exists": False}}))


async def test_a_label_is_written_though_what_is_stored_of_the_event_says_that_it_stands(here: World) -> None:
    """A round may store an older view of the event after a label was written."""
    made = await here.outlook.create(subject="Massage")
    await here.add_calendar()
    appointment = await here.appointment(**{"content.subject": "Massage"})
    stale = {"outlook.categories": [CONFIRMED], "outlook.etag": 'W/"old"'}
    await here.database.appointments.update_one({"_id": appointment["_id"]}, {"$set": stale})
    await here.report(appointment["_id"], "confirmed")
    await here.said("label-written")
    assert (await here.outlook.get(f"/me/events/{made['id']}"))["categories"] == [CONFIRMED]


async def test_a_private_event_is_labelled_and_its_title_is_stored_nowhere(here: World) -> None:
    await here.database.sync_settings.insert_one({"_id": here.organization, "prefix_policy": "always"})
    made = await here.outlook.create(subject="Therapy", sensitivity="private", categories=["Red category"])
    calendar = await here.add_calendar()
    appointment = await here.appointment(**{"content.private": True})
    await here.report(appointment["_id"], "confirmed")
    await here.said("label-written")
    event = await here.outlook.get(f"/me/events/{made['id']}")
    assert (event["subject"], event["categories"]) == ("[Confirmed] Therapy", ["Red category", CONFIRMED])
    await here.notify(calendar)
    await here.idle()
    assert "Therapy" not in str(await here.appointment(_id=appointment["_id"]))
    assert "Therapy" not in str(here.published)


async def test_a_title_whose_patch_has_no_answer_yet_is_the_owners_title(here: World) -> None:
    made = await here.outlook.create(subject="$Massage")
    calendar = await here.add_calendar()
    appointment = await here.appointment(**{"content.subject": "$Massage"})
    under_way = {"label.writing": {"category": CONFIRMED, "prefix": "[Confirmed]", "etag": None}}
    await here.database.appointments.update_one({"_id": appointment["_id"]}, {"$set": under_way})
    await here.outlook.patch(made["id"], {"subject": "[Confirmed] $Massage", "categories": [CONFIRMED]})
    await here.notify(calendar)
    await until(lambda: here.database.appointments.find_one({"_id": appointment["_id"], "outlook.categories": CONFIRMED}))
    assert await here.subjects() == ["$Massage"]
    assert [one["kind"] for one in here.published] == ["created"]


async def test_a_label_that_is_being_written_while_its_calendar_leaves_is_taken_off_too(here: World) -> None:
    made = await here.outlook.create(subject="Massage", categories=["Red category"])
    calendar = await here.add_calendar()
    appointments, states = here.database.appointments, here.database.sync_states
    now = here.clock()
    under_way = {"wanted_at": now, "due_at": now + timedelta(minutes=1), "lease": "another replica's"}
    writing = {"category": CONFIRMED, "prefix": None, "etag": None}
    await appointments.update_one(here.mine, {"$set": {"label.mark": under_way, "label.writing": writing}})
    await here.database.calendars.update_one({"_id": calendar}, {"$set": {"state": "removing", "remove_labels": True}})
    await here.tell_calendar(calendar, "removing")
    closed = await until(lambda: states.find_one({"_id": calendar, "state": "closed"}))
    waited = {"_id": calendar, "closing.wanted_at": {"$gt": closed["closing"]["wanted_at"]}}
    await until(lambda: states.find_one(waited))
    await here.outlook.patch(made["id"], {"categories": ["Red category", CONFIRMED]})
    await appointments.update_one(here.mine, {"$unset": {"label.mark": ""}})
    await until(lambda: _none(states.find_one({"_id": calendar})))
    assert (await here.outlook.get(f"/me/events/{made['id']}"))["categories"] == ["Red category"]


async def _none(coroutine: Any) -> bool:
    return await coroutine is None
