"""SQLite connections: the one writer, the readers, migrations, damaged files.

There is one writer a process and it is the only one that checkpoints; every other connection is
read-only and none maps memory. That keeps clear of the WAL-reset bug of SQLite before 3.51.3.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from enrichd_tracker.errors import (
    PermissionRefused,
    SchemaTooNew,
    StorageError,
    StoreDamaged,
    StoreUnavailable,
)
from enrichd_tracker.store.lock import refused

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
    scripts = sorted(Path(__file__).with_name("migrations").glob("*.sql"))
    return [script.read_text(encoding="utf-8") for script in scripts]


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
        raise refused(error, database.parent) from error
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
        # In KiB. Eight times as much is no faster, with all of Django: the system keeps pages, too.
        connection.execute("PRAGMA cache_size = -4096")
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
