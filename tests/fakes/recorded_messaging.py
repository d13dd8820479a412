"""A broker's stand-in for unit tests: keeps what was published, and is away when told so."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from faststream.kafka import KafkaBroker

from common.errors import Transient
from common.messages import Message
from common.messaging import Messaging
from common.settings import ServiceSettings

M = TypeVar("M", bound=Message)


class RecordedMessaging(Messaging):
    def __init__(self) -> None:
        super().__init__("test", KafkaBroker(), ServiceSettings())
        self.published: list[Message] = []
        self.away = ()
        self.down = False

    async def publish(self, *messages: Message) -> None:
        if self.down:
            raise Transient("the broker is down", reason="broker-away")
        self.published += messages

    def of(self, kind: type[M]) -> list[M]:
        return [message for message in self.published if isinstance(message, kind)]

    async def readiness(self) -> str | None:
        return "down" if self.down else None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        yield
