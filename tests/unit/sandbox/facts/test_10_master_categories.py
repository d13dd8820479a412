"""What a simulator of Graph must do, line 10: the master list of categories."""

import uuid
from collections.abc import AsyncIterator

import httpx2
import pytest

from outlook_sandbox.faults import CategoryAnswersOld
from tests.unit.sandbox.graph_client import Graph, Json, sandbox_graph

LIST = "/me/outlook/masterCategories"
FIRST = {
    "Red category": "preset0", "Orange category": "preset1", "Yellow category": "preset3",
    "Green category": "preset4", "Blue category": "preset7", "Purple category": "preset8",
}  # fmt: skip


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with sandbox_graph() as made:
        yield made


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def made(graph: Graph, name: str, color: str = "preset9") -> Json:
    answer = await graph.ask("POST", LIST, {"displayName": name, "color": color})
    assert answer.status_code == 201
    category: Json = answer.json()
    return category


async def test_a_new_mailbox_has_six_categories(graph: Graph) -> None:
    listed = (await graph.get(LIST))["value"]
    assert {category["displayName"]: category["color"] for category in listed} == FIRST


async def test_a_category_is_made_with_a_guid_and_found_by_it(graph: Graph) -> None:
    category = await made(graph, "Project expenses")
    assert str(uuid.UUID(category["id"])) == category["id"]
    assert (category["displayName"], category["color"]) == ("Project expenses", "preset9")
    assert (await graph.get(f"{LIST}/{category['id']}"))["displayName"] == "Project expenses"
    assert (await graph.ask("POST", LIST, {"displayName": "Plain"})).json()["color"] == "none"


@pytest.mark.parametrize("again", ["Project", "project", "PROJECT"])
async def test_a_name_is_unique_whatever_its_case_and_a_duplicate_is_409(graph: Graph, again: str) -> None:
    await made(graph, "Project")
    answer = await graph.ask("POST", LIST, {"displayName": again, "color": "preset1"})
    assert refusal(answer) == (409, "CategoryNameExists")
    assert "already exists" in answer.json()["error"]["message"]
    assert len((await graph.get(LIST))["value"]) == len(FIRST) + 1


async def test_a_name_never_changes_and_a_color_does(graph: Graph) -> None:
    category = await made(graph, "Project")
    path = f"{LIST}/{category['id']}"
    assert (await graph.ask("PATCH", path, {"displayName": "Other"})).status_code == 400
    answer = await graph.ask("PATCH", path, {"color": "preset15"})
    assert (answer.status_code, answer.json()["color"]) == (200, "preset15")
    assert (await graph.get(path))["displayName"] == "Project"


async def test_the_answer_to_a_patch_may_show_the_old_color(graph: Graph) -> None:
    path = f"{LIST}/{(await made(graph, 'Project'))['id']}"
    graph.sandbox.faults.add(CategoryAnswersOld(times=1))
    assert (await graph.ask("PATCH", path, {"color": "preset15"})).json()["color"] == "preset9"
    assert (await graph.get(path))["color"] == "preset15"
    assert (await graph.ask("PATCH", path, {"color": "preset1"})).json()["color"] == "preset1"


async def test_only_presets_and_none_are_colors_and_several_categories_may_share_one(graph: Graph) -> None:
    for color in ("none", *(f"preset{number}" for number in range(25)), "preset24"):
        await made(graph, f"{color} {uuid.uuid4()}", color)
    for wrong in ("preset25", "preset", "red", 3):
        assert (await graph.ask("POST", LIST, {"displayName": "New", "color": wrong})).status_code == 400


async def test_a_name_has_1_to_255_characters(graph: Graph) -> None:
    await made(graph, "x" * 255)
    for name in ("x" * 256, "", "  ", None, 5):
        assert (await graph.ask("POST", LIST, {"displayName": name})).status_code == 400


async def test_deleting_a_category_leaves_its_name_on_events(graph: Graph) -> None:
    category = await made(graph, "Project")
    event = await graph.create(categories=["Project"])
    assert (await graph.ask("DELETE", f"{LIST}/{category['id']}")).status_code == 204
    assert (await graph.ask("GET", f"{LIST}/{category['id']}")).status_code == 404
    assert (await graph.get(f"/me/events/{event['id']}"))["categories"] == ["Project"]
    assert (await made(graph, "Project"))["id"] != category["id"]


async def test_renaming_is_a_new_category_and_events_keep_the_old_name(graph: Graph) -> None:
    old = await made(graph, "Old name")
    event = await graph.create(categories=["Old name"])
    await graph.ask("DELETE", f"{LIST}/{old['id']}")
    await made(graph, "New name")
    assert (await graph.get(f"/me/events/{event['id']}"))["categories"] == ["Old name"]


async def test_an_event_may_name_a_category_that_is_not_in_the_list(graph: Graph) -> None:
    event = await graph.create(categories=["Nobody's"])
    assert event["categories"] == ["Nobody's"]
    assert "Nobody's" not in {category["displayName"] for category in (await graph.get(LIST))["value"]}


async def test_reading_needs_mailbox_settings_read_and_writing_read_write(graph: Graph) -> None:
    reader, calendars = graph.token_for("MailboxSettings.Read"), graph.token_for("Calendars.ReadWrite")
    assert (await graph.ask("GET", LIST, token=reader)).status_code == 200
    assert refusal(await graph.ask("GET", LIST, token=calendars)) == (403, "ErrorAccessDenied")
    for token in (reader, calendars):
        assert refusal(await graph.ask("POST", LIST, {"displayName": "New"}, token=token)) == (403, "ErrorAccessDenied")


async def test_the_list_can_not_be_filtered(graph: Graph) -> None:
    assert (await graph.ask("GET", f"{LIST}?$filter=displayName eq 'Red category'")).status_code == 400
