"""Incremental equals full, step by step: what differs, and why it may."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct, field
from tests.edits.keeper import Keeper, Look, NotSettled, forget, fresh_look
from tests.edits.tree import Tree

_SHOWN = 20


class Cause(StrEnum):
    """What has to be done again for the difference to go."""

    NOT_ASKED = "not asked again: the same server gives the right answers when it is asked"
    STALE = "the server is stale: only a new one gives the right answers"
    STORED = "neither asking again nor a new server mends it: the database holds something wrong"
    VARIES = "two fresh indexes differ from each other: the server's answers vary"
    STUCK = "it did not come to rest"


class Difference(Struct, frozen=True):
    """What one graph has and the other has not."""

    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    sums: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.missing or self.extra or self.sums or self.problems)

    @property
    def edges(self) -> int:
        return len(self.missing) + len(self.extra)

    def __str__(self) -> str:
        lines = []
        for sign, each in (("- missing", self.missing), ("+ extra  ", self.extra)):
            lines += [f"  {sign} {line}" for line in each[:_SHOWN]]
            if len(each) > _SHOWN:
                lines.append(f"  {sign} and {len(each) - _SHOWN} more")
        lines += [f"  count: {each}" for each in self.sums]
        lines += [f"  verify: {each}" for each in self.problems]
        return "\n".join(lines)


def compare(incremental: Look, full: Look) -> Difference:
    """Nothing, if the law holds."""
    have, want = Counter(incremental.lines), Counter(full.lines)
    sums = [
        f"{name} is {incremental.sums.get(name, 0)} and not {full.sums.get(name, 0)}"
        for name in sorted(incremental.sums.keys() | full.sums.keys())
        if incremental.sums.get(name, 0) != full.sums.get(name, 0)
    ]
    return Difference(
        missing=[_said(line) for line in (want - have).elements()],
        extra=[_said(line) for line in (have - want).elements()],
        sums=sums,
        problems=incremental.problems,
    )


def _said(line: bytes) -> str:
    edge = json.loads(line)
    source, target, site = edge["source"], edge["target"], edge["site"]
    place = f"{site['file']}:{site['line']}:{site['column']}"
    marks = " (unparsed)" if edge.get("unparsed") else ""
    to = f"{target['uid']} [{target['kind']} {target['line']}:{target['column']}]"
    return (
        f"{place} {source['uid']} {edge['relation']} {to} by {edge['origin']['operation']}{marks}"
    )


class Step(Struct, frozen=True):
    """Some edits, and what came of them."""

    said: list[str]
    kinds: list[str]
    requests: int
    asked: int
    seconds: float
    difference: Difference
    cause: Cause | None = None
    kept: Path | None = None
    """Where the trees before and after it are, if it came out wrong."""

    def __str__(self) -> str:
        lines = [f"edit: {each}" for each in self.said]
        lines += [f"cause: {self.cause}", str(self.difference), f"trees: {self.kept}"]
        return "\n".join(lines)


class Law:
    """A graph that follows a tree, and is compared with a fresh one of the same tree.

    With ``lasting`` one App and its server live all the time, as in a daemon; without, each look
    is a run of its own with a server of its own, as with `enrichd index`. After a difference the
    graph is made right, so that what comes next starts from the truth.
    """

    def __init__(self, tree: Tree, folder: Path, *, lasting: bool, name: str = "") -> None:
        self.tree = tree
        self.lasting = lasting
        self.steps: list[Step] = []
        self._name = name
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._before = folder / "before"
        self._keeper = Keeper(tree.root, folder / "graph.db", lasting=lasting)
        self.last: Look | None = None
        self._known: dict[bytes, Look] = {}
        """Right graphs of trees that were seen, by what the tree held."""

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._keeper.close()

    async def _begin(self) -> None:
        """A fresh graph, which is right by definition."""
        await self._keeper.close()
        forget(self._folder / "graph.db")
        self._keep_tree()
        self.last = await self._look()
        self._known.setdefault(self._tree_digest(), self.last)

    def _tree_digest(self) -> bytes:
        """Of all its files: what a server makes of Python files may hang on others too."""
        digest = blake2b()
        for path in sorted(self.tree.root.rglob("*")):
            if path.is_file():
                content = path.read_bytes()
                name = path.relative_to(self.tree.root)
                digest.update(f"{name}\0{len(content)}\0".encode() + content)
        return digest.digest()

    async def _full(self) -> Look:
        """The right graph: known from a tree that was the same, or made of nothing."""
        digest = self._tree_digest()
        if digest not in self._known:
            self._known[digest] = await fresh_look(self.tree.root, self._folder)
        return self._known[digest]

    def _keep_tree(self) -> None:
        shutil.rmtree(self._before, ignore_errors=True)
        shutil.copytree(self.tree.root, self._before, symlinks=True)

    async def _look(self, *, again: bool = False) -> Look:
        if self.lasting and self._keeper.is_open:
            return await (self._keeper.ask_all_again() if again else self._keeper.look())
        await self._keeper.open()
        try:
            return await (self._keeper.ask_all_again() if again else self._keeper.look())
        finally:
            if not self.lasting:
                await self._keeper.close()

    async def step(self, said: Sequence[str], kinds: Sequence[str] = ()) -> Step:
        """Look at a tree that was edited."""
        try:
            look = await self._look()
        except NotSettled as error:
            step = Step(
                list(said), list(kinds), 0, 0, 0.0, Difference(problems=[str(error)]), Cause.STUCK
            )
            return await self._wrong(step)
        full = await self._full()
        difference = compare(look, full)
        step = Step(
            list(said), list(kinds), look.requests, look.asked, look.seconds, difference, None
        )
        self.last = look
        if difference:
            return await self._wrong(step, full)
        self._keep_tree()
        self.steps.append(step)
        return step

    async def _wrong(self, step: Step, full: Look | None = None) -> Step:
        """Keep what is needed to see it again, find the cause, and begin anew."""
        kept = self._folder / f"difference-{len(self.steps) + 1}"
        shutil.copytree(self._before, kept / "before", symlinks=True)
        shutil.copytree(self.tree.root, kept / "after", symlinks=True)
        cause = step.cause if full is None else await self._cause(full)
        step = Step(
            step.said,
            step.kinds,
            step.requests,
            step.asked,
            step.seconds,
            step.difference,
            cause,
            kept,
        )
        (kept / "what.txt").write_text(f"{self._name} step {len(self.steps) + 1}\n{step}\n")
        self.steps.append(step)
        await self._begin()
        return step

    async def _cause(self, full: Look) -> Cause:
        if compare(await fresh_look(self.tree.root, self._folder), full):
            return Cause.VARIES
        try:
            if not compare(await self._look(again=True), full):
                return Cause.NOT_ASKED
            await self._keeper.close()
            if not compare(await self._look(again=True), full):
                return Cause.STALE
        except NotSettled:
            return Cause.STUCK
        return Cause.STORED

    @property
    def wrong(self) -> list[Step]:
        """The steps after which the law did not hold."""
        return [each for each in self.steps if each.difference]

    def verdict(self) -> str:
        """What went wrong, for people; empty when the law held."""
        lines = []
        for number, step in enumerate(self.steps, 1):
            if step.difference:
                lines.append(f"{self._name} step {number} of {len(self.steps)}\n{step}")
        return "\n\n".join(lines)
