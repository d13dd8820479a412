"""`attendara schema`: a topic's JSON Schema, made from the class in `common/messages.py` that services use."""

import json

import msgspec

from common.messages import MESSAGES


def schema_of(topic: str) -> str:
    """Raises SystemExit with the known topics for one that isn't."""
    for message in MESSAGES:
        if message.topic.name == topic:
            return json.dumps(msgspec.json.schema(message), indent=2)
    known = ", ".join(message.topic.name for message in MESSAGES)
    raise SystemExit(f"no topic {topic}; there are {known}")
