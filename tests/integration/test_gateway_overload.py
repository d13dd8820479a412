"""The gateway when there is too much, when clients or the broker are slow or gone, and when it is told to end."""

import asyncio
import base64
import json
import logging
import signal
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import httpx2
import pytest
from pydantic import SecretStr

from attendara_cli.settings import Settings as CliSettings
from attendara_cli.topics import create_topics
from attendara_local import servers as local
from attendara_local.crew import Crew
from attendara_local.part import Part
from attendara_local.ports import Ports
from common.client_state import PROBE_CALENDAR, ClientStates
from common.ids import new_id
from common.messages import LifecycleReceived, NotificationReceived
from tests.chaos.proxy import Proxy, proxied
from tests.integration.gateway_process import KEYS, Gateway, gateway_process
from tests.kafka_reading import reading, settings_of
from tests.servers import Kafka, Servers
from tests.serving import serving, until
from webhook_gateway.app import create_app
from webhook_gateway.intake import Intake
from webhook_gateway.publishing import Publisher
from webhook_gateway.settings import Settings

SECRETS = [SecretStr(f"{key_id}:{base64.b64encode(key).decode()}") for key_id, key in KEYS.items()]
CLIENT_STATES = ClientStates(SECRETS)
NOTIFICATIONS = "/graph/notifications"
HANDSHAKE = f"{NOTIFICATIONS}?validationToken=hello"
SMALLEST = 64 * 1024
"""The least that bounds of bytes may be."""


@dataclass
class Broker:
    """One of these tests' own, which can be held and cut off."""

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


@pytest.fixture(scope="module")
async def own_broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    folder, ports, front = tmp_path_factory.mktemp("broker"), Ports.free(), Ports.free().kafka
    crew = Crew(folder)
    try:
        await asyncio.to_thread(crew.start, [local.broker(ports, folder, advertised=front)])
        async with proxied(front, ports.kafka) as line:
            kafka = Servers(local.addresses(ports, {}) | {"KAFKA_BOOTSTRAP_SERVERS": f"localhost:{front}"}).kafka
            await create_topics(CliSettings(kafka_bootstrap_servers=kafka.bootstrap_servers), None)
            yield Broker(kafka, line, crew.parts["broker"])
    finally:
        await asyncio.to_thread(crew.stop)


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
    settings = Settings(client_state_keys=SECRETS, **(settings_of(broker.kafka).model_dump() | changed))
    publisher = Publisher("webhook-gateway", settings, [NotificationReceived.topic, LifecycleReceived.topic])
    intake = Intake(settings)
    async with (
        serving(lambda _: create_app(publisher, CLIENT_STATES, intake, lambda: datetime.now(UTC))) as address,
        httpx2.AsyncClient(base_url=address, trust_env=False, timeout=20) as http,
    ):
        await until(lambda: _ready(http))
        yield Serving(http, intake)


async def _ready(http: httpx2.AsyncClient) -> bool:
    return (await http.get("/readyz")).status_code == 200


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


async def test_past_the_posts_in_flight_others_are_refused_while_those_still_wait(broker: Broker) -> None:
    async with gateway(broker, posts_in_flight=3) as ours:
        broker.hold()
        waiting = [asyncio.create_task(ours.post(f"in-flight-{number}")) for number in range(3)]
        await until(lambda: ours.intake.posts == 3)

        refused = [await ours.post() for _ in range(5)]
        shaken = await ours.http.post(HANDSHAKE)
        assert not any(post.done() for post in waiting)
        broker.release()
        accepted = [(await post).status_code for post in waiting]

        assert {post.status_code for post in refused} == {503}
        assert all(int(post.headers["retry-after"]) > 0 for post in refused)
        assert (shaken.status_code, shaken.text) == (200, "hello")
        assert accepted == [202] * 3
        assert ours.holds == (0, 0)
        assert (await ours.post()).status_code == 202
    await broker.has(f"in-flight-{number}" for number in range(3))


async def test_past_the_bytes_in_flight_others_are_refused_until_there_is_room_again(broker: Broker) -> None:
    large = body("large", size=SMALLEST - 10)
    async with gateway(broker, post_bytes_in_flight=SMALLEST) as ours, Line.to(ours.http.base_url) as line:
        line.begin(len(large))
        line.send(large[:-1])
        await until(lambda: ours.intake.bytes == len(large) - 1)

        refused, shaken = await ours.post(), await ours.http.post(HANDSHAKE)
        line.send(large[-1:])
        status, _ = await line.answer()

        assert (refused.status_code, refused.headers["retry-after"], refused.headers["connection"]) == (503, "5", "close")
        assert shaken.status_code == 200
        assert status == 202
        assert ours.holds == (0, 0)
        assert (await ours.post()).status_code == 202


