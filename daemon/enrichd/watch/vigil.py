"""Which files of a workspace may not be as they were indexed, known without looking at each.

Answers promise that no file has changed since it was indexed. To look at 50,000 files takes a
quarter of a second, so the daemon keeps a vigil: every folder that holds indexed files, and every
one above it up to the root, is watched *first*, then all files are looked at once, and from then on
only what the kernel told of, or what was stored, is suspect. The queue is read when the question
comes, so that a save just before it counts: unlike the events that lead to indexing, these are not
gathered by anybody.

What can't be vouched for is always looked at: files with several names, links, and what lies behind
links. Where the kernel can't tell of all changes (network file systems, no more watches, lost
events) nobody is vouched for.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from stat import S_ISREG
from typing import Protocol, TypeVar

from msgspec import Struct, field

from enrichd.clock import Clock
from enrichd.file_stat import fingerprint, identity_of
from enrichd.watch.inotify import Inotify, tells_all
from enrichd_tracker.errors import EnrichdError, StoreDamaged
from enrichd_tracker.model import FileStat, Workspace
from enrichd_tracker.store.port import Reader

T = TypeVar("T")

LINGER_S = 10.0
"""So long a file stays suspect, and a vigil that begins is not relied on: who asks may have begun
to read before, and would take what was indexed since for unchanged."""
_AGAIN_S = 5.0
_REFUSED_S = 60.0
_MOST_SUSPECTS = 500


class _Ground(Struct):
    """What is watched."""

    queue: Inotify
    root: tuple[int, int] | None
    """The identity of its folder."""
    folders: set[str] = field(default_factory=set)
    """Relative to the root, which is the empty one. Some may be gone just now."""
    by_watch: dict[int, list[str]] = field(default_factory=dict)
    """Several where links lead to one."""
    sound: dict[int, bool] = field(default_factory=dict)
    """By device: whether its file system tells of all changes."""


class Readable(Protocol):
    """A store, as far as it is read."""

    async def read(self, question: Callable[[Reader], T]) -> T:
        """Ask the read-only side."""
        ...


class Vigil:
    """Over one workspace, for as long as ``run`` runs. Its methods belong to the event loop."""

    def __init__(self, workspace: Workspace, store: Readable, clock: Clock) -> None:
        self._workspace = workspace
        self._store = store
        self._clock = clock
        self._wanted = asyncio.Event()
        self._ground: _Ground | None = None
        self._since: float | None = None
        """When all files had been looked at; None: nobody is vouched for."""
        self._suspects: dict[str, float] = {}
        """And when they became so, the first first."""
        self._odd: frozenset[str] = frozenset()
        self._storing: list[Collection[str]] = []
        self._doubts = 0
        self._running = False

    def suspects(self) -> list[str] | None:
        """The files that may not be as they were indexed, as of now; None: any may."""
        if not self._running:
            return None
        self._hear()
        now = self._clock.monotonic()
        if self._since is None or next(iter(self._suspects.values()), now) <= now - LINGER_S:
            self._wanted.set()
        if self._since is None or now < self._since + LINGER_S:
            return None
        found = {*self._odd, *self._suspects}.union(*self._storing)
        return sorted(found) if len(found) <= _MOST_SUSPECTS else None

    def suspect(self, paths: Iterable[str]) -> None:
        """Have these looked at by whoever asks, till they are seen to be as they were indexed."""
        now = self._clock.monotonic()
        for path in paths:
            self._suspects.pop(path, None)
            self._suspects[path] = now
        if len(self._suspects) > _MOST_SUSPECTS:
            self.doubt()

    def doubt(self) -> None:
        """Vouch for nobody till all files have been looked at again."""
        self._doubts += 1
        self._since = None
        self._suspects.clear()

    @contextmanager
    def storing(self, paths: Collection[str]) -> Iterator[None]:
        """These are being stored: what is known of them is of another state than before."""
        self._storing.append(paths)
        try:
            yield
        finally:
            self._storing.remove(paths)
            self.suspect(paths)

    async def run(self) -> None:
        """Keep it for ever, from the first question on."""
        self._running = True
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                if self._since is None:
                    await self._begin()
                    await self._clock.sleep(_AGAIN_S if self._ground else _REFUSED_S)
                else:
                    await self._clear()
        finally:
            self._running = False
            self.doubt()
            self._end()

    # What is heard.

    def _hear(self) -> None:
        """Take in all that happened till now."""
        ground = self._ground
        if self._since is None or ground is None:
            return
        if identity_of(self._workspace.root) != ground.root:
            self.doubt()
            return
        touched = set[str]()
        for event in ground.queue.read():
            if not event.name:
                self.doubt()
                return
            for folder in ground.by_watch.get(event.watch, ()):
                path = f"{folder}/{event.name}" if folder else event.name
                if path in ground.folders:
                    self.doubt()
                    return
                if not event.folder:
                    touched.add(path)
        self.suspect(touched)

    # Looking.

    async def _begin(self) -> None:
        """Watch all folders, then look at all files."""
        self._end()
        self._suspects.clear()
        doubts = self._doubts
        try:
            self._ground = ground = _Ground(Inotify(), identity_of(self._workspace.root))
            seen = await self._store.read(
                lambda reader: _look(ground, self._workspace, reader.file_stats(self._workspace.id))
            )
        except OSError:
            self._end()  # no more watches, or the root is gone: files are looked at as ever
            return
        except StoreDamaged:
            raise
        except EnrichdError:
            self._end()
            return
        if self._doubts == doubts:
            self._odd = frozenset(seen.odd)
            self._since = self._clock.monotonic()
            self.suspect(seen.changed)

    async def _clear(self) -> None:
        """Look at those that have been suspect for long, and clear those that are as indexed."""
        ground, latest = self._ground, self._clock.monotonic() - LINGER_S
        asked = {path: at for path, at in self._suspects.items() if at <= latest}
        if ground is None or not asked:
            return
        doubts = self._doubts
        try:
            seen = await self._store.read(
                lambda reader: _look(
                    ground, self._workspace, _stats(reader, self._workspace, asked)
                )
            )
        except StoreDamaged:
            raise
        except (OSError, EnrichdError):
            self.doubt()
            return
        if self._doubts != doubts:
            return
        self._odd = (self._odd - asked.keys()) | seen.odd
        for path, at in asked.items():
            if self._suspects.get(path) == at:
                del self._suspects[path]
        self.suspect(seen.changed)

    def _end(self) -> None:
        if self._ground is not None:
            self._ground.queue.close()
            self._ground = None


# On the reader's thread


class _Seen(Struct):
    """What a look found."""

    changed: list[str] = field(default_factory=list)
    """Not as they were indexed."""
    odd: set[str] = field(default_factory=set)
    """Of these no event may tell."""


def _stats(
    reader: Reader, workspace: Workspace, paths: Iterable[str]
) -> list[tuple[str, FileStat]]:
    files = [reader.file(workspace.id, path) for path in paths]
    return [(file.path, file.stat) for file in files if file is not None]


def _look(ground: _Ground, workspace: Workspace, stats: Iterable[tuple[str, FileStat]]) -> _Seen:
    """Have the folders of these files watched, and see which of the files are as they were.

    Raises OSError where a folder can't be watched, or changes in it are not told of.
    """
    by_folder: dict[str, list[tuple[str, FileStat]]] = {}
    for path, stat in stats:
        by_folder.setdefault(path.rpartition("/")[0], []).append((path, stat))
    _watch(ground, workspace.root, by_folder)
    seen = _Seen()
    real_root = os.path.realpath(workspace.root)
    real_folders = {f"{real_root}/{each}".rstrip("/") for each in ground.folders}
    for folder, files in by_folder.items():
        if os.path.realpath(f"{workspace.root}/{folder}") not in real_folders:
            seen.odd.update(path for path, _ in files)
            continue
        for path, stat in files:
            _look_at(f"{workspace.root}/{path}", path, stat, seen)
    return seen


def _look_at(absolute: str, path: str, stat: FileStat, seen: _Seen) -> None:
    try:
        found = os.lstat(absolute)
    except (OSError, ValueError):
        seen.changed.append(path)
        return
    if not S_ISREG(found.st_mode) or found.st_nlink != 1:
        seen.odd.add(path)
    elif fingerprint(found) != stat:
        seen.changed.append(path)


def _watch(ground: _Ground, root: str, folders: Iterable[str]) -> None:
    wanted = {""} - ground.folders
    for each in folders:
        above = each
        while above not in ground.folders and above not in wanted:
            wanted.add(above)
            above = above.rpartition("/")[0]
    # Those above first: what becomes of a folder is told by the one above it.
    for folder in sorted(wanted):
        ground.folders.add(folder)
        absolute = f"{root}/{folder}"
        with suppress(FileNotFoundError, NotADirectoryError):  # should it come back, that is told
            ground.by_watch.setdefault(ground.queue.add(absolute), []).append(folder)
            device = os.stat(absolute).st_dev  # noqa: PTH116 (hot)
            if device not in ground.sound:
                ground.sound[device] = tells_all(absolute)
            if not ground.sound[device]:
                raise OSError(f"{absolute}: not every change in this file system is told of")
