"""Every body that Microsoft's documentation shows: the sandbox accepts it if it is a request, and can answer so if it isn't.

Answers have at least the keys and exactly the codes of the examples; that they have no invented ones is the business of
tests/graph_contract.py.
"""

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import jwt
import pytest

from outlook_sandbox.accounts import Account, new_account
from tests.unit.sandbox.graph_client import APP, weekly
from tests.unit.sandbox.graph_examples import NAMES, REDIRECT, example, lacks
from tests.unit.sandbox.identity_client import CP1, RETURN, SCOPES, Microsoft, address, answer_of
from tests.unit.sandbox.resource_data import CERTIFICATE, decrypted
from tests.unit.sandbox.subscriber import Subscriber, subscriber

Json = dict[str, Any]
WINDOW = "startDateTime=2026-11-01T00:00:00Z&endDateTime=2026-12-31T00:00:00Z"
PAGES = {"Prefer": "odata.maxpagesize=2"}
RICH = "$select=subject,bodyPreview,importance,createdDateTime,organizer"

WITHOUT = {
    "batch-response": ({"/responses/headers/location"}, "only downloads are redirected, and a calendar has none"),
    "error-generic-body": ({"/error/innerError/requestId"}, "the page's own word; all other bodies say request-id"),
    "notification-basic-message": ({"/value/id"}, "Outlook's notifications have none"),
}
"""Keys that the sandbox doesn't have, and why."""

ALONE: dict[str, set[str]] = {
    "cae-claims-challenge-401": set(),
    "id-token-claims-personal": set(),
    "oauth-redirect-errors": {"/admin_consent_declined/error_uri"},
    "oauth-token-error-consent_required": {"/error_uri"},
    "oauth-token-error-invalid_scope": {"/error_uri"},
    "oauth-token-success": {"/ext_expires_in"},
    "throttling-429-generic": {"/error/innerError/client-request-id"},
}
"""The keys that these have beside those of their examples, and no others: tests/graph_contract.py doesn't know them."""

RENAMED = {
    "delta-05-beta-events-delta": ({"DateTime": "dateTime", "TimeZone": "timeZone"}, "that page alone spells them so"),
    "batch-request": ({"city": "subject"}, "the fourth request changes an event, since nobody's profile can be changed here"),
    "notification-outlook-rich-decrypted-payload": (
        {"from": "organizer", "receivedDateTime": "createdDateTime", "receivedDateTime@odata.type": "createdDateTime@odata.type"},
        "of an event, not of a message",
    ),
}
"""Keys that are others here than in the documentation, and why."""

Work = Callable[[Subscriber], Awaitable[Any]]
ACCEPTED: dict[str, Work] = {}
PRODUCED: dict[str, Work] = {}


def accepts(name: str) -> Callable[[Work], Work]:
    return lambda work: ACCEPTED.setdefault(name, work)


def produces(name: str) -> Callable[[Work], Work]:
    return lambda work: PRODUCED.setdefault(name, work)


@pytest.fixture
async def app() -> AsyncIterator[Subscriber]:
    async with subscriber() as made:
        yield made


# Requests


def _filled(app: Subscriber, name: str, **values: str) -> Json:
    """A request of the examples, with ids and addresses of this sandbox and a time that is ahead."""
    text = json.dumps(example(name)).replace("{calendar}", app.graph.calendar)
    for key, value in values.items():
        text = text.replace(f"{{{key}}}", value)
    request: Json = json.loads(text)
    if "expirationDateTime" in request:
        request["expirationDateTime"] = (app.graph.sandbox.clock.now() + timedelta(days=1)).isoformat()
    return request | {key: app.there.url for key in request if key.endswith("otificationUrl")}


async def _post(app: Subscriber, path: str, name: str, **values: str) -> httpx2.Response:
    return await app.graph.ask("POST", path, _filled(app, name, **values))


@accepts("batch-request")
async def _batch(app: Subscriber) -> httpx2.Response:
    answer = await _post(app, "/$batch", "batch-request", event=(await app.graph.create())["id"])
    assert {step["status"] for step in answer.json()["responses"]} == {200}
    return answer


@accepts("batch-request-dependsOn")
async def _batch_in_order(app: Subscriber) -> httpx2.Response:
    answer = await _post(app, "/$batch", "batch-request-dependsOn")
    assert {step["status"] for step in answer.json()["responses"]} == {200}
    return answer


