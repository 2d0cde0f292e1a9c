"""When a batch of files can't be written: all but the one whose rows are at fault."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable

from enrichd_tracker.errors import StorageError, StoreDamaged, StoreUnavailable
from enrichd_tracker.indexing_errors import MAX_MESSAGE_CHARS, MAX_TRACEBACK_CHARS, kept
from enrichd_tracker.model import ErrorType, Failure, FileStat, ParsedFile, ParseStatus, Stage
from enrichd_tracker.store.port import Stored

_TO_BE_READ_AGAIN = FileStat(0, 0, 0)

Write = Callable[[list[ParsedFile], list[str]], Awaitable[Stored]]
"""Stores files and forgets paths, as one transaction."""


async def store_what_can_be(write: Write, files: list[ParsedFile], removed: list[str]) -> Stored:
    """Write all as one; where that is refused, file by file.

    A file whose rows can't be written is an error of its own then, and is read again by the next
    run. Raises what keeps everything from being written: the trouble is the database's.
    """
    try:
        return await write(files, removed)
    except (StoreUnavailable, StoreDamaged):
        raise
    except Exception:
        if not files:
            raise
    stored = await write([], removed)
    for file in files:
        try:
            one = await write([file], [])
        except (StoreUnavailable, StoreDamaged):
            raise
        except Exception as problem:
            failure = _why(problem)
            one = await write([_without_rows(file, failure)], [])
            stored.unwritten[file.path] = failure
        stored.files += one.files
        stored.symbols += one.symbols
        stored.reopened += one.reopened
        stored.had_failed += one.had_failed
    return stored


def _why(problem: Exception) -> Failure:
    text = str(problem)
    if not isinstance(problem, StorageError):
        text = f"{type(problem).__name__}: {problem}"
    message = f"could not be written to the database: {text}"
    trace = "".join(traceback.format_exception(problem))[-MAX_TRACEBACK_CHARS:]
    return Failure(
        ErrorType.PERSISTENCE,
        Stage.STORING,
        kept(message, MAX_MESSAGE_CHARS),
        kept(trace, MAX_TRACEBACK_CHARS),
    )


def _without_rows(file: ParsedFile, failure: Failure) -> ParsedFile:
    return ParsedFile(
        file.path, file.language, _TO_BE_READ_AGAIN, b"", ParseStatus.ERROR, failure=failure
    )
