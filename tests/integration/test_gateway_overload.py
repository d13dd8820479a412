"""The gateway when there is too much, and when clients are slow, gone, or say what isn't so."""

import asyncio
import logging
import signal
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from tests.integration.gateway_process import gateway_process
from tests.integration.gateway_world import HANDSHAKE, NOTIFICATIONS, Broker, Line, body, gateway
from tests.servers import Kafka
from tests.serving import until
from webhook_gateway import lanes, publishing

SMALLEST = 64 * 1024
"""The least that bounds of bytes may be."""


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, posts still wait for the broker when the test has looked."""
    for module in (lanes, publishing):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 20.0)


@pytest.mark.usefixtures("patient")
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
    async with (
        gateway(broker, post_largest_bytes=SMALLEST, post_bytes_in_flight=SMALLEST) as ours,
        Line.to(ours.http.base_url) as line,
    ):
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
        ours = await stack.enter_async_context(gateway(broker, post_largest_bytes=2 * SMALLEST, post_bytes_in_flight=4 * SMALLEST))
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


@pytest.mark.parametrize(
    "head", [b"POST /?", b"POST / HTTP/1.1\r\nx: ", b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: "]
)
async def test_a_head_that_does_not_end_is_cut_off_and_what_is_not_http_is_not_logged(
    head: bytes, topics: Kafka, tmp_path: Path
) -> None:
    async with gateway_process(tmp_path, topics) as gateway:
        await _cut_off(gateway.port, b"nonsense\r\n\r\n")
        await _cut_off(gateway.port, head + b"x" * 128 * 1024)
        gateway.send(signal.SIGTERM)
        await gateway.ended()

    assert "HTTP" not in str(gateway.logged())


async def _cut_off(port: int, sent: bytes) -> None:
    """Fails unless the other side ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(20):
            with suppress(ConnectionError):
                writer.write(sent)
                await reader.read()
    finally:
        writer.transport.abort()