@accepts("event-patch-request")
async def _patch(app: Subscriber) -> httpx2.Response:
    return await app.graph.ask("PATCH", f"/me/events/{(await app.graph.create())['id']}", example("event-patch-request"))


@accepts("masterCategories-create-request")
async def _create_category(app: Subscriber) -> httpx2.Response:
    return await _post(app, "/me/outlook/masterCategories", "masterCategories-create-request")


@accepts("masterCategories-update-request")
async def _update_category(app: Subscriber) -> httpx2.Response:
    made = (await _create_category(app)).json()["id"]
    return await app.graph.ask("PATCH", f"/me/outlook/masterCategories/{made}", example("masterCategories-update-request"))


@accepts("subscription-create-request")
async def _subscribe(app: Subscriber) -> httpx2.Response:
    return await _post(app, "/subscriptions", "subscription-create-request")


@accepts("subscription-calendar-create-request")
async def _subscribe_to_a_calendar(app: Subscriber) -> httpx2.Response:
    return await _post(app, "/subscriptions", "subscription-calendar-create-request")


@accepts("translateExchangeIds-request")
async def _translate(app: Subscriber) -> httpx2.Response:
    event = (await app.graph.create())["id"]
    return await _post(app, "/me/translateExchangeIds", "translateExchangeIds-request", event=event)


# Graph's answers


async def _control(app: Subscriber, method: str, path: str, body: object = None) -> None:
    answer = await app.graph.client.request(method, f"/sandbox/v1/{path}", json=body)
    assert answer.is_success, answer.text


@produces("batch-response")
async def _batch_answer(app: Subscriber) -> Any:
    await app.fault("graph-error", path="/me/calendars", status=401, code="Forbidden", message="Not for you.")
    made = (await app.graph.create())["id"]
    asked = [("1", "GET", "/me"), ("2", "GET", "/me/events?$filter=subject eq 'Nobody'"), ("3", "GET", "/me/calendars")]
    steps = [{"id": name, "method": method, "url": url} for name, method, url in [*asked, ("4", "DELETE", f"/me/events/{made}")]]
    answers = (await app.graph.ask("POST", "/$batch", {"requests": steps})).json()["responses"]
    answers.sort(key=lambda answer: ("1", "3", "2", "4").index(answer["id"]))
    return {"responses": answers}


@produces("calendarView-list-200")
async def _view(app: Subscriber) -> Any:
    await app.graph.create()
    return await app.graph.get(f"/me/calendar/calendarView?{WINDOW}")


@produces("calendars-list-200")
async def _calendars(app: Subscriber) -> Any:
    return await app.graph.get("/me/calendars")


@produces("event-get-200")
async def _event(app: Subscriber) -> Any:
    made = await app.graph.create(**{name: example("event-get-200")[name] for name in ("body", "location", "attendees")})
    wished = "subject,body,bodyPreview,organizer,attendees,start,end,location,locations,hideAttendees"
    zone = {"Prefer": 'outlook.timezone="W. Europe Standard Time"'}
    return await app.graph.get(f"/me/events/{made['id']}?$select={wished}", headers=zone)


@produces("event-instances-200")
async def _instances(app: Subscriber) -> Any:
    made = await app.graph.create(start="2026-11-03T09:00:00", end="2026-11-03T09:30:00", recurrence=weekly())
    path = f"/me/events/{made['id']}/instances?{WINDOW}"
    first = (await app.graph.get(path))["value"][0]
    await app.graph.patch(first["id"], {"body": {"contentType": "text", "content": "A day later."}})
    return await app.graph.get(f"{path}&$select=subject,bodyPreview,seriesMasterId,type,recurrence,start,end")


@produces("event-patch-200")
async def _patched(app: Subscriber) -> Any:
    return (await _patch(app)).json()


@produces("mailboxSettings-200")
async def _settings(app: Subscriber) -> Any:
    return await app.graph.get("/me/mailboxSettings")


@produces("masterCategories-create-201")
async def _created_category(app: Subscriber) -> Any:
    return (await _create_category(app)).json()


@produces("masterCategories-update-200")
async def _updated_category(app: Subscriber) -> Any:
    return (await _update_category(app)).json()


@produces("masterCategories-list-200")
async def _categories(app: Subscriber) -> Any:
    return await app.graph.get("/me/outlook/masterCategories")


