"""Follows one of the small cases, change by change, and holds it against the law."""

from __future__ import annotations

import os
from pathlib import Path

from tests.edits.cases import Case, Files
from tests.edits.law import Law
from tests.edits.tree import Tree
from tests.running import write_tree

_MOMENT_NS = 1_700_000_000 * 10**9


def plant(folder: Path, case: Case) -> Tree:
    """The tree of a case."""
    tree = Tree(write_tree(folder / "tree", case.before))
    if case.still:
        stand_still(tree)
    return tree


def stand_still(tree: Tree) -> None:
    """All files are of one moment."""
    for path in tree.paths():
        os.utime(tree.root / path, ns=(_MOMENT_NS, _MOMENT_NS))


def change(tree: Tree, files: Files) -> None:
    """One of its changes."""
    for path, text in files.items():
        if text is None:
            tree.remove(path)
        else:
            write_tree(tree.root, {path: text})


async def follow(case: Case, folder: Path, *, lasting: bool) -> None:
    """The graph is that of a fresh index after each change."""
    tree = plant(folder, case)
    async with Law(tree, folder, lasting=lasting) as law:
        assert law.last is not None
        graphs = [law.last.lines]
        for number, files in enumerate(case.changes, 1):
            change(tree, files)
            if case.still:
                stand_still(tree)
            await law.step([f"change {number}: {', '.join(files)}"])
            graphs.append(law.last.lines)
    assert not law.wrong, law.verdict()
    if not case.unseen:
        assert any(each != graphs[0] for each in graphs), "what changes nothing tests nothing"
