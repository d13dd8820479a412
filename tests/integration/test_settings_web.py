"""settings-web over real MongoDB, Redis and Kafka: sign-in at the sandbox's issuer, Graph's calendars, forms without scripts."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from common.announce import Announcer
from common.graph import AccessTokens, Graph
from common.messages import CalendarChanged, CalendarSyncRequested, ConnectionChanged, SyncSettingsChanged
from common.store import Document
from settings_web.app import create_app
from settings_web.auth_door import AuthDoor
from settings_web.calendars import Calendars, message_of
from settings_web.parts import SESSION_COOKIE
from settings_web.signin import SignIn
from tests.fakes.recorded_messaging import RecordedMessaging
from tests.integration.settings_world import ADD, CALENDARS, PROVIDERS, SYNC, Web, begin_connect, settings_of, sign_in
from tests.kafka_reading import reading, speaking
from tests.servers import Kafka
from tests.serving import until


async def test_a_person_signs_in_and_comes_to_the_calendars(web: Web) -> None:
    async with web.browser() as browser:
        asked = await browser.client.get("/", follow_redirects=False)
        assert asked.headers["location"] == CALENDARS
        came_back = await sign_in(browser, "usr_miriam")
        assert came_back.headers["location"] == CALENDARS
        cookie = next(line for line in came_back.headers.get_list("set-cookie") if line.startswith(SESSION_COOKIE))
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Max-Age=43200" in cookie
        page = await browser.see(CALENDARS)
        assert "Miriam Vogt" in page
        assert "Bergpraxis Physiotherapie" in page


async def test_the_session_id_is_new_at_each_sign_in_and_gone_after_sign_out(web: Web) -> None:
    async with web.browser() as browser:
        await sign_in(browser, "usr_miriam")
        first = browser.client.cookies[SESSION_COOKIE]
        await sign_in(browser, "usr_miriam")
        second = browser.client.cookies[SESSION_COOKIE]
        assert first != second
        assert await web.parts.sessions.find(first) is None
        signed_out = await browser.send("/signout", CALENDARS)
        assert signed_out.headers["location"] == "/signed-out"
        assert await web.parts.sessions.find(second) is None


async def test_a_sign_in_that_another_browser_began_is_refused(web: Web) -> None:
    async with web.browser() as mine, web.browser() as theirs:
        to_provider = await mine.client.get("/signin")
        back = await mine.client.post(to_provider.headers["location"], data={"user": "usr_miriam"})
        page = await theirs.see(back.headers["location"], 400)
        assert "expired or was begun in another browser" in page
        await theirs.client.get("/signin")
        page = await theirs.see(back.headers["location"], 403)
        assert "could not be accepted" in page
        assert SESSION_COOKIE not in theirs.client.cookies


async def test_a_cancelled_sign_in_is_said_so(web: Web) -> None:
    async with web.browser() as browser:
        to_provider = await browser.client.get("/signin")
        back = await browser.client.post(to_provider.headers["location"], data={"answer": "cancel"})
        assert "The sign-in was cancelled." in await browser.see(back.headers["location"], 403)


async def test_after_sign_in_only_our_own_pages_are_gone_to(web: Web) -> None:
    for wanted, led_to in ((PROVIDERS, PROVIDERS), ("//evil.example", CALENDARS), ("https://evil.example/settings/x", CALENDARS)):
        async with web.browser() as browser:
            to_provider = await browser.client.get("/signin", params={"next": wanted})
            back = await browser.client.post(to_provider.headers["location"], data={"user": "usr_miriam"})
            assert (await browser.client.get(back.headers["location"])).headers["location"] == led_to


async def test_a_member_may_look_but_not_change(web: Web, organization: str) -> None:
    connection = await web.auth.connect(organization)
    calendar = await web.calendar(organization, connection)
    async with web.browser(organization, may_change=False) as browser:
        page = await browser.see(CALENDARS)
        assert "Room 1" in page
        assert "Only an administrator" in page
        assert "Sync now" not in page
        await browser.see(ADD, 403)
        assert (await browser.send(f"{CALENDARS}/{calendar}/remove", CALENDARS)).status_code == 403
        assert (await browser.api("DELETE", f"/calendars/{calendar}")).json()["title"] == "not-admin"
    assert (await web.database.calendars.find_one({"_id": calendar}) or {})["state"] == "active"


async def test_a_change_without_the_csrf_token_is_refused(web: Web, organization: str) -> None:
    calendar = await web.calendar(organization, await web.auth.connect(organization))
    async with web.browser(organization) as browser:
        for path in (f"{CALENDARS}/{calendar}/remove", SYNC, "/connect/microsoft", "/signout"):
            assert (await browser.client.post(path, data={"csrf": "wrong"})).status_code == 403
        assert (await browser.client.delete(f"/api/v1/calendars/{calendar}")).json()["title"] == "csrf"


async def test_an_account_is_connected_labelled_and_its_calendars_are_saved(web: Web, organization: str) -> None:
    async with web.browser(organization) as browser, reading(web.kafka, CalendarChanged) as messages:
        assert "No calendar yet" in await browser.see(CALENDARS)
        state = await begin_connect(browser)
        page = await browser.see(f"/connect/microsoft/return?code=c&state={state}")
        assert "It is connected." in page
        assert "<dialog open" in page
        connection = (await web.database.connections.find_one({"organization": organization}) or {})["_id"]
        refused = await browser.send(f"{PROVIDERS}/{connection}/label", f"{PROVIDERS}/{connection}/label", label=" ", fresh="true")
        assert refused.status_code == 422
        assert "Give the account a label." in refused.text
        labelled = await browser.send(
            f"{PROVIDERS}/{connection}/label", f"{PROVIDERS}/{connection}/label", label="Front  desk", fresh="true"
        )
        assert labelled.headers["location"] == f"{ADD}/{connection}"
        offer = await browser.see(f"{ADD}/{connection}")
        boxes = re.findall(r'<input[^>]+name="calendar" value="([^"]+)"([^>]*)>', offer)
        offered = [value for value, _ in boxes]
        assert len(offered) == 2
        nothing = await browser.send(f"{ADD}/{connection}", f"{ADD}/{connection}")
        assert "Choose at least one calendar." in nothing.text
        listed = (await browser.client.get(f"/api/v1/connections/{connection}/calendars")).json()
        shared = [one["graph_id"] for one in listed if not one["may_be_added"]]
        forbidden = await browser.send(f"{ADD}/{connection}", f"{ADD}/{connection}", calendar=shared)
        assert forbidden.status_code == 422
        saved = await browser.send(f"{ADD}/{connection}", f"{ADD}/{connection}", calendar=offered)
        assert saved.headers["location"] == CALENDARS
        page = await browser.see(CALENDARS)
        assert "2 calendars are monitored now." in page
        assert page.count("Syncing…") == 2
        assert "Front desk" in page
        assert "Monitored already." in await browser.see(f"{ADD}/{connection}")
        said = await messages.of(lambda message: message.organization == organization, 2)
        assert {message.change for message in said} == {"added"}


async def test_while_auth_is_away_the_page_says_so_and_nothing_is_lost(web: Web, organization: str) -> None:
    connection = await web.auth.connect(organization, "Front desk")
    async with web.browser(organization) as browser:
        web.auth.down = True
        try:
            answer = await browser.send("/connect/microsoft", f"{ADD}/new")
            assert answer.headers["location"] == ADD
            assert "can’t be reached right now" in await browser.see(ADD)
            page = await browser.see(f"{ADD}/{connection}", 503)
            assert "can’t be reached right now" in page
            assert "Try again" in page
            renamed = await browser.send(f"{PROVIDERS}/{connection}/label", f"{PROVIDERS}/{connection}/rename", label="Desk")
            assert renamed.status_code == 503
            assert 'value="Desk"' in renamed.text
        finally:
            web.auth.down = False
        await browser.see(f"{ADD}/{connection}")


async def test_an_account_that_needs_its_owner_is_shown_as_such(web: Web, organization: str) -> None:
    connection = await web.auth.connect(organization, "Front desk", "needs-reconnect")
    await web.calendar(organization, connection)
    async with web.browser(organization) as browser:
        assert "Needs reconnect" in await browser.see(CALENDARS)
        assert "Reconnect" in await browser.see(PROVIDERS)
        refused = await browser.api("POST", "/calendars", json={"connection": connection, "graph_ids": ["x"]})
        assert (refused.status_code, refused.json()["title"]) == (409, "needs-reconnect")


async def test_a_label_is_unique_within_the_organization(web: Web, organization: str) -> None:
    await web.auth.connect(organization, "Front desk")
    other = await web.auth.connect(organization, "Back office")
    async with web.browser(organization) as browser:
        taken = await browser.api("PATCH", f"/connections/{other}", json={"name": "FRONT DESK"})
        assert (taken.status_code, taken.json()["title"]) == (422, "label-taken")
        assert (await browser.api("PATCH", f"/connections/{other}", json={"name": "x" * 81})).json()["title"] == "label-too-long"
        assert (await browser.api("PATCH", f"/connections/{other}", json={"name": "Office"})).json()["name"] == "Office"


async def test_sync_now_asks_for_a_delta_round_and_the_row_shows_it(web: Web, organization: str) -> None:
    calendar = await web.calendar(organization, await web.auth.connect(organization))
    before = datetime.now(UTC) - timedelta(minutes=3)
    state = {"_id": calendar, "organization": organization, "connection": "c", "state": "current"}
    await web.database.sync_states.insert_one(state | {"last_round_at": before, "appointments": 1234})
    async with web.browser(organization) as browser, reading(web.kafka, CalendarSyncRequested) as messages:
        page = await browser.see(CALENDARS)
        assert "Up to date" in page
        assert "3 minutes ago" in page
        assert "1,234" in page
        assert 'hx-trigger="every 5s"' in page
        await browser.send(f"{CALENDARS}/{calendar}/sync", CALENDARS)
        said = await messages.of(lambda message: message.calendar == calendar)
        assert (said[0].mode, said[0].reason) == ("delta", "manual")
        page = await browser.see(CALENDARS)
        assert "Syncing…" in page
        assert 'hx-trigger="every 1s"' in page


async def test_a_table_that_did_not_change_is_not_sent_again(web: Web, organization: str) -> None:
    await web.calendar(organization, await web.auth.connect(organization))
    async with web.browser(organization) as browser:
        found = re.search(r'hx-get="([^"]+/rows\?seen=\w+)"', await browser.see(CALENDARS))
        assert found
        assert (await browser.client.get(found[1])).status_code == 204
        await web.calendar(organization, "con_x", name="Room 2")
        assert "Room 2" in (await browser.client.get(found[1])).text


async def test_a_removed_calendar_leaves_the_page_is_announced_and_goes_when_nobody_needs_it(web: Web, organization: str) -> None:
    calendar = await web.calendar(organization, await web.auth.connect(organization))
    sync_state = {"_id": calendar, "organization": organization, "connection": "c", "state": "current"}
    await web.database.sync_states.insert_one(sync_state)
    async with web.browser(organization) as browser, reading(web.kafka, CalendarChanged) as messages:
        assert "Take Attendara’s labels off" in await browser.see(f"{CALENDARS}/{calendar}/remove")
        await browser.send(f"{CALENDARS}/{calendar}/remove", CALENDARS, remove_labels="true")
        assert "Room 1</span>" not in await browser.see(CALENDARS)
        said = await messages.of(lambda message: message.calendar == calendar)
        assert said[-1].change == "removing"
        assert (await browser.client.get(f"{CALENDARS}/{calendar}/remove")).status_code == 404
    document = await web.database.calendars.find_one({"_id": calendar}) or {}
    assert (document["state"], document["remove_labels"]) == ("removing", True)
    long_ago = document["removing_at"] - timedelta(minutes=1)
    await web.database.calendars.update_one({"_id": calendar}, {"$set": {"removing_at": long_ago}})
    await web.parts.calendars.sweep()
    assert await web.database.calendars.find_one({"_id": calendar})
    await web.database.sync_states.delete_one({"_id": calendar})
    await web.database.subscriptions.insert_one({"_id": f"sub_{calendar}", "calendar": calendar})
    await web.parts.calendars.sweep()
    assert await web.database.calendars.find_one({"_id": calendar})
    await web.database.subscriptions.delete_one({"calendar": calendar})
    await web.parts.calendars.sweep()
    assert await web.database.calendars.find_one({"_id": calendar}) is None


async def test_a_calendar_can_be_added_again_but_only_once_at_a_time(web: Web, organization: str) -> None:
    connection = await web.auth.connect(organization)
    async with web.browser(organization) as browser:
        offered = (await browser.client.get(f"/api/v1/connections/{connection}/calendars")).json()
        graph_id = next(one["graph_id"] for one in offered if one["may_be_added"])
        wish = {"connection": connection, "graph_ids": [graph_id]}
        both = await asyncio.gather(*(browser.api("POST", "/calendars", json=wish) for _ in range(2)))
        first = [added for answer in both for added in answer.json()["added"]]
        assert len(first) == 1
        assert (await browser.api("DELETE", f"/calendars/{first[0]}?remove_labels=false")).status_code == 202
        again = await browser.api("POST", "/calendars", json=wish)
        assert again.json()["added"] not in ([], first)


async def test_a_connection_that_goes_takes_its_calendars_along(web: Web, organization: str) -> None:
    connection = await web.auth.connect(organization, "Front desk")
    calendar = await web.calendar(organization, connection)
    kept = await web.calendar(organization, await web.auth.connect(organization, "Other"))
    async with web.browser(organization) as browser, speaking(web.kafka) as auth:
        await browser.send(f"{PROVIDERS}/{connection}/remove", f"{PROVIDERS}/{connection}/remove", remove_labels="true")
        assert "Removing" in await browser.see(PROVIDERS)
        await auth.publish(ConnectionChanged(organization=organization, connection=connection, change="removing"))
        await until(lambda: web.database.calendars.find_one({"_id": calendar, "state": "removing", "remove_labels": True}))
    assert await web.database.calendars.find_one({"_id": kept, "state": "active"})


async def test_auth_is_told_who_renames_and_who_removes_an_account(web: Web, organization: str) -> None:
    by_page, by_api = [await web.auth.connect(organization, name) for name in ("Front", "Back")]
    async with web.browser(organization) as browser:
        await browser.send(f"{PROVIDERS}/{by_page}/label", f"{PROVIDERS}/{by_page}/rename", label="Desk")
        await browser.send(f"{PROVIDERS}/{by_page}/remove", f"{PROVIDERS}/{by_page}/remove")
        await browser.api("PATCH", f"/connections/{by_api}", json={"name": "Stairs"})
        await browser.api("DELETE", f"/connections/{by_api}")
        user = (await browser.client.get("/api/v1/session")).json()["user"]
    told = [wish for wish in web.auth.wishes if wish[0] in (by_page, by_api)]
    assert told == [(connection, what, user) for connection in (by_page, by_api) for what in ("rename", "remove")]


async def test_a_removed_account_is_not_there_and_one_being_removed_takes_no_calendar(web: Web, organization: str) -> None:
    connection = await web.auth.connect(organization, "Front desk")
    of_it = {"_id": connection}
    async with web.browser(organization) as browser:
        await web.database.connections.update_one(of_it, {"$set": {"state": "removing"}})
        refused = await browser.api("POST", "/calendars", json={"connection": connection, "graph_ids": ["any"]})
        assert (refused.status_code, refused.json()["detail"]) == (409, "This account is being removed.")
        await web.database.connections.update_one(of_it, {"$set": {"state": "removed"}})
        for path in (f"{ADD}/{connection}", f"{PROVIDERS}/{connection}/rename", f"{PROVIDERS}/{connection}/remove"):
            assert "isn’t there" in await browser.see(path, 404)


@pytest.mark.parametrize(("path", "kind"), [("/api/v1/calendars", "application/json"), (SYNC, "multipart/form-data; boundary=b")])
async def test_a_body_larger_than_ours_is_not_read(web: Web, path: str, kind: str) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n' if "form" in kind else b'{"a": "'
    async with web.browser() as stranger:
        answer = await stranger.client.post(path, content=head + b"x" * 300_000, headers={"content-type": kind})
    assert answer.status_code == 413
    assert "Content-Security-Policy" in answer.headers


@pytest.mark.parametrize("character", [r"\u0000", r"\u001b", r"\ud83d"])
async def test_a_character_that_nothing_can_hold_is_refused(web: Web, organization: str, character: str) -> None:
    connection = await web.auth.connect(organization, "Front desk")
    names = f'"confirmed_category": "a{character}b", "cancelled_category": "no", "confirmed_prefix": "", "cancelled_prefix": ""'
    async with web.browser(organization) as browser:
        for method, path, body in (
            ("PATCH", f"/connections/{connection}", f'{{"name": "a{character}b"}}'),
            ("PUT", "/sync-settings", f'{{{names}, "prefix_policy": "never"}}'),
        ):
            refused = await browser.api(method, path, content=body)
            assert (refused.status_code, refused.json()["title"]) == (422, "unusable-character")


async def test_half_a_character_in_an_id_is_refused(web: Web, organization: str) -> None:
    async with web.browser(organization) as browser:
        refused = await browser.api("POST", "/calendars", content=r'{"connection": "con_\ud83d", "graph_ids": ["a"]}')
    assert (refused.status_code, refused.json()["detail"]) == (422, "There is a character that can’t be used.")


async def test_another_organization_s_things_are_not_there(web: Web, organization: str) -> None:
    connection = await web.auth.connect(organization, "Front desk")
    calendar = await web.calendar(organization, connection)
    async with web.browser(f"{organization}_other") as browser:
        assert "Room 1" not in await browser.see(CALENDARS)
        for path in (f"{CALENDARS}/{calendar}/remove", f"{ADD}/{connection}", f"{PROVIDERS}/{connection}/rename"):
            assert "isn’t there" in await browser.see(path, 404)
        for method, path in (
            ("POST", f"/calendars/{calendar}/sync"),
            ("DELETE", f"/calendars/{calendar}"),
            ("DELETE", f"/connections/{connection}"),
            ("GET", f"/connections/{connection}/calendars"),
        ):
            answer = await browser.api(method, path)
            assert (answer.status_code, answer.json()["title"]) == (404, "not-found")
        assert (await browser.api("PATCH", f"/connections/{connection}", json={"name": "Mine"})).status_code == 404
        assert (await browser.send(f"/connect/microsoft/{connection}", ADD)).status_code == 404


async def test_sync_settings_are_saved_and_announced(web: Web, organization: str) -> None:
    wish = {
        "confirmed_category": "Comes",
        "cancelled_category": "Stays away",
        "prefix_policy": "no-attendees",
        "confirmed_prefix": "[OK]",
        "cancelled_prefix": "$name",
    }
    async with web.browser(organization) as browser, reading(web.kafka, SyncSettingsChanged) as messages:
        assert "mails everyone who is invited" in await browser.see(SYNC)
        assert (await browser.send(SYNC, SYNC, **wish)).headers["location"] == SYNC
        assert "Sync settings are saved." in await browser.see(SYNC)
        await messages.of(lambda message: message.organization == organization)
        assert (await browser.client.get("/api/v1/sync-settings")).json() == wish
        refused = await browser.send(SYNC, SYNC, **wish | {"cancelled_category": "comes"})
        assert refused.status_code == 422
        assert "need different names" in refused.text
        put = await browser.api("PUT", "/sync-settings", json=wish | {"prefix_policy": "never"})
        assert put.json()["prefix_policy"] == "never"
        assert (await browser.api("PUT", "/sync-settings", json=wish | {"prefix_policy": "often"})).status_code == 422


async def test_the_api_wants_a_session_and_describes_itself(web: Web) -> None:
    async with web.browser() as browser:
        answer = await browser.client.get("/api/v1/calendars")
        assert (answer.status_code, answer.json()["title"]) == (401, "sign-in-needed")
        assert answer.headers["content-type"] == "application/problem+json"
        paths = (await browser.client.get("/api/v1/openapi.json")).json()["paths"]
        assert "/api/v1/calendars/{calendar}/sync" in paths
        assert all(path.startswith("/api/v1/") for path in paths)
        assert (await browser.client.get("/api/v1/nowhere")).json()["title"] == "not-found"


async def test_a_poll_without_a_session_sends_the_whole_page_to_sign_in(web: Web) -> None:
    async with web.browser() as browser:
        answer = await browser.client.get(f"{CALENDARS}/rows", headers={"HX-Request": "true"})
        assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/")


async def test_every_answer_is_guarded_by_headers(web: Web, organization: str) -> None:
    async with web.browser(organization) as browser:
        for path in (CALENDARS, "/signed-out", "/nowhere", "/api/v1/session", "/static/settings.js", "/livez"):
            headers = (await browser.client.get(path)).headers
            assert "script-src 'self'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
        assert "immutable" in (await browser.client.get("/static/settings.js")).headers["cache-control"]


async def test_the_internal_door_announces_calendars_anew(web: Web, organization: str) -> None:
    calendar = await web.calendar(organization, await web.auth.connect(organization))
    async with web.browser() as browser, reading(web.kafka, CalendarChanged) as messages:
        path = f"/internal/v1/announce?organization={organization}"
        assert (await browser.client.post(path)).status_code == 401
        answer = await browser.client.post(path, headers={"Authorization": "Bearer cli:test"})
        assert answer.json() == {"announced": 1}
        await messages.of(lambda message: message.calendar == calendar and message.change == "added")


async def test_servers_that_are_away_give_a_page_with_a_sentence(web: Web, kafka: Kafka) -> None:
    nowhere = settings_of("http://localhost:1", "http://localhost:1", "redis://localhost:1/0", kafka)
    redis = Redis.from_url(nowhere.redis_url.get_secret_value())
    mongo: AsyncMongoClient[Document] = AsyncMongoClient("mongodb://localhost:1", serverSelectionTimeoutMS=200)
    graph = Graph(nowhere.graph_url, httpx2.AsyncClient(), AccessTokens(httpx2.AsyncClient()))
    auth = AuthDoor(httpx2.AsyncClient(base_url="http://localhost:1"))
    app = create_app(nowhere, mongo["none"], redis, RecordedMessaging(), graph, auth, SignIn(nowhere, redis))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=nowhere.public_url) as client:
        client.cookies.set(SESSION_COOKIE, "some")
        page = await client.get(CALENDARS)
        assert (page.status_code, "look up who is signed in" in page.text) == (503, True)
        assert "Try again" in page.text
        assert (await client.get("/signin")).status_code == 503
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert {"mongodb", "redis", "indexes"} <= set(ready.json())
        assert (await client.get("/livez")).status_code == 200
    await mongo.close()


async def test_a_broker_that_is_away_refuses_sync_now_but_loses_no_removal(web: Web, organization: str) -> None:
    calendar = await web.calendar(organization, await web.auth.connect(organization))
    messaging = RecordedMessaging()
    announcer = Announcer(web.database.calendars, messaging, message_of)
    work = Calendars(web.database, announcer, messaging, web.parts.calendars.graph)
    messaging.down = True
    with pytest.raises(Exception, match="down"):
        await work.request_sync(organization, calendar)
    await work.remove(organization, calendar, remove_labels=False)
    messaging.down = False
    assert await announcer.announce({"_id": calendar}) == 1
    assert messaging.of(CalendarChanged)[0].change == "removing"
