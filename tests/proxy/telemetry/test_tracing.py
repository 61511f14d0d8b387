"""Spans as a collector receives them, over OTLP, from a proxy that runs as a process."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.conftest import MEMBERS
from tests.proxy.asking import ASK, serving
from tests.scripted import NO_TLS, Engine, fails, says

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Span]]:
    """A collector; yields what it was sent."""
    received: list[Span] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                import gzip

                raw = gzip.decompress(raw)
            request = ExportTraceServiceRequest.FromString(raw)
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    received.extend(scope.spans)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    yield received
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_panels_spans_hang_below_the_clients(
    spans: list[Span], engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    config = tmp_path / "panels.toml"
    config.write_text(MEMBERS.replace("{engine}", engine_url), "utf-8")
    for name in "sur":
        engine.scripts[name] = says(r"\boxed{7}")
    with serving(config) as (process, url):
        answer = httpx.post(
            f"{url}/chat/completions",
            json={"model": "vote3", "messages": ASK},
            headers={"traceparent": f"00-{TRACE}-{PARENT}-01"},
            trust_env=False,
            verify=NO_TLS,
            timeout=30,
        )
        assert answer.status_code == 200
        process.terminate()
        process.communicate(timeout=15)
    named = {span.name: span for span in spans}
    request = named["POST /v1/chat/completions"]
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    assert request.parent_span_id.hex() == PARENT
    children = [span.name for span in spans if span.parent_span_id == request.span_id]
    assert sorted(children) == ["call", "call", "call", "persona", "verdict"]
    calls = {span.span_id.hex() for span in spans if span.name == "call"}
    sent = [received.headers["traceparent"].split("-") for received in engine.received]
    assert {trace for _, trace, _, _ in sent} == {TRACE}
    assert {parent for _, _, parent, _ in sent} == calls, "each engine call has its own parent"
    contents = str(spans)
    assert "boxed" not in contents
    assert "3 and 4" not in contents


def test_an_error_is_told_without_its_text(
    spans: list[Span], engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    config = tmp_path / "panels.toml"
    config.write_text(MEMBERS.replace("{engine}", engine_url), "utf-8")
    engine.scripts["s"] = fails(400, {"error": {"message": "what the question was"}})
    with serving(config) as (process, url):
        asked = {"model": "s", "messages": ASK}
        httpx.post(
            f"{url}/chat/completions", json=asked, trust_env=False, verify=NO_TLS, timeout=30
        )
        process.terminate()
        process.communicate(timeout=15)
    assert any(span.status.code == 2 for span in spans)
    assert b"what the question was" not in b"".join(span.SerializeToString() for span in spans)
