"""How things stand: the document of `enrichd status --json` and of the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from enrichd.query import jobs
from enrichd.query.answers import (
    SCHEMA_VERSION,
    Advice,
    counted,
    moment_or_none,
    no_advice,
)
from enrichd.query.jobs import JobView
from enrichd.query.lanes import language_title
from enrichd_tracker.model import JobStatus, Lane, Operation, Workspace

if TYPE_CHECKING:
    from enrichd_tracker.store.port import Reader

STOPPED = "stopped"
_RECENT_JOBS = 5


class DaemonInfo(Struct, frozen=True):
    """Whether somebody keeps the graph current, and what it says of itself."""

    running: bool
    pid: int | None = None
    uptime_s: float | None = None
    version: str | None = None


class ServerInfo(Struct, frozen=True):
    """One language server of one workspace."""

    name: str
    language: str
    workspace: str
    version: str = ""
    state: str = STOPPED
    restarts: int = 0
    pid: int | None = None
    requests: int = 0
    failures: int = 0
    time_outs: int = 0
    in_flight: int = 0
    next_start_in_s: float | None = None
    last_error: str = ""
    install_hint: str = ""
    """Only where it is not installed."""


class LanguageStatus(Struct, frozen=True):
    """One language of a workspace."""

    language: str
    files: int
    orphans: int
    server: str | None
    version: str | None


class Freshness(Struct, frozen=True):
    """How far the graph of a workspace may be behind its files."""

    pending_changes: int
    """Paths that were touched and are not indexed as they are now."""
    lag_s: float
    """How long the oldest of them waits."""
    looked_at_s_ago: float | None
    """Since the last look at all files began; None while there was none."""
    watching: str
    """``events``, ``polling`` where the system tells of none, ``off`` where the root is gone."""


class WorkspaceStatus(Struct, frozen=True):
    """One workspace in numbers."""

    name: str
    root: str
    files: int
    symbols: int
    orphans: int
    enriched: int
    backing_off: int
    skipped: int
    edges: dict[str, int]
    outcomes: dict[str, int]
    parse: dict[str, int]
    errors: dict[str, int]
    """Open indexing errors by type."""
    indexed_at: datetime | None
    languages: list[LanguageStatus]
    freshness: Freshness | None = None
    """Only of a daemon that keeps the workspace current."""


class Status(Struct, frozen=True):
    """How things stand."""

    schema_version: int
    daemon: DaemonInfo
    workspaces: list[WorkspaceStatus]
    servers: list[ServerInfo]
    jobs: list[JobView]
    problems: list[str]
    """What a person should know or do, one line each."""


FreshnessOf = Callable[[int], Freshness | None]
"""Given a workspace's id."""


def unknown_freshness(workspace_id: int) -> None:
    """What to answer where nobody keeps the graph current."""
    del workspace_id


def build(
    reader: Reader,
    *,
    daemon: DaemonInfo | None,
    servers: Sequence[ServerInfo],
    now: float,
    advice: Advice = no_advice,
    freshness: FreshnessOf = unknown_freshness,
) -> Status:
    """The status of all workspaces.

    Without a daemon the servers are those that the graph was made with, and they are stopped.
    """
    known = reader.workspaces()
    workspaces = [_workspace(reader, workspace, freshness(workspace.id)) for workspace in known]
    shown = list(servers) if daemon is not None else _stopped(reader, known)
    recent = reader.runs.jobs(limit=_RECENT_JOBS)
    found = [*_problems(reader, known, workspaces, advice), *_server_problems(shown)]
    return Status(
        schema_version=SCHEMA_VERSION,
        daemon=daemon or DaemonInfo(running=False),
        workspaces=workspaces,
        servers=shown,
        jobs=[jobs.view(job, now=now) for job in recent],
        problems=list(dict.fromkeys(found)),
    )


def _workspace(
    reader: Reader, workspace: Workspace, freshness: Freshness | None
) -> WorkspaceStatus:
    counts = reader.counts(workspace.id)
    return WorkspaceStatus(
        name=workspace.name,
        root=workspace.root,
        files=counts.files,
        symbols=counts.symbols,
        orphans=counts.orphans,
        enriched=counts.enriched,
        backing_off=counts.backing_off,
        skipped=counts.skipped,
        edges=counts.edges,
        outcomes=counts.outcomes,
        parse=counts.parse,
        errors=reader.runs.error_counts(workspace.id),
        indexed_at=moment_or_none(counts.indexed_at),
        languages=_languages(reader, workspace),
        freshness=freshness,
    )


def _languages(reader: Reader, workspace: Workspace) -> list[LanguageStatus]:
    orphans = reader.orphans_by_language(workspace.id)
    required = {each.lane: each for each in reader.requirements()}
    rows = []
    for language, files in sorted(reader.languages(workspace.id).items()):
        server = required.get(Lane(workspace.id, language))
        rows.append(
            LanguageStatus(
                language=language,
                files=files,
                orphans=orphans.get(language, 0),
                server=server.server if server else None,
                version=server.version or None if server else None,
            )
        )
    return rows


def _stopped(reader: Reader, workspaces: Iterable[Workspace]) -> list[ServerInfo]:
    names = {workspace.id: workspace.name for workspace in workspaces}
    return [
        ServerInfo(
            name=each.server,
            language=each.lane.language,
            workspace=names[each.lane.workspace_id],
            version=each.version,
        )
        for each in reader.requirements()
        if each.lane.workspace_id in names
    ]


# What is wrong


def _problems(
    reader: Reader,
    known: list[Workspace],
    workspaces: list[WorkspaceStatus],
    advice: Advice,
) -> Iterator[str]:
    required = {each.lane: each for each in reader.requirements()}
    for workspace, status in zip(known, workspaces, strict=True):
        if not Path(workspace.root).is_dir():
            yield f"{workspace.name}: its root {workspace.root} is gone"
        if status.indexed_at is None:
            yield f"{workspace.name}: its first index run has not ended"
        for language in status.languages:
            server = required.get(Lane(workspace.id, language.language))
            if server is not None and not server.operations & Operation.DEFINITION.bit:
                yield f"{language.language}: {server.server} offers no definitions"
            if not language.orphans or (server is not None and server.version):
                continue
            told = advice(language.language)
            yield f"{language.language}: " + (
                told
                or (
                    f"{server.server} has not answered yet"
                    if server is not None
                    else f"no server for {language_title(language.language)} has answered yet"
                )
            )
        if status.skipped:
            yield (
                f"{workspace.name}: {counted(status.skipped, 'symbol')} skipped after repeated "
                "failures; see `enrichd failures --state skipped`"
            )
    newest = next(iter(reader.runs.jobs(limit=1)), None)
    if newest is not None and newest.status is JobStatus.FAILED:
        yield f"{newest.workspace}: the last index run failed: {newest.error_message}"


def _server_problems(servers: Iterable[ServerInfo]) -> Iterator[str]:
    for server in servers:
        if server.install_hint:
            yield f"{server.language}: {server.name} is not installed: {server.install_hint}"
        elif server.last_error and server.state not in {"ready", STOPPED}:
            yield f"{server.language}: {server.name} is {server.state}: {server.last_error}"
