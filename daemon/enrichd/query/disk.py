"""Are the files on disk still the ones that were indexed?"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from enum import StrEnum

from enrichd_tracker.model import FileStat, Workspace
from enrichd_tracker.store.port import Reader


class Drift(StrEnum):
    """What happened to a file since it was indexed."""

    CHANGED = "changed"
    GONE = "gone"


def drifted(
    reader: Reader, workspace: Workspace, paths: Iterable[str] | None = None
) -> list[tuple[str, Drift]]:
    """The files that are not as they were indexed, in order; of all of them or of ``paths``."""
    if paths is None:
        stats = reader.file_stats(workspace.id)
    else:
        files = [reader.file(workspace.id, path) for path in paths]
        stats = [(file.path, file.stat) for file in files if file is not None]
    by_folder: dict[str, list[tuple[str, FileStat]]] = {}
    for path, known in stats:
        folder, _, name = path.rpartition("/")
        by_folder.setdefault(folder, []).append((name, known))
    found = list[tuple[str, Drift]]()
    for folder, named in by_folder.items():
        prefix = f"{folder}/" if folder else ""
        found += (
            (prefix + name, drift) for name, drift in _in(f"{workspace.root}/{folder}", named)
        )
    return sorted(found)


def _in(folder: str, files: list[tuple[str, FileStat]]) -> Iterator[tuple[str, Drift]]:
    """Those of the folder's files that are not the ones that were read, by size, time and inode."""
    # The way to the folder is gone once: that is most of what a look at a file costs.
    try:
        descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    except (OSError, ValueError):  # it is gone, or no more files may be open
        yield from _among(files, f"{folder}/", None)
        return
    try:
        yield from _among(files, "", descriptor)
    finally:
        os.close(descriptor)


def _among(
    files: list[tuple[str, FileStat]], prefix: str, descriptor: int | None
) -> Iterator[tuple[str, Drift]]:
    for name, known in files:
        try:
            found = os.stat(prefix + name, dir_fd=descriptor)
        except (OSError, ValueError):
            yield name, Drift.GONE
            continue
        if (
            found.st_mtime_ns != known.mtime_ns
            or found.st_size != known.size
            or found.st_ino != known.inode
        ):
            yield name, Drift.CHANGED
