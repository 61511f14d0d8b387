"""OpenTelemetry spans, where the extra `otel` is installed and an exporter is configured.

request -> persona, call (one each), verdict. The client's `traceparent` is the parent, and each
engine call gets one of its own; without tracing the client's goes on to the engine as it came.
Configured by OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, ...).
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from its.extras import installed, needs
from its.urls import fault

from ..base.record import Record

_SWITCHES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_NOTHING: AbstractContextManager[None] = nullcontext()
_tracer: Any = None


class TracingError(Exception):
    """Tracing is configured, but cannot be."""


def _wanted() -> bool:
    return any(os.environ.get(name) for name in _SWITCHES)


def check() -> None:
    """Refuse to go on where tracing is asked for and cannot be.

    Raises:
        TracingError: an endpoint is no address, or the extra `otel` is not installed.
    """
    for name in _SWITCHES:
        endpoint = os.environ.get(name)
        if endpoint and (wrong := fault(endpoint, secret=True)):
            raise TracingError(f"{name} {wrong}. It must be such as http://HOST:4318")
    if _wanted() and not installed("opentelemetry"):
        raise TracingError(needs("OTEL_EXPORTER_OTLP_ENDPOINT is set, but tracing", "otel"))


def start() -> None:
    """Begin to trace if the environment asks for it."""
    global _tracer
    if not _wanted():
        return
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME", "its-proxy")
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    _tracer = trace.get_tracer("its.proxy")


def stop() -> None:
    """Send what is still here."""
    global _tracer
    if _tracer is not None:
        from opentelemetry import trace

        _tracer = None
        provider: Any = trace.get_tracer_provider()
        provider.shutdown()


def span(name: str, **attributes: str | int) -> AbstractContextManager[Any]:
    """Return a span for the block; attributes hold no contents."""
    if _tracer is None:
        return _NOTHING
    named = {f"its.{key}": value for key, value in attributes.items()}
    return _started(name, attributes=named)


def request_span(record: Record, path: str) -> AbstractContextManager[Any]:
    """Return the span of a whole request, below the client's."""
    if _tracer is None:
        return _NOTHING
    from opentelemetry.propagate import extract

    carrier = {name.decode(): value.decode("latin-1") for name, value in record.trace.items()}
    return _started(
        f"POST {path}",
        context=extract(carrier),
        attributes={"its.request_id": record.request_id.decode()},
    )


@contextmanager
def _started(name: str, **how: Any) -> Iterator[Any]:
    """Open a span; an error in it is told by its class, as its text may hold contents."""
    quiet = {"record_exception": False, "set_status_on_exception": False}
    with _tracer.start_as_current_span(name, **how, **quiet) as opened:
        try:
            yield opened
        except Exception as error:
            from opentelemetry.trace import StatusCode

            opened.set_status(StatusCode.ERROR, type(error).__name__)
            raise


def outgoing(record: Record, forward: Sequence[bytes], call: int | None = None) -> bytes:
    """Return the header lines that an engine call carries; `call` numbers those of one request.

    `forward` names the client's headers that go along, as the engine's configuration does.

    Engines may take the request id as their own and refuse one that runs already, as vLLM did.
    """
    number = b"" if call is None else b"-%d" % call
    own = record.forwarded(forward, call) if forward else b""
    lines = b"x-request-id: %s%s\r\n%s" % (record.request_id, number, own)
    if _tracer is None:
        trace = record.trace
    else:
        from opentelemetry.propagate import inject

        carrier: dict[str, str] = {}
        inject(carrier)
        trace = {name.encode(): value.encode() for name, value in carrier.items()}
    if not trace:
        return lines
    return lines + b"".join(b"%s: %s\r\n" % pair for pair in trace.items())
