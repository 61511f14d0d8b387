"""What is counted, for Prometheus. Names of models and panels come from the configuration only,
so that no client can make a new series.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache

import prometheus_client as prometheus
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from its.answers.faults import FAULTS

from ..base.outcome import PanelOutcome, Row

CONTENT_TYPE = prometheus.CONTENT_TYPE_PLAIN_0_0_4
SECONDS = (0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800)


def quarter(agreement: float | None) -> str:
    """Return an agreement rounded down to a quarter: a client chooses how many shares there are.

    It is "0", "0.25", "0.5", "0.75" or, where all agree, "1"; "none" if nothing is chosen.
    """
    return "none" if agreement is None else f"{4 * agreement // 1 / 4:g}"


class Metrics:
    """One application's series."""

    def __init__(self) -> None:
        self.registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=self.registry)
        counter, histogram = self._counter, self._histogram
        self._requests = counter("requests", "Requests answered", "model", "status")
        self._seconds = histogram("request_seconds", "Until the last byte", "model")
        self._first = histogram("first_byte_seconds", "Until a stream's first byte", "model")
        self._engine_errors = counter("engine_errors", "Failed engine calls", "engine", "kind")
        votes = counter("votes", "Verdicts by agreement", "panel", "agreement")
        abstained = counter("abstentions", "Completions without an answer", "panel")
        saved = counter("early_stop_saved_calls", "Calls cancelled as settled", "panel")
        undecided = counter("undecided_expressions", "Too large to compare", "panel")
        calls = counter("panel_calls", "Calls of panels", "panel", "role", "outcome")
        tokens = counter("panel_tokens", "Tokens that they wrote", "panel", "role")
        self._calls, self._call_tokens = cache(calls.labels), cache(tokens.labels)
        self._votes, self._abstained = cache(votes.labels), cache(abstained.labels)
        self._saved, self._undecided = cache(saved.labels), cache(undecided.labels)
        memory = counter("persona_memory", "Contexts looked up in memory", "result")
        self._memory = {True: memory.labels("hit").inc, False: memory.labels("miss").inc}
        self._sources = cache(counter("personas", "Contexts by source", "source").labels)
        self._faults = counter("persona_faults", "Written personas that were refused", "fault")
        self.in_flight = self._gauge("in_flight", "Requests running")
        self.tasks = self._gauge("tasks", "asyncio tasks")
        self._queue = self._gauge("queue", "Calls that wait for a slot of an engine", "engine")
        self._key_queue = self._gauge("key_queue", "Calls that wait for a slot of a key", "key")
        self.registry.register(_AnswerFaults())
        self._of_request = cache(self._request_series)

    def request(self, model: str, status: int, seconds: float, first: float | None) -> None:
        """Count a request; `first` is the time to the first byte of a stream."""
        count, observe, observe_first = self._of_request(model, status)
        count()
        observe(seconds)
        if first is not None:
            observe_first(first)

    def persona_memory(self, hit: bool) -> None:
        self._memory[hit]()

    def persona(self, source: str) -> None:
        """Count a context that was not in memory."""
        self._sources(source).inc()

    def persona_fault(self, fault: str) -> None:
        """Count what was wrong with a persona that a model wrote."""
        self._faults.labels(fault).inc()

    def engine_error(self, engine: str, kind: str) -> None:
        self._engine_errors.labels(engine, kind).inc()

    def engine_errors(self, engine: str) -> dict[str, int]:
        """Return how many calls of an engine failed, by kind."""
        (family,) = self._engine_errors.collect()
        samples = [each for each in family.samples if each.name.endswith("_total")]
        ours = [each for each in samples if each.labels["engine"] == engine]
        return {each.labels["kind"]: int(each.value) for each in ours}

    def verdict(self, panel: str, outcome: PanelOutcome) -> None:
        self._votes(panel, quarter(outcome.verdict.agreement)).inc()
        counts = (
            (self._abstained(panel), outcome.abstained),
            (self._saved(panel), sum([row.outcome == "cancelled" for row in outcome.rows])),
            (self._undecided(panel), outcome.undecided),
        )
        for series, number in counts:
            if number:  # to add nothing costs as much
                series.inc(number)

    def panel_calls(self, panel: str, rows: Sequence[Row]) -> None:
        """Count the calls of a request on a panel, whatever became of it."""
        calls: dict[tuple[str, str], int] = {}
        tokens: dict[str, int] = {}
        for row in rows:
            role, outcome = row.call.role, row.outcome
            calls[role, outcome] = calls.get((role, outcome), 0) + 1
            tokens[role] = tokens.get(role, 0) + row.spent.tokens["completion_tokens"]
        for key, number in calls.items():
            self._calls(panel, *key).inc(number)
        for each, number in tokens.items():
            self._call_tokens(panel, each).inc(number)

    def queue(self, engine: str) -> prometheus.Gauge:
        """Return the number of calls that wait for `engine`."""
        return self._queue.labels(engine)

    def key_queue(self, key: str) -> prometheus.Gauge:
        """Return the number of calls that wait for a slot of `key`."""
        return self._key_queue.labels(key)

    def render(self) -> bytes:
        """Return Prometheus' text format."""
        return prometheus.generate_latest(self.registry)

    def _request_series(
        self, model: str, status: int
    ) -> tuple[Callable[[], None], Callable[[float], None], Callable[[float], None]]:
        return (
            self._requests.labels(model, status).inc,
            self._seconds.labels(model).observe,
            self._first.labels(model).observe,
        )

    def _counter(self, name: str, about: str, *labels: str) -> prometheus.Counter:
        return prometheus.Counter(f"its_{name}", about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str, *labels: str) -> prometheus.Histogram:
        full = f"its_{name}"
        return prometheus.Histogram(full, about, labels, registry=self.registry, buckets=SECONDS)

    def _gauge(self, name: str, about: str, *labels: str) -> prometheus.Gauge:
        return prometheus.Gauge(f"its_{name}", about, labels, registry=self.registry)


class _AnswerFaults(Collector):
    """What was wrong with model text that nobody foresaw, as `its.answers` counts it."""

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(
            "its_answer_faults",
            "Errors met while answers were read or compared",
            labels=["step", "error"],
        )
        for (step, error), count in FAULTS.counts.items():
            family.add_metric([step, error], count)
        return [family]
