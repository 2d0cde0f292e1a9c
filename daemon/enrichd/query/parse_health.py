"""How well the files parsed: by language, file by file, and from run to run."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from msgspec.structs import asdict

from enrichd.query.answers import SCHEMA_VERSION, moment
from enrichd.query.select import chosen
from enrichd_tracker.model import Workspace
from enrichd_tracker.parse_results import clean_ratio
from enrichd_tracker.store.port import Reader
from enrichd_tracker.store.port_runs import ParseCount, ParseRun, StoredParseResult


class LanguageHealth(ParseCount, frozen=True):
    """The files of one language by how they parsed."""

    clean_ratio: float | None
    """The share that parsed cleanly, of those that can be parsed; None where there are none."""


class RunHealth(Struct, frozen=True):
    """How the files stood after a run."""

    job_id: str
    at: datetime
    commit: str | None
    ok: int
    partial: int
    error: int
    unsupported: int
    clean_ratio: float | None


class WorkspaceHealth(Struct, frozen=True):
    """One workspace."""

    workspace: str
    clean_ratio: float | None
    languages: list[LanguageHealth]
    history: list[RunHealth]
    """The newest run first."""


class Stats(Struct, frozen=True):
    """Every workspace."""

    schema_version: int
    workspaces: list[WorkspaceHealth]


class FileHealth(Struct, frozen=True):
    """How one file parsed."""

    file: str
    language: str
    status: str
    error_lines: list[int]
    """The first ten, from 1."""
    error_count: int
    lost_bytes: int
    lost_ratio: float
    message: str
    parsed_at: datetime


class ParseResults(Struct, frozen=True):
    """A page of files of a workspace, in order of their paths."""

    schema_version: int
    workspace: str
    limit: int
    offset: int
    more: bool
    """There is another page."""
    files: list[FileHealth]


def stats(reader: Reader, workspace: str | None = None, *, runs: int = 10) -> Stats:
    """How well everything parsed, with so many runs of history."""
    return Stats(
        SCHEMA_VERSION, [_workspace(reader, each, runs) for each in chosen(reader, workspace)]
    )


def parse_results(
    reader: Reader,
    workspace: str,
    *,
    status: str | None = None,
    language: str | None = None,
    path: str | None = None,
    limit: int = 100,
    offset: int = 0,
) -> ParseResults:
    """Files by how they parsed; ``path`` is a glob. Raises AnswerIsNo: no such workspace."""
    found = reader.runs.parse_results(
        chosen(reader, workspace)[0].id,
        status=status,
        language=language,
        path=path,
        limit=limit + 1,
        offset=offset,
    )
    return ParseResults(
        schema_version=SCHEMA_VERSION,
        workspace=workspace,
        limit=limit,
        offset=offset,
        more=len(found) > limit,
        files=[_file(each) for each in found[:limit]],
    )


def _share(ok: int, partial: int, error: int) -> float | None:
    ratio = clean_ratio(ok, partial, error)
    return None if ratio is None else round(ratio, 4)


def _workspace(reader: Reader, workspace: Workspace, runs: int) -> WorkspaceHealth:
    counts = reader.runs.parse_counts(workspace.id)
    return WorkspaceHealth(
        workspace=workspace.name,
        clean_ratio=_share(
            sum(each.ok for each in counts),
            sum(each.partial for each in counts),
            sum(each.error for each in counts),
        ),
        languages=[
            LanguageHealth(**asdict(each), clean_ratio=_share(each.ok, each.partial, each.error))
            for each in counts
        ],
        history=[_run(each) for each in reader.runs.parse_history(workspace.id, runs)],
    )


def _run(run: ParseRun) -> RunHealth:
    return RunHealth(
        job_id=run.job_id,
        at=moment(run.at),
        commit=run.commit,
        ok=run.ok,
        partial=run.partial,
        error=run.error,
        unsupported=run.unsupported,
        clean_ratio=_share(run.ok, run.partial, run.error),
    )


def _file(result: StoredParseResult) -> FileHealth:
    return FileHealth(
        file=result.path,
        language=result.language,
        status=result.status,
        error_lines=result.error_lines,
        error_count=result.error_count,
        lost_bytes=result.lost_bytes,
        lost_ratio=round(result.lost_bytes / result.size, 4) if result.size else 0.0,
        message=result.message,
        parsed_at=moment(result.parsed_at),
    )
