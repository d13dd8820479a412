"""What tests of the gateway's behaviour share: a broker that can be held and cut off, a gateway beside it, and HTTP by hand."""

import asyncio
import base64
import json
import signal
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from attendara_cli.settings import Settings as CliSettings
from attendara_cli.topics import create_topics
from attendara_local.part import Part
from common.client_state import ClientStates
from common.ids import new_id
from common.messages import NotificationReceived
from tests.chaos.proxy import Proxy
from tests.chaos.system import broker_on_a_line
from tests.gateway import gateway_of, gateway_settings, ready
from tests.integration.gateway_process import KEYS
from tests.kafka_reading import reading
from tests.servers import Kafka, Servers
from tests.serving import serving, until
from webhook_gateway.intake import Intake

SECRETS = [SecretStr(f"{key_id}:{base64.b64encode(key).decode()}") for key_id, key in KEYS.items()]
CLIENT_STATES = ClientStates(SECRETS)
NOTIFICATIONS = "/graph/notifications"
HANDSHAKE = f"{NOTIFICATIONS}?validationToken=hello"


@dataclass
class Broker:
    """One of these tests' own."""

    kafka: Kafka
    line: Proxy
    _part: Part

    def hold(self) -> None:
        """It takes what is sent, and acknowledges nothing."""
        self._part.send(signal.SIGSTOP)

    def release(self) -> None:
        self._part.send(signal.SIGCONT)

    async def has(self, subscriptions: Iterable[str]) -> None:
        """Fails unless notifications of all of these are in the topic."""
        wanted = set(subscriptions)
        async with reading(self.kafka, NotificationReceived) as topic:
            await topic.of(lambda message: message.subscription in wanted, at_least=len(wanted))
            found = await topic.of(lambda message: message.subscription in wanted)
        assert {message.subscription for message in found} == wanted


@pytest.fixture(scope="session")
async def own_broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    async with broker_on_a_line(tmp_path_factory.mktemp("broker")) as (crew, line, environment):
        kafka = Servers(environment).kafka
        await create_topics(CliSettings(kafka_bootstrap_servers=kafka.bootstrap_servers), None)
        yield Broker(kafka, line, crew.parts["broker"])


@pytest.fixture
def broker(own_broker: Broker) -> Iterator[Broker]:
    yield own_broker
    own_broker.release()


class Serving:
    """A gateway in this process."""

    def __init__(self, http: httpx2.AsyncClient, intake: Intake) -> None:
        self.http, self.intake = http, intake

    async def post(self, subscription: str = "s", calendar: str = "") -> httpx2.Response:
        return await self.http.post(NOTIFICATIONS, content=body(subscription, calendar))

    @property
    def holds(self) -> tuple[int, int]:
        """Posts and bytes."""
        return self.intake.posts, self.intake.bytes


@asynccontextmanager
async def gateway(broker: Broker, **changed: Any) -> AsyncIterator[Serving]:
    settings = gateway_settings(broker.kafka, SECRETS, **changed)
    intake = Intake(settings)
    async with (
        serving(lambda _: gateway_of(settings, intake)) as address,
        httpx2.AsyncClient(base_url=address, trust_env=False, timeout=20) as http,
    ):
        await until(lambda: ready(http))
        yield Serving(http, intake)


def body(subscription: str, calendar: str = "", size: int = 0) -> bytes:
    """A genuine notification, of `size` bytes if that is more than it needs."""
    state = CLIENT_STATES.sign(calendar or new_id("cal"))
    return json.dumps({"value": [{"subscriptionId": subscription, "clientState": state}]}).encode().ljust(size)


@dataclass
class Line:
    """HTTP by hand: only so does a client send half of what it promised."""

    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter

    @classmethod
    @asynccontextmanager
    async def to(cls, url: str | httpx2.URL) -> AsyncIterator["Line"]:
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx2.URL(url).port)
        line = cls(reader, writer)
        try:
            yield line
        finally:
            line.leave()

    def begin(self, length: int | str, path: str = NOTIFICATIONS) -> None:
        self.send(f"POST {path} HTTP/1.1\r\nHost: gateway\r\nContent-Length: {length}\r\n\r\n".encode())

    def begin_chunked(self) -> None:
        self.send(f"POST {NOTIFICATIONS} HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n".encode())

    def send(self, some: bytes) -> None:
        self._writer.write(some)

    async def rest(self, length: int) -> bytes:
        """The body of an answer."""
        return await self._reader.readexactly(length)

    def leave(self) -> None:
        self._writer.transport.abort()

    def say_no_more(self) -> None:
        self._writer.write_eof()

    async def answer(self) -> tuple[int, Mapping[str, str]]:
        """Status and headers; the gateway's own answers have no body."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        return int(head[0].split()[1]), headers

    async def closed(self) -> bool:
        """Whether the other side has ended it; whatever it still had to say is left out."""
        with suppress(ConnectionResetError):
            await self._reader.read()
        return True
