"""FACTS 10.8: windows, refused parameters, pages, tombstones, series, replays and the end of links, as Outlook's delta has them."""

from collections.abc import AsyncIterator

import pytest

from outlook_sandbox.faults import DeltaEmptyPages, DeltaGone, DeltaReplay, DeltaStrangeTombstones
from tests.unit.sandbox.graph_client import Graph, Json, event, sandbox_graph, weekly

WINDOW = "startDateTime=2026-11-01T00:00:00Z&endDateTime=2026-12-31T00:00:00Z"
PATH = "/me/calendarView/delta"
OUTSIDE = ("2027-06-01T09:00:00", "2027-06-01T10:00:00")


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with sandbox_graph() as made:
        yield made


async def refused(graph: Graph, path: str) -> tuple[int, str, str]:
    answer = await graph.ask("GET", path)
    found = answer.json()["error"]
    return answer.status_code, found["code"], found["message"]


async def pages(graph: Graph, link: str, size: int = 2) -> list[Json]:
    """Every page of a round."""
    found = []
    while link:
        found.append(await graph.get(link, headers={"Prefer": f"odata.maxpagesize={size}"}))
        link = found[-1].get("@odata.nextLink", "")
    return found


def tombstones(items: list[Json]) -> list[str]:
    return [item["id"] for item in items if "@removed" in item]


def standing(items: list[Json]) -> list[str]:
    return [item["id"] for item in items if "@removed" not in item]


async def test_a_window_is_required(graph: Graph) -> None:
    for query in ("", "?startDateTime=2026-11-01T00:00:00Z", "?endDateTime=2026-11-01T00:00:00Z"):
        assert await refused(graph, PATH + query) == (
            400,
            "ErrorInvalidParameter",
            "This request requires a time window specified by the query string parameters StartDateTime and EndDateTime.",
        )


async def test_the_window_is_fixed_in_the_token_and_does_not_slide_with_time(graph: Graph) -> None:
    _, link = await graph.delta(f"{PATH}?{WINDOW}")
    assert "DateTime" not in link
    inside, outside = await graph.create(), await graph.create("later", *OUTSIDE)
    items, link = await graph.delta(link)
    assert (standing(items), tombstones(items)) == ([inside["id"]], [outside["id"]])


@pytest.mark.parametrize("name", ["$select", "$expand", "$filter", "$orderby", "$search"])
async def test_unsupported_parameters_are_400_error_invalid_url_query(graph: Graph, name: str) -> None:
    assert await refused(graph, f"{PATH}?{WINDOW}&{name}=x") == (
        400,
        "ErrorInvalidUrlQuery",
        "The following parameters are not supported with change tracking over the 'CalendarView' resource: "
        "'$orderby, $filter, $select, $expand, $search'.",
    )


async def test_the_page_size_is_a_preference_and_not_top(graph: Graph) -> None:
    for number in range(3):
        await graph.create(f"number {number}")
    found = await pages(graph, f"{PATH}?{WINDOW}")
    assert [len(page["value"]) for page in found] == [2, 1]
    status, code, message = await refused(graph, f"{PATH}?{WINDOW}&$top=2")
    assert (status, code) == (400, "ErrorInvalidUrlQuery")
    assert "odata.maxpagesize" in message


async def test_the_usual_page_has_fifty_items(graph: Graph) -> None:
    for number in range(51):
        await graph.create(f"number {number}")
    assert len((await graph.get(f"{PATH}?{WINDOW}"))["value"]) == 50


async def test_a_page_has_a_next_link_or_a_delta_link_and_never_both(graph: Graph) -> None:
    for number in range(5):
        await graph.create(f"number {number}")
    *before, last = await pages(graph, f"{PATH}?{WINDOW}")
    assert len(before) == 2
    for page in before:
        assert "@odata.nextLink" in page
        assert "@odata.deltaLink" not in page
        assert "$skiptoken=" in page["@odata.nextLink"]
    assert "@odata.nextLink" not in last
    assert "$deltatoken=" in last["@odata.deltaLink"]


async def test_empty_pages_come_in_the_middle_of_a_round(graph: Graph) -> None:
    made = [(await graph.create(f"number {number}"))["id"] for number in range(3)]
    graph.sandbox.faults.add(DeltaEmptyPages(account=graph.account.id, pages=2))
    found = await pages(graph, f"{PATH}?{WINDOW}")
    assert [len(page["value"]) for page in found] == [0, 0, 2, 0, 0, 1]
    assert [item["id"] for page in found for item in page["value"]] == made
    found = await pages(graph, found[-1]["@odata.deltaLink"])
    assert [len(page["value"]) for page in found] == [0, 0, 0]
    assert "@odata.deltaLink" in found[-1]


