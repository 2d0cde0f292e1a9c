"""Files as they stand on disk: their fingerprint, why one may be refused, is it as indexed."""

from __future__ import annotations

import os
import stat
from enum import StrEnum
from hashlib import blake2b

from enrichd_tracker.model import FileStat, KnownFile

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
}


class OnDisk(StrEnum):
    """How a file stands to the one that was indexed."""

    SAME = "same"
    CHANGED = "changed"  # and it can be seen from its size, time or inode
    DRIFTED = "drifted"  # its content is another, and nothing shows it
    UNREADABLE = "unreadable"


def stat_of(path: str | os.PathLike[str], *, follow: bool = False) -> FileStat | None:
    """What tells cheaply whether a file is the one that was read; None when it is gone.

    A link is itself, unless it is followed: the file behind it lies somewhere else.
    """
    try:
        found = os.stat(path, follow_symlinks=follow)  # noqa: PTH116 (hot: twice for each symbol)
    except (OSError, ValueError):
        return None
    return fingerprint(found)


def fingerprint(result: os.stat_result) -> FileStat:
    """What is kept of a stat, to tell later whether a file is still the same."""
    return FileStat(result.st_size, result.st_mtime_ns, result.st_ino)


def identity_of(path: str | os.PathLike[str], *, follow: bool = True) -> tuple[int, int] | None:
    """Device and inode, whatever stands in it; None when there is nothing."""
    try:
        found = os.stat(path, follow_symlinks=follow)  # noqa: PTH116 (hot: at each question)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def read_regular(path: str | os.PathLike[str], most_bytes: int) -> bytes | None:
    """The content of a regular file; None where it can't be read, is larger, or is no such file.

    A FIFO would block, and a device may mind being opened. Memory is asked for what there is:
    ``read(most_bytes)`` takes so much at once, however small the file.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 (hot: each file that is asked about)
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        with open(descriptor, "rb") as file:  # noqa: PTH123 (a FIFO must not block)
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size > most_bytes:
                return None
            return file.read(found.st_size + 1)
    except (OSError, ValueError):
        return None


def look_at(path: str | os.PathLike[str], known: KnownFile) -> tuple[OnDisk, bytes]:
    """Whether the file is what was indexed, and if it is, its content byte for byte.

    A link is not followed. Blocks, so it is for a thread.
    """
    if stat_of(path) != known.stat:
        return OnDisk.CHANGED, b""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
        with open(descriptor, "rb") as file:  # noqa: PTH123 (a link must not be followed)
            content = file.read(known.stat.size + 1)
    except (OSError, ValueError):
        return OnDisk.UNREADABLE, b""
    if blake2b(content, digest_size=len(known.digest)).digest() == known.digest:
        return OnDisk.SAME, content
    # It may have been written while it was read.
    return (OnDisk.DRIFTED if stat_of(path) == known.stat else OnDisk.CHANGED), b""


def not_regular(mode: int) -> str:
    """The message for something that is never opened."""
    return f"not a regular file but {_KINDS.get(stat.S_IFMT(mode), 'something else')}"


def too_large(size: int, max_file_bytes: int) -> str:
    """The message for a file over the limit."""
    return (
        f"too large: {size:,} bytes, the limit is {max_file_bytes:,}"
        " ([index] max_file_bytes raises it)"
    )
