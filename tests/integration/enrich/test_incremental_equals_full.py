"""Incremental equals full, with the real ty: after any edits the graph is that of a fresh index."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from tests.edits import cases, cases_of_files
from tests.edits.every_case import CASES, IN_THE_SUITE
from tests.edits.following import change, follow, plant
from tests.edits.generator import HARMLESS, KINDS, apply
from tests.edits.keeper import Keeper, Look
from tests.edits.law import Cause, Law, compare
from tests.edits.small_trees import TREES
from tests.edits.tree import Tree
from tests.running import CACHE, write_tree

from enrichd.config import Config
from enrichd.once import run_index
from enrichd.report import NoProgress
from enrichd.settings import DaemonSettings, IndexSettings

EXAMPLES = int(os.environ.get("ENRICHD_EDIT_EXAMPLES", "5"))
"""How many sequences of edits are tried in each way of keeping the server."""


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ty find its stubs of the standard library laid out."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(CACHE))


# Each row is one way for a change to be felt in another file. `make edits` follows more of them.


@pytest.mark.parametrize("what", IN_THE_SUITE)
async def test_after_a_change_the_graph_is_that_of_a_fresh_index(what: str, tmp_path: Path) -> None:
    await follow(CASES[what], tmp_path, lasting=True)


@pytest.mark.parametrize("what", cases_of_files.QUIET)
def test_what_no_name_hangs_on_asks_nothing(what: str, tmp_path: Path) -> None:
    case = cases_of_files.QUIET[what]
    tree = plant(tmp_path, case)
    config = Config(
        daemon=DaemonSettings(database=tmp_path / "graph.db"),
        index=IndexSettings(parse_processes=1),
    )

    def index() -> int:
        report = run_index(config, tree.root, enrich=True, timeout_s=60, progress=NoProgress())
        assert report.complete, report
        return report.requests

    index()
    for files in case.changes:
        change(tree, files)
        assert index() == 0
    asyncio.run(equals_fresh(tree, tmp_path))


async def equals_fresh(tree: Tree, folder: Path) -> None:
    async def look(database: str) -> Look:
        keeper = Keeper(tree.root, folder / database, lasting=False)
        await keeper.open()
        try:
            return await keeper.look()
        finally:
            await keeper.close()

    difference = compare(await look("graph.db"), await look("fresh.db"))
    assert not difference, str(difference)


# Any sequence of edits.

sequences = st.lists(
    st.tuples(st.sampled_from(sorted(KINDS)), st.integers(0, 9999), st.booleans()),
    min_size=2,
    max_size=5,
)
"""Kinds of edits, each with the seed of its details and whether the graph is looked at after it."""


@pytest.mark.parametrize("lasting", [True, False], ids=["one server", "a server a look"])
def test_after_any_edits_the_graph_is_that_of_a_fresh_index(lasting: bool, tmp_path: Path) -> None:
    with asyncio.Runner() as runner:

        @given(st.sampled_from(sorted(TREES)), sequences)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            phases=(Phase.explicit, Phase.generate, Phase.shrink),
            suppress_health_check=[HealthCheck.too_slow],
            derandomize="ENRICHD_EDIT_EXAMPLES"
            not in os.environ,  # the suite is the same each time
        )
        def holds(name: str, edits: list[tuple[str, int, bool]]) -> None:
            shutil.rmtree(tmp_path)
            runner.run(any_edits(Tree(write_tree(tmp_path / "tree", TREES[name])), edits))

        async def any_edits(tree: Tree, edits: list[tuple[str, int, bool]]) -> None:
            async with Law(tree, tmp_path / "graphs", lasting=lasting) as law:
                said = []
                for number, (kind, seed, looks) in enumerate(edits, 1):
                    edit = apply(kind, tree, random.Random(seed))
                    if edit is not None:
                        said.append(str(edit))
                        note(str(edit))
                    if said and (looks or number == len(edits)):
                        await law.step(said)
                        said = []
                        assert not law.wrong, law.verdict()

        holds()


# The generator and the comparison themselves.


@pytest.mark.parametrize("name", TREES)
def test_a_harmless_edit_changes_no_name(name: str, tmp_path: Path) -> None:
    """And the same seed makes the same edits."""
    states = []
    for folder in ("one", "two"):
        tree = Tree(write_tree(tmp_path / folder, TREES[name]))
        for kind in sorted(HARMLESS):
            names = {path: [name for *_, name in tree.source(path).names] for path in tree.paths()}
            apply(kind, tree, random.Random(kind))
            for path in tree.paths():
                assert [name for *_, name in tree.source(path).names] == names[path], kind
        states.append(tree.state())
    assert states[0] == states[1] != tree.first


HIDDEN = cases.VALUES["a variable of a third module has another type"]


async def test_an_edge_that_is_missing_is_named_with_its_cause(tmp_path: Path) -> None:
    """The comparison compares: a database that was made wrong by hand is found out."""
    tree = plant(tmp_path, HIDDEN)
    async with Law(tree, tmp_path, lasting=False, name="by hand") as law:
        database = sqlite3.connect(tmp_path / "graph.db")
        with database:
            database.execute(
                "DELETE FROM edge WHERE relation = 'calls' AND "
                "source IN (SELECT id FROM symbol WHERE uid = 'u.py/u().')"
            )
            database.execute("UPDATE tally SET n = n - 1 WHERE what = 'calls'")
        database.close()
        source = tree.source("t.py")
        tree.put(source, source.changed((len(source.text), len(source.text), "LAST = 1\n")))
        step = await law.step(["a constant more"])
    assert step.cause is Cause.NOT_ASKED
    (missing,) = step.difference.missing
    assert "u.py/u(). calls t.py/A#m()." in missing
    assert step.difference.extra == []
    assert "edges calls is 1 and not 2" in step.difference.sums
    assert step.kept is not None
    assert "LAST" not in (step.kept / "before" / "t.py").read_text()
    assert "LAST" in (step.kept / "after" / "t.py").read_text()
    assert "a constant more" in law.verdict()


async def test_a_server_that_was_not_told_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def untold(*_: object) -> None:
        pass

    tree = plant(tmp_path, HIDDEN)
    async with Law(tree, tmp_path, lasting=True) as law:
        monkeypatch.setattr("enrichd.lsp.supervisor.Supervisor.files_changed", untold)
        for files in HIDDEN.changes[:1]:
            change(tree, files)
        step = await law.step(["the variable is a B"])
    assert step.cause is Cause.STALE
    assert len(step.difference.missing) == len(step.difference.extra) == 2, step
