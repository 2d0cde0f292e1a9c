"""What a commit would put on the disk, known before it is checked out."""

from __future__ import annotations

from collections.abc import Callable

from enrichd.sources.trouble import SourceError
from enrichd.sources.url import GitUrl

BLOCK_BYTES = 4096
"""An entry takes at least that; so nested trees of nothing have a limit too."""
MAX_PATH_BYTES = 1024
_SHOWN = 3
_SUBMODULE = b"160000"


class Damaged(Exception):
    """The repository does not hold what it should."""


class Tree:
    """Listens to ``git ls-tree -r -t -l -z``; raises ``too_large()``, SourceError, Damaged."""

    def __init__(
        self, url: GitUrl, *, room_bytes: int, too_large: Callable[[], SourceError]
    ) -> None:
        self._url = url
        self._room_bytes = room_bytes
        self._too_large = too_large
        self._rest = b""
        self._submodules: list[str] = []

    def heard(self, data: bytes) -> None:
        """A piece of the list."""
        *entries, self._rest = (self._rest + data).split(b"\0")
        for entry in entries:
            self._take(entry)
        if len(self._rest) > 2 * MAX_PATH_BYTES:
            raise self._path_too_long()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know."""
        if not self._submodules:
            return ()
        count, shown = len(self._submodules), ", ".join(self._submodules[:_SHOWN])
        more = ", ..." if count > _SHOWN else ""
        plural = "submodule is" if count == 1 else "submodules are"
        return (f"{count} {plural} left out: {shown}{more}",)

    def _take(self, entry: bytes) -> None:
        facts, _, path = entry.partition(b"\t")
        mode, _, _, size = facts.split()
        if mode == _SUBMODULE:
            text = path.decode(errors="replace")
            self._submodules.append("".join(each if each.isprintable() else " " for each in text))
        if size != b"-" and not size.isdigit():
            raise Damaged  # git writes BAD
        if len(path) > MAX_PATH_BYTES:
            raise self._path_too_long()
        blocks = -(-int(size) // BLOCK_BYTES) if size != b"-" else 1
        self._room_bytes -= max(blocks, 1) * BLOCK_BYTES
        if self._room_bytes < 0:
            raise self._too_large()

    def _path_too_long(self) -> SourceError:
        return SourceError(
            f"{self._url.text} holds a path of more than {MAX_PATH_BYTES:,} bytes",
            hint="such repositories are not taken; there may be harm in it",
        )
