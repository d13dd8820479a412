"""What became of a connection, who did it and when: told by auth's door, also when the connection is gone."""

from datetime import datetime

import pytest

from auth.history import KEPT
from tests.integration.auth_world import ANNA, JONAS, Auth, Document, fingerprint, refusal


async def history(auth: Auth, connection: str, organization: str | None = None) -> list[Document]:
    query = {"organization": organization or auth.organization}
    answer = await auth.http.get(f"/internal/v1/connections/{connection}/history", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json())


async def rename(auth: Auth, connection: str, name: str, **user: str) -> None:
    body = {"organization": auth.organization, "name": name} | user
    assert (await auth.http.patch(f"/internal/v1/connections/{connection}", json=body)).status_code == 200


async def remove(auth: Auth, connection: str, **user: str) -> None:
    query = {"organization": auth.organization} | user
    assert (await auth.http.delete(f"/internal/v1/connections/{connection}", params=query)).status_code == 202


def without_times(entries: list[Document]) -> list[Document]:
    return [{name: value for name, value in entry.items() if name != "at"} for entry in entries]


async def put_on(auth: Auth, connection: str) -> None:
    """Two calendars and a subscription."""
    of_it = {"organization": auth.organization, "connection": connection}
    await auth.database.calendars.insert_many([{"_id": f"cal_{number}", **of_it} for number in range(2)])
    await auth.database.subscriptions.insert_one({"_id": "sub_1", **of_it})


async def test_a_connections_whole_life_is_told_with_who_did_what(auth: Auth) -> None:
    connection = await auth.connected()
    await rename(auth, connection, "Front desk", user="usr_2")
    old = fingerprint(await auth.access_token(connection))
    auth.wire.answers += [refusal("invalid_grant", 50173)] * 2
    await auth.token(connection, refused=old)
    auth.asker["user"] = "usr_3"
    await auth.connect(connection=connection)
    await put_on(auth, connection)
    await remove(auth, connection, user="usr_2")
    await auth.database.calendars.delete_many({})
    await auth.database.subscriptions.delete_many({})
    await auth.until(connection, "removed")

    told = await history(auth, connection)

    assert without_times(told) == [
        {"who": "usr_1", "what": "connected"},
        {"who": "usr_2", "what": "renamed", "name_before": ANNA, "name": "Front desk"},
        {"who": "microsoft", "what": "needs-reconnect", "reason": "grant-revoked"},
        {"who": "usr_3", "what": "reconnected"},
        {"who": "usr_2", "what": "removing", "standing": {"calendars": 2, "subscriptions": 1}},
        {
            "who": "attendara",
            "what": "removed",
            "deleted": {"calendars": 2, "subscriptions": 1},
            "destroyed": ["data key", "token cache"],
            "ended": "complete",
        },
    ]
    moments = [datetime.fromisoformat(entry["at"]) for entry in told]
    assert moments == sorted(moments)


async def test_an_approval_that_is_needed_is_told_with_its_reason(auth: Auth) -> None:
    connection = await auth.connected()
    old = fingerprint(await auth.access_token(connection))
    auth.wire.answers += [refusal("invalid_grant", 90094)] * 2
    await auth.token(connection, refused=old)

    [_, needs] = without_times(await history(auth, connection))
    assert needs == {"who": "microsoft", "what": "needs-admin-consent", "reason": "admin-approval"}


async def test_signing_in_again_without_need_is_told_too(auth: Auth) -> None:
    connection = await auth.connected()
    await auth.connected()

    assert [entry["what"] for entry in await history(auth, connection)] == ["connected", "reconnected"]


async def test_what_changed_nothing_is_not_told(auth: Auth) -> None:
    connection = await auth.connected()
    await rename(auth, connection, "Front desk", user="usr_2")
    await rename(auth, connection, "Front desk", user="usr_3")
    await auth.database.calendars.insert_one({"_id": "cal_1", "organization": auth.organization, "connection": connection})
    await remove(auth, connection, user="usr_2")
    await remove(auth, connection, user="usr_3")

    told = [(entry["what"], entry["who"]) for entry in await history(auth, connection)]
    assert told == [("connected", "usr_1"), ("renamed", "usr_2"), ("removing", "usr_2")]


async def test_a_caller_that_does_not_say_for_whom_is_told_without(auth: Auth) -> None:
    connection = await auth.connected()
    await rename(auth, connection, "Front desk")

    assert "who" not in (await history(auth, connection))[-1]


@pytest.mark.parametrize("words", ["$name", "$$ROOT", '{"$literal": 1}', "a.b", "Ünïcode 🗓"])
async def test_names_are_words_whatever_they_look_like(auth: Auth, words: str) -> None:
    connection = await auth.connected()
    await rename(auth, connection, words, user=words)

    renamed = without_times(await history(auth, connection))[-1]
    assert renamed == {"who": words, "what": "renamed", "name_before": ANNA, "name": words}
    assert (await auth.listed())[0]["name"] == words


async def test_the_newest_are_kept(auth: Auth) -> None:
    connection = await auth.connected()
    for number in range(KEPT + 5):
        await rename(auth, connection, f"Name {number}")

    names = [entry.get("name") for entry in await history(auth, connection)]
    assert names == [f"Name {number}" for number in range(5, KEPT + 5)]


async def test_another_organization_and_an_unknown_connection_have_no_history(auth: Auth) -> None:
    connection = await auth.connected()
    other = await auth.connected(JONAS)
    await remove(auth, other)
    await auth.until(other, "removed")

    for path, organization in [(connection, "org_stranger"), (other, "org_stranger"), ("con_unknown", auth.organization)]:
        answer = await auth.http.get(f"/internal/v1/connections/{path}/history", params={"organization": organization})
        assert (answer.status_code, answer.json()["title"]) == (404, "not-found")


async def test_a_connection_from_before_there_was_a_history_begins_one(auth: Auth) -> None:
    connection = await auth.connected()
    await auth.database.connections.update_one({"_id": connection}, {"$unset": {"history": ""}})
    assert await history(auth, connection) == []

    await remove(auth, connection)
    await auth.until(connection, "removed")

    assert [entry["what"] for entry in await history(auth, connection)] == ["removing", "removed"]