async def test_slow_senders_of_large_posts_leave_half_of_the_room_to_small_ones(broker: Broker) -> None:
    large = body("slow", size=SMALLEST + 10)
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(gateway(broker, post_bytes_in_flight=4 * SMALLEST))
        lines = [await stack.enter_async_context(Line.to(ours.http.base_url)) for _ in range(2)]
        for line in lines:
            line.begin(len(large))
        lines[0].send(large[:-1])
        await until(lambda: ours.intake.bytes == len(large) - 1)

        lines[1].send(large[:-1])
        refused, _ = await lines[1].answer()
        assert refused == 503
        assert (await ours.post()).status_code == 202

        lines[0].send(large[-1:])
        assert (await lines[0].answer())[0] == 202
        assert ours.holds == (0, 0)


async def test_a_slow_client_is_ended_and_others_are_answered_meanwhile(broker: Broker) -> None:
    async with gateway(broker, post_read_seconds=1) as ours, Line.to(ours.http.base_url) as line:
        line.begin(10_000)
        answering = asyncio.create_task(line.answer())
        others = []
        while not answering.done():
            line.send(b" ")
            others.append((await ours.post()).status_code)

        status, headers = await answering
        assert (status, headers["connection"]) == (408, "close")
        assert await line.closed()
        assert len(others) > 3
        assert set(others) == {202}
        assert ours.holds == (0, 0)


