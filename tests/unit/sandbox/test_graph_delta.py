"""Change tracking of the sandbox's Graph: pages, tombstones, series and the end of a link."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from outlook_sandbox.database import Database
from outlook_sandbox.graph import mailbox
from tests.unit.sandbox.graph_client import APP, EVERYTHING, IMMUTABLE, Graph, Json, event, sandbox_graph, weekly

WINDOW = "startDateTime=2026-11-01T00:00:00Z&endDateTime=2026-12-31T00:00:00Z"


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with sandbox_graph() as made:
        yield made


def removed(items: list[Json]) -> list[str]:
    for item in items:
        if "@removed" in item:
            assert item.keys() == {"@odata.type", "id", "@removed"}
            assert item["@removed"] == {"reason": "deleted"}
    return [item["id"] for item in items if "@removed" in item]


async def test_a_first_round_gives_the_window_in_pages_with_absolute_links(graph: Graph) -> None:
    made = [await graph.create(f"number {number}") for number in range(7)]
    await graph.create("outside", "2027-03-01T09:00:00", "2027-03-01T10:00:00")
    gone = await graph.create("gone")
    await graph.ask("DELETE", f"/me/events/{gone['id']}")
    wish = {"Prefer": "odata.maxpagesize=3"}
    page = await graph.get(f"/me/calendars/{graph.calendar}/calendarView/delta?{WINDOW}", headers=wish)
    assert len(page["value"]) == 3
    assert page["@odata.nextLink"].startswith("http://localhost:8410/v1.0/me/calendars/")
    rest, link = await graph.delta(page["@odata.nextLink"], headers=wish)
    assert [item["id"] for item in page["value"] + rest] == [entry["id"] for entry in made]
    assert all(item["@odata.type"] == "#microsoft.graph.event" for item in rest)
    assert "$deltatoken=" in link
    assert await graph.delta(link) == ([], link)


async def test_the_answer_says_that_it_tracks_changes(graph: Graph) -> None:
    answer = await graph.ask("GET", f"/me/calendarView/delta?{WINDOW}", headers={"Prefer": "odata.maxpagesize=3, unheard-of"})
    assert answer.headers["preference-applied"] == "odata.track-changes, odata.maxpagesize=3"


async def test_a_window_that_is_no_time_is_refused_by_name(graph: Graph) -> None:
    answer = await graph.ask("GET", "/me/calendarView/delta?startDateTime=&endDateTime=2026-12-31T00:00:00Z")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ErrorInvalidParameter")
    assert answer.json()["error"]["message"] == "The value '' of parameter 'StartDateTime' is invalid."


async def test_changed_events_come_whole_and_lost_ones_as_tombstones(graph: Graph) -> None:
    kept, gone, moved_out, moved_away = [await graph.create(name) for name in "abcd"]
    other = (await graph.ask("POST", "/me/calendars", {"name": "Other"})).json()["id"]
    _, link = await graph.delta()
    await graph.patch(kept["id"], {"subject": "new"})
    await graph.ask("DELETE", f"/me/events/{gone['id']}")
    await graph.patch(moved_out["id"], event(start="2027-06-01T09:00:00", end="2027-06-01T10:00:00"))
    moving = {"event": moved_away["id"], "calendar": other}
    await graph.client.post(f"/sandbox/v1/accounts/{graph.account.id}/move", json=moving)
    never_seen = await graph.create("e", "2027-06-01T09:00:00", "2027-06-01T10:00:00")
    items, link = await graph.delta(link)
    assert [item["subject"] for item in items if "@removed" not in item] == ["new"]
    assert removed(items) == [gone["id"], moved_out["id"], moved_away["id"], never_seen["id"]]
    assert (await graph.delta(link))[0] == []


async def test_an_event_that_moves_away_and_back_leaves_tombstones_for_each_ordinary_id_that_it_had(tmp_path: Path) -> None:
    database = Database(tmp_path / "sandbox.sqlite")
    async with sandbox_graph(database=database) as graph:
        made = await graph.create()
        other = (await graph.ask("POST", "/me/calendars", {"name": "Other"})).json()["id"]
        _, link = await graph.delta()
        moving = f"/sandbox/v1/accounts/{graph.account.id}/move"
        had = [made["id"]]
        for calendar in (other, graph.calendar, other, graph.calendar):
            moved = (await graph.client.post(moving, json={"event": had[-1], "calendar": calendar})).json()
            had.append(moved["id"])
        before = (await graph.delta(link))[0], (await graph.delta(link, headers=IMMUTABLE))[0]
    database.close()
    async with sandbox_graph(database=Database(tmp_path / "sandbox.sqlite")) as again:
        more = {"token": graph.token}
        assert ((await again.delta(link, **more))[0], (await again.delta(link, headers=IMMUTABLE, **more))[0]) == before
    ordinary, immutable = before
    assert removed(ordinary) == [had[0], had[2]]
    assert ordinary[-1]["id"] == had[-1]
    assert [(item["id"], "@removed" in item) for item in immutable] == [(moved["immutableId"], False)]


async def test_ids_are_those_preferred_by_each_request(graph: Graph) -> None:
    made = await graph.create()
    immutable = (await graph.get(f"/me/events/{made['id']}", headers=IMMUTABLE))["id"]
    items, link = await graph.delta(headers=IMMUTABLE)
    assert [item["id"] for item in items] == [immutable]
    await graph.patch(made["id"], {"subject": "x"})
    assert [item["id"] for item in (await graph.delta(link))[0]] == [made["id"]]
    await graph.ask("DELETE", f"/me/events/{made['id']}")
    assert removed((await graph.delta(link, headers=IMMUTABLE))[0]) == [immutable]


async def test_occurrences_come_as_skeletons_beside_their_whole_master(graph: Graph) -> None:
    series = await graph.create(
        recurrence=weekly("2026-11-24", numberOfOccurrences=4, type="numbered"), categories=["Red category"]
    )
    items, link = await graph.delta()
    master, *occurrences = items
    assert (master["type"], master["id"], master["subject"]) == ("seriesMaster", series["id"], "Massage")
    assert master["recurrence"]["range"]["numberOfOccurrences"] == 4
    names = {"@odata.type", "@odata.etag", "id", "seriesMasterId", "type", "start", "end"}
    assert all(item.keys() == names for item in occurrences)
    assert len(occurrences) == 4
    await graph.patch(occurrences[1]["id"], {"subject": "Other"})
    await graph.ask("DELETE", f"/me/events/{occurrences[2]['id']}")
    items, link = await graph.delta(link)
    assert [item["type"] for item in items] == ["seriesMaster", "occurrence", "occurrence", "exception"]
    assert removed(items) == []
    exception = items[-1]
    assert (exception["id"], exception["subject"], exception["categories"]) == (occurrences[1]["id"], "Other", ["Red category"])
    await graph.ask("DELETE", f"/me/events/{series['id']}")
    assert removed((await graph.delta(link))[0]) == [series["id"]]


async def test_what_changes_in_the_middle_of_a_round_is_not_missed(graph: Graph) -> None:
    made = [await graph.create(f"number {number}") for number in range(4)]
    page = await graph.get(f"/me/calendarView/delta?{WINDOW}", headers={"Prefer": "odata.maxpagesize=2"})
    await graph.patch(made[0]["id"], {"subject": "changed"})
    await graph.ask("DELETE", f"/me/events/{made[1]['id']}")
    rest, _ = await graph.delta(page["@odata.nextLink"])
    assert removed(rest) == [made[1]["id"]]
    assert [item["subject"] for item in rest if "@removed" not in item] == ["number 2", "number 3", "changed"]


async def test_a_link_of_a_lost_generation_is_gone(graph: Graph) -> None:
    _, link = await graph.delta()
    path = f"/sandbox/v1/accounts/{graph.account.id}/calendars/{graph.calendar}/invalidate-delta"
    await graph.client.post(path)
    answer = await graph.ask("GET", link)
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "SyncStateNotFound")
    assert "generation=1;[highest=2]" in answer.json()["error"]["message"]
    assert (await graph.delta())[0] == []


async def test_a_link_is_used_as_it_is(graph: Graph) -> None:
    _, link = await graph.delta()
    assert (await graph.ask("GET", f"{link}&{WINDOW}")).status_code == 400
    for wrong in (link[:-4], f"{link}AAAA", link[:-20] + "A" + link[-19:], link.replace("$deltatoken", "$skiptoken"), f"{link}%ff"):
        answer = await graph.ask("GET", wrong)
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, "Badly formed token.")
    assert await graph.delta(link) == ([], link)


async def test_a_link_is_good_for_its_own_calendar_and_mailbox_only(graph: Graph) -> None:
    _, link = await graph.delta()
    other = (await graph.ask("POST", "/me/calendars", {"name": "Other"})).json()["id"]
    token = link.partition("$deltatoken=")[2]
    other_account = graph.sandbox.accounts.all()[0]
    assert other_account != graph.account
    stranger = graph.sandbox.tokens.issue(other_account.id, APP, EVERYTHING).access_token
    for wrong, bearer in (
        (link.replace(graph.calendar, other), graph.token),
        (f"/me/events/delta?$deltatoken={token}", graph.token),
        (f"/me/calendarView/delta?$deltatoken={token}", stranger),
    ):
        answer = await graph.ask("GET", wrong, token=bearer)
        assert (answer.status_code, answer.json()["error"]["code"]) == (410, "SyncStateNotFound")
        assert answer.json()["error"]["innerError"]["code"] == "SyncStateInvalid"
    assert (await graph.ask("GET", f"/me/calendarView/delta?$deltatoken={token}")).status_code == 200


async def test_a_link_may_be_used_again_and_older_ones_stay_good(graph: Graph) -> None:
    _, first = await graph.delta()
    made = await graph.create()
    items, second = await graph.delta(first)
    assert [item["id"] for item in items] == [made["id"]]
    assert await graph.delta(first) == (items, second)
    assert (await graph.delta(second))[0] == []


async def test_links_outlive_a_restart(tmp_path: Path) -> None:
    database = Database(tmp_path / "sandbox.sqlite")
    async with sandbox_graph(database=database) as graph:
        kept, gone = await graph.create("kept"), await graph.create("gone")
        passing = (await graph.ask("POST", "/me/calendars", {"name": "Passing"})).json()["id"]
        for number in range(5):
            await graph.ask("POST", f"/me/calendars/{passing}/events", event(f"number {number}"))
        await graph.ask("DELETE", f"/me/calendars/{passing}")
        page = await graph.get(f"/me/calendarView/delta?{WINDOW}", headers={"Prefer": "odata.maxpagesize=1"})
        _, link = await graph.delta()
        await graph.ask("DELETE", f"/me/events/{gone['id']}")
        token, account = graph.token, graph.account
    database.close()
    async with sandbox_graph(database=Database(tmp_path / "sandbox.sqlite")) as graph:
        assert graph.sandbox.accounts.get(account.id) is not None
        rest, _ = await graph.delta(page["@odata.nextLink"], token=token)
        assert removed(rest) == [gone["id"]]
        answer = await graph.ask("PATCH", f"/me/events/{kept['id']}", {"subject": "after"}, token=token)
        assert answer.status_code == 200
        items, link = await graph.delta(link, token=token)
        assert removed(items) == [gone["id"]]
        assert [item["subject"] for item in items if "@removed" not in item] == ["after"]
        assert (await graph.delta(link, token=token))[0] == []


async def test_a_link_that_knows_of_a_write_which_a_crash_lost_is_gone(tmp_path: Path) -> None:
    database = Database(tmp_path / "sandbox.sqlite")
    async with sandbox_graph(database=database) as graph:
        await graph.create("kept")
        _, before = await graph.delta()
        lost = await graph.create("lost")
        _, after = await graph.delta(before)
    database.close()
    event_id = graph.mailbox.find(lost["id"]).id  # type: ignore[union-attr]
    with contextlib.closing(sqlite3.connect(tmp_path / "sandbox.sqlite")) as file:
        assert file.execute("DELETE FROM documents WHERE id = ?", (event_id,)).rowcount == 1
        file.commit()
    async with sandbox_graph(database=Database(tmp_path / "sandbox.sqlite")) as again:
        items, fresh = await again.delta(before, token=graph.token)
        assert (items, await again.delta(fresh, token=graph.token)) == ([], ([], fresh))
        path = f"/me/calendars/{graph.calendar}/events"
        made = (await again.ask("POST", path, event("new"), token=graph.token)).json()
        assert made["changeKey"] != lost["changeKey"]
        assert [item["subject"] for item in (await again.delta(before, token=graph.token))[0]] == ["new"]
        assert (await again.ask("GET", after, token=graph.token)).status_code == 410


async def test_a_link_from_before_what_is_forgotten_is_gone_also_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox, "TOMBSTONES_KEPT", 2)
    database = Database(tmp_path / "sandbox.sqlite")
    async with sandbox_graph(database=database) as graph:
        made = [(await graph.create(name))["id"] for name in "abcd"]
        links = [(await graph.delta())[1]]
        for identifier in made[:3]:
            await graph.ask("DELETE", f"/me/events/{identifier}")
            links.append((await graph.delta())[1])
        assert [(await graph.ask("GET", link)).status_code for link in links] == [410, 200, 200, 200]
        assert removed((await graph.delta(links[1]))[0]) == made[1:3]
        assert [item["id"] for item in (await graph.delta())[0]] == made[3:]
        token = graph.token
    database.close()
    async with sandbox_graph(database=Database(tmp_path / "sandbox.sqlite")) as graph:
        assert [(await graph.ask("GET", link, token=token)).status_code for link in links] == [410, 200, 200, 200]
        assert removed((await graph.delta(links[1], token=token))[0]) == made[1:3]


# events/delta


async def test_events_are_tracked_from_a_start_on_without_occurrences(graph: Graph) -> None:
    series = await graph.create("Series", recurrence=weekly("2026-11-03"))
    ended = weekly("2026-01-06", type="endDate", endDate="2026-02-24")
    await graph.create("Ended", "2026-01-06T09:00:00", "2026-01-06T09:30:00", recurrence=ended)
    single = await graph.create("Single")
    await graph.create("Past", "2026-10-01T09:00:00", "2026-10-01T09:30:00")
    far = await graph.create("Far", "2031-10-01T09:00:00", "2031-10-01T09:30:00")
    occurrence = (await graph.view("2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z"))[0]
    await graph.patch(occurrence["id"], {"subject": "Exception"})
    items, link = await graph.delta("/me/events/delta?startDateTime=2026-11-20T00:00:00Z")
    assert [(item["type"], item["subject"]) for item in items] == [
        ("singleInstance", "Single"),
        ("singleInstance", "Far"),
        ("seriesMaster", "Series"),
        ("exception", "Exception"),
    ]
    await graph.ask("DELETE", f"/me/events/{far['id']}")
    await graph.patch(single["id"], event(start="2026-10-01T09:00:00", end="2026-10-01T09:30:00"))
    await graph.patch(series["id"], {"subject": "Changed"})
    items, link = await graph.delta(link)
    assert removed(items) == [far["id"], single["id"]]
    assert [item["subject"] for item in items if "@removed" not in item] == ["Changed", "Exception"]
    assert (await graph.delta(link))[0] == []


@pytest.mark.parametrize(
    "path", ["/me/events/delta()", "/me/calendar/events/delta", "/me/calendars/{}/events/microsoft.graph.delta()"]
)
async def test_events_are_tracked_at_each_of_their_addresses(graph: Graph, path: str) -> None:
    made = await graph.create()
    items, _ = await graph.delta(f"{path.format(graph.calendar)}?startDateTime=2026-11-01T00:00:00Z")
    assert [item["id"] for item in items] == [made["id"]]


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("", "BadRequest", "Unsupported request: Change tracking is not supported against 'microsoft.graph.event'."),
        ("startDateTime=", "ErrorInvalidParameter", "The value '' of parameter 'StartDateTime' is invalid."),
        (WINDOW, "ErrorInvalidUrlQuery", None),
        ("startDateTime=2026-11-01T00:00:00Z&$select=subject", "ErrorInvalidUrlQuery", None),
    ],
)
async def test_tracking_events_needs_a_start_and_takes_no_end(graph: Graph, query: str, code: str, message: str | None) -> None:
    answer = await graph.ask("GET", f"/me/events/delta?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert message in (None, answer.json()["error"]["message"])


async def test_in_beta_the_start_is_optional_and_items_say_little(graph: Graph) -> None:
    made = await graph.create(start="2020-02-19T10:00:00", end="2020-02-19T11:00:00")
    bearer = {"Authorization": f"Bearer {graph.token}", "Prefer": "odata.maxpagesize=1"}
    await graph.create()
    page = (await graph.client.get("/beta/me/calendar/events/delta", headers=bearer)).json()
    assert page["value"] == [
        {
            "id": made["id"],
            "type": "singleInstance",
            "start": {"dateTime": "2020-02-19T10:00:00.0000000", "timeZone": "UTC"},
            "end": {"dateTime": "2020-02-19T11:00:00.0000000", "timeZone": "UTC"},
        }
    ]
    assert "/beta/me/calendar/events/delta?$skiptoken=" in page["@odata.nextLink"]
    assert "@odata.deltaLink" in (await graph.client.get(page["@odata.nextLink"], headers=bearer)).json()
    assert (await graph.client.get("/beta/me/events", headers=bearer)).status_code == 400
    link = page["@odata.nextLink"].replace("/beta/", "/v1.0/")
    assert (await graph.client.get(link, headers=bearer)).status_code == 410
