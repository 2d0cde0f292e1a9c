"""The metrics: names, types, units and help of all that the daemon counts."""

# ruff: noqa: ASYNC221  (nothing else waits for the loop)

from __future__ import annotations

import re
import shutil
import subprocess

import aiohttp
import pytest
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from tests.component.api.fake_daemon import FakeDaemon

from enrichd.metrics import Metrics

PROMISED = {
    "enrichd_symbols": ("gauge", ()),
    "enrichd_orphans": ("gauge", ()),
    "enrichd_enriched_total": ("counter", ()),
    "enrichd_outcomes_total": ("counter", ("operation", "outcome")),
    "enrichd_attempts_total": ("counter", ()),
    "enrichd_failures_total": ("counter", ("reason",)),
    "enrichd_drift_edges_total": ("counter", ("change",)),
    "enrichd_drift_checks_total": ("counter", ("result",)),
    "enrichd_backing_off": ("gauge", ()),
    "enrichd_skipped": ("gauge", ()),
    "enrichd_queue_depth": ("gauge", ()),
    "enrichd_lsp_request_duration_seconds": ("histogram", ("server", "method")),
    "enrichd_lsp_server_state": ("gauge", ("server", "state")),
    "enrichd_lsp_restarts_total": ("counter", ("server",)),
    "enrichd_monitor_tick_duration_seconds": ("histogram", ()),
    "enrichd_monitor_last_tick_timestamp_seconds": ("gauge", ()),
    "enrichd_jobs_total": ("counter", ("status",)),
    "enrichd_jobs_completed_zero_files_total": ("counter", ()),
    "enrichd_indexing_errors_total": ("counter", ("type",)),
    "enrichd_parse_files": ("gauge", ("status",)),
    "enrichd_parse_clean_ratio": ("gauge", ()),
    "enrichd_stage_duration_seconds": ("histogram", ("stage",)),
    "enrichd_pending_changes": ("gauge", ()),
    "enrichd_freshness_lag_seconds": ("gauge", ()),
}
"""What users' dashboards and alerts rely on: name, type, labels."""


@pytest.fixture
def families() -> dict[str, Metric]:
    """All metrics by the name that they are scraped under."""
    return {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in Metrics().registry.collect()
    }


@pytest.fixture
def labels() -> dict[str, tuple[str, ...]]:
    """Labels of each metric, by the same names: as declared, or those of a sample."""
    metrics = Metrics()
    metrics.requests.observer("ty")("textDocument/definition", 0.1)
    (family,) = metrics.requests.collect()
    return {
        collector._name + ("_total" if collector._type == "counter" else ""): collector._labelnames
        for collector in vars(metrics).values()
        if hasattr(collector, "_labelnames")
    } | {family.name: tuple(family.samples[-1].labels)}


@pytest.mark.parametrize("name", PROMISED)
def test_every_promised_metric_exists(
    name: str, families: dict[str, Metric], labels: dict[str, tuple[str, ...]]
) -> None:
    kind, names = PROMISED[name]
    assert families[name].type == kind
    assert set(labels[name]) == set(names)


def test_every_metric_is_named_and_explained_as_the_others(families: dict[str, Metric]) -> None:
    for name, family in families.items():
        assert re.fullmatch(r"enrichd_[a-z]+(_[a-z]+)*", name)
        assert family.documentation.endswith("."), name
        times = any(word in name for word in ("duration", "timestamp", "lag"))
        assert times == name.endswith("_seconds"), name


def test_no_label_can_carry_a_path_or_a_symbol(labels: dict[str, tuple[str, ...]]) -> None:
    allowed = {name for _, names in PROMISED.values() for name in names}
    assert {name for names in labels.values() for name in names} <= allowed


def test_the_time_of_a_request_is_in_its_bucket_and_all_above() -> None:
    metrics = Metrics()
    observe = metrics.requests.observer("ty")
    for seconds in (0.0005, 0.002, 0.03, 31.0):
        observe("textDocument/definition", seconds)
    metrics.requests.observer("ty")("textDocument/definition", 0.002)  # after a restart, say

    def value(sample: str, **more: str) -> float | None:
        labels = {"server": "ty", "method": "textDocument/definition", **more}
        return metrics.registry.get_sample_value(
            f"enrichd_lsp_request_duration_seconds_{sample}", labels
        )

    assert [value("bucket", le=le) for le in ("0.0005", "0.001", "0.0025", "0.05", "30.0")] == [
        1,
        1,
        3,
        4,
        4,
    ]
    assert value("bucket", le="+Inf") == value("count") == 5
    assert value("sum") == pytest.approx(31.0345)


def test_no_series_says_when_another_was_created() -> None:
    assert b"_created" not in generate_latest(Metrics().registry)


async def test_the_metrics_are_scraped_as_prometheus_asks_for_them(
    tcp: aiohttp.ClientSession,
) -> None:
    async with tcp.get("/metrics") as response:
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = await response.text()
    assert all(f"# HELP {name} " in text for name in PROMISED)
    open_metrics = {"Accept": "application/openmetrics-text;version=1.0.0"}
    async with tcp.get("/metrics", headers=open_metrics) as response:
        assert response.headers["Content-Type"].startswith("application/openmetrics-text")
        assert (await response.text()).endswith("# EOF\n")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
async def test_promtool_finds_nothing_to_say(
    daemon: FakeDaemon, tcp: aiohttp.ClientSession
) -> None:
    for collector in vars(daemon.metrics).values():
        if names := getattr(collector, "_labelnames", ()):
            collector.labels(*names)
    async with tcp.get("/metrics") as response:
        text = await response.read()
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert done.stdout + done.stderr == b""
    assert done.returncode == 0
