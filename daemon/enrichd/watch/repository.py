"""What decides outside a workspace's root what is to be indexed in it: git's own files.

A workspace may be a folder of a repository, or a worktree, whose index and ignore files are no
part of it. Nobody tells of these; they are few, and looking at their stat costs next to nothing.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from enrichd.index.ignore import IGNORE_FILE
from enrichd.watch.debounce import LOCK_PATIENCE_S

_POINTER = b"gitdir: "
_MOST_POINTER_BYTES = 4096
_Stat = tuple[int, int, int] | None


class Repository:
    """The repository that a folder belongs to, if it does."""

    def __init__(self, root: Path) -> None:
        self.folder, top = _git_folder(root)
        self._watched = _outside(root, self.folder, top)
        self._seen = self._stats()

    def has_changed(self) -> bool:
        """Whether something outside the root is not as it was the last time this was asked."""
        now = self._stats()
        before, self._seen = self._seen, now
        return now != before

    def is_locked(self, wall: float) -> bool:
        """Whether git is changing the files just now. ``wall``: seconds since the epoch."""
        if self.folder is None:
            return False
        try:
            age_s = wall - (self.folder / "index.lock").lstat().st_mtime
        except OSError:
            return False
        return abs(age_s) < LOCK_PATIENCE_S  # an older one was left behind

    def _stats(self) -> list[_Stat]:
        return [_stat(path) for path in self._watched]


def _git_folder(root: Path) -> tuple[Path | None, Path | None]:
    """Where git keeps what it knows of the folder, and the top of the working tree."""
    for top in (root, *root.parents):
        mark = top / ".git"
        try:
            if mark.is_dir():
                return mark, top
            if mark.is_file():
                return _pointed_to(mark), top
        except OSError:
            continue  # it can't be looked at: git can't, either
    return None, None


def _pointed_to(mark: Path) -> Path | None:
    try:
        with mark.open("rb") as file:
            text = file.read(_MOST_POINTER_BYTES)
    except OSError:
        return None
    if not text.startswith(_POINTER):
        return None
    return mark.parent / os.fsdecode(text.removeprefix(_POINTER).strip())


def _outside(root: Path, folder: Path | None, top: Path | None) -> list[Path]:
    if folder is None or top is None:
        return []
    found = [each / IGNORE_FILE for each in root.parents if each == top or top in each.parents]
    if not folder.is_relative_to(root):
        common = folder
        with suppress(OSError):  # not there: it is no worktree and has everything itself
            common = folder / (folder / "commondir").read_text(errors="replace").strip()
        found += [folder / "HEAD", folder / "index", common / "info" / "exclude"]
    return found


def _stat(path: Path) -> _Stat:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino
