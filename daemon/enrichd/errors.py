"""The errors that a person may meet; their root is the tracker's, so that the store shares it."""

from __future__ import annotations

from enrichd_tracker.errors import (
    AlreadyLocked,
    EnrichdError,
    ExitCode,
    PermissionRefused,
    SchemaTooNew,
    StorageError,
)

__all__ = [
    "AlreadyLocked",
    "AnswerIsNo",
    "ConfigError",
    "DaemonUnreachable",
    "EnrichdError",
    "ExitCode",
    "PermissionRefused",
    "SchemaTooNew",
    "StorageError",
    "UsageError",
]


class AnswerIsNo(EnrichdError):
    """The question was understood and the answer is no: no such symbol, ambiguous, degraded."""

    exit_code = ExitCode.NO


class UsageError(EnrichdError):
    """The command line or the request was wrong."""

    exit_code = ExitCode.USAGE


class DaemonUnreachable(EnrichdError):
    """The command needs a running daemon and there is none."""

    exit_code = ExitCode.UNAVAILABLE


class ConfigError(EnrichdError):
    """The configuration can't be used as it is."""

    exit_code = ExitCode.CONFIG
