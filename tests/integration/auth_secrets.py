"""What auth must keep to itself, and every place that others can read: for tests which look for the one in the other.

Secrets are noted on auth's way to Microsoft, where each of them passes: codes, verifiers, client secrets, tokens.
"""

import base64
import json
import logging
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from io import StringIO
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl

import bson
import httpx2
import pytest
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pymongo.asynchronous.database import AsyncDatabase
from redis.asyncio import Redis

from common import telemetry
from tests.integration.auth_world import KEYS, Auth, Document
from tests.servers import Kafka

SENT = ("code", "code_verifier", "client_secret", "refresh_token")
RECEIVED = ("access_token", "refresh_token", "id_token")
QUIET = ("aiokafka", "httpx2", "pymongo")
"""Loggers that every service turns down to warnings, whatever its LOG_LEVEL."""

Rank = tuple[int, int]

_is_browser = ContextVar("is_browser", default=False)


@contextmanager
def as_the_browser() -> Iterator[None]:
    """What is logged in this block is not auth's: the test is the browser, whose library logs each redirect with its code."""
    token = _is_browser.set(True)
    try:
        yield
    finally:
        _is_browser.reset(token)


@dataclass
class Ledger:
    """All that went to Microsoft's token endpoint and came from it, noted where it is on the wire.

    `secrets`: each with what it is. `ranks`: a refresh token's place, by the sign-in that it comes from and by when it was
    given. `refused`: how often Microsoft refused a refresh token.
    """

    secrets: dict[bytes, str] = field(default_factory=dict)
    ranks: dict[str, Rank] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        for kid, key in KEYS.items():
            self.secrets |= {key: f"key {kid}", base64.b64encode(key): f"key {kid} in base64"}

    def listen(self, auth: Auth) -> None:
        auth.wire.real = _Listening(auth.wire.real, self)

    def note(self, form: dict[str, str], status: int, answer: Document) -> None:
        with self._lock:
            self.secrets |= {form[name].encode(): name for name in SENT if name in form}
            self.secrets |= {answer[name].encode(): name for name in RECEIVED if name in answer}
            used = form.get("refresh_token")
            if given := answer.get("refresh_token"):
                number = len(self.ranks)
                self.ranks.setdefault(given, (self.ranks[used][0] if used else number, number))
            elif used and status == 400:
                self.refused[used] += 1


@dataclass
class _Listening(httpx2.BaseTransport):
    real: httpx2.BaseTransport
    ledger: Ledger

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = self.real.handle_request(request)
        if request.url.path.endswith("/token"):
            answer.read()
            body: Document = {}
            with suppress(ValueError):
                body = answer.json()
            self.ledger.note(dict(parse_qsl(request.content.decode())), answer.status_code, body)
        return answer

    def close(self) -> None:
        self.real.close()


@dataclass
class Readable:
    """What others can read: the servers, and what auth logs, traces and answers, all kept as bytes with where they stood."""

    database: AsyncDatabase[Document]
    redis: Redis
    kafka: Kafka
    log: StringIO
    spans: InMemorySpanExporter
    answers: list[tuple[str, bytes]] = field(default_factory=list)

    def listen(self, auth: Auth) -> None:
        """Keeps what auth answers, but for the tokens that it hands out."""

        async def keep(answer: httpx2.Response) -> None:
            if answer.status_code >= 400 or not answer.request.url.path.endswith("/token"):
                headers = json.dumps(answer.headers.multi_items()).encode()
                self.answers.append((f"answer {answer.status_code} {answer.request.url.path}", headers + await answer.aread()))

        auth.http.event_hooks["response"].append(keep)

    async def find(self, secrets: dict[bytes, str]) -> list[str]:
        """Where something secret stands, and what it is."""
        return [
            f"{kind} in {where}" async for where, content in self._all() for secret, kind in secrets.items() if secret in content
        ]

    async def _all(self) -> AsyncIterator[tuple[str, bytes]]:
        for where, content in (*self.answers, *_spans(self.spans.get_finished_spans()), ("log", self.log.getvalue().encode())):
            yield where, content
        async for place in _stored(self.database):
            yield place
        async for place in _cached(self.redis):
            yield place
        async for place in _said(self.kafka):
            yield place


@pytest.fixture
async def readable(
    database: AsyncDatabase[Document], redis_url: str, topics: Kafka, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Readable]:
    provider = TracerProvider()
    provider.add_span_processor(telemetry._without_queries())
    spans = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer("attendara"))
    monkeypatch.setitem(telemetry.OF_REQUESTS, "tracer_provider", provider)
    log = StringIO()
    with _logging(log):
        async with Redis.from_url(redis_url) as redis:
            yield Readable(database, redis, topics, log, spans)


@contextmanager
def _logging(stream: StringIO) -> Iterator[None]:
    """All that is logged at LOG_LEVEL=DEBUG, by us and by libraries, with tracebacks."""
    before, root = structlog.get_config(), logging.getLogger()
    level, handler = root.level, logging.StreamHandler(stream)
    handler.addFilter(lambda _: not _is_browser.get())
    quiet = {name: logging.getLogger(name).level for name in QUIET}
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(stream),
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        cache_logger_on_first_use=False,
    )
    try:
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        for name in QUIET:
            logging.getLogger(name).setLevel(logging.WARNING)
        yield
    finally:
        for name, was in quiet.items():
            logging.getLogger(name).setLevel(was)
        root.setLevel(level)
        root.removeHandler(handler)
        structlog.configure(**before)


def _spans(spans: Sequence[ReadableSpan]) -> Iterator[tuple[str, bytes]]:
    for span in spans:
        yield f"span {span.name}", span.to_json().encode()


async def _stored(database: AsyncDatabase[Document]) -> AsyncIterator[tuple[str, bytes]]:
    for name in await database.list_collection_names():
        async for document in database[name].find():
            yield f"MongoDB, {name}", bson.encode(document)


async def _cached(redis: Redis) -> AsyncIterator[tuple[str, bytes]]:
    """Strings and hashes, as auth and its neighbours write them; a dump would be compressed."""
    async for key in redis.scan_iter():
        kind = await redis.type(key)
        assert kind in (b"string", b"hash"), kind
        values: list[Any] = [await redis.get(key)] if kind == b"string" else [*chain(*(await redis.hgetall(key)).items())]
        yield "Redis", b" ".join([key, *values])


async def _said(kafka: Kafka) -> AsyncIterator[tuple[str, bytes]]:
    """Everything on every topic, from the beginning to what is the end now."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, enable_auto_commit=False, fetch_max_wait_ms=50)
    parts = await _partitions(kafka)
    async with consumer:
        consumer.assign(parts)
        await consumer.seek_to_beginning(*parts)
        ends = await consumer.end_offsets(parts)
        while any([await consumer.position(part) < ends[part] for part in parts]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    headers = b" ".join(name.encode() + value for name, value in record.headers)
                    yield f"Kafka, {record.topic}", b" ".join((record.key or b"", record.value or b"", headers))


async def _partitions(kafka: Kafka) -> list[Any]:
    """Of every topic that is not the broker's own."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        topics = [topic for topic in await admin.describe_topics() if not topic["is_internal"]]
    finally:
        await admin.close()
    return [TopicPartition(topic["topic"], part["partition"]) for topic in topics for part in topic["partitions"]]
