"""The daemon's metrics: one object made by the composition root and handed to who counts.

No label ever carries a path or a symbol's name: the number of time series is bounded by the
number of servers, operations and reasons.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from enrichd_tracker.model import ENDS

disable_created_metrics()  # type: ignore[no-untyped-call]

_REQUEST_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30)
_STAGE_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_TICK_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1)


class _Series:
    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(_REQUEST_BUCKETS) + 1)
        self.sum_s = 0.0


class RequestTimes(Collector):
    """How long language servers took, by server and method.

    There are thousands of requests a second and few scrapes: a histogram is made of them only
    when somebody looks.
    """

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], _Series] = {}

    def observer(self, server: str) -> Callable[[str, float], None]:
        """Takes a method and the seconds that this server took for it."""
        known: dict[str, _Series] = {}

        def observe(method: str, seconds: float) -> None:
            if (series := known.get(method)) is None:
                series = self._series.setdefault((server, method), _Series())
                known[method] = series
            series.counts[bisect_left(_REQUEST_BUCKETS, seconds)] += 1
            series.sum_s += seconds

        return observe

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(
            "enrichd_lsp_request_duration_seconds",
            "Time that language servers took to answer.",
            labels=("server", "method"),
        )
        bounds = [*map(floatToGoString, _REQUEST_BUCKETS), "+Inf"]
        for labels, series in self._series.items():
            counts = accumulate(series.counts)
            family.add_metric(labels, list(zip(bounds, counts, strict=True)), series.sum_s)
        yield family


class EmbeddingMetrics:
    """Those of the embedding stage: they are there only where the stage is."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.embedded = Counter(
            "enrichd_embeddings", "Texts of symbols that were embedded.", registry=registry
        )
        self.duration = Histogram(
            "enrichd_embedding_duration_seconds",
            "Time that runs of the embedding stage took that had something to embed.",
            registry=registry,
            buckets=_STAGE_BUCKETS,
        )


class Metrics:
    """All of enrichd's time series, on a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"enrichd_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"enrichd_{name}", text, labels, registry=registry)

        self.symbols = gauge("symbols", "Symbols in the graph.")
        self.orphans = gauge("orphans", "Symbols that lack an outcome.")
        self.backing_off = gauge("backing_off", "Symbols that wait for their next attempt.")
        self.skipped = gauge("skipped", "Symbols whose attempts are used up.")
        self.queue_depth = gauge("queue_depth", "Symbols that are queued.")
        self.enriched = counter("enriched", "Symbols that were enriched.")
        self.outcomes = counter(
            "outcomes", "Outcomes of operations on symbols.", "operation", "outcome"
        )
        self.attempts = counter("attempts", "Attempts to enrich a symbol.")
        self.failures = counter("failures", "Attempts that failed, by reason.", "reason")
        self.drift_edges = counter(
            "drift_edges",
            "Edges that were found to be wrong, and put right, when nothing had changed.",
            "change",
        )
        self.drift_checks = counter(
            "drift_checks", "Settled symbols that were asked about again, by result.", "result"
        )
        self.requests = RequestTimes()
        registry.register(self.requests)
        self.server_state = gauge(
            "lsp_server_state", "1 for the state that a server is in.", "server", "state"
        )
        self.server_restarts = counter(
            "lsp_restarts", "Starts of a language server after its first.", "server"
        )
        self.tick_duration = Histogram(
            "enrichd_monitor_tick_duration_seconds",
            "Time that a tick of the monitor took.",
            registry=registry,
            buckets=_TICK_BUCKETS,
        )
        self.last_tick = gauge(
            "monitor_last_tick_timestamp_seconds", "When the monitor last ticked, Unix time."
        )
        self.jobs = counter("jobs", "Jobs that ended, by status.", "status")
        for status in ENDS:
            self.jobs.labels(status)
        self.jobs_zero_files = counter(
            "jobs_completed_zero_files", "Jobs that completed without a file to index."
        )
        self.indexing_errors = counter("indexing_errors", "Errors while indexing.", "type")
        self.stage_duration = Histogram(
            "enrichd_stage_duration_seconds",
            "Time that the stages of jobs took.",
            ("stage",),
            registry=registry,
            buckets=_STAGE_BUCKETS,
        )
        self.parse_clean_ratio = gauge(
            "parse_clean_ratio", "The share of files that parsed cleanly, of those that could."
        )
        self.parse_files = gauge("parse_files", "Files by how well they parsed.", "status")
        self.pending_changes = gauge(
            "pending_changes", "Files that were touched and are not indexed as they are now."
        )
        self.freshness_lag = gauge(
            "freshness_lag_seconds", "How long the oldest of these waits; 0 where there is none."
        )
        self.config_reload_ok = gauge(
            "config_last_reload_successful", "1 if the configuration in force is the file's."
        )
        self.config_reload_ok.set(1)
        self._embedding: EmbeddingMetrics | None = None

    @property
    def embedding(self) -> EmbeddingMetrics:
        """Those of the embedding stage; from the first look on they are there."""
        if self._embedding is None:
            self._embedding = EmbeddingMetrics(self.registry)
        return self._embedding