@produces("translateExchangeIds-200")
async def _translated(app: Subscriber) -> Any:
    return (await _translate(app)).json()


# Delta


async def _pages(app: Subscriber) -> list[Json]:
    """Five events in pages of two."""
    for hour in range(8, 13):
        await app.graph.create(start=f"2026-11-24T{hour:02}:00:00", end=f"2026-11-24T{hour:02}:30:00")
    pages = [await app.graph.get(f"/me/calendarView/delta?{WINDOW}", headers=PAGES)]
    while "@odata.nextLink" in pages[-1]:
        pages.append(await app.graph.get(pages[-1]["@odata.nextLink"], headers=PAGES))
    return pages


@produces("delta-01-initial-page")
@produces("delta-07-v10-reference-shape")
async def _first_page(app: Subscriber) -> Any:
    return (await _pages(app))[0]


@produces("delta-02-nextlink-page")
async def _second_page(app: Subscriber) -> Any:
    return (await _pages(app))[1]


@produces("delta-03-final-page-deltalink")
async def _last_page(app: Subscriber) -> Any:
    return (await _pages(app))[-1]


@produces("delta-05-beta-events-delta")
async def _beta_page(app: Subscriber) -> Any:
    await app.graph.create(), await app.graph.create()
    path = "http://localhost:8410/beta/me/calendar/events/delta?startDateTime=2026-11-01T00:00:00Z"
    return await app.graph.get(path, headers={"Prefer": "odata.maxpagesize=1"})


@produces("delta-08-occurrence-minimal-items")
async def _series(app: Subscriber) -> Any:
    await app.graph.create(start="2026-11-03T09:00:00", end="2026-11-03T09:30:00", recurrence=weekly())
    return await app.graph.get(f"/me/calendars/{app.graph.calendar}/calendarView/delta?{WINDOW}")


# Graph's refusals


async def _refusal(app: Subscriber, status: int, method: str, path: str, **more: Any) -> Any:
    answer = await app.graph.ask(method, path, **more)
    assert answer.status_code == status, answer.text
    return answer.json()


@produces("error-access-denied-403")
async def _denied(app: Subscriber) -> Any:
    return await _refusal(app, 403, "GET", "/me/calendars", token=app.graph.token_for("User.Read"))


@produces("error-delta-missing-window-400")
async def _no_window(app: Subscriber) -> Any:
    return await _refusal(app, 400, "GET", "/me/calendarView/delta")


@produces("error-delta-syncStateNotFound-410")
async def _forgotten(app: Subscriber) -> Any:
    _, link = await app.graph.delta()
    await _control(app, "POST", f"accounts/{app.graph.account.id}/calendars/{app.graph.calendar}/invalidate-delta")
    return await _refusal(app, 410, "GET", link)


@produces("error-delta-unsupported-query-400")
async def _unsupported(app: Subscriber) -> Any:
    return await _refusal(app, 400, "GET", f"/me/calendarView/delta?{WINDOW}&$select=subject")


@produces("error-event-irresolvable-conflict-412")
async def _conflict(app: Subscriber) -> Any:
    made = await app.graph.create()
    stale = {"If-Match": made["@odata.etag"]}
    await app.graph.patch(made["id"], {"subject": "Changed"})
    return await _refusal(app, 412, "PATCH", f"/me/events/{made['id']}", body={"subject": "Too late"}, headers=stale)


@produces("error-events-delta-empty-startDateTime-400")
async def _empty_start(app: Subscriber) -> Any:
    return await _refusal(app, 400, "GET", "/me/calendar/events/delta?startDateTime=")


@produces("error-generic-body")
async def _generic(app: Subscriber) -> Any:
    await app.fault("graph-error", status=416, code="invalidRange", message="Two pieces overlap.")
    return await _refusal(app, 416, "GET", "/me")


@produces("error-invalid-authentication-token-401")
async def _unauthenticated(app: Subscriber) -> Any:
    return await _refusal(app, 401, "GET", "/me", token="nobody's")


@produces("error-item-not-found-404")
async def _not_found(app: Subscriber) -> Any:
    return await _refusal(app, 404, "GET", "/me/events/nothing")


@produces("throttling-429-generic")
async def _throttled(app: Subscriber) -> Any:
    while (answer := await app.graph.ask("GET", "/subscriptions")).is_success:
        pass
    assert (answer.status_code, "retry-after" in answer.headers) == (429, True)
    return answer.json()


