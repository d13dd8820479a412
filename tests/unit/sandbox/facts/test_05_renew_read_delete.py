"""Line 5: what becomes of a subscription: PATCH, reauthorize, read, list, delete, and its end."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from tests.unit.sandbox.graph_client import APP, Json
from tests.unit.sandbox.subscriber import Subscriber, subscriber


@pytest.fixture
async def app() -> AsyncIterator[Subscriber]:
    async with subscriber() as made:
        yield made


def _in(app: Subscriber, **time: float) -> Json:
    return {"expirationDateTime": (app.graph.sandbox.clock.now() + timedelta(**time)).isoformat()}


async def _patch(app: Subscriber, made: Json, change: Json) -> tuple[int, Json]:
    answer = await app.graph.ask("PATCH", f"/subscriptions/{made['id']}", change)
    return answer.status_code, answer.json()


async def test_patch_renews_and_answers_200_with_the_whole_object(app: Subscriber) -> None:
    made = await app.subscribe()
    wished = _in(app, days=6)
    status, renewed = await _patch(app, made, wished)
    assert status == 200
    assert datetime.fromisoformat(renewed["expirationDateTime"]) == datetime.fromisoformat(wished["expirationDateTime"])
    assert renewed | {"expirationDateTime": ""} == made | {"expirationDateTime": ""}


async def test_patch_delete_get_and_reauthorize_of_a_gone_one_are_404(app: Subscriber) -> None:
    made = await app.subscribe()
    path = f"/subscriptions/{made['id']}"
    assert (await app.graph.ask("DELETE", path)).status_code == 204
    assert (await _patch(app, made, _in(app, days=1)))[0] == 404
    for method, suffix in (("GET", ""), ("DELETE", ""), ("POST", "/reauthorize")):
        assert (await app.graph.ask(method, path + suffix)).status_code == 404


async def test_patch_keeps_to_the_floor_the_cap_and_the_future(app: Subscriber) -> None:
    made = await app.subscribe()
    status, body = await _patch(app, made, _in(app, minutes=10_071))
    assert (status, body["error"]["code"]) == (400, "ExtensionError")
    assert body["error"]["message"] == (
        "Operation: Update; Exception: [Status Code: BadRequest; "
        "Reason: Subscription expiration can only be 10070 minutes in the future.]"
    )
    assert (await _patch(app, made, _in(app, minutes=-1)))[0] == 400
    status, body = await _patch(app, made, _in(app, minutes=1))
    left = datetime.fromisoformat(body["expirationDateTime"]) - app.graph.sandbox.clock.now()
    assert timedelta(minutes=44) < left <= timedelta(minutes=45)


async def test_reauthorize_is_204_and_does_not_extend_the_expiry(app: Subscriber) -> None:
    made = await app.subscribe()
    path = f"/subscriptions/{made['id']}"
    answer = await app.graph.ask("POST", f"{path}/reauthorize")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await app.graph.get(path))["expirationDateTime"] == made["expirationDateTime"]


async def test_each_create_patch_and_reauthorize_attaches_its_token(app: Subscriber) -> None:
    made = await app.subscribe()
    ends = [app.of(made).attached_until]
    await app.advance(minutes=10)
    await _patch(app, made, _in(app, hours=1))
    ends.append(app.of(made).attached_until)
    await app.advance(minutes=10)
    await app.graph.ask("POST", f"/subscriptions/{made['id']}/reauthorize")
    ends.append(app.of(made).attached_until)
    assert ends == sorted(set(ends))


async def test_a_notification_url_is_changed_after_a_handshake_only(app: Subscriber) -> None:
    made = await app.subscribe(changeType="created")
    status, body = await _patch(app, made, {"notificationUrl": "http://127.0.0.1:9/nobody"})
    assert (status, body["error"]["code"]) == (400, "ValidationError")
    status, body = await _patch(app, made, {"notificationUrl": f"{app.there.url}?moved=yes"})
    assert (status, body["notificationUrl"]) == (200, f"{app.there.url}?moved=yes")
    assert len(app.there.handshakes) == 2
    await app.graph.create()
    await app.there.until(lambda: app.there.queries == ["moved=yes"])


@pytest.mark.parametrize(
    "change",
    [
        {"lifecycleNotificationUrl": "http://127.0.0.1:9/"}, {"clientState": "x"}, {"resource": "/me/events"},
        {"changeType": "created"}, {"surprise": 1}, {}, {"expirationDateTime": None}, {"notificationUrl": "nowhere"},
    ],
)  # fmt: skip
async def test_nothing_else_can_be_patched_least_of_all_a_lifecycle_url(app: Subscriber, change: Json) -> None:
    made = await app.subscribe()
    assert (await _patch(app, made, change))[0] == 400
    assert await app.graph.get(f"/subscriptions/{made['id']}") == made | {"clientState": None}


async def test_one_that_is_deleted_during_the_handshake_of_a_patch_stays_deleted(app: Subscriber) -> None:
    made = await app.subscribe()

    def reply(token: str) -> str:
        app.graph.sandbox.subscriptions.remove(app.of(made))
        return token

    app.there.reply = reply
    assert (await _patch(app, made, {"notificationUrl": app.there.url}))[0] == 404
    assert app.graph.sandbox.subscriptions.all() == []


async def test_get_and_list_show_no_client_state(app: Subscriber) -> None:
    made = await app.subscribe()
    [listed] = (await app.graph.get("/subscriptions"))["value"]
    shown = await app.graph.get(f"/subscriptions/{made['id']}")
    assert (made["clientState"], listed["clientState"], shown["clientState"]) == ("secret", None, None)
    assert listed == {name: value for name, value in shown.items() if name != "@odata.context"}


async def test_the_list_is_paged(app: Subscriber) -> None:
    made = {(await app.subscribe(changeType=types))["id"] for types in ("created", "updated", "deleted")}
    first = await app.graph.get("/subscriptions?$top=2")
    rest = await app.graph.get(first["@odata.nextLink"])
    assert "@odata.nextLink" not in rest
    assert {entry["id"] for entry in first["value"] + rest["value"]} == made
    assert len(first["value"]) == 2


async def test_the_list_has_only_this_apps_subscriptions_of_this_user(app: Subscriber) -> None:
    made = await app.subscribe()
    sandbox, scopes = app.graph.sandbox, frozenset(("Calendars.ReadWrite",))
    another_app = sandbox.tokens.issue(app.graph.account.id, "another", scopes).access_token
    await app.subscribe(token=another_app)
    anna = sandbox.accounts.named("anna.keller@bergpraxis.example")
    assert anna
    another_user = sandbox.tokens.issue(anna.id, APP, scopes).access_token
    await app.subscribe(token=another_user, resource="/me/events")
    assert [entry["id"] for entry in (await app.graph.get("/subscriptions"))["value"]] == [made["id"]]
    assert (await app.graph.ask("GET", f"/subscriptions/{made['id']}", token=another_app)).status_code == 404


async def test_the_list_may_miss_one_that_is_there_by_itself(app: Subscriber) -> None:
    made = [(await app.subscribe(changeType=types))["id"] for types in ("created", "updated")]
    await app.fault("subscriptions-unlisted", times=1)
    assert [entry["id"] for entry in (await app.graph.get("/subscriptions"))["value"]] == made[1:]
    assert (await app.graph.get(f"/subscriptions/{made[0]}"))["id"] == made[0]


async def test_at_its_expiry_it_is_deleted_silently(app: Subscriber) -> None:
    made = await app.subscribe(lifecycleNotificationUrl=app.there.url)
    await app.advance(minutes=601)
    await app.graph.create()
    assert (await app.graph.ask("GET", f"/subscriptions/{made['id']}")).status_code == 404
    assert (await app.graph.get("/subscriptions"))["value"] == []
    await app.subscribe(changeType="deleted")
    await app.graph.ask("DELETE", f"/me/events/{(await app.graph.create())['id']}")
    await app.there.until(lambda: app.there.posts == 1)
    assert app.there.types() == ["deleted"]