async def test_tombstones_are_untyped_and_may_name_unknown_ids(graph: Graph) -> None:
    series = await graph.create(recurrence=weekly("2026-11-24"))
    _, link = await graph.delta(f"{PATH}?{WINDOW}")
    short_lived = await graph.create()
    for gone in (series, short_lived):
        await graph.ask("DELETE", f"/me/events/{gone['id']}")
    items, _ = await graph.delta(link)
    assert items == [
        {"@odata.type": "#microsoft.graph.event", "id": gone["id"], "@removed": {"reason": "deleted"}}
        for gone in (series, short_lived)
    ]


async def test_tombstones_name_events_created_changed_or_deleted_outside_the_window(graph: Graph) -> None:
    changed, deleted = [await graph.create(name, *OUTSIDE) for name in ("changed", "deleted")]
    _, link = await graph.delta(f"{PATH}?{WINDOW}")
    created = await graph.create("created", *OUTSIDE)
    await graph.patch(changed["id"], {"subject": "still outside"})
    await graph.ask("DELETE", f"/me/events/{deleted['id']}")
    items, _ = await graph.delta(link)
    assert (standing(items), tombstones(items)) == ([], [created["id"], changed["id"], deleted["id"]])
    assert (await graph.get(f"/me/events/{changed['id']}"))["subject"] == "still outside"


async def test_tombstones_name_events_that_left_the_window_and_still_exist(graph: Graph) -> None:
    made = await graph.create()
    _, link = await graph.delta(f"{PATH}?{WINDOW}")
    await graph.patch(made["id"], event(start=OUTSIDE[0], end=OUTSIDE[1]))
    items, link = await graph.delta(link)
    assert (standing(items), tombstones(items)) == ([], [made["id"]])
    await graph.patch(made["id"], event())
    items, _ = await graph.delta(link)
    assert (standing(items), tombstones(items)) == ([made["id"]], [])


async def test_tombstones_may_name_ids_that_nobody_ever_saw(graph: Graph) -> None:
    made = await graph.create()
    graph.sandbox.faults.add(DeltaStrangeTombstones(items=2))
    items, link = await graph.delta(f"{PATH}?{WINDOW}")
    assert standing(items) == [made["id"]]
    assert len(set(tombstones(items))) == 2
    again = tombstones((await graph.delta(link))[0])
    assert len({*tombstones(items), *again}) == 4
    for identifier in again:
        assert (await graph.ask("GET", f"/me/events/{identifier}")).status_code == 404


async def test_occurrences_are_minimal_and_come_with_their_master_even_from_before_the_window(graph: Graph) -> None:
    times = ("2026-10-06T09:00:00", "2026-10-06T09:30:00")
    made = await graph.create("Weekly", *times, recurrence=weekly("2026-10-06"), categories=["Red category"])
    master, *occurrences = (await graph.delta(f"{PATH}?{WINDOW}"))[0]
    assert (master["id"], master["type"], master["categories"]) == (made["id"], "seriesMaster", ["Red category"])
    assert master["start"]["dateTime"].startswith("2026-10-06")
    assert len(occurrences) == 9
    for item in occurrences:
        assert item.keys() == {"@odata.type", "@odata.etag", "id", "seriesMasterId", "type", "start", "end"}
        assert (item["type"], item["seriesMasterId"]) == ("occurrence", made["id"])


async def test_any_change_of_a_series_tells_its_master_and_all_its_occurrences(graph: Graph) -> None:
    made = await graph.create(recurrence=weekly("2026-11-24", type="numbered", numberOfOccurrences=4))
    first, link = await graph.delta(f"{PATH}?{WINDOW}")
    await graph.patch(made["id"], {"subject": "changed"})
    items, link = await graph.delta(link)
    assert standing(items) == standing(first)
    await graph.patch(first[2]["id"], {"subject": "only this one"})
    items, link = await graph.delta(link)
    assert [item["type"] for item in items] == ["seriesMaster", "occurrence", "occurrence", "occurrence", "exception"]
    assert {*standing(items)} == {*standing(first)}


