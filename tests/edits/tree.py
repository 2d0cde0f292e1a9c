"""A tree of Python files on disk, as an editor sees it: read, changed, removed and brought back."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from tests.edits.source import Definition, Source, Unfit

T = TypeVar("T")

_HIDDEN = {"__pycache__", "node_modules"}
_SIDE_FOLDERS = {"test", "tests", "docs", "doc", "examples"}


class Tree:
    """The files below a folder, and what the edits so far have to remember."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.first = self.state()
        """The files as they were at first."""
        self.removed: dict[str, bytes] = {}
        """Files that were deleted, as they were."""
        self.broken: dict[str, bytes] = {}
        """Files whose syntax was broken, as they were before."""
        self._numbers = 0
        self._known: dict[str, tuple[bytes, Source]] = {}

    # What is there.

    def paths(self) -> list[str]:
        """The Python files, sorted."""
        return sorted(
            path.relative_to(self.root).as_posix()
            for path in self.root.rglob("*.py*")
            if path.suffix in {".py", ".pyi"}
            and path.is_file()
            and not any(
                part.startswith(".") or part in _HIDDEN
                for part in path.relative_to(self.root).parts
            )
        )

    def folders(self) -> list[str]:
        """The folders with Python files in them or below, sorted; the root is not among them."""
        found = set()
        for path in self.paths():
            folder = path.rpartition("/")[0]
            while folder:
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return sorted(found)

    def content(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def source(self, path: str) -> Source:
        """Raises Unfit where the file is no text."""
        content = self.content(path)
        known = self._known.get(path)
        if known is None or known[0] != content:
            known = self._known[path] = (content, Source.of(path, content))
        return known[1]

    def sources(self) -> list[Source]:
        """Those that parse."""
        found = []
        for path in self.paths():
            try:
                source = self.source(path)
            except Unfit:
                continue
            if source.tree is not None:
                found.append(source)
        return found

    def state(self) -> dict[str, bytes]:
        return {path: self.content(path) for path in self.paths()}

    def module(self, path: str) -> str:
        """The dotted name under which a file is imported; '' where it has none."""
        folder, _, name = path.rpartition("/")
        stem = name.partition(".")[0]
        parts = [] if stem == "__init__" else [stem]
        while folder and (self.root / folder / "__init__.py").exists():
            folder, _, last = folder.rpartition("/")
            parts.insert(0, last)
        return ".".join(parts) if all(part.isidentifier() for part in parts) else ""

    # What is drawn.

    def draw_source(
        self, draw: random.Random, fits: Callable[[Source], bool], inner: float = 0.5
    ) -> Source:
        """A file that parses and fits; that often none of the tests or examples, if it can be."""
        sources = self.sources()
        draw.shuffle(sources)
        if draw.random() < inner:
            sources.sort(key=lambda each: bool(_SIDE_FOLDERS & set(each.path.split("/")[:-1])))
        for source in sources:
            if fits(source):
                return source
        raise Unfit("no file fits")

    def draw_part(
        self, draw: random.Random, parts: Callable[[Source], Sequence[T]], inner: float = 0.5
    ) -> tuple[Source, T]:
        """One of the parts of a file that has some."""
        source = self.draw_source(draw, lambda each: bool(parts(each)), inner)
        return source, draw.choice(parts(source))

    def draw_importable(
        self, draw: random.Random, fits: Callable[[Definition], bool], but: str = ""
    ) -> tuple[str, Definition]:
        """The module and the definition of something that other files can import."""
        source, definition = self.draw_part(
            draw,
            lambda each: (
                [one for one in each.definitions if one.at_top and fits(one)]
                if each.path != but and self.module(each.path)
                else []
            ),
            inner=0.9,
        )
        return self.module(source.path), definition

    def new_name(self, stem: str = "fresh") -> str:
        """A name that is nowhere in the tree yet."""
        self._numbers += 1
        return f"{stem}_{self._numbers}"

    # What is done.

    def put(self, before: Source, after: Source) -> None:
        """Write a changed file; raises Unfit where that changes nothing or breaks its syntax."""
        if after.content == before.content:
            raise Unfit("nothing changes")
        if before.tree is not None and after.tree is None:
            raise Unfit("it would break")
        self.write(after.path, after.content)

    def write(self, path: str, content: bytes) -> None:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    def create(self, path: str, text: str) -> None:
        """A new file; raises Unfit where there is one."""
        if (self.root / path).exists():
            raise Unfit(f"{path} is there already")
        self.write(path, text.encode())

    def remove(self, path: str) -> None:
        """Delete a file, and the folders that hold nothing any more."""
        self.removed[path] = self.content(path)
        (self.root / path).unlink()
        self._remove_empty((self.root / path).parent)

    def move(self, path: str, to: str) -> None:
        """Give a file or a folder another name; raises Unfit where that is taken."""
        old, new = self.root / path, self.root / to
        if new.exists():
            raise Unfit(f"{to} is there already")
        new.parent.mkdir(parents=True, exist_ok=True)
        old.rename(new)
        self._remove_empty(old.parent)
        self.broken = {
            to + each.removeprefix(path) if each == path or each.startswith(f"{path}/") else each: b
            for each, b in self.broken.items()
        }

    def put_back(self) -> None:
        """Everything is as it was at first; what was as it was stays untouched."""
        for path in set(self.paths()) - self.first.keys():
            (self.root / path).unlink()
            self._remove_empty((self.root / path).parent)
        for path, content in self.first.items():
            if not (self.root / path).is_file() or self.content(path) != content:
                self.write(path, content)
        self.removed.clear()
        self.broken.clear()

    def _remove_empty(self, folder: Path) -> None:
        while folder != self.root and folder.is_dir():
            shutil.rmtree(folder / "__pycache__", ignore_errors=True)
            if any(folder.iterdir()):
                return
            folder.rmdir()
            folder = folder.parent
