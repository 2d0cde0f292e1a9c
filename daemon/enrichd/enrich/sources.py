"""The text of files as they stand on disk: is it what was indexed, and what is on a line."""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from collections.abc import Sequence
from enum import StrEnum
from hashlib import blake2b

from enrichd.index.file_stat import fingerprint
from enrichd_tracker.model import FileStat, KnownFile

_KEPT_FILES = 64
_NEW_S = 60.0
MAX_BYTES = 16 * 1024 * 1024
"""What a server points at may be anything; a larger file has no lines."""
BOM = b"\xef\xbb\xbf"
"""No part of the text to the index, but the first character of the first line to servers."""


def stat_of(path: str | os.PathLike[str]) -> FileStat | None:
    """What tells cheaply whether a file is the one that was read; None when it is gone.

    A link is itself, not the file behind it: that lies somewhere else.
    """
    return _stat(path, follow=False)


def _stat(path: str | os.PathLike[str], *, follow: bool) -> FileStat | None:
    try:
        found = os.stat(path, follow_symlinks=follow)  # noqa: PTH116 (hot: twice for each symbol)
    except (OSError, ValueError):
        return None
    return fingerprint(found)


def is_new(path: str, now: float) -> bool:
    """Whether the file was made or changed within the last minute, or is gone."""
    found = stat_of(path)
    return found is None or now - found.mtime_ns / 1e9 < _NEW_S


class Sources:
    """Lines of files, the last few kept."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, tuple[FileStat | None, Sequence[bytes]]] = OrderedDict()

    def lines(self, path: str) -> Sequence[bytes]:
        """The file's lines without their ends; empty when it can't be read."""
        found = _stat(path, follow=True)
        known = self._files.get(path)
        if known is not None and known[0] == found:
            self._files.move_to_end(path)
            return known[1]
        try:
            lines = _read(path).removeprefix(BOM).splitlines()
        except (OSError, ValueError):
            lines = []
        self._files[path] = (found, lines)
        self._files.move_to_end(path)
        while len(self._files) > _KEPT_FILES:
            self._files.popitem(last=False)
        return lines

    def has_mark(self, path: str) -> bool:
        """Whether the file begins with a byte order mark."""
        try:
            with open(path, "rb") as file:  # noqa: PTH123 (hot)
                return file.read(len(BOM)) == BOM
        except (OSError, ValueError):
            return False

    def line(self, path: str, number: int) -> bytes:
        """One line, or nothing where there is none."""
        lines = self.lines(path)
        return lines[number] if 0 <= number < len(lines) else b""


def _read(path: str) -> bytes:
    """The content of a regular file; nothing of a FIFO, which would block, or of a device."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 (a device may mind being opened)
        return b""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb") as file:  # noqa: PTH123
        result = os.fstat(file.fileno())
        if not stat.S_ISREG(result.st_mode) or result.st_size > MAX_BYTES:
            return b""
        return file.read(MAX_BYTES)


class OnDisk(StrEnum):
    """How a file stands to the one that was indexed."""

    SAME = "same"
    CHANGED = "changed"  # and it can be seen from its size, time or inode
    DRIFTED = "drifted"  # its content is another, and nothing shows it
    UNREADABLE = "unreadable"


def look_at(path: str, known: KnownFile) -> OnDisk:
    """Read a file and compare it with what was indexed; blocks, so it is for a thread."""
    if stat_of(path) != known.stat:
        return OnDisk.CHANGED
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
        with open(descriptor, "rb") as file:  # noqa: PTH123 (a link must not be followed)
            content = file.read(known.stat.size + 1)
    except (OSError, ValueError):
        return OnDisk.UNREADABLE
    if blake2b(content, digest_size=len(known.digest)).digest() == known.digest:
        return OnDisk.SAME
    # It may have been written while it was read.
    return OnDisk.DRIFTED if stat_of(path) == known.stat else OnDisk.CHANGED
