"""The text of files as they stand on disk: is it what was indexed, and what is on a line."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from enrichd.index.file_stat import fingerprint
from enrichd_tracker.model import FileStat

_KEPT_FILES = 64
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


def age_s(path: str, now: float) -> float | None:
    """Seconds since the file was made or changed; None when it is gone."""
    found = stat_of(path)
    return None if found is None else now - found.mtime_ns / 1e9


class Sources:
    """Lines of files, the last few kept."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, tuple[FileStat | None, Sequence[bytes]]] = OrderedDict()

    def lines(self, path: str) -> Sequence[bytes]:
        """The file's lines without their ends; empty when it can't be read."""
        stat = _stat(path, follow=True)
        known = self._files.get(path)
        if known is not None and known[0] == stat:
            self._files.move_to_end(path)
            return known[1]
        try:
            lines = Path(path).read_bytes().removeprefix(BOM).splitlines()
        except (OSError, ValueError):
            lines = []
        self._files[path] = (stat, lines)
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
        return lines[number] if number < len(lines) else b""
