"""Announcing on a real MongoDB: what two writers say at once ends with the newest."""

from datetime import UTC, datetime, timedelta

from common.announce import UNSWEPT, Announcer, stamp
from common.messages import Message, SyncSettingsChanged
from common.store import Collection, Database, Document
from tests.fakes.recorded_messaging import RecordedMessaging

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def message_of(document: Document) -> SyncSettingsChanged:
    return SyncSettingsChanged(organization=f"{document['_id']} {document['sequence']}")


class Overtaken(RecordedMessaging):
    """While the first message is on its way, somebody else changes the document and announces it."""

    def __init__(self, things: Collection) -> None:
        super().__init__()
        self.things = things
        self.overtaken = False

    async def publish(self, *messages: Message) -> None:
        if not self.overtaken:
            self.overtaken = True
            await self.things.update_one({"_id": "thing"}, stamp(NOW))
            await Announcer(self.things, self, message_of).announce({"_id": "thing"})
        await super().publish(*messages)


def said(messaging: RecordedMessaging) -> list[str]:
    return [message.organization for message in messaging.of(SyncSettingsChanged)]


async def test_the_last_message_is_the_newest_though_its_sender_was_overtaken(database: Database) -> None:
    things = database["things"]
    await things.insert_many([{"_id": "thing"}, {"_id": "other"}])
    await things.update_many({}, stamp(NOW))
    messaging = Overtaken(things)
    announcer = Announcer(things, messaging, message_of)
    await announcer.announce({"_id": "thing"})
    assert said(messaging) == ["thing 2", "thing 1"]
    assert await announcer.announce({"_id": "thing"}) == 1
    assert said(messaging)[-1] == "thing 2"
    assert await things.count_documents({"_id": "thing", "to_announce": {"$exists": True}}) == 0


async def test_a_message_that_two_sent_at_once_is_not_sent_a_third_time(database: Database) -> None:
    things = database["things"]
    await things.insert_one({"_id": "thing", "sequence": 1, "to_announce": 1, "announce_since": NOW})
    messaging = RecordedMessaging()
    announcer = Announcer(things, messaging, message_of)
    document = await things.find_one({"_id": "thing"})
    assert document
    await announcer.announce({"_id": "thing"})
    await announcer._send([document])
    assert await announcer.announce({}) == 0


async def test_the_sweep_finds_what_a_crash_left_by_its_index(database: Database) -> None:
    things = database["things"]
    announcer = Announcer(things, RecordedMessaging(), message_of)
    await announcer.create_index()
    await things.insert_many([{"_id": number} for number in range(200)])
    left = datetime.now(UTC) - UNSWEPT - timedelta(seconds=1)
    await things.update_one({"_id": 7}, stamp(left))
    query = {"announce_since": {"$lte": left}, "to_announce": {"$exists": True}}
    plan = await things.find(query).explain()
    assert plan["executionStats"]["totalDocsExamined"] == 1
    assert await announcer.sweep() == 1
