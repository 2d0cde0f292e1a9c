"""What went wrong while indexing, as it is shown."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from enrichd.errors import AnswerIsNo
from enrichd.query.answers import SCHEMA_VERSION, moment
from enrichd.query.select import chosen
from enrichd_tracker.store.port import Reader
from enrichd_tracker.store.port_runs import ErrorCount, ErrorPlace, ErrorQuery, StoredError


class ErrorStatus(StrEnum):
    """Which errors are wanted: by whether their file has succeeded since."""

    OPEN = "open"
    RESOLVED = "resolved"
    IGNORED = "ignored"
    ALL = "all"


PLACE = r"^[0-9]{1,12}\.[0-9]{1,17}-[0-9]{1,18}$"
"""How ``next`` and ``before`` are written."""


class ErrorView(Struct, frozen=True):
    """One error of one file; the same again is counted."""

    id: int
    workspace: str
    file: str
    error_type: str
    stage: str
    language: str
    message: str
    traceback: str
    recoverable: bool
    status: str
    count: int
    first_seen: datetime
    last_seen: datetime


class ErrorList(Struct, frozen=True):
    """A page of errors, those last seen first."""

    schema_version: int
    limit: int
    offset: int
    more: bool
    """There is another page."""
    next: str | None
    """What to give for ``before`` to get it, whatever comes in meanwhile."""
    errors: list[ErrorView]


class OneError(Struct, frozen=True):
    """An error as it is now."""

    schema_version: int
    error: ErrorView


class ErrorSummary(Struct, frozen=True):
    """How many errors there are, in all and of each type."""

    schema_version: int
    errors: int
    types: list[ErrorCount]


class Wanted(Struct, frozen=True):
    """Which errors; what is None does not matter."""

    workspace: str | None = None
    error_type: str | None = None
    language: str | None = None
    path: str | None = None
    status: str = "open"
    since: float | None = None
    """Seen at that time or later, in seconds since the epoch."""

    def of(self, reader: Reader) -> ErrorQuery:
        """Raises AnswerIsNo where there is no such workspace."""
        return ErrorQuery(
            workspace_id=chosen(reader, self.workspace)[0].id if self.workspace else None,
            error_type=self.error_type,
            language=self.language,
            path=self.path,
            status=None if self.status == "all" else self.status,
            since=self.since,
        )


def errors(
    reader: Reader,
    wanted: Wanted,
    *,
    limit: int = 100,
    offset: int = 0,
    before: str | None = None,
) -> ErrorList:
    """A page of the errors; ``before`` is the ``next`` of the page before it."""
    place = None if before is None else _place(before)
    found = reader.runs.errors(wanted.of(reader), limit + 1, offset, place)
    more = len(found) > limit
    return ErrorList(
        schema_version=SCHEMA_VERSION,
        limit=limit,
        offset=offset,
        more=more,
        next=f"{found[limit - 1].last_seen!r}-{found[limit - 1].id}" if more else None,
        errors=[_view(each) for each in found[:limit]],
    )


def summary(reader: Reader, wanted: Wanted) -> ErrorSummary:
    """How many there are of each type."""
    found = reader.runs.error_summary(wanted.of(reader))
    return ErrorSummary(
        schema_version=SCHEMA_VERSION,
        errors=sum(each.errors for each in found),
        types=found,
    )


def error(reader: Reader, error_id: int, workspace: str | None = None) -> OneError:
    """The error of this id; raises AnswerIsNo where there is none."""
    workspace_id = chosen(reader, workspace)[0].id if workspace is not None else None
    wanted = ErrorQuery(workspace_id=workspace_id, id=error_id, status=None)
    found = reader.runs.errors(wanted, 1)
    if not found:
        where = "" if workspace is None else f" in {workspace}"
        raise AnswerIsNo(
            f"there is no error {error_id}{where}", hint="`enrichd errors --status all` has them"
        )
    return OneError(SCHEMA_VERSION, _view(found[0]))


def _place(text: str) -> ErrorPlace:
    seen, _, error_id = text.partition("-")
    return float(seen), int(error_id)


def _view(error: StoredError) -> ErrorView:
    return ErrorView(
        id=error.id,
        workspace=error.workspace,
        file=error.path,
        error_type=error.error_type,
        stage=error.stage,
        language=error.language,
        message=error.message,
        traceback=error.traceback,
        recoverable=error.recoverable,
        status=error.status,
        count=error.count,
        first_seen=moment(error.first_seen),
        last_seen=moment(error.last_seen),
    )
