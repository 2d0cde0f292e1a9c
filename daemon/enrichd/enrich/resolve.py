"""From the place that a server names to the symbol that stands there."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from msgspec import Struct

from enrichd.enrich.externals import name_of
from enrichd.enrich.sources import BOM, Sources
from enrichd.file_stat import stat_of
from enrichd.index.languages import suffixes
from enrichd.lsp.positions import from_server, uri_to_path
from enrichd.lsp.wire import Target
from enrichd_tracker.model import External, SymbolKind
from enrichd_tracker.store.port import Definition, FileDefinitions, Reader, Store

_KEPT_FILES = 4096
_INSTALLED = {"site-packages", "dist-packages"}


class ImportSite(Struct, frozen=True):
    """The server stopped at an import: asking there leads on to the definition."""

    path: str


class Stale(Struct, frozen=True):
    """The file was changed since it was indexed: nobody knows what stands there."""

    path: str


class _Known(Struct):
    definitions: FileDefinitions | None
    checked: int = 0
    """The last batch of answers for which it was found to be as it was indexed."""


class _Place(Struct, frozen=True):
    """A URI that a server named."""

    path: str | None = None
    """None where it is no file."""
    inside: str | None = None
    """Within the workspace; None outside of it."""


class Resolver:
    """Knows the definitions of a workspace, file by file, as far as answers led to them."""

    def __init__(self, store: Store, workspace_id: int, root: Path, sources: Sources) -> None:
        self._store = store
        self._workspace_id = workspace_id
        self._root = str(root)
        self._sources = sources
        self._files: OrderedDict[str, _Known] = OrderedDict()
        self._places: dict[str, _Place] = {}
        self._externals: dict[tuple[str, int, int, str], External] = {}
        self._generation = 0
        self._batch = 0

    def forget(self, paths: Iterable[str] | None = None) -> None:
        """The graph has changed, in these files or who knows where: what is loaded may be wrong."""
        self._generation += 1
        self._externals.clear()
        if paths is None:
            self._files.clear()
        else:
            for path in paths:
                self._files.pop(path, None)

    async def load(self, targets: Iterable[Target], own: Iterable[str]) -> None:
        """Make ready for ``locate`` the files that these targets are in, and ``own`` ones.

        All targets come from answers that are here already: a file that is still as it was
        indexed was so too when the server gave them.
        """
        self._batch += 1
        paths = {self.relative(target) for target in targets}
        needed = {each for each in paths if each is not None} | set(own)
        while wanted := {each for each in needed if each not in self._files}:
            generation = self._generation
            read = await self._store.read(partial(_definitions, self._workspace_id, wanted))
            if generation == self._generation:  # else the graph has changed meanwhile
                for path, definitions in read.items():
                    self._files[path] = _Known(definitions)
        for path in needed:
            self._files.move_to_end(path)
        while len(self._files) > max(_KEPT_FILES, len(needed)):
            self._files.popitem(last=False)

    def own(self, path: str) -> FileDefinitions | None:
        """The definitions of a file that was loaded."""
        known = self._files.get(path)
        return known.definitions if known else None

    def relative(self, target: Target) -> str | None:
        """The target's path within the workspace, or None outside of it."""
        return self._place(target.uri).inside

    def locate(
        self, target: Target, name: str, encoding: str
    ) -> Definition | External | ImportSite | Stale | None:
        """What stands where the server points; None for what is no symbol (a local, say).

        The target's file must have been loaded. ``name`` is what stands at the site.
        """
        inside = self.relative(target)
        known = self._files.get(inside) if inside is not None else None
        if known is None or known.definitions is None:
            return self._outside(target, name, encoding)
        assert inside is not None
        if known.definitions.module is None:
            return None  # a file that could not be read: there is no symbol in it
        if not self._fresh(inside, known):
            return Stale(inside)
        definitions = known.definitions
        column = self._column(f"{self._root}/{inside}", target, encoding, ascii_=definitions.ascii)
        found = definitions.at.get((target.line, column))
        if (target.line, column) == (0, 0) and (found is None or found.name != name):
            return definitions.module
        if found is None and (target.line, column) in definitions.import_sites:
            return ImportSite(inside)
        return found

    def _column(self, path: str, target: Target, encoding: str, *, ascii_: bool) -> int:
        if target.line == 0 and target.character and self._sources.has_mark(path):
            text = BOM + self._sources.line(path, 0)
            return max(0, from_server(text, target.character, encoding) - len(BOM))
        if ascii_ or encoding == "utf-8":
            return target.character
        return from_server(self._sources.line(path, target.line), target.character, encoding)

    def _fresh(self, path: str, known: _Known) -> bool:
        if known.checked == self._batch:
            return True
        assert known.definitions is not None
        if stat_of(f"{self._root}/{path}") != known.definitions.stat:
            return False
        known.checked = self._batch
        return True

    def _outside(self, target: Target, name: str, encoding: str) -> External | None:
        path = self._place(target.uri).path
        if path is None or not path.strip("/") or min(target.line, target.character) < 0:
            return None
        key = (path, target.line, target.character, name)
        if (known := self._externals.get(key)) is not None:
            return known
        lines = self._sources.lines(path) if self._may_be_read(path) else None
        if lines is None:
            external = name_of(path, [], 0, 0)
            if (target.line, target.character) != (0, 0):
                external = External(external.package, f"{external.name}.{name}")
        else:
            line = lines[target.line] if target.line < len(lines) else b""
            column = from_server(line, target.character, encoding)
            external = name_of(path, lines, target.line, column)
        if len(self._externals) >= _KEPT_FILES:
            self._externals.clear()
        self._externals[key] = external
        return external

    def _may_be_read(self, path: str) -> bool:
        """Whether it is source of a library, for its name's sake.

        A link of the workspace leads nowhere: whoever wrote it would choose what is read.
        """
        try:
            real = os.path.realpath(path)
        except (OSError, ValueError):
            return False
        if path.startswith(f"{self._root}/") and real != path:
            return False
        return os.path.splitext(real)[1] in suffixes()  # noqa: PTH122 (it is no path yet)

    def _place(self, uri: str) -> _Place:
        place = self._places.get(uri)
        if place is None:
            if len(self._places) >= _KEPT_FILES:
                self._places.clear()
            place = self._places[uri] = _place(uri, f"{self._root}/")
        return place


def _place(uri: str, root: str) -> _Place:
    path = uri_to_path(uri)
    if path is None:
        return _Place()
    path = os.path.normpath(path)
    inside = path.removeprefix(root)
    if inside == path or _INSTALLED.intersection(inside.split("/")):
        return _Place(path)
    return _Place(path, inside)


def _definitions(
    workspace_id: int, paths: set[str], reader: Reader
) -> dict[str, FileDefinitions | None]:
    return {path: reader.definitions(workspace_id, path) for path in paths}


def without_faces(found: list[Definition]) -> list[Definition]:
    """Of an overloaded function the implementation alone, or the last face where there is none."""
    if len(found) < 2 or not any(each.overload for each in found):
        return found
    kept: dict[tuple[str, SymbolKind], Definition] = {}
    plain: list[Definition] = []
    for each in found:
        if each.overload:
            kept[each.qualified_name, each.kind] = each
        else:
            plain.append(each)
    names = {(each.qualified_name, each.kind) for each in plain}
    return plain + [each for key, each in kept.items() if key not in names]
