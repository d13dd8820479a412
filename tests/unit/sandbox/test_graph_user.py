"""`/me` of the sandbox's Graph: the mailbox's settings, and the two kinds of ids."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from outlook_sandbox.database import Database
from tests.unit.sandbox.graph_client import IMMUTABLE, Graph, sandbox_graph, weekly

SETTINGS = "/me/mailboxSettings"
TRANSLATE = "/me/translateExchangeIds"


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with sandbox_graph() as made:
        yield made


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_new_mailbox_has_microsofts_settings(graph: Graph) -> None:
    shown = await graph.get(SETTINGS)
    assert shown.keys() == {
        "@odata.context", "automaticRepliesSetting", "timeZone", "language", "workingHours", "dateFormat", "timeFormat",
        "delegateMeetingMessageDeliveryOptions",
    }  # fmt: skip
    assert shown["workingHours"]["timeZone"] == {"name": "UTC"}
    assert (await graph.get(f"{SETTINGS}?$select=timeZone"))["timeZone"] == "UTC"


async def test_settings_are_changed_one_by_one_and_kept(graph: Graph) -> None:
    for sent in (
        {"timeZone": "W. Europe Standard Time"},
        {"workingHours": {"startTime": "07:00:00.0000000", "daysOfWeek": ["monday"]}},
        {"workingHours": {"timeZone": {"name": "Europe/Zurich"}}},
        {"automaticRepliesSetting": {"status": "alwaysEnabled"}},
    ):
        answer = await graph.ask("PATCH", SETTINGS, sent)
        assert answer.status_code == 200
        assert answer.json().keys() == {"@odata.context", *sent}
    shown = await graph.get(SETTINGS)
    assert shown["timeZone"] == "W. Europe Standard Time"
    assert shown["automaticRepliesSetting"]["status"] == "alwaysEnabled"
    assert shown["workingHours"] == {
        "daysOfWeek": ["monday"], "startTime": "07:00:00.0000000", "endTime": "17:00:00.0000000",
        "timeZone": {"name": "Europe/Zurich"},
    }  # fmt: skip


async def test_wrong_settings_are_refused_and_nothing_changes(graph: Graph) -> None:
    await graph.ask("PATCH", SETTINGS, {"timeZone": "Asia/Tokyo"})
    for sent, code in (
        ({"timeZone": "Mars"}, "TimeZoneNotSupportedException"),
        ({"workingHours": {"timeZone": {"name": "Mars"}}}, "TimeZoneNotSupportedException"),
        ({"timeZone": {"name": "UTC"}}, "RequestBodyRead"),
        ({"timeZone": None}, "RequestBodyRead"),
        ({"workingHours": "always"}, "RequestBodyRead"),
        ({"mood": "good"}, "RequestBodyRead"),
    ):
        assert refusal(await graph.ask("PATCH", SETTINGS, sent)) == (400, code)
    reader = graph.token_for("MailboxSettings.Read")
    assert refusal(await graph.ask("PATCH", SETTINGS, {"timeZone": "UTC"}, token=reader)) == (403, "ErrorAccessDenied")
    assert (await graph.get(SETTINGS))["timeZone"] == "Asia/Tokyo"


async def test_settings_survive_a_restart(tmp_path: Path) -> None:
    database = Database(tmp_path / "sandbox.sqlite")
    async with sandbox_graph(database=database) as graph:
        await graph.ask("PATCH", SETTINGS, {"timeZone": "Asia/Tokyo"})
        account, token = graph.account, graph.token
    database.close()
    database = Database(tmp_path / "sandbox.sqlite")
    async with sandbox_graph(database=database) as graph:
        graph.account, graph.token = account, token
        assert (await graph.get(SETTINGS))["timeZone"] == "Asia/Tokyo"
    database.close()


async def test_ids_of_events_and_occurrences_are_translated_both_ways(graph: Graph) -> None:
    await graph.create()
    await graph.create(recurrence=weekly("2026-11-24"))
    window = "startDateTime=2026-11-24T00:00:00Z&endDateTime=2026-12-02T00:00:00Z"
    path = f"/me/calendars/{graph.calendar}/calendarView?{window}&$orderby=start/dateTime,type"
    ordinary = [found["id"] for found in (await graph.get(path))["value"]]
    immutable = [found["id"] for found in (await graph.get(path, headers=IMMUTABLE))["value"]]
    assert len(ordinary) == 3
    for source, target, sent, expected in (
        ("restId", "restImmutableEntryId", ordinary, immutable),
        ("restImmutableEntryId", "restId", immutable, ordinary),
    ):
        body = {"inputIds": sent, "sourceIdType": source, "targetIdType": target}
        answer = await graph.ask("POST", TRANSLATE, body)
        assert answer.status_code == 200
        pairs = [(result["sourceId"], result["targetId"]) for result in answer.json()["value"]]
        assert pairs == list(zip(sent, expected, strict=True))


async def test_what_can_not_be_translated_is_refused(graph: Graph) -> None:
    made = await graph.create()
    good = {"inputIds": [made["id"]], "sourceIdType": "restId", "targetIdType": "restImmutableEntryId"}
    for wrong, code in (
        ({"inputIds": ["unknown"]}, "ErrorInvalidIdMalformed"),
        ({"sourceIdType": "restImmutableEntryId"}, "ErrorInvalidIdMalformed"),
        ({"targetIdType": "ewsId"}, "BadRequest"),
        ({"targetIdType": "guid"}, "RequestBodyRead"),
        ({"inputIds": "one"}, "RequestBodyRead"),
        ({"inputIds": [made["id"]] * 1001}, "BadRequest"),
    ):
        assert refusal(await graph.ask("POST", TRANSLATE, good | wrong)) == (400, code)
    assert (await graph.ask("POST", TRANSLATE, good | {"inputIds": []})).json()["value"] == []