async def test_of_clients_that_leave_nothing_stays_behind(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    whole = body("left")
    async with gateway(broker) as ours:
        async with Line.to(ours.http.base_url) as line:
            line.begin(len(whole))
            line.send(whole[:-1])
            await until(lambda: ours.holds == (0, len(whole) - 1))
        await until(lambda: ours.holds == (0, 0))

        broker.hold()
        async with Line.to(ours.http.base_url) as line:
            line.begin(len(whole))
            line.send(whole)
            await until(lambda: ours.holds == (1, len(whole)))
        broker.release()
        await until(lambda: ours.holds == (0, 0))
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("expecting", ["", "Expect: 100-continue\r\n"])
async def test_a_body_that_is_declared_too_large_is_refused_before_it_is_sent(broker: Broker, expecting: str) -> None:
    async with gateway(broker, post_largest_bytes=SMALLEST) as ours, Line.to(ours.http.base_url) as line:
        line.send(f"POST {NOTIFICATIONS} HTTP/1.1\r\nHost: g\r\n{expecting}Content-Length: {SMALLEST + 1}\r\n\r\n".encode())

        status, headers = await line.answer()

        assert (status, headers["connection"]) == (413, "close")
        assert await line.closed()
        assert ours.holds == (0, 0)


async def test_a_body_that_is_too_large_and_did_not_say_so_is_refused_where_the_limit_is(broker: Broker) -> None:
    async with gateway(broker, post_largest_bytes=SMALLEST) as ours:
        for more, expected in ((0, 202), (1, 413)):
            whole = body("chunked", size=SMALLEST + more)
            async with Line.to(ours.http.base_url) as line:
                line.begin_chunked()
                for start in range(0, len(whole), 10_000):
                    chunk = whole[start : start + 10_000]
                    line.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                if expected == 202:
                    line.send(b"0\r\n\r\n")
                assert (await line.answer())[0] == expected
            assert ours.holds == (0, 0)


async def test_a_length_that_is_not_true_does_no_harm(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    whole = body("lied")
    async with gateway(broker) as ours:
        for length in (len(whole) - 1, -1, "1e3", "+9", "0x1", f"9, {len(whole)}", "1" * 25):
            async with Line.to(ours.http.base_url) as line:
                line.begin(length)
                line.send(whole)
                assert (await line.answer())[0] in (400, 413)
        async with Line.to(ours.http.base_url) as line:
            line.begin(len(whole) + 1)
            line.send(whole)
            await until(lambda: ours.intake.bytes == len(whole))
            line.say_no_more()
            assert await line.closed()
        await until(lambda: ours.holds == (0, 0))
        assert (await ours.post()).status_code == 202
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_nothing_but_posts_at_the_two_addresses_is_served(broker: Broker) -> None:
    async with gateway(broker) as ours:
        unknown = (
            "/",
            "/graph",
            f"{NOTIFICATIONS}/",
            f"{NOTIFICATIONS}/x",
            "/graph/Notifications",
            "/docs",
            "/graph/notifications%2f",
        )
        for path in unknown:
            assert (await ours.http.post(path, content=body("nowhere"))).status_code == 404, path
        for path in (NOTIFICATIONS, "/graph/lifecycle", HANDSHAKE):
            for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
                answer = await ours.http.request(method, path)
                assert (answer.status_code, answer.headers["allow"]) == (405, "POST"), method


async def test_while_the_broker_is_away_posts_are_refused_and_what_was_accepted_is_not_lost(broker: Broker) -> None:
    calendar, accepted, number = new_id("cal"), list[str](), 0

    async def post() -> int:
        nonlocal number
        number += 1
        answer = await ours.post(f"outage-{number}", calendar)
        if answer.status_code == 202:
            accepted.append(f"outage-{number}")
        else:
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        return answer.status_code

    async def again() -> bool:
        return await post() == 202

    async with gateway(broker) as ours:
        assert await post() == 202

        broker.hold()
        first = asyncio.create_task(ours.post("given-up", calendar))
        await until(lambda: ours.intake.posts == 1)
        second = asyncio.create_task(ours.post("given-up-too", calendar))
        assert [(await first).status_code, (await second).status_code] == [503, 503]
        async with asyncio.timeout(20):  # not a tenth of what it took if each waited for the broker
            assert {await post() for _ in range(100)} == {503}
        assert (await ours.http.post(HANDSHAKE)).status_code == 200
        broker.release()
        await until(again)

        await broker.line.cut()
        assert await post() == 503
        await broker.line.listen()
        await until(again)
        assert ours.holds == (0, 0)
    await broker.has(accepted)


async def test_our_own_probe_is_refused_like_any_post_while_the_broker_is_away(broker: Broker) -> None:
    probe = body("probe", PROBE_CALENDAR)
    async with gateway(broker) as ours:
        assert (await ours.http.post(NOTIFICATIONS, content=probe)).headers["attendara-probe"] == "recognized"
        await broker.line.cut()
        refused = await ours.http.post(NOTIFICATIONS, content=probe)
        await broker.line.listen()
        broker.hold()
        unanswered = await ours.http.post(NOTIFICATIONS, content=probe)
        broker.release()

        for answer in (refused, unanswered):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        await until(lambda: _recognized(ours, probe))


async def _recognized(ours: Serving, probe: bytes) -> bool:
    return (await ours.http.post(NOTIFICATIONS, content=probe)).status_code == 202


@asynccontextmanager
async def in_flight(process: Gateway, names: Sequence[str]) -> AsyncIterator[list[Line]]:
    """Posts that were sent and taken in: whatever was sent after them has been answered."""
    async with AsyncExitStack() as leaving:
        lines = [await leaving.enter_async_context(Line.to(process.url)) for _ in names]
        for line, name in zip(lines, names, strict=True):
            whole = body(name)
            line.begin(len(whole))
            line.send(whole)
        other = await leaving.enter_async_context(Line.to(process.url))
        for _ in range(3):
            other.begin(0, HANDSHAKE)
            assert await other.answer() == (200, ANY)
            await other.rest(len("hello"))
        yield lines


async def draining(process: Gateway) -> int:
    """How many posts were in flight when it began to."""
    told: list[dict[str, Any]] = await until(lambda: [entry for entry in process.logged() if entry["event"] == "draining"])
    return int(told[0]["posts_in_flight"])


async def test_told_to_drain_it_finishes_what_it_has_takes_nothing_new_and_lives_on(broker: Broker, tmp_path: Path) -> None:
    names = [f"drained-{number}" for number in range(4)]
    async with (
        gateway_process(tmp_path, broker.kafka) as process,
        httpx2.AsyncClient(base_url=process.url, trust_env=False, timeout=20) as http,
    ):
        broker.hold()
        async with in_flight(process, names) as lines:
            process.send(signal.SIGUSR1)
            assert await draining(process) == len(names)
            refused, shaken = await http.post(NOTIFICATIONS, content=body("new")), await http.post(HANDSHAKE)
            broker.release()
            finished = [(await line.answer())[0] for line in lines]
        ready, alive = await http.get("/readyz"), await http.get("/livez")

        assert (refused.status_code, refused.headers["retry-after"], refused.headers["connection"]) == (503, "5", "close")
        assert (shaken.status_code, shaken.text) == (200, "hello")
        assert finished == [202] * len(names)
        assert (ready.status_code, ready.json()) == (503, {"status": "not ready", "intake": "draining"})
        assert alive.status_code == 200
    await broker.has(names)


async def test_told_to_end_it_finishes_what_it_has(broker: Broker, tmp_path: Path) -> None:
    names = [f"ended-{number}" for number in range(4)]
    async with gateway_process(tmp_path, broker.kafka) as process:
        broker.hold()
        async with in_flight(process, names) as lines:
            process.send(signal.SIGTERM)
            assert await draining(process) == len(names)
            broker.release()
            assert [(await line.answer())[0] for line in lines] == [202] * len(names)
        assert await process.ended() == 0
    assert [entry for entry in process.logged() if entry["level"] not in ("info", "warning")] == []
    await broker.has(names)
