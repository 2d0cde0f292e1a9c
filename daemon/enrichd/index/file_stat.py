"""What a file is before anybody reads it: its fingerprint, and why it may be refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from enrichd_tracker.model import FileStat

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
}


def stat_of(path: Path) -> FileStat:
    """The fingerprint of a file by its name; raises OSError, does not follow a link."""
    return fingerprint(path.lstat())


def fingerprint(result: os.stat_result) -> FileStat:
    """What is kept of a stat, to tell later whether a file is still the same."""
    return FileStat(result.st_size, result.st_mtime_ns, result.st_ino)


def not_regular(mode: int) -> str:
    """The message for something that is never opened."""
    return f"not a regular file but {_KINDS.get(stat.S_IFMT(mode), 'something else')}"


def too_large(size: int, max_file_bytes: int) -> str:
    """The message for a file over the limit."""
    return (
        f"too large: {size:,} bytes, the limit is {max_file_bytes:,}"
        " ([index] max_file_bytes raises it)"
    )
