"""Are the files on disk still the ones that were indexed?"""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import StrEnum

from enrichd_tracker.model import FileStat, Workspace
from enrichd_tracker.store.port import Reader


class Drift(StrEnum):
    """What happened to a file since it was indexed."""

    CHANGED = "changed"
    GONE = "gone"


def drift(root: str, path: str, known: FileStat) -> Drift | None:
    """None: by its size, time and inode it is the file that was read."""
    try:
        found = os.stat(f"{root}/{path}")  # noqa: PTH116 (hot: once for each file of a workspace)
    except (OSError, ValueError):
        return Drift.GONE
    same = (found.st_size, found.st_mtime_ns, found.st_ino) == (
        known.size,
        known.mtime_ns,
        known.inode,
    )
    return None if same else Drift.CHANGED


def drifted(
    reader: Reader, workspace: Workspace, paths: Iterable[str] | None = None
) -> list[tuple[str, Drift]]:
    """The files that are not as they were indexed, in order; of all of them or of ``paths``."""
    if paths is None:
        stats = reader.file_stats(workspace.id)
    else:
        files = [reader.file(workspace.id, path) for path in paths]
        stats = [(file.path, file.stat) for file in files if file is not None]
    found = [(path, drift(workspace.root, path, stat)) for path, stat in stats]
    return sorted((path, change) for path, change in found if change is not None)
