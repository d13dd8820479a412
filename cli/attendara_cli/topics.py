"""`attendara topics`: the topics of `common/messages.py`, created where they are missing."""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from attendara_cli.settings import Settings
from common.kafka_access import access_options
from common.messages import Topic, all_topics

MOST_COPIES = 3


async def create_topics(settings: Settings, replication: int | None) -> dict[str, str]:
    """What became of each topic: `created` or `exists`. Raises SystemExit with one line when the broker can't or won't."""
    admin = AIOKafkaAdminClient(client_id="attendara-cli", **access_options(settings))
    try:
        await admin.start()
        there = set(await admin.list_topics())
        missing = [topic for topic in all_topics() if topic.name not in there]
        if missing:
            copies = replication or min(MOST_COPIES, len((await admin.describe_cluster())["brokers"]))
            _check(await admin.create_topics([_new(topic, copies) for topic in missing]))
    except KafkaError as error:
        raise SystemExit(f"topics at {settings.kafka_bootstrap_servers}: {error or type(error).__name__}") from error
    finally:
        await admin.close()
    return {topic.name: "exists" if topic.name in there else "created" for topic in all_topics()}


def _new(topic: Topic, copies: int) -> NewTopic:
    retention = str(round(topic.retention.total_seconds() * 1000))
    kept = {"cleanup.policy": "compact", "delete.retention.ms": retention} if topic.compacted else {"retention.ms": retention}
    return NewTopic(topic.name, topic.partitions, copies, topic_configs=kept)


def _check(answer: object) -> None:
    """aiokafka hands back the broker's codes without raising; one that others made meanwhile is fine."""
    for name, code, *_ in answer.topic_errors:  # type: ignore[attr-defined]
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise SystemExit(f"topic {name} was not created: {error.__name__}")
