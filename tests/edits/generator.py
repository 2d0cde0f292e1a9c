"""Draws realistic edits of a tree of Python files: the same seed, the same edits.

Every kind works on real text. One that can't be done in the tree at hand is skipped, and another
is drawn. A tree need not run after an edit: people save such files as well.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.edits import definitions, files, imports, text, types_of
from tests.edits.parts import Kind
from tests.edits.source import Unfit
from tests.edits.tree import Tree

KINDS: dict[str, Kind] = {
    **definitions.KINDS,
    **types_of.KINDS,
    **imports.KINDS,
    **files.KINDS,
    **text.KINDS,
}
HARMLESS = frozenset(
    {
        "comment added",
        "docstring changed",
        "docstring added",
        "lines put in",
        "blank line deleted",
        "saved unchanged",
        "line ends changed",
        "BOM added or removed",
        "call written over several lines",
    }
)
"""Kinds after which every name means what it meant."""
_ATTEMPTS = 4
_RARE = frozenset({"folder renamed", "folder deleted", "file emptied", "files swapped"})
"""Kinds after which much is gone: drawn less often, or little would be left to edit."""
_PROMPT = frozenset(
    {"syntax mended", "file restored", "everything deleted restored", "file put back"}
)
"""Kinds that heal: drawn more often, for the same reason."""


@dataclass(frozen=True)
class Edit:
    """What was done."""

    kind: str
    said: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.said}"


def apply(kind: str, tree: Tree, draw: random.Random) -> Edit | None:
    """Do one edit of a kind; None, and the tree as it was, where none can be made."""
    before = tree.state()
    for _ in range(_ATTEMPTS):
        try:
            return Edit(kind, KINDS[kind](tree, draw))
        except Unfit:
            _restore(tree, before)
    return None


def _restore(tree: Tree, before: dict[str, bytes]) -> None:
    after = tree.state()
    for path in after.keys() - before.keys():
        (tree.root / path).unlink()
    for path, content in before.items():
        if after.get(path) != content:
            tree.write(path, content)


def draw_edit(tree: Tree, draw: random.Random) -> Edit:
    """Do one edit of whatever kind."""
    kinds = sorted(KINDS)
    weights = [0.3 if each in _RARE else 3.0 if each in _PROMPT else 1.0 for each in kinds]
    while True:
        (kind,) = draw.choices(kinds, weights)
        if (edit := apply(kind, tree, draw)) is not None:
            return edit
