"""Walk, parse, extract and store, against the bare tree-sitter parse of the same files."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tests.repositories import DJANGO

from bench import once, peers_installed, processes
from bench.figures import Figure, Task
from bench.pairs import in_turn
from bench.peers_installed import NotToBeHad
from bench.processes import Failed
from bench.trees import unpacked
from enrichd.index.languages import languages, suffixes
from enrichd.index.walk import walk

_PAIRS = 3


def measure(task: Task) -> list[Figure]:
    """Wall time of indexing without enriching, in bare parses, for one and for two processes."""
    root = unpacked(DJANGO)
    files = [(root / file.path, file.language) for file in walk(root, languages=suffixes()).files]
    size = sum(path.stat().st_size for path, _ in files) / 1e6
    figures = []
    for number in (1, 2):

        def ours(number: int = number) -> float:
            flags = {"index__parse_processes": number}
            return once.index(root, enrich=False, **flags).parse_seconds

        def bare(number: int = number) -> float:
            return _bare(files, number)

        named = f"{number} process{'es' * (number > 1)}"
        task.say(f"symbols: django with {named}")
        found = in_turn(task.rounds(_PAIRS), ours, bare)
        figures.append(
            Figure(
                "symbols",
                f"django: index / bare parse, {named}",
                found.ratio,
                budget=4.0,
                note=f"{found.our_s:.2f} s / {found.their_s:.2f} s, {size:.1f} MB, "
                f"{size / found.our_s:.1f} / {size / found.their_s:.1f} MB/s, {found.spread}",
            )
        )
    return [*figures, _ctags(root, size, task)]


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


def _ctags(root: Path, size: float, task: Task) -> Figure:
    """Beside them: it finds definitions alone, no uses, and stores nothing."""
    what = "django: universal-ctags beside them"
    try:
        command = peers_installed.ctags(task.say)
        options = ["--languages=Python", "-R", "-f", "-", "."]
        cost = processes.run([command, *options], cwd=root, timeout_s=60)
    except (NotToBeHad, Failed) as reason:
        return Figure("symbols", what, None, "s", note=str(reason))
    tags = cost.out.count(b"\n")
    note = f"{tags:,} tags, {size / cost.wall_s:.1f} MB/s, {peers_installed.ctags_version(command)}"
    return Figure("symbols", what, cost.wall_s, "s", note=note)
