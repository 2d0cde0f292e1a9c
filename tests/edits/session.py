"""Many random edits of one tree, looked at as they come, and what they cost as tables."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

from tests.edits.generator import KINDS, apply, draw_edit
from tests.edits.law import Law, Step
from tests.edits.tree import Tree

_GROUPS = (1, 1, 1, 2, 3)
"""How many edits come between two looks."""


async def edited(
    root: Path, folder: Path, *, seed: int, edits: int, lasting: bool, name: str
) -> Law:
    """The law over a tree with that many edits, drawn with the seed; the tree is put back last."""
    tree = Tree(root)
    draw = random.Random(seed)
    way = "one server" if lasting else "a server a look"
    async with Law(tree, folder, lasting=lasting, name=f"{name}, seed {seed}, {way},") as law:
        left = edits
        while left:
            group = [draw_edit(tree, draw) for _ in range(min(left, draw.choice(_GROUPS)))]
            left -= len(group)
            await law.step([str(each) for each in group], [each.kind for each in group])
        tree.put_back()
        await law.step(["everything is as it was at first"], ["everything put back"])
    return law


NEEDS = {
    "syntax mended": "syntax broken",
    "file restored": "file deleted",
    "everything deleted restored": "folder deleted",
    "twins swapped": "definition doubled",
    "renamed back": "file renamed",
    "file put back": "function renamed",
    "__all__ loses a name": "__all__ gets a name",
    "condition taken away": "definition put under a condition",
}
"""What has to be done first for some kinds."""


async def each_kind(root: Path, folder: Path, *, seed: int, within_s: float, name: str) -> Law:
    """Every kind of edit by itself on the tree as it was at first, as far as the time goes."""
    tree = Tree(root)
    began = time.monotonic()
    async with Law(tree, folder, lasting=True, name=f"{name}, each kind, seed {seed},") as law:
        for kind in sorted(KINDS):
            for each in [NEEDS[kind], kind] if kind in NEEDS else [kind]:
                edit = apply(each, tree, random.Random(f"{seed} {each}"))
                if edit is not None:
                    await law.step([str(edit)], [each])
            tree.put_back()
            await law.step([f"everything is put back after {kind}"], ["everything put back"])
            if time.monotonic() - began > within_s:
                break
    return law


def summary(name: str, laws: Sequence[Law]) -> str:
    """One line on a repository."""
    steps = [each for law in laws for each in law.steps]
    edits = sum(len(each.said) for each in steps)
    wrong = [each for each in steps if each.difference]
    differing = sum(each.difference.edges for each in wrong)
    requests = [each.requests for each in steps]
    asked = [each.asked for each in steps]
    return (
        f"{name}: {edits} edits, {len(steps)} looks compared; requests a look: median "
        f"{median(requests):g}, most {max(requests)}; symbols asked again a look: median "
        f"{median(asked):g}, most {max(asked)}; {len(wrong)} looks differ, by {differing} edges"
    )


def costs(steps: Iterable[Step]) -> str:
    """What each kind of edit costs where it was the only one before a look."""
    found = defaultdict[str, list[Step]](list)
    for step in steps:
        if len(step.kinds) == 1:
            found[step.kinds[0]].append(step)
    rows = [("edit", "looks", "requests", "most", "asked", "most", "seconds", "wrong")]
    for kind, those in sorted(found.items()):
        requests, asked = [each.requests for each in those], [each.asked for each in those]
        rows.append(
            (
                kind,
                str(len(those)),
                f"{median(requests):g}",
                str(max(requests)),
                f"{median(asked):g}",
                str(max(asked)),
                f"{median(each.seconds for each in those):.2f}",
                str(sum(bool(each.difference) for each in those)),
            )
        )
    widths = [max(len(row[number]) for row in rows) for number in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
