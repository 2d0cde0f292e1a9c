"""The one root of errors that a person may meet, each with an exit code and a hint."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process says to its caller; the numbers above 1 are those of sysexits.h."""

    OK = 0
    NO = 1
    USAGE = 64
    UNAVAILABLE = 69
    SOFTWARE = 70
    IO = 74
    LOCKED = 75
    PERMISSION = 77
    CONFIG = 78


class EnrichdError(Exception):
    """Something went wrong that a person can act on.

    The message says what happened and where; ``hint`` says what to do about it.
    """

    exit_code: ExitCode = ExitCode.SOFTWARE

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class StorageError(EnrichdError):
    """A file, a folder or the disk did not do what was asked."""

    exit_code = ExitCode.IO


class AlreadyLocked(EnrichdError):
    """Another instance owns the database."""

    exit_code = ExitCode.LOCKED
    owner_is_gone = False
    """It died just now; a process that it was about to start may have its lock for a moment."""


class PermissionRefused(EnrichdError):
    """The operating system refused."""

    exit_code = ExitCode.PERMISSION


class SchemaTooNew(EnrichdError):
    """The database was written by a newer enrichd."""

    exit_code = ExitCode.CONFIG


class StoreUnavailable(StorageError):
    """The database can't be written just now (locked, disk full); nothing was lost, ask again."""


class StoreDamaged(StorageError):
    """The database is not a readable SQLite file any more; a start sets it aside and rebuilds."""
