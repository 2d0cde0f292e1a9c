"""A look at a database from outside: one reader, one state of it, for one whole answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from enrichd_tracker.errors import EnrichdError, StorageError, StoreDamaged
from enrichd_tracker.store.connection import connect_reader, migrations, translate
from enrichd_tracker.store.reader import SqliteReader


@contextmanager
def reading(database: Path) -> Iterator[SqliteReader]:
    """A reader whose questions all see the same state, whoever writes meanwhile.

    Raises what ``connect_reader`` raises, and StorageError for what is no enrichd database.
    """
    if database.is_dir():
        raise StorageError(f"{database} is a folder, not a database", hint="name a file with --db")
    try:
        with closing(connect_reader(database)) as connection:
            if schema_version(connection) == 0:
                raise _foreign(database)
            connection.execute("BEGIN")
            yield SqliteReader(connection)
    except sqlite3.Error as error:
        if "no such table" in str(error):
            raise _foreign(database) from error
        raise _curable(translate(error, database)) from error
    except StoreDamaged as error:
        _curable(error)
        raise


def _curable(error: EnrichdError) -> EnrichdError:
    """A damaged database is not the end: files are the truth."""
    if isinstance(error, StoreDamaged) and error.hint is None:
        error.hint = "move it away and index again: all that it holds can be made from the files"
    return error


def _foreign(database: Path) -> StorageError:
    return StorageError(
        f"{database} is not a database of enrichd",
        hint="make one with `enrichd index PATH`, or name another with --db",
    )


def schema_version(connection: sqlite3.Connection) -> int:
    """Which migration the database has reached."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def schema_of(database: Path) -> tuple[int, int]:
    """The schema version of a database, and the one that this enrichd writes."""
    with closing(connect_reader(database)) as connection:
        return schema_version(connection), len(migrations())


def sqlite_version() -> str:
    """Of the library that this Python is linked with."""
    return sqlite3.sqlite_version
