"""Incremental equals full on real repositories, some edits of them; `make edits` makes many."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from tests.acceptance.conftest import Indexed
from tests.edits.generator import KINDS, apply
from tests.edits.session import edited
from tests.edits.tree import Tree
from tests.running import CACHE

EDITS = int(os.environ.get("ENRICHD_EDITS_IN_SUITE", "3"))
"""How many edits a repository gets here."""


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ty find its stubs of the standard library laid out."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(CACHE))


@pytest.mark.parametrize(
    ("repository", "lasting"), [("flask", True), ("requests", False)], ids=["flask", "requests"]
)
async def test_after_some_edits_the_graph_is_that_of_a_fresh_index(
    repository: str, lasting: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    indexed: Indexed = request.getfixturevalue(repository)
    root = tmp_path / "tree"
    shutil.copytree(indexed.root, root)
    law = await edited(
        root, tmp_path / "graphs", seed=5, edits=EDITS, lasting=lasting, name=repository
    )
    assert not law.wrong, law.verdict()


def test_every_kind_of_edit_can_be_made_in_a_real_repository(
    flask: Indexed, tmp_path: Path
) -> None:
    """And each changes the tree, except the one that says it does not."""
    root = tmp_path / "tree"
    shutil.copytree(flask.root, root)
    tree = Tree(root)
    draw = random.Random(3)
    missing = set(KINDS)
    for _ in range(3):  # some kinds need that another one was there before
        for kind in sorted(missing):
            before = tree.state()
            edit = apply(kind, tree, draw)
            if edit is not None:
                missing.discard(kind)
                assert edit.said
                assert (tree.state() == before) == (kind == "saved unchanged"), str(edit)
    assert not missing
