"""What failed, how often, and when it is tried again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from enrichd.query.answers import SCHEMA_VERSION, moment, moment_or_none
from enrichd.query.select import chosen
from enrichd_tracker.enrichment import FailureRecord
from enrichd_tracker.model import Workspace
from enrichd_tracker.store.port import Reader


class FailureState(StrEnum):
    """Where a symbol stands whose last attempt failed."""

    BACKING_OFF = "backing-off"
    SKIPPED = "skipped"


class FailureView(Struct, frozen=True):
    """One symbol whose last attempt failed."""

    uid: str
    name: str
    kind: str
    workspace: str
    language: str
    file: str
    line: int
    state: FailureState
    attempts: int
    last_attempt_at: datetime
    next_retry_at: datetime | None
    operations: list[str]
    reason: str
    server: str


class FailureList(Struct, frozen=True):
    """A page of failures: those due first, then those skipped."""

    schema_version: int
    limit: int
    offset: int
    more: bool
    """There is another page."""
    failures: list[FailureView]


def failures(
    reader: Reader,
    *,
    state: FailureState | None = None,
    workspace: str | None = None,
    limit: int = 100,
    offset: int = 0,
) -> FailureList:
    """The failures in this state, or in any."""
    workspaces = chosen(reader, workspace)
    found = reader.failures(
        workspaces[0].id if workspace is not None else None,
        skipped=None if state is None else state is FailureState.SKIPPED,
        limit=limit + 1,
        offset=offset,
    )
    return FailureList(
        schema_version=SCHEMA_VERSION,
        limit=limit,
        offset=offset,
        more=len(found) > limit,
        failures=[view(record, workspaces) for record in found[:limit]],
    )


def view(record: FailureRecord, workspaces: Iterable[Workspace]) -> FailureView:
    """The record as it is shown."""
    names = {workspace.id: workspace.name for workspace in workspaces}
    return FailureView(
        uid=record.uid,
        name=record.name,
        kind=record.kind,
        workspace=names[record.lane.workspace_id],
        language=record.lane.language,
        file=record.file,
        line=record.line + 1,
        state=FailureState.SKIPPED if record.skipped else FailureState.BACKING_OFF,
        attempts=record.attempts,
        last_attempt_at=moment(record.last_attempt_at),
        next_retry_at=moment_or_none(record.next_retry_at),
        operations=[str(operation) for operation in record.operations],
        reason=record.reason,
        server=record.server,
    )
