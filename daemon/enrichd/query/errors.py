"""What went wrong while indexing, as it is shown."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from enrichd.query.answers import SCHEMA_VERSION, moment
from enrichd.query.select import chosen
from enrichd_tracker.model import ErrorType
from enrichd_tracker.store.port import Reader
from enrichd_tracker.store.port_runs import ErrorCount, ErrorQuery, StoredError

STATUSES = ("open", "resolved", "ignored", "all")
TYPES = tuple(map(str, ErrorType))


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
    errors: list[ErrorView]


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


def errors(reader: Reader, wanted: Wanted, *, limit: int = 100, offset: int = 0) -> ErrorList:
    """A page of the errors."""
    found = reader.runs.errors(wanted.of(reader), limit + 1, offset)
    return ErrorList(
        schema_version=SCHEMA_VERSION,
        limit=limit,
        offset=offset,
        more=len(found) > limit,
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
