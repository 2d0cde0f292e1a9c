"""Beside blarify: what its graph costs, and how right the calls in it are."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

from tests.repositories import Sdist

from bench import peers_installed, processes
from bench.accuracy import Call, Oracle
from bench.figures import Figure, Say
from bench.peers_installed import NotToBeHad
from bench.processes import Cost, Failed
from bench.reasons import reason
from bench.scip import Place
from bench.trees import for_pyright, scratch

_TIMEOUT_S = 300.0
_TOLD = "; judged by the index that it is made of"
_WAYS = ("jedi", "scip-python")
"""What it asks: the language server that it brings, or the indexer where that is installed too."""


def beside(sdist: Sdist, ours: Cost, oracle: Oracle, say: Say) -> list[Figure]:
    """Its wall time in enrichd's, and its calls, both ways."""
    figures = []
    for way in _WAYS:
        what = f"{sdist.name}: wall, blarify with {way} / enrichd"
        say(f"peers: blarify with {way} on {sdist.name}")
        try:
            cost, calls = _run(sdist, way, oracle, say)
        except (NotToBeHad, Failed) as failure:
            figures.append(Figure("peers", what, None, note=str(failure)))
            continue
        score = oracle.judge_calls(calls)
        figures += [
            Figure("peers", what, cost.wall_s / ours.wall_s, note=f"blarify {cost}"),
            Figure(
                "peers",
                f"{sdist.name}: recall of calls, blarify with {way}",
                score.recall,
                "",
                note=f"blarify: {score}" + _TOLD * (way == "scip-python"),
            ),
        ]
    return figures


def _run(sdist: Sdist, way: str, oracle: Oracle, say: Say) -> tuple[Cost, set[Call]]:
    folder = Path(tempfile.mkdtemp(dir=scratch()))
    tree, file = for_pyright(sdist, folder), folder / "calls.json"
    python = peers_installed.blarify(say)
    path = [python.parent]
    if way == "scip-python":
        path.append(peers_installed.scip_python(say).parent)
        _commit(tree)  # it asks git for the version of what it indexes
    cost = processes.run(
        [python, "-W", "ignore", Path(__file__).with_name("run_blarify.py"), tree, file],
        cwd=folder,
        environment=os.environ
        | {
            # What it asks is found there.
            "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]]),
            # blarify's own Python has some of the packages that are measured on, which would be
            # taken for what the tests import: 555 of 883 calls of requests lead nowhere then.
            "PYTHONPATH": str(tree / "src"),
            # Its server keeps there what it has parsed.
            "XDG_CACHE_HOME": str(folder),
        },
        timeout_s=_TIMEOUT_S,
    )
    # It says so where it could not have scip-python's index, and asks jedi.
    refused = [line for line in cost.out.decode().splitlines() if "SCIP index:" in line]
    if (asked := "jedi" if refused else "scip-python") != way:
        raise Failed(f"blarify asked {asked}: {''.join(refused[:1]) or 'it is on PATH'}")
    return cost, {
        Call(_place(oracle, *caller), _place(oracle, *callee))
        for caller, callee in json.loads(file.read_text())
    }


def _place(oracle: Oracle, path: str, line: int, name: str) -> Place:
    return oracle.texts.definition(Place(path, line), name if line >= 0 else None)


def _commit(tree: Path) -> None:
    who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    for arguments in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "as released"]):
        done = subprocess.run(["git", *arguments], cwd=tree, capture_output=True, check=False)
        if done.returncode:
            raise Failed(f"git: {reason(done.stderr)}")
