"""What a daemon costs that has nothing to do: its share of a core over a minute."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.figures import Figure

_SETTLE_S = 120.0
_WATCH_S = 65.0  # longer than a round of looking at every file


def measure(repo: Path, pairs: int) -> list[Figure]:
    """Per cent of one core, once everything is enriched; and the daemon's memory."""
    del pairs
    enrichd = Path(sys.executable).parent / "enrichd"
    with tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch) / "config.toml"
        config.write_text(
            '[daemon]\ndatabase = "graph.db"\nsocket = "enrichd.sock"\nlisten = ""\n'
            f'[[workspace]]\nname = "bench"\nroot = "{repo}"\n'
        )
        with subprocess.Popen(
            [enrichd, "run", "--config", config], stderr=subprocess.PIPE, text=True
        ) as daemon:
            try:
                _until_settled(enrichd, config)
                before, started = _cpu_s(daemon.pid), time.monotonic()
                time.sleep(_WATCH_S)
                used = _cpu_s(daemon.pid) - before
                share = 100 * used / (time.monotonic() - started)
                memory = _rss_mib(daemon.pid)
            finally:
                daemon.terminate()
                daemon.communicate(timeout=30)
    return [
        Figure("idle", "per cent of one core, nothing to do", share, 0.2),
        Figure("idle", "resident memory of the daemon, MiB", memory, 150),
    ]


def _until_settled(enrichd: Path, config: Path) -> None:
    deadline = time.monotonic() + _SETTLE_S
    while time.monotonic() < deadline:
        time.sleep(2)
        status = subprocess.run(
            [enrichd, "status", "--json", "--config", config], capture_output=True, check=False
        )
        if b'"orphans":0' in status.stdout.replace(b" ", b"") and (
            b'"indexed_at":null' not in status.stdout.replace(b" ", b"")
        ):
            return
    raise RuntimeError(f"not settled within {_SETTLE_S:g} s")


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mib(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024
