"""The folders of clones on the disk: how large they are, what was left behind, how they go."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from enrichd.errors import UsageError

_PARTIAL, _OLD = ".partial", ".old"


def partial_of(folder: Path) -> Path:
    """Where a clone is made before it is whole."""
    return folder.with_name(f".{folder.name}{_PARTIAL}")


def put_in_place(fresh: Path, folder: Path) -> None:
    """Let ``fresh`` be the folder; what was there goes."""
    old = _set_aside(folder)
    fresh.rename(folder)
    delete(old)


async def remove(folder: Path, sources: Path) -> None:
    """Delete a clone, which has to be directly below ``sources``; one that is not there is gone.

    Links are deleted and never followed. Raises UsageError for any other folder, and OSError.
    """
    await asyncio.to_thread(_remove, folder, sources)


async def remove_leftovers(sources: Path) -> None:
    """Delete what a daemon that was killed has left; nothing may be fetched meanwhile."""
    await asyncio.to_thread(_remove_leftovers, sources)


def delete(path: Path) -> None:
    """Delete a folder, a file or a link, and nothing that a link leads to."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        shutil.rmtree(path)
    else:
        path.unlink()


def size_of(folder: Path) -> int:
    """Bytes of all files below, also while it changes."""
    total, pending = 0, [str(folder)]
    while pending:
        with suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
    return total


class Kept:
    """What a repository was before a fetch, to be put back where that fails.

    Made when no git is running: what one that was killed has left is cleared away.
    """

    def __init__(self, repository: Path) -> None:
        self._packs = repository / "objects" / "pack"
        self._small = {
            path: path.read_bytes() if path.is_file() else None
            for path in (repository / "shallow", repository / "refs" / "enrichd" / "tip")
        }
        places = [repository, *(Path(place) for place, _, _ in os.walk(repository / "refs"))]
        stale = [path for place in places for path in place.glob("*.lock")]
        stale += [*self._packs.glob("tmp_*"), *self._packs.glob("*.keep")]
        for path in stale:
            path.unlink()
        self.packs = set(self._packs.iterdir()) if self._packs.is_dir() else set()

    def put_back(self) -> None:
        """Undo the fetch, of which nothing was checked out."""
        for path in set(self._packs.iterdir()) - self.packs if self._packs.is_dir() else ():
            path.unlink()
        for path, content in self._small.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(content)


def _remove(folder: Path, sources: Path) -> None:
    if folder.name in {"", ".", ".."} or folder.parent.resolve() != sources.resolve():
        raise UsageError(f"{folder} is no folder of a clone", hint=f"those are in {sources}")
    delete(partial_of(folder))
    delete(_set_aside(folder))


def _remove_leftovers(sources: Path) -> None:
    if sources.is_dir():
        for path in sources.iterdir():
            if path.name.startswith(".") and path.suffix in {_PARTIAL, _OLD}:
                delete(path)


def _set_aside(folder: Path) -> Path:
    """Its new name, under which it may be deleted in peace."""
    old = folder.with_name(f".{folder.name}{_OLD}")
    delete(old)
    with suppress(FileNotFoundError):
        folder.rename(old)
    return old
