"""A receiver of OTLP over HTTP, as a collector is one: keeps the spans that services export."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    """`links` and `parent` are span ids, `trace` a trace id, all in hex; `parent` of a root is empty."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    links: tuple[tuple[str, str], ...]
    attributes: dict[str, str]


@dataclass
class Collector:
    address: str = ""
    spans: list[Span] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            service = next(a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
            self.spans += [_span(service, one) for scope in resource.scope_spans for one in scope.spans]

    def named(self, name: str, **attributes: str) -> list[Span]:
        return [one for one in self.spans if one.name == name and attributes.items() <= one.attributes.items()]

    def path_to_root(self, span: Span) -> list[str]:
        """The names from the span up to its trace's root, as far as they have arrived."""
        names = [span.name]
        while above := next((one for one in self.spans if one.id == span.parent and one.trace == span.trace), None):
            names.append(above.name)
            span = above
        return names


def _span(service: str, one: Any) -> Span:
    links = tuple((link.trace_id.hex(), link.span_id.hex()) for link in one.links)
    attributes = {a.key: a.value.string_value or str(a.value.int_value) for a in one.attributes}
    return Span(service, one.name, one.trace_id.hex(), one.span_id.hex(), one.parent_span_id.hex(), links, attributes)


@contextmanager
def collecting(host: str = "127.0.0.1", port: int = 0) -> Iterator[Collector]:
    collector = Collector()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path == "/v1/traces":
                collector.take(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing: pytest's output is for tests."""

    server = ThreadingHTTPServer((host, port), Door)
    collector.address = f"http://{host}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
