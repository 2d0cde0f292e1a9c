"""From nothing to the complete graph, beside those who make one too: speed, and how right it is."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.repositories import DJANGO, FLASK, REQUESTS, Sdist

from bench import indexed, peer_blarify, peers_installed, processes
from bench.accuracy import Oracle, targets_of_export
from bench.figures import Figure, Say, Task
from bench.indexed import Indexed
from bench.pairs import Pairs
from bench.peers_installed import NotToBeHad
from bench.processes import Cost, Failed
from bench.scip import ScipIndex
from bench.trees import for_pyright, scratch, unpacked


@dataclass(frozen=True)
class _Row:
    sdist: Sdist
    pairs: int
    budget: float | None
    """By how much enrichd must be ahead."""
    fatal: tuple[str, ...] = ()
    """Files that scip-python dies on, and leaves no index: they are kept from it, not enrichd."""


_ROWS = (
    _Row(REQUESTS, 1, None),
    _Row(FLASK, 2, 5.0),
    _Row(DJANGO, 1, 5.0, fatal=("tests/model_enums/tests.py",)),
)
_TIMEOUT_S = 900.0
_NODE = {"NODE_OPTIONS": "--max-old-space-size=8192"}


def measure(task: Task) -> list[Figure]:
    """enrichd beside scip-python, and beside blarify on the smallest."""
    figures = []
    for row in _ROWS:
        figures += _beside_scip_python(row, task.rounds(row.pairs), task.say)
    return figures


def _beside_scip_python(row: _Row, pairs: int, say: Say) -> list[Figure]:
    sdist, budget = row.sdist, row.budget
    name = sdist.name.lower()
    mine: list[Indexed] = []
    theirs: list[Cost] = []
    problem = ""
    folder = Path(tempfile.mkdtemp(dir=scratch()))
    try:
        command = peers_installed.scip_python(say)
        tree = for_pyright(sdist, folder, row.fatal)
        for number in range(pairs):
            say(f"peers: enrichd on {name}, {number + 1} of {pairs}")
            mine.append(indexed.index(unpacked(sdist)) if number else indexed.indexed(sdist))
            say(f"peers: scip-python on {name}, {number + 1} of {pairs}")
            theirs.append(_scip_python(command, tree, folder / "index.scip"))
    except (NotToBeHad, Failed) as reason:
        problem = str(reason)
    what = f"{name}: wall, scip-python / enrichd"
    if problem or not theirs:
        return [Figure("peers", what, None, budget=budget, at_least=True, note=problem)]
    wall = Pairs([each.wall_s for each in theirs], [each.cost.wall_s for each in mine])
    ours, other = mine[-1], theirs[-1]
    found = ours.report["edges"]
    edges = f"{sum(found.values()) - found.get('contains', 0):,} edges"
    kept = f" without {', '.join(row.fatal)}, which it dies on" if row.fatal else ""
    figures = [
        Figure(
            "peers",
            what,
            wall.ratio,
            budget=budget,
            at_least=True,
            note=f"scip-python {other}{kept}; enrichd {ours.cost}, {edges}; {wall.spread}",
        ),
        Figure("peers", f"{name}: CPU, scip-python / enrichd", other.cpu_s / ours.cost.cpu_s),
        Figure(
            "peers",
            f"{name}: peak memory, scip-python / enrichd",
            other.peak_bytes / ours.cost.peak_bytes,
            note=f"enrichd's own process {ours.cost.own_peak_bytes / 2**20:.0f} MiB",
        ),
    ]
    say(f"peers: how right the edges of {name} are")
    oracle = Oracle(unpacked(sdist), ScipIndex.read(folder / "index.scip"))
    targets = targets_of_export(ours.export(), oracle.texts)
    score = oracle.judge(targets)
    figures += [
        Figure("peers", f"{name}: precision at sites", score.precision, "", 0.99, at_least=True),
        Figure(
            "peers",
            f"{name}: recall at sites",
            score.recall,
            "",
            0.97,
            at_least=True,
            note=f"{score.of:,} sites of functions, methods and classes in scip-python's index",
        ),
    ]
    if sdist is REQUESTS:
        calls = oracle.judge_calls(oracle.calls(targets))
        figures.append(
            Figure("peers", f"{name}: recall of calls", calls.recall, "", note=f"enrichd: {calls}")
        )
        figures += peer_blarify.beside(sdist, ours.cost, oracle, say)
    return figures


def _scip_python(command: Path, tree: Path, output: Path) -> Cost:
    arguments: list[str | Path] = ["--quiet", "--output", output]
    arguments += ["--project-name", tree.name, "--project-version", "1"]
    # It asks the Python that it finds first for what is installed: enrichd's, as for enrichd.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return processes.run(
        [command, "index", *arguments],
        cwd=tree,
        environment=os.environ | _NODE | {"PATH": path},
        timeout_s=_TIMEOUT_S,
    )
