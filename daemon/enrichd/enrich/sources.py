"""The lines of files as they stand on disk, whatever servers point at."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from enrichd.file_stat import read_regular, stat_of
from enrichd.lsp.positions import uri_to_path
from enrichd_tracker.model import FileStat

_KEPT_FILES = 64
_NEW_S = 60.0
MAX_BYTES = 16 * 1024 * 1024
"""What a server points at may be anything; a larger file has no lines."""
BOM = b"\xef\xbb\xbf"
"""No part of the text to the index, but the first character of the first line to servers."""


def is_new(uri: str, now: float) -> bool:
    """Whether the file was made or changed within the last minute, or is gone."""
    path = uri_to_path(uri)
    found = None if path is None else stat_of(path)
    return found is None or now - found.mtime_ns / 1e9 < _NEW_S


class Sources:
    """Lines of files, the last few kept."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, tuple[FileStat | None, Sequence[bytes]]] = OrderedDict()

    def lines(self, path: str) -> Sequence[bytes]:
        """The file's lines without their ends; empty when it can't be read."""
        found = stat_of(path, follow=True)
        known = self._files.get(path)
        if known is not None and known[0] == found:
            self._files.move_to_end(path)
            return known[1]
        content = read_regular(path, MAX_BYTES) or b""
        lines = content.removeprefix(BOM).splitlines()
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
