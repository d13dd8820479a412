"""Traces, metrics and logs: OTLP out where the standard `OTEL_*` variables ask for it, JSON lines on standard error.

Trace context travels as a plain dict (`traceparent`, `tracestate`), because work here is kept as a mark in MongoDB
between the message that asked for it and the runner that does it.
"""

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import structlog
from fastapi.telemetry import TelemetryConfig
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from common.settings import ServiceSettings

TRACE_HEADERS = ("traceparent", "tracestate")

OF_REQUESTS: TelemetryConfig = {"operation_spans": False, "logs": False, "auto_configure": False}
"""For `FastAPI(telemetry=…)`: one span a request, and no exporters but ours."""

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3600.0, 86_400.0)
"""Of histograms, in seconds: OpenTelemetry's own are made for milliseconds."""

_propagator = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("attendara")
_meter = metrics.get_meter("attendara")
_counters: dict[str, metrics.Counter] = {}
_histograms: dict[str, metrics.Histogram] = {}
_gauges: dict[str, metrics._Gauge] = {}
Kind = Literal["internal", "producer", "consumer", "client", "server"]
_UNTRACED = nullcontext(trace.INVALID_SPAN)
_traced: set[str] = set()
"""The service that runs in this process, if its spans go anywhere."""
_KINDS: dict[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
    "client": SpanKind.CLIENT,
    "server": SpanKind.SERVER,
}


def set_up(service: str, settings: ServiceSettings) -> None:
    """Called once per process, before anything is constructed. No exporter is made when no endpoint is configured."""
    _set_up_logs(settings)
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    if any(os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT") for signal in ("", "TRACES_")):
        _export_traces(service)
    if any(os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT") for signal in ("", "METRICS_")):
        _export_metrics(service)
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):  # ours, or one from outside
        _traced.add(service)


def _export_traces(service: str) -> None:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=_resource(service))
    provider.add_span_processor(_without_queries())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def _without_queries() -> Any:
    """FastAPI's spans carry the query as it came: there it is Graph's validationToken, or Microsoft's code and state."""
    from opentelemetry.sdk.trace import Span as SdkSpan
    from opentelemetry.sdk.trace import SpanProcessor

    class WithoutQueries(SpanProcessor):
        def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
            if span.attributes and "url.query" in span.attributes:
                span.set_attribute("url.query", "left out")

    return WithoutQueries()


def _export_metrics(service: str) -> None:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    metrics.set_meter_provider(MeterProvider(resource=_resource(service), metric_readers=[reader]))


def _resource(service: str) -> Any:
    from opentelemetry.sdk.resources import Resource

    name = os.environ.get("OTEL_SERVICE_NAME", service)
    return Resource.create({"service.name": name, "service.namespace": "attendara"})


def carrier() -> dict[str, str]:
    """The current trace context, to be put into headers or a mark. Empty when nothing is traced."""
    if trace.get_current_span() is trace.INVALID_SPAN:
        return {}
    headers: dict[str, str] = {}
    _propagator.inject(headers)
    return headers


def _context(headers: Mapping[str, str] | None) -> Context | None:
    return _propagator.extract(headers) if headers else None


def span(
    name: str,
    *,
    kind: Kind = "internal",
    parent: Mapping[str, str] | None = None,
    links: Sequence[Mapping[str, str]] = (),
    attributes: Mapping[str, str | int | bool] | None = None,
) -> AbstractContextManager[Span]:
    """A span under `parent` (else under the current one), linked to the traces in `links`. Errors are recorded by class only."""
    if not parent and not links and not _traced and isinstance(_tracer, trace.ProxyTracer):
        return _UNTRACED  # a span that goes nowhere would be a tenth of what the gateway does for a post
    return _span(name, kind, parent, links, attributes)


@contextmanager
def _span(
    name: str,
    kind: Kind,
    parent: Mapping[str, str] | None,
    links: Sequence[Mapping[str, str]],
    attributes: Mapping[str, str | int | bool] | None,
) -> Iterator[Span]:
    linked = [trace.get_current_span(_context(headers)).get_span_context() for headers in links if headers]
    with _tracer.start_as_current_span(
        name,
        context=_context(parent),
        kind=_KINDS[kind],
        links=[Link(context) for context in linked if context.is_valid],
        attributes=dict(attributes or {}),
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except Exception as error:
            current.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def note(name: str, value: str) -> None:
    """Puts an attribute on the current span."""
    trace.get_current_span().set_attribute(name, value)


def count(name: str, amount: int = 1, **labels: str) -> None:
    """Adds to the counter `attendara.<name>`."""
    if name not in _counters:
        _counters[name] = _meter.create_counter(f"attendara.{name}")
    _counters[name].add(amount, labels)


def observe(name: str, value: float, **labels: str) -> None:
    """Records `value` (seconds, unless the name says otherwise) in the histogram `attendara.<name>`."""
    if name not in _histograms:
        _histograms[name] = _meter.create_histogram(f"attendara.{name}", explicit_bucket_boundaries_advisory=BUCKETS)
    _histograms[name].record(value, labels)


def gauge(name: str, value: float, **labels: str) -> None:
    """Sets the gauge `attendara.<name>` to what `value` now is."""
    if name not in _gauges:
        _gauges[name] = _meter.create_gauge(f"attendara.{name}")
    _gauges[name].set(value, labels)


def _set_up_logs(settings: ServiceSettings) -> None:
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
    ]
    last: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for noisy, level in (
        ("aiokafka", "CRITICAL"),
        ("httpx2", "WARNING"),
        ("pymongo", "WARNING"),
        ("uvicorn.access", "WARNING"),
    ):
        logging.getLogger(noisy).setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level]),
        cache_logger_on_first_use=True,
    )


def _add_trace(_: Any, __: str, entry: dict[str, Any]) -> dict[str, Any]:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        entry["trace_id"] = format(context.trace_id, "032x")
    return entry