@produces("cae-claims-challenge-401")
async def _challenge(app: Subscriber) -> Any:
    door = _microsoft(app)
    tokens = await door.sign_in(app.graph.account, claims=CP1)
    await _control(app, "POST", f"accounts/{app.graph.account.id}/challenge")
    answer = await door.me(tokens["access_token"])
    header = answer.headers["www-authenticate"]
    claims = json.loads(base64.b64decode(header.partition('claims="')[2].rstrip('"')))
    return {"status": answer.status_code, "headers": {"WWW-Authenticate": header}, "decoded_claims": claims}


# Subscriptions and what comes of them


@produces("subscription-create-201")
async def _subscription(app: Subscriber) -> Any:
    return (await _subscribe(app)).json()


@produces("subscription-list-200")
async def _subscriptions(app: Subscriber) -> Any:
    await app.subscribe()
    return await app.graph.get("/subscriptions")


@produces("subscription-patch-200")
async def _renewed(app: Subscriber) -> Any:
    made = await app.subscribe()
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    return (await app.graph.ask("PATCH", f"/subscriptions/{made['id']}", {"expirationDateTime": until})).json()


@produces("subscription-outlook-rich-201")
async def _rich(app: Subscriber) -> Any:
    secret = {"encryptionCertificate": CERTIFICATE, "encryptionCertificateId": "practice-2026"}
    return await app.subscribe(resource=f"/me/events?{RICH}", includeResourceData=True, changeType="created", **secret)


@produces("error-subscription-duplicate-409")
async def _duplicate(app: Subscriber) -> Any:
    await app.subscribe()
    return await _refusal(app, 409, "POST", "/subscriptions", body=app.wanted())


@produces("error-subscription-expiration-too-far-400")
async def _too_far(app: Subscriber) -> Any:
    return await _refusal(app, 400, "POST", "/subscriptions", body=app.wanted(minutes=10_075))


@produces("error-subscription-extensionError-forbidden-403")
async def _of_somebody_else(app: Subscriber) -> Any:
    other = app.graph.sandbox.accounts.add(new_account("work", "otto@ting.example", "Otto Ting"))
    return await _refusal(app, 403, "POST", "/subscriptions", body=app.wanted(resource=f"/users/{other.id}/events"))


@produces("error-subscription-validation-400")
async def _no_handshake(app: Subscriber) -> Any:
    app.there.reply = lambda token: "no"
    return await _refusal(app, 400, "POST", "/subscriptions", body=app.wanted())


async def _posted(app: Subscriber) -> Any:
    await app.graph.create()
    await app.there.until(lambda: app.there.posts > 0)
    return app.there.posted[0]


@produces("notification-basic-message")
@produces("notification-outlook-basic-message")
async def _notification(app: Subscriber) -> Any:
    await app.subscribe()
    return await _posted(app)


@produces("notification-rich-encryptedContent")
async def _encrypted(app: Subscriber) -> Any:
    await _rich(app)
    return await _posted(app)


@produces("notification-rich-validationTokens")
async def _of_two_apps(app: Subscriber) -> Any:
    await _rich(app)
    app.graph.token = app.graph.sandbox.tokens.issue(
        app.graph.account.id, "another-app", frozenset(("Calendars.ReadWrite",))
    ).access_token
    await _rich(app)
    return await _posted(app)


@produces("notification-rich-validationToken-jwt-claims")
async def _validation_token(app: Subscriber) -> Any:
    [token] = (await _encrypted(app))["validationTokens"]
    return jwt.decode(token, options={"verify_signature": False})


@produces("notification-outlook-rich-decrypted-payload")
async def _decrypted(app: Subscriber) -> Any:
    [note] = (await _encrypted(app))["value"]
    return decrypted(note)


async def _told_of_its_life(app: Subscriber, event: str) -> Any:
    made = await app.subscribe(lifecycleNotificationUrl=app.there.url)
    await _control(app, "POST", f"subscriptions/{made['id']}/lifecycle", {"events": [event]})
    await app.there.until(lambda: app.there.posts > 0)
    return app.there.posted[0]


@produces("lifecycle-missed")
async def _missed(app: Subscriber) -> Any:
    return await _told_of_its_life(app, "missed")


