"""What the gateway does on one core beside a bare route and the obvious way: `python -m tests.benchmarks.gateway [SECONDS]`.

Four servers stand side by side on one core, and are measured in turn, round after round (medians are told):

- bare: a route of the same framework (FastAPI) and server that reads the body and answers 202, the limit;
- plain: the same as a route of Starlette, on which FastAPI stands: a stricter limit;
- ours: the gateway as the Procfile starts it;
- obvious: pydantic models and an awaited send for each entry.

The posts come from the machine's other cores, where the broker is too, unless `KAFKA_BOOTSTRAP_SERVERS` names one (for this
alone). Each server gets them for `SECONDS` as fast as it answers. What one core does follows from the processor time that it took
meanwhile, so that whoever else is busy on the machine takes nothing from it; the rate that came about is told beside it.
Then it gets half of that rate as long, at random times that wait for no answer: what a post takes counts from when it was
due. Every answer must be 202, and the broker must then have every message. Linux only.
"""

import asyncio
import base64
import itertools
import os
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median, quantiles

import uvloop
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from common.client_state import ClientStates
from tests.benchmarks.gateway_load import Load
from tests.benchmarks.gateway_posts import Post, posts
from tests.benchmarks.gateway_servers import Server, Standing, standing

ROUNDS = 5
CONNECTIONS = {1: 128, 10: 128, 100: 16}
"""For posts of so many entries, how many are in flight at a server's peak."""
WARMING = 0.3
"""Seconds of posts that aren't counted, before each peak."""
ENOUGH = 0.9
"""Of a core: the server must take more of its own at the peak, and what sends the posts less."""
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Figures:
    """At the peak: posts per second of the server's processor time (`core`) and as it came about (`rate`), processor seconds for
    a notification (`each`), and the shares of a core that the server, this process and the broker (0 unless it is ours) took.
    At half of that rate: `p50` and `p99` in seconds.
    """

    core: float
    rate: float
    each: float
    server: float
    sender: float
    broker: float
    p50: float
    p99: float


class Bench:
    def __init__(self, there: Standing, producer: AIOKafkaProducer, seconds: float) -> None:
        self._there, self._producer, self._seconds = there, producer, seconds
        self._marks = Counter[str]()
        self._chance = random.Random(5)

    async def measure(self, server: Server, some: Sequence[Post]) -> Figures:
        endless, before = itertools.cycle(some), await self._stored(server)
        async with Load.on(server.port, CONNECTIONS[some[0].entries]) as load, asyncio.timeout(60 + 4 * self._seconds):
            warm = await load.run(endless, _at_once(WARMING))
            began = self._processor_seconds(server)
            peak = await load.run(endless, _at_once(self._seconds))
            used = [now - then for then, now in zip(began, self._processor_seconds(server), strict=True)]
            half = await load.run(endless, self._at_random(peak.rate / 2))
        sent = sum(server.messages(run) for run in (warm, peak, half))
        if (stored := await self._stored(server) - before) < sent:
            raise SystemExit(f"{server.name} answered 202, and {sent - stored} of {sent} messages are not in the broker")
        server_share, sender_share, broker_share = (seconds / peak.seconds for seconds in used)
        return Figures(
            core=len(peak.times) / used[0],
            rate=peak.rate,
            each=used[0] / peak.entries,
            server=server_share,
            sender=sender_share,
            broker=broker_share,
            p50=median(half.times),
            p99=quantiles(half.times, n=100)[-1],
        )

    def _at_random(self, rate: float) -> Iterator[float]:
        """As a crowd of senders that don't know of each other: `rate` a second on average."""
        now = time.monotonic()
        end = now + self._seconds
        while (now := now + self._chance.expovariate(rate)) < end:
            yield now

    def _processor_seconds(self, server: Server) -> list[float]:
        return [_processor_seconds(pid) if pid else 0.0 for pid in (server.pid, os.getpid(), self._there.broker)]

    async def _stored(self, server: Server) -> int:
        """How many messages the server's topic has had but for ours: where the broker puts one more into each partition.

        Tansu's own end offsets lag behind by a batch.
        """
        if server.topic is None:
            return 0
        partitions = range(self._there.partitions[server.topic])
        offsets = [(await self._producer.send_and_wait(server.topic, b"", partition=number)).offset for number in partitions]
        stored: int = sum(offsets) - self._marks[server.topic]
        self._marks[server.topic] += len(offsets)
        return stored


def _at_once(seconds: float) -> Iterator[float]:
    now = time.monotonic()
    return itertools.takewhile(lambda _: time.monotonic() < now + seconds, itertools.repeat(now))


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


async def bench(folder: Path, seconds: float) -> None:
    core, *others = sorted(os.sched_getaffinity(0))
    if not others:
        raise SystemExit("one core is the servers', and there must be another")
    os.sched_setaffinity(0, others)
    _print(f"servers on core {core}; {ROUNDS} rounds of {seconds:g} s at the peak and {seconds:g} s at half of it")
    key = f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}"
    some = posts(ClientStates([SecretStr(key)]), list(CONNECTIONS))
    async with standing(folder, core, key) as there, AIOKafkaProducer(bootstrap_servers=there.bootstrap_servers) as producer:
        measured = await _rounds(Bench(there, producer, seconds), there.servers, some)
    _tell(measured)


async def _rounds(bench: Bench, servers: Sequence[Server], some: Mapping[int, Sequence[Post]]) -> dict[tuple[int, str], Figures]:
    """The medians, by the number of entries and the server's name."""
    measured: dict[tuple[int, str], list[Figures]] = {}
    for _, size, server in itertools.product(range(ROUNDS), some, servers):
        measured.setdefault((size, server.name), []).append(await bench.measure(server, some[size]))
    return {which: Figures(*map(median, zip(*map(astuple, figures), strict=True))) for which, figures in measured.items()}


def _tell(measured: Mapping[tuple[int, str], Figures]) -> None:
    _print("entries  server   on one core    CPU an entry  came about (server, sender, broker busy)   at half: p50      p99")
    for (size, name), told in measured.items():
        _print(
            f"{size:7}  {name:7}  {told.core:7.0f} /s  {told.each * 1e6:9.1f} µs  {told.rate:7.0f} /s"
            f"  ({told.server:6.0%}, {told.sender:6.0%}, {told.broker:11.0%})  {told.p50 * 1e3:10.1f} ms {told.p99 * 1e3:6.1f} ms"
        )
        if told.sender > ENOUGH:
            _print("         ! the sender was the limit, or nearly")
        elif told.server < ENOUGH:
            _print("         ! the server didn't have its core to itself, or something else was the limit")
    bare, plain, ours, obvious = (measured[10, name] for name in ("bare", "plain", "ours", "obvious"))
    _print(f"posts of 10, beside Starlette's plain route: ours/plain={ours.core / plain.core:.2f}")
    ratios = f"ours/bare={ours.core / bare.core:.2f} ours/obvious={ours.core / obvious.core:.2f}"
    _print(f"gateway posts-of-10 {ratios} p99_ms={ours.p99 * 1e3:.1f}")


def _print(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(bench(Path(folder), seconds))


if __name__ == "__main__":
    main()
