"""Writes the Strimzi component's topics from `common.messages`: `python -m tests.deploy.topics`."""

from common.messages import Topic, all_topics
from tests.deploy.manifests import K8S

FILE = K8S / "components" / "strimzi-topics" / "topics.yaml"
HEAD = "# Written by `python -m tests.deploy.topics` from libs/common/common/messages.py; a test compares them.\n"


def rendered() -> str:
    return HEAD + "---\n".join(_topic(topic) for topic in all_topics())


def _topic(topic: Topic) -> str:
    milliseconds = round(topic.retention.total_seconds() * 1000)
    kept = f"cleanup.policy: compact, delete.retention.ms: {milliseconds}" if topic.compacted else f"retention.ms: {milliseconds}"
    return f"""apiVersion: kafka.strimzi.io/v1
kind: KafkaTopic
metadata:
  name: {topic.name}
  namespace: kafka
  labels: {{strimzi.io/cluster: kafka}}
spec:
  partitions: {topic.partitions}
  replicas: 3
  config: {{{kept}, min.insync.replicas: 2}}
"""


if __name__ == "__main__":
    FILE.write_text(rendered())
