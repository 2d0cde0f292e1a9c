"""The database's lock file: one process writes at a time, and everybody can see which one.

Apart from the database itself: who only asks the daemon needs to know it, and needs no SQLite.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path

from enrichd_tracker.errors import (
    AlreadyLocked,
    PermissionRefused,
    StorageError,
    StoreUnavailable,
)


def refused(error: OSError, path: Path) -> StorageError | PermissionRefused:
    """What it means to who called that the system did not let this be written."""
    message = f"cannot write {path}: {error.strerror}"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return PermissionRefused(message, hint="check the permissions of it and its folder")
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        return StoreUnavailable(message)
    return StorageError(message)


class Lock:
    """The database's lock file: who holds it is the only process that may write.

    It also knows whether the database is still the file that was opened.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._opened: tuple[int, int] | None = None
        self._path = database.with_name(database.name + ".lock")
        self._file: int | None = None

    def acquire(self) -> None:
        """Take it, or raise AlreadyLocked naming the process that has it."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise refused(error, self._path) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            owner = os.read(file, 32).decode(errors="replace").strip()
            os.close(file)
            raise _taken(self._path.with_suffix(""), owner) from None
        except OSError as error:
            os.close(file)
            raise refused(error, self._path) from error
        self._file = file

    def remember(self) -> None:
        """The database is open now."""
        self._opened = _identity(self._database)

    def displaced(self) -> str | None:
        """Why what is written to the database is lost; None as long as it is in its place."""
        now = _identity(self._database)
        if now == self._opened:
            return None
        what = "is gone" if now is None else "is another file now"
        return (
            f"the database {self._database} {what}: what is written here is lost, restart enrichd"
        )

    def release(self) -> None:
        """Give it back; the file stays, since removing it would race with the next taker."""
        if self._file is not None:
            with suppress(OSError):
                os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _taken(database: Path, owner: str) -> AlreadyLocked:
    who = f"process {owner}" if owner else "another process"
    error = AlreadyLocked(
        f"{database} is in use by {who}",
        hint="ask the running enrichd, or stop it, or choose another --db",
    )
    error.owner_is_gone = _is_gone(owner)
    return error


def _is_gone(owner: str) -> bool:
    """Whether there is no such process, as far as can be seen from here."""
    if not owner.isdigit():
        return False
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False


def require_free(database: Path) -> None:
    """Raise AlreadyLocked where another process writes just now; cheap, and promises nothing."""
    if (owner := holder(database)) is not None:
        error = _taken(database, str(owner))
        if not error.owner_is_gone:
            raise error


def holder(database: Path) -> int | None:
    """The process that writes to the database just now, if there is one."""
    try:
        file = os.open(database.with_name(database.name + ".lock"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(file, 32).decode(errors="replace").strip()
        return int(text) if text.isdigit() else None
    finally:
        os.close(file)
    return None
