"""One run over a workspace, and all that hangs on it: its job, its servers, what is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from posixpath import dirname

import structlog

from enrichd.clock import Clock
from enrichd.embed.service import Embedding
from enrichd.enrich.service import Enrichment
from enrichd.errors import EnrichdError
from enrichd.index.job import PLAN, JobRecord, RunResult, end_badly
from enrichd.index.run import IndexOptions, IndexRun
from enrichd.index.scope import Scope
from enrichd.index.survey import Tree
from enrichd.lsp.documents import ChangeKind
from enrichd.metrics import Metrics
from enrichd.query.answers import counted
from enrichd.report import Progress
from enrichd.watch.kept import Kept
from enrichd.watch.vigil import Vigil
from enrichd_tracker.errors import StoreDamaged
from enrichd_tracker.jobs import Ground, Level
from enrichd_tracker.model import JobStatus, Stage, Workspace
from enrichd_tracker.store.port import Store

_log = structlog.get_logger()


class Runs:
    """Makes runs, and tells everybody who has to know."""

    def __init__(
        self,
        *,
        store: Store,
        enrichment: Enrichment,
        clock: Clock,
        metrics: Metrics,
        owner: str,
        options: Callable[[Workspace], IndexOptions],
        on_languages: Callable[[Workspace, set[str]], Awaitable[None]],
        embedding: Callable[[], Embedding | None] = lambda: None,
    ) -> None:
        """``embedding``: the stage, where it is configured just now."""
        self.owner = owner
        """Who holds the leases of the jobs."""
        self.count = 0
        """How many runs found something to do."""
        self._store = store
        self._enrichment = enrichment
        self._clock = clock
        self._metrics = metrics
        self._options = options
        self._on_languages = on_languages
        self._embedding = embedding

    @property
    def embeds(self) -> bool:
        """Whether embedding is a stage of jobs."""
        return self._embedding() is not None

    def vigil(self, workspace: Workspace) -> Vigil:
        """Over the files of the workspace, once it is run."""
        return Vigil(workspace, self._store, self._clock)

    async def is_new(self, workspace: Workspace) -> bool:
        """Whether no run over the workspace has come to its end yet."""
        return await self._store.read(lambda reader: reader.indexed_at(workspace.id) is None)

    def record(
        self,
        workspace: Workspace,
        *,
        progress: Progress | None = None,
        job_id: str | None = None,
        plan: Sequence[Stage] = PLAN,
    ) -> JobRecord:
        """What will be a job over the workspace."""

        def ground() -> Ground:
            root = Path(workspace.root)
            gone = None if root.is_dir() else f"{root} is gone, or no folder any more"
            return Ground(database=self._store.displaced(), root=gone)

        return JobRecord(
            self._store,
            workspace,
            clock=self._clock,
            owner=self.owner,
            progress=progress,
            ground=ground,
            job_id=job_id,
            plan=_with_embedding(plan) if self.embeds else plan,
            on_end=self._count,
        )

    async def run(
        self,
        kept: Kept,
        record: JobRecord,
        paths: frozenset[str] | None,
        scope: Scope | None = None,
        *,
        more_to_come: bool = False,
    ) -> None:
        """Index what changed, or what is in the scope; the caller holds the workspace's lock.

        With ``more_to_come`` a job for which all goes well is left to be ended by the caller.
        Raises what the run raises, when its job has ended.
        """
        workspace, result = kept.workspace, record.result
        run = IndexRun(
            self._store,
            workspace,
            self._options(workspace),
            clock=self._clock,
            record=record,
            before_change=lambda: self._enrichment.pause(workspace.id),
            storing=kept.vigil.storing,
        )
        with kept.turn(record):
            try:
                await run.run(paths, kept.tree, scope)
                if record.has_begun:
                    await record.validate()
                    if not (more_to_come and result.status is JobStatus.COMPLETED):
                        await record.end()
            except asyncio.CancelledError as error:
                await end_badly(record, error)
                self._enrichment.resume(workspace.id, result.forgotten, result.touched)
                raise
            except BaseException as error:
                await end_badly(record, error)
                await self._after(workspace, result, kept.tree)
                raise
        await self._after(workspace, result, kept.tree)
        kept.seen = kept.seen or scope is None or not scope.is_partial
        kept.tree = result.tree or kept.tree

    async def finish(self, workspace: Workspace, record: JobRecord) -> None:
        """What is left of a job when others may index again."""
        if record.has_ended or not (record.has_begun or self.embeds):
            return
        try:
            await self.embed_into(workspace, record)
            await record.end()
        except StoreDamaged:
            raise
        except EnrichdError as error:
            await end_badly(record, error)
            _log.error("embedding failed", action="embed_failed", error=error.message)
        except BaseException as error:
            await end_badly(record, error)
            raise

    async def embed_into(self, workspace: Workspace, record: JobRecord) -> None:
        """Embed what has changed, as a stage of the job; nothing where that is not configured."""
        if (embedding := self._embedding()) is None:
            return
        begun = False

        async def report(done: int, total: int, current: str) -> None:
            nonlocal begun
            if not begun:
                begun = True
                await record.stage(Stage.EMBEDDING, total)
            await record.advance(done, total, current, last=done == total)

        result = await embedding.run(workspace, report)
        if result.problem:
            record.note(Level.WARNING, f"not all is embedded: {result.problem}")
        if result.failed:
            record.note(Level.WARNING, f"{counted(result.failed, 'symbol')} can't be embedded")

    async def _after(self, workspace: Workspace, result: RunResult, before: Tree | None) -> None:
        if result.job_id is not None:
            self.count += 1
            await self._enrichment.files_changed(
                workspace.id,
                [
                    *_folder_changes(workspace.root, result, before),
                    *((path, ChangeKind.CREATED) for path in result.created),
                    *((path, ChangeKind.CHANGED) for path in result.changed),
                    *((path, ChangeKind.DELETED) for path in result.removed),
                ],
            )
            _log.info(
                "indexed",
                action="indexed",
                workspace=workspace.name,
                changed=len(result.created) + len(result.changed),
                removed=len(result.removed),
                failed=result.failed,
                seconds=round(result.seconds, 3),
                error=result.error,
            )
        try:
            await self._on_languages(workspace, set(result.languages))
        finally:
            self._enrichment.resume(workspace.id, result.forgotten, result.touched)

    def _count(self, result: RunResult) -> None:
        """Of a job that has ended."""
        self._metrics.jobs.labels(result.status).inc()
        for stage, seconds in result.stage_seconds.items():
            self._metrics.stage_duration.labels(stage).observe(seconds)
        if result.status is JobStatus.COMPLETED and not (result.created or result.changed):
            self._metrics.jobs_zero_files.inc()
        for kind, n in result.errors.items():
            self._metrics.indexing_errors.labels(kind).inc(n)


def _folder_changes(
    root: str, result: RunResult, before: Tree | None
) -> list[tuple[str, ChangeKind]]:
    """The folders that came and went with the files.

    ty looks once whether a module is a folder, and believes it until it is told of the folder.
    """
    if result.tree is None:
        return []
    there = result.tree.folders
    if before is not None:
        created, gone = there - before.folders, before.folders - there
    else:
        created, gone = there & {dirname(path) for path in result.created}, frozenset[str]()
    return [
        *((path, ChangeKind.DELETED) for path in sorted(gone) if not Path(root, path).is_dir()),
        *((path, ChangeKind.CREATED) for path in sorted(created)),
    ]


def _with_embedding(plan: Sequence[Stage]) -> tuple[Stage, ...]:
    """It comes last but for enriching."""
    before = [stage for stage in plan if stage is not Stage.ENRICHING]
    return (*before, Stage.EMBEDDING, *plan[len(before) :])