async def test_a_deleted_occurrence_leaves_no_tombstone_only_the_master_and_those_that_remain(graph: Graph) -> None:
    await graph.create(recurrence=weekly("2026-11-24", type="numbered", numberOfOccurrences=4))
    (master, gone, *left), link = await graph.delta(f"{PATH}?{WINDOW}")
    await graph.ask("DELETE", f"/me/events/{gone['id']}")
    items, _ = await graph.delta(link)
    assert standing(items) == [master["id"], *(item["id"] for item in left)]
    assert tombstones(items) == []


async def test_a_series_is_not_split_over_pages(graph: Graph) -> None:
    await graph.create(recurrence=weekly("2026-11-24", type="numbered", numberOfOccurrences=4))
    await graph.create()
    assert [len(page["value"]) for page in await pages(graph, f"{PATH}?{WINDOW}")] == [5, 1]


async def test_starts_are_whole_minutes_in_original_start(graph: Graph) -> None:
    await graph.create("odd", "2026-11-24T09:00:12", "2026-11-24T09:30:12", recurrence=weekly("2026-11-24"))
    occurrence = (await graph.delta(f"{PATH}?{WINDOW}"))[0][1]
    changed = await graph.patch(occurrence["id"], {"subject": "exception"})
    assert changed["originalStart"] == "2026-11-24T09:00:00Z"


async def test_items_are_replayed_as_they_are_now_on_later_pages_and_in_later_rounds(graph: Graph) -> None:
    made = [(await graph.create(f"number {number}"))["id"] for number in range(4)]
    graph.sandbox.faults.add(DeltaReplay(items=1))
    found = await pages(graph, f"{PATH}?{WINDOW}")
    assert [standing(page["value"]) for page in found] == [made[:2], [made[1], *made[2:]]]
    await graph.patch(made[0], {"subject": "changed"})
    items, link = await graph.delta(found[-1]["@odata.deltaLink"])
    assert [(item["id"], item["subject"]) for item in items] == [(made[3], "number 3"), (made[0], "changed")]
    await graph.ask("DELETE", f"/me/events/{made[3]}")
    items, link = await graph.delta(link)
    assert (standing(items), tombstones(items)) == ([made[0]], [made[3]])
    items, link = await graph.delta(link)
    assert [(item["id"], item["subject"]) for item in items] == [(made[0], "changed")]


async def test_a_replayed_series_is_whole(graph: Graph) -> None:
    await graph.create(recurrence=weekly("2026-11-24", type="numbered", numberOfOccurrences=4))
    first, link = await graph.delta(f"{PATH}?{WINDOW}")
    graph.sandbox.faults.add(DeltaReplay(items=1))
    assert (await graph.delta(link))[0] == first


async def test_a_delta_link_ends_in_410_sync_state_not_found(graph: Graph) -> None:
    await graph.create()
    _, link = await graph.delta(f"{PATH}?{WINDOW}")
    graph.sandbox.faults.add(DeltaGone(account=graph.account.id, link="deltaLink", times=1))
    status, code, message = await refused(graph, link)
    assert (status, code) == (410, "SyncStateNotFound")
    assert message.startswith("The sync state generation is not found; generation=")
    assert len((await graph.delta(f"{PATH}?{WINDOW}"))[0]) == 1


async def test_a_next_link_ends_in_410_in_the_middle_of_a_traversal(graph: Graph) -> None:
    for number in range(5):
        await graph.create(f"number {number}")
    fault = graph.sandbox.faults.add(DeltaGone(link="nextLink"))
    page = await graph.get(f"{PATH}?{WINDOW}", headers={"Prefer": "odata.maxpagesize=2"})
    assert (await refused(graph, page["@odata.nextLink"]))[:2] == (410, "SyncStateNotFound")
    graph.sandbox.faults.remove(fault.id)
    _, link = await graph.delta(page["@odata.nextLink"])
    graph.sandbox.faults.add(DeltaGone(link="nextLink"))
    assert (await graph.delta(link))[0] == []


async def test_410_may_be_resync_required_with_a_location_that_begins_the_same_window_anew(graph: Graph) -> None:
    made = await graph.create()
    _, link = await graph.delta(f"/me/calendars/{graph.calendar}/calendarView/delta?{WINDOW}")
    graph.sandbox.faults.add(DeltaGone(code="resyncRequired", times=1))
    answer = await graph.ask("GET", link)
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "resyncRequired")
    location = answer.headers["location"]
    assert location.endswith("&$deltatoken=")
    await graph.create("later", *OUTSIDE)
    items, _ = await graph.delta(location)
    assert (standing(items), tombstones(items)) == ([made["id"]], [])
