"""The check of the sandbox's answers can fail, and no test serves a sandbox without it."""

import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.graph_contract import Exchange, check, check_notifications, checked_app, contract, taken
from tests.unit.sandbox.graph_client import Graph, sandbox_graph

JSON = "application/json; charset=utf-8"
ERROR = {"error": {"code": "BadRequest", "message": "No."}}
CATEGORY = {"id": "c", "displayName": "Red category", "color": "preset0"}


def found(method: str, path: str, status: int, body: Any, query: str = "", content_type: str = JSON) -> str:
    return "; ".join(contract().violations(Exchange(method, f"/v1.0{path}", query, status, content_type, body)))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"mood": "good"}, "'mood' was unexpected"),
        ({"isAllDay": "no"}, "isAllDay"),
        ({"type": "party"}, "type"),
        ({"createdDateTime": "yesterday"}, "createdDateTime"),
        ({"start": {"dateTime": "2026-11-24T09:00:00.0000000", "zone": "UTC"}}, "'zone' was unexpected"),
        ({"cancelledOccurrences": []}, "nobody asked"),
    ],
)
async def test_a_wrong_event_is_refused(wrong: dict[str, Any], said: str) -> None:
    async with sandbox_graph() as graph:
        event = await graph.create()
    assert found("POST", "/me/events", 201, event) == ""
    assert said in found("POST", "/me/events", 201, event | wrong)
    assert "event without ['subject']" in found("GET", "/me/events/e", 200, {k: v for k, v in event.items() if k != "subject"})


async def test_a_select_decides_what_is_there() -> None:
    event = {"id": "e", "subject": "Massage", "@odata.etag": 'W/"k"'}
    assert found("GET", "/users/tess/calendar/events", 200, {"value": [event]}, "$select=subject") == ""
    assert "without ['showAs']" in found("GET", "/me/events/e", 200, event, "$select=subject,showAs")
    assert "with ['subject']" in found("GET", "/me/events/e", 200, event, "$select=id")
    assert (
        found("GET", "/me/events/e", 200, event | {"exceptionOccurrences": []}, "$select=subject&$expand=exceptionOccurrences")
        == ""
    )


@pytest.mark.parametrize(
    ("asked", "status", "body", "content_type", "said"),
    [
        ("GET /me/planner", 200, {"value": []}, JSON, "not described"),
        ("DELETE /me/events/e", 202, None, "", "not described"),
        ("DELETE /me/events/e", 204, {}, JSON, "a body where none belongs"),
        ("GET /me/outlook/masterCategories/c", 200, CATEGORY, "text/plain", "content type"),
        ("GET /me/planner", 404, {"error": "gone"}, JSON, "error:"),
        ("GET /me/planner", 404, ERROR, "text/html", "content type"),
        ("GET /me/calendarView/delta", 200, {"value": []}, JSON, "oneOf"),
        ("GET /me/calendarView/delta()", 200, {"value": [], "@odata.nextLink": "n", "@odata.deltaLink": "d"}, JSON, "oneOf"),
        ("GET /me/outlook/masterCategories", 200, {"@odata.context": "c"}, JSON, "outlookCategory without"),
    ],
)
def test_a_wrong_answer_is_refused(asked: str, status: int, body: Any, content_type: str, said: str) -> None:
    method, path = asked.split()
    assert said in found(method, path, status, body, content_type=content_type)


@pytest.mark.parametrize(
    "asked", ["GET /me/outlook/masterCategories/c 200", "GET /me/planner 404", "PUT /me/events 405", "DELETE /me/events/e 204"]
)
def test_a_right_answer_is_not(asked: str) -> None:
    method, path, status = asked.split()
    body = {"200": CATEGORY, "204": None}.get(status, ERROR)
    assert found(method, path, int(status), body) == ""


def test_each_answer_in_a_batch_counts_as_one_of_its_own() -> None:
    asked = {"requests": [{"id": "1", "method": "GET", "url": "/me/outlook/masterCategories/c"}]}
    inner = {"id": "1", "status": 200, "headers": {"Content-Type": JSON}, "body": CATEGORY | {"shade": "dark"}}
    batch = json.dumps({"responses": [inner]}).encode()
    check("POST", "/v1.0/$batch", "", json.dumps(asked).encode(), 200, JSON, batch)
    (said,) = [line for line in taken() if "shade" in line and "unexpected" in line]
    assert said.startswith("POST /v1.0/$batch 200: in the batch: GET /v1.0/me/outlook/masterCategories/c 200: body")


def test_what_is_no_json_is_recorded() -> None:
    check("GET", "/v1.0/me", "", b"", 200, JSON, b"<html>")
    assert taken() == ["GET /v1.0/me 200: no JSON: b'<html>'"]


def test_a_wrong_notification_is_recorded() -> None:
    check_notifications({"value": [{"subscriptionId": "s", "lifecycleEvent": "missed"}]})
    (said,) = taken()
    assert 'value/0/subscriptionId: "s" is not a "uuid"' in said


async def test_what_leaves_a_served_sandbox_is_checked() -> None:
    async with sandbox_graph() as graph:
        await graph.get("/me/calendars")
        assert taken() == []
        assert await _told_of_a_shade(graph) == ["GET /v1.0/me/outlook/masterCategories 200: outlookCategory without ['color']"]


async def _told_of_a_shade(graph: Graph) -> list[str]:
    """What is recorded when an application below the check leaves something out."""
    app = checked_app(graph.sandbox)

    async def shady(scope: Any, receive: Any, send: Any) -> None:
        body = json.dumps({"value": [{"id": "c", "displayName": "Red category"}]}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", JSON.encode())]})
        await send({"type": "http.response.body", "body": body})

    app._app = shady
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost:8410") as client:
        await client.get("/v1.0/me/outlook/masterCategories")
    return taken()


def test_no_test_serves_a_sandbox_unchecked() -> None:
    tests = Path(__file__).parents[1]
    of_the_sandbox = re.compile(r"^from outlook_sandbox\.app import .*create_app", re.MULTILINE)
    served = re.compile(r"create_app\((?!.*\)\.openapi\(\))")
    texts = {file.name: file.read_text() for file in tests.rglob("*.py")}
    assert [name for name, text in texts.items() if of_the_sandbox.search(text) and served.search(text)] == ["graph_contract.py"]
