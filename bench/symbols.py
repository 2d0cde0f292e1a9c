"""Walk, parse, extract and store, against the bare tree-sitter parse of the same files."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from bench.figures import Figure
from enrichd.config import load
from enrichd.index.languages import languages, suffixes
from enrichd.index.walk import walk
from enrichd.once import run_index
from enrichd.report import NoProgress


def measure(repo: Path, pairs: int) -> list[Figure]:
    """Wall time of indexing without enriching, in bare parses, for one and for two processes."""
    files = [(repo / file.path, file.language) for file in walk(repo, languages=suffixes()).files]
    size = sum(path.stat().st_size for path, _ in files) / 1e6
    figures = []
    for processes in (1, 2):
        mine, bare = [], []
        for _ in range(pairs):
            mine.append(_index(repo, processes))
            bare.append(_bare(files, processes))
        ratio = statistics.median(mine) / statistics.median(bare)
        note = f"{size:.1f} MB, {size / statistics.median(mine):.1f} MB/s"
        what = f"index / bare parse, {processes} process{'es' * (processes > 1)}"
        figures.append(Figure("symbols", what, ratio, 4.0, note))
    return figures


def _index(repo: Path, processes: int) -> float:
    with tempfile.TemporaryDirectory() as scratch:
        flags = {
            "daemon.database": Path(scratch) / "graph.db",
            "index.parse_processes": processes,
        }
        config = load(None, dict(os.environ), flags)
        report = run_index(config, repo, enrich=False, timeout_s=None, progress=NoProgress())
        return report.parse_seconds


def _bare(files: list[tuple[Path, str]], processes: int) -> float:
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        list(pool.map(_parse, [[]] * processes))  # the processes are there
        started = time.perf_counter()
        list(pool.map(_parse, [files[place::processes] for place in range(processes)]))
        return time.perf_counter() - started


def _parse(files: list[tuple[Path, str]]) -> int:
    known = languages()
    return sum(
        known[language].parser.parse(path.read_bytes()).root_node.end_byte
        for path, language in files
    )
