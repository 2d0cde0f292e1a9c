"""The kernel's own queue of what happens to folders, read without waiting: inotify(7).

An event is in the queue before the system call that it tells of returns. So whoever reads the
queue empty knows of everything that was done before, which no library that gathers events can say.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator

from msgspec import Struct

_EVENT = struct.Struct("iIII")  # wd, mask, cookie, length of the name
_AT_ONCE_BYTES = 1 << 16
_MOST_READS = 64

_MODIFY = 0x2
_ATTRIB = 0x4
_MOVED = 0xC0
_CREATE = 0x100
_DELETE = 0x200
_DELETE_SELF = 0x400
_MOVE_SELF = 0x800
_ONLY_FOLDERS = 0x0100_0000
_IS_FOLDER = 0x4000_0000
_EVENTS = _MODIFY | _ATTRIB | _MOVED | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF | _ONLY_FOLDERS

# Whose changes all come through this kernel: ext2 to ext4, XFS, Btrfs, tmpfs, F2FS, ZFS, bcachefs.
_TOLD_OF = {0xEF53, 0x58465342, 0x9123683E, 0x01021994, 0xF2F52010, 0x2FC12FC1, 0xCA451A4E}
_STATFS_BYTES = 256


class Happened(Struct, frozen=True):
    """What was touched in a watched folder."""

    watch: int
    name: str
    """Empty: the folder itself, or nobody knows what: events were lost."""
    folder: bool
    """A folder bears the name, or bore it."""


class Inotify:
    """A queue of one's own. Raises OSError where the system gives none, or no more watches."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._descriptor < 0:
            raise _error("inotify")

    def add(self, folder: str) -> int:
        """Watch a folder; one that is watched already has the same number."""
        number = self._libc.inotify_add_watch(self._descriptor, os.fsencode(folder), _EVENTS)
        if number < 0:
            raise _error(folder)
        return int(number)

    def read(self) -> Iterator[Happened]:
        """All that happened before this call. Of more than can be read, that something is lost."""
        for _ in range(_MOST_READS):
            try:
                block = os.read(self._descriptor, _AT_ONCE_BYTES)
            except BlockingIOError:
                return
            at = 0
            while at < len(block):
                watch, mask, _, length = _EVENT.unpack_from(block, at)
                at += _EVENT.size
                name = os.fsdecode(block[at : at + length].rstrip(b"\0"))
                at += length
                yield Happened(watch, name, bool(mask & _IS_FOLDER))
        yield Happened(-1, "", folder=False)

    def close(self) -> None:
        """Watch nothing any more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def tells_all(folder: str) -> bool:
    """Whether the folder's file system is a local one: others can change without an event."""
    libc = ctypes.CDLL(None, use_errno=True)
    found = ctypes.create_string_buffer(_STATFS_BYTES)
    if libc.statfs(os.fsencode(folder), found) != 0:
        return False
    kind: int = ctypes.c_ulong.from_buffer(found).value & 0xFFFFFFFF
    return kind in _TOLD_OF


def _error(what: str) -> OSError:
    number = ctypes.get_errno() or errno.EIO
    return OSError(number, os.strerror(number), what)