@produces("lifecycle-reauthorizationRequired")
async def _to_reauthorize(app: Subscriber) -> Any:
    return await _told_of_its_life(app, "reauthorizationRequired")


@produces("lifecycle-subscriptionRemoved")
async def _removed(app: Subscriber) -> Any:
    return await _told_of_its_life(app, "subscriptionRemoved")


# Signing in


def _microsoft(app: Subscriber) -> Microsoft:
    return Microsoft(app.graph.sandbox, app.graph.client)


def _person(app: Subscriber) -> Account:
    return app.graph.sandbox.accounts.add(new_account("personal", "dora@outlook.example", "Dora Horn"))


@produces("oauth-token-success")
async def _tokens(app: Subscriber) -> Any:
    return await _microsoft(app).sign_in(app.graph.account)


@produces("id-token-claims-personal")
async def _id_token(app: Subscriber) -> Any:
    tokens = await _microsoft(app).sign_in(_person(app))
    return jwt.decode(tokens["id_token"], options={"verify_signature": False})


@produces("oauth-token-error-invalid_scope")
async def _unknown_scope(app: Subscriber) -> Any:
    door = _microsoft(app)
    tokens = await door.sign_in(app.graph.account)
    return (await door.refresh(tokens["refresh_token"], scope="Mail.Steal")).json()


@produces("oauth-token-error-consent_required")
async def _no_consent(app: Subscriber) -> Any:
    door = _microsoft(app)
    tokens = await door.sign_in(app.graph.account)
    await _control(app, "DELETE", f"accounts/{app.graph.account.id}/consents/{APP}")
    return (await door.refresh(tokens["refresh_token"])).json()


@produces("oauth-redirect-errors")
async def _redirects(app: Subscriber) -> Any:
    door = _microsoft(app)
    admin = app.graph.sandbox.accounts.add(new_account("work", "boss@clinic.example", "Boss", admin=True))
    asked = {"client_id": APP, "scope": SCOPES, "redirect_uri": RETURN, "state": "s-1"}
    consent = f"/{admin.tid}/v2.0/adminconsent?{urlencode(asked)}"
    answers = {
        "authorize_success": await door.pick(app.graph.account, "accept"),
        "authorize_user_cancelled": await door.http.post(address(state=None), data={"answer": "cancel"}),
        "admin_consent_success": await door.http.post(consent, data={"account": admin.id, "answer": "accept"}),
        "admin_consent_declined": await door.http.post(consent, data={"account": admin.id, "answer": "cancel"}),
    }
    return {name: f"{REDIRECT}{urlencode(answer_of(answer))}" for name, answer in answers.items()}


# Tests


def test_every_example_is_a_request_or_an_answer() -> None:
    assert sorted([*ACCEPTED, *PRODUCED]) == NAMES


@pytest.mark.parametrize("name", sorted(ACCEPTED))
async def test_the_request_is_accepted(app: Subscriber, name: str) -> None:
    answer = await ACCEPTED[name](app)
    assert answer.is_success, answer.text


@pytest.mark.parametrize("name", sorted(PRODUCED))
async def test_the_body_can_be_produced_with_the_same_keys_and_codes(app: Subscriber, name: str) -> None:
    body = await PRODUCED[name](app)
    without, _ = WITHOUT.get(name, (set(), ""))
    assert lacks(example(name), body) == without
    assert name not in ALONE or lacks(body, example(name)) == ALONE[name]


# The documentation's own bodies, where they are at hand

ORIGINALS = Path(__file__).parents[4] / "shared/graph/examples"

if ORIGINALS.is_dir():

    def test_all_of_the_documentation_is_here() -> None:
        assert sorted(file.stem for file in ORIGINALS.glob("*.json") if file.stem != "manifest") == NAMES

    @pytest.mark.parametrize("name", NAMES)
    def test_an_example_has_the_keys_and_codes_of_the_documentation(name: str) -> None:
        renamed, _ = RENAMED.get(name, ({}, ""))
        original = _renamed(example(name, ORIGINALS), renamed)
        assert lacks(original, example(name)) == lacks(example(name), original) == set()


def _renamed(body: Any, names: dict[str, str]) -> Any:
    if isinstance(body, dict):
        return {names.get(key, key): _renamed(value, names) for key, value in body.items()}
    return [_renamed(item, names) for item in body] if isinstance(body, list) else body
