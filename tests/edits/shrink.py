"""Makes a difference small: `python -m tests.edits.shrink FOLDER` with what the law kept of it.

The folder holds `before` and `after`. Files, changes and statements are taken away as long as the
incremental graph still differs from a fresh one; what is left is printed, and kept beside them.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import structlog
from tests.edits.keeper import Keeper, NotSettled, fresh_look
from tests.edits.law import Difference, compare
from tests.edits.source import Source, Unfit
from tests.edits.tree import Tree

T = TypeVar("T")
State = dict[str, bytes]
Pair = tuple[State, State]


def put(tree: Tree, state: State) -> None:
    """Make the tree hold this and nothing else; what is the same is not touched."""
    before = tree.state()
    for path in before.keys() - state.keys():
        tree.remove(path)
    for path, content in state.items():
        if before.get(path) != content:
            tree.write(path, content)


async def difference(pair: Pair, *, lasting: bool) -> Difference:
    """What is wrong after going from the one to the other."""
    with tempfile.TemporaryDirectory(prefix="shrink-") as name:
        folder = Path(name)
        tree = Tree(folder / "tree")
        put(tree, pair[0])
        tree.root.mkdir(exist_ok=True)
        keeper = Keeper(tree.root, folder / "graph.db", lasting=lasting)
        await keeper.open()
        try:
            await keeper.look()
            put(tree, pair[1])
            if not lasting:
                await keeper.close()
                await keeper.open()
            look = await keeper.look()
        finally:
            await keeper.close()
        return compare(look, await fresh_look(tree.root, folder))


class Shrinker:
    """Takes away what the difference does not need."""

    def __init__(self, pair: Pair, *, lasting: bool) -> None:
        self.pair = pair
        self._lasting = lasting
        self.checks = 0

    def _fails(self, pair: Pair) -> bool:
        self.checks += 1
        try:
            return bool(asyncio.run(difference(pair, lasting=self._lasting)))
        except NotSettled:
            return False

    def run(self) -> None:
        if not self._fails(self.pair):
            raise SystemExit("nothing differs")
        while True:
            size = self._size()
            self._without(lambda: sorted(self.pair[0].keys() | self.pair[1].keys()), _no_files)
            self._without(self._changed, _undo)
            for depth in range(6):
                self._without(lambda depth=depth: self._statements(depth), _cut)  # type: ignore[misc]
            if self._size() == size:
                return

    def _size(self) -> int:
        return sum(len(content) for state in self.pair for content in state.values())

    def _changed(self) -> list[str]:
        before, after = self.pair
        return [path for path in sorted(before) if after.get(path) not in {None, before[path]}]

    def _statements(self, depth: int) -> list[tuple[str, str]]:
        """Path and lines of each statement of a depth that is there before or after."""
        found = []
        for state in self.pair:
            for path, content in sorted(state.items()):
                try:
                    source = Source.of(path, content)
                    bodies = [source.parsed.body]
                except Unfit:
                    continue
                for _ in range(depth):
                    bodies = [
                        inner
                        for body in bodies
                        for each in body
                        for name in ("body", "orelse", "finalbody")
                        if isinstance(inner := getattr(each, name, None), list)
                    ]
                for body in bodies:
                    for each in body:
                        begin, end = source.whole_lines(each)
                        is_pass = isinstance(each, ast.Pass)
                        if not is_pass and (path, source.text[begin:end]) not in found:
                            found.append((path, source.text[begin:end]))
        return found

    def _without(
        self, units: Callable[[], Sequence[T]], drop: Callable[[Pair, Sequence[T]], Pair]
    ) -> None:
        """Try without many, then without fewer, until none can go."""
        found = list(units())
        size = max(len(found) // 2, 1)
        while found:
            at = 0
            while at < len(found):
                part = found[at : at + size]
                pair = drop(self.pair, part)
                if pair != self.pair and self._fails(pair):
                    self.pair = pair
                    del found[at : at + size]
                    print(f"{self.checks} tries, {self._size()} bytes", flush=True)
                else:
                    at += size
            if size == 1:
                return
            size = max(size // 2, 1)


def _no_files(pair: Pair, paths: Sequence[str]) -> Pair:
    before, after = ({p: c for p, c in state.items() if p not in paths} for state in pair)
    return before, after


def _undo(pair: Pair, paths: Sequence[str]) -> Pair:
    return pair[0], pair[1] | {path: pair[0][path] for path in paths}


def _cut(pair: Pair, statements: Sequence[tuple[str, str]]) -> Pair:
    before, after = dict(pair[0]), dict(pair[1])
    for path, text in statements:
        for state in (before, after):
            if path in state:
                state[path] = _less(path, state[path], text)
    return before, after


def _less(path: str, content: bytes, text: str) -> bytes:
    """The file without these lines; with a `pass` where it would be broken otherwise."""
    source = Source.of(path, content)
    if text not in source.text:
        return content
    begin = source.text.index(text)
    indent = text[: len(text) - len(text.lstrip(" \t"))]
    for instead in ("", f"{indent}pass\n"):
        less = source.changed((begin, begin + len(text), instead))
        if less.tree is not None or source.tree is None:
            return less.content
    return content


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lasting", action="store_true", help="one server for both looks")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    pair = (Tree(given.folder / "before").state(), Tree(given.folder / "after").state())
    shrinker = Shrinker(pair, lasting=given.lasting)
    shrinker.run()
    for name, state in zip(("before", "after"), shrinker.pair, strict=True):
        put(Tree(given.folder / f"small-{name}"), state)
        for path, content in sorted(state.items()):
            if name == "before" or shrinker.pair[0].get(path) != content:
                print(f"=== {name}: {path}\n{content.decode(errors='replace')}")
    print(asyncio.run(difference(shrinker.pair, lasting=given.lasting)))


if __name__ == "__main__":
    main()
