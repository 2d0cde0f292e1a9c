"""SQLite connections: the lock, the one writer, the readers, migrations, damaged files.

There is one writer a process and it is the only one that checkpoints; every other connection is
read-only and none maps memory. That keeps clear of the WAL-reset bug of SQLite before 3.51.3.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from enrichd_tracker.errors import (
    AlreadyLocked,
    PermissionRefused,
    SchemaTooNew,
    StorageError,
    StoreDamaged,
    StoreUnavailable,
)

P = ParamSpec("P")
T = TypeVar("T")

_BUSY_TIMEOUT_S = 1.0
"""The daemon tries again by itself: while its thread waits here, nobody else is served by it."""
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_REFUSED = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
_JUST_NOW = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
}


def migrations() -> list[str]:
    """The scripts that make the schema, in order: the n-th leads to ``user_version`` n."""
    folder = resources.files("enrichd_tracker.store") / "migrations"
    scripts = sorted((each for each in folder.iterdir() if each.name.endswith(".sql")), key=str)
    return [script.read_text(encoding="utf-8") for script in scripts]


def _refused(error: OSError, path: Path) -> StorageError | PermissionRefused:
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
            raise _refused(error, self._path) from error
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
            raise _refused(error, self._path) from error
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


def connect_reader(database: Path) -> sqlite3.Connection:
    """A read-only connection, to be used on the thread that asked for it."""
    if not database.exists():
        raise StorageError(
            f"there is no database at {database}",
            hint="make one with `enrichd index PATH`, or name another with --db",
        )
    try:
        connection = _connect(f"{database.absolute().as_uri()}?mode=ro")
    except sqlite3.Error as error:
        raise translate(error, database) from error
    try:
        connection.execute("PRAGMA query_only = 1")
        _check_version(connection, database)
    except sqlite3.Error as error:
        connection.close()
        raise translate(error, database) from error
    except BaseException:
        connection.close()
        raise
    return connection


def connect_writer(
    database: Path, *, aside: str, on_damage: Callable[[Path], None] = lambda _: None
) -> sqlite3.Connection:
    """The writing connection, with the schema up to date.

    A file that is damaged is renamed with the suffix ``aside``, told to ``on_damage``, and a new
    one begun: the sources are the truth and the graph can be made again.
    """
    try:
        database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _refused(error, database.parent) from error
    try:
        return _open_writer(database)
    except StoreDamaged:
        for suffix in ("", "-wal", "-shm"):
            file = database.with_name(database.name + suffix)
            if file.exists():
                file.rename(database.with_name(f"{database.name}.{aside}{suffix}"))
        on_damage(database.with_name(f"{database.name}.{aside}"))
        suspicion(database).unlink(missing_ok=True)
        return _open_writer(database)


def suspicion(database: Path) -> Path:
    """The file that says that damage was met: the next start looks at the whole database.

    Without it a database that closes cleanly, damaged as it is, would fail again for ever.
    """
    return database.with_name(database.name + ".suspect")


def _open_writer(database: Path) -> sqlite3.Connection:
    # Closed cleanly or not, it may have been damaged since; quick_check takes 2 ms a megabyte.
    check = "integrity_check" if suspicion(database).exists() else "quick_check"
    connection: sqlite3.Connection | None = None
    try:
        connection = _connect(f"{database.absolute().as_uri()}?mode=rwc")
        if connection.execute(f"PRAGMA {check}(1)").fetchone()[0] != "ok":
            raise StoreDamaged(f"{database} is damaged")
        suspicion(database).unlink(missing_ok=True)
        version = _check_version(connection, database)
        if version == 0 and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise StorageError(
                f"{database} is a database, but not one of enrichd", hint="choose another --db"
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -32768")
        connection.execute("PRAGMA mmap_size = 0")
        _migrate(connection, version)
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise translate(error, database) from error
    except BaseException:
        if connection is not None:
            connection.close()
        raise
    return connection


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(
        uri,
        uri=True,
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )


def _check_version(connection: sqlite3.Connection, database: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    known = len(migrations())
    if version > known:
        raise SchemaTooNew(
            f"{database} has schema version {version}; this enrichd knows up to {known}",
            hint="upgrade enrichd, or choose another database",
        )
    return version


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    for number, script in enumerate(migrations()[version:], start=version + 1):
        # One transaction each: killed at any statement, the next start begins this one again.
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _statements(script: str) -> list[str]:
    statements, current = [], ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    return [*statements, current] if current.strip() else statements


def translate(error: sqlite3.Error, database: Path) -> StorageError | PermissionRefused:
    """What an error of SQLite means to who called."""
    # The low byte is the primary code; an error of Python's own module has none.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _DAMAGED:
        return StoreDamaged(f"{database} is damaged: {error}")
    if code in _REFUSED:
        return PermissionRefused(
            f"cannot open {database}: {error}", hint="check the permissions of it and its folder"
        )
    if code in _JUST_NOW:
        return StoreUnavailable(f"{database}: {error}")
    return StorageError(f"{database}: {error}")


def transaction(
    connection: sqlite3.Connection,
    function: Callable[Concatenate[sqlite3.Connection, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run ``function`` as one transaction: all of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = function(connection, *args, **kwargs)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result
