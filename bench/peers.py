"""From nothing to the complete graph, beside those who make one too: speed, and how right it is."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from tests.repositories import DJANGO, FLASK, REQUESTS, Sdist

from bench import indexed, peers_installed, processes
from bench.accuracy import Call, Oracle, targets_of_export
from bench.figures import Figure, Say, Task
from bench.indexed import Indexed
from bench.pairs import Pairs
from bench.peers_installed import NotToBeHad
from bench.processes import Cost, Failed
from bench.scip import Place, ScipIndex
from bench.trees import copied, scratch, unpacked

_ROWS = ((REQUESTS, 2, None), (FLASK, 2, 5.0), (DJANGO, 1, 5.0))
"""How many pairs, and by how much enrichd must be ahead."""
_TIMEOUT_S = 420.0
_BLARIFY_TIMEOUT_S = 240.0
_NODE = {"NODE_OPTIONS": "--max-old-space-size=8192"}


def measure(task: Task) -> list[Figure]:
    """enrichd beside scip-python, and beside blarify on the smallest."""
    figures = []
    for sdist, pairs, budget in _ROWS:
        figures += _beside_scip_python(sdist, task.rounds(pairs), budget, task.say)
    return figures


def _beside_scip_python(sdist: Sdist, pairs: int, budget: float | None, say: Say) -> list[Figure]:
    name = sdist.name.lower()
    mine: list[Indexed] = []
    theirs: list[Cost] = []
    problem = ""
    folder = Path(tempfile.mkdtemp(dir=scratch()))
    try:
        command = peers_installed.scip_python(say)
        tree = _for_pyright(sdist, folder)
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
    figures = [
        Figure(
            "peers",
            what,
            wall.ratio,
            budget=budget,
            at_least=True,
            note=f"scip-python {other}; enrichd {ours.cost}, {edges}; {wall.spread}",
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
        figures += _beside_blarify(sdist, ours.cost, oracle, say)
    return figures


def _beside_blarify(sdist: Sdist, ours: Cost, oracle: Oracle, say: Say) -> list[Figure]:
    what = f"{sdist.name}: wall, blarify / enrichd"
    folder = Path(tempfile.mkdtemp(dir=scratch()))
    tree = copied(sdist, folder)
    file = folder / "calls.json"
    try:
        python = peers_installed.blarify(say)
        say(f"peers: blarify on {sdist.name}")
        cost = processes.run(
            [python, "-W", "ignore", Path(__file__).with_name("run_blarify.py"), tree, file],
            cwd=folder,
            # Its language server is found on PATH, and keeps what it has parsed in the cache.
            environment=os.environ
            | {
                "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
                "XDG_CACHE_HOME": str(folder),
            },
            timeout_s=_BLARIFY_TIMEOUT_S,
        )
    except (NotToBeHad, Failed) as reason:
        return [Figure("peers", what, None, note=str(reason))]
    calls = oracle.judge_calls(
        {
            Call(_place(oracle, *caller), _place(oracle, *callee))
            for caller, callee in json.loads(file.read_text())
        }
    )
    return [
        Figure("peers", what, cost.wall_s / ours.wall_s, note=f"blarify {cost}"),
        Figure(
            "peers",
            f"{sdist.name}: recall of calls, blarify",
            calls.recall,
            "",
            note=f"blarify: {calls}",
        ),
    ]


def _place(oracle: Oracle, path: str, line: int, name: str) -> Place:
    return oracle.texts.definition(Place(path, line), name if line >= 0 else None)


def _for_pyright(sdist: Sdist, folder: Path) -> Path:
    """The tree, with its `src` told: without it most edges of such a project are lost silently."""
    tree = copied(sdist, folder)
    if (tree / "src").is_dir():
        (tree / "pyrightconfig.json").write_text('{"extraPaths": ["src"]}')
    return tree


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
