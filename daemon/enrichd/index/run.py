"""One indexing run over a workspace: look, parse what changed, store it; tell of it as a job."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Mapping
from contextlib import aclosing
from types import MappingProxyType

from msgspec import Struct, field

from enrichd.clock import Clock
from enrichd.index.git import commit_of
from enrichd.index.languages import languages
from enrichd.index.naming import module_name
from enrichd.index.parse import ParseRequest
from enrichd.index.pool import ParserPool
from enrichd.index.survey import Survey, Tree, survey, survey_at
from enrichd.report import Progress
from enrichd_tracker.errors import EnrichdError, StoreUnavailable
from enrichd_tracker.indexing_errors import MAX_MESSAGE_CHARS, kept
from enrichd_tracker.jobs import JobResult, conclude
from enrichd_tracker.model import (
    Failure,
    JobStatus,
    ParsedFile,
    ParseStatus,
    Stage,
    Workspace,
)
from enrichd_tracker.store.port import Store

_REPORT_EVERY_S = 1.0
_END_ATTEMPTS = 5
_END_AGAIN_S = 1.0


class IndexOptions(Struct, frozen=True):
    """What the configuration says about indexing a workspace."""

    exclude: tuple[str, ...]
    max_file_bytes: int
    parse_processes: int
    papers: frozenset[str] = frozenset()
    """Files of the root that language servers look for: every answer may hang on them."""


class RunResult(Struct):
    """What a run came to."""

    job_id: str | None = None
    """None: nothing had changed, so there was no job."""
    files: int = 0
    changed: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: int = 0
    symbols: int = 0
    status: JobStatus = JobStatus.COMPLETED
    errors: dict[str, int] = field(default_factory=dict)
    """Errors by type."""
    stage_seconds: dict[str, float] = field(default_factory=dict)
    languages: dict[str, int] = field(default_factory=dict)
    forgotten: list[int] = field(default_factory=list)
    """Symbols whose failures no longer count."""
    problems: list[str] = field(default_factory=list)
    error: str | None = None
    seconds: float = 0.0
    tree: Tree | None = None
    """What is known of the folders now; None where only some paths were looked at."""

    @property
    def nothing_to_do(self) -> bool:
        """Whether every file was as it had been."""
        return not (self.changed or self.created or self.removed)


class IndexRun:
    """A run. Its job ends as its result says, whatever happens."""

    def __init__(
        self,
        store: Store,
        workspace: Workspace,
        options: IndexOptions,
        *,
        clock: Clock,
        owner: str,
        progress: Progress,
        before_change: Callable[[], None],
    ) -> None:
        self._store = store
        self._workspace = workspace
        self._options = options
        self._clock = clock
        self._owner = owner
        self._progress = progress
        self._before_change = before_change
        self.result = RunResult()
        """What the run has come to so far."""
        self._reported_at = 0.0
        self._stage: tuple[Stage | None, float] = (None, 0.0)

    async def run(
        self, paths: Collection[str] | None = None, tree: Tree | None = None
    ) -> RunResult:
        """Index what changed. Raises what the look raises: there is no job without a root.

        With ``paths``, and the ``tree`` of an earlier run over everything, only these are looked
        at where that is enough.
        """
        started = self._clock.monotonic()
        result = self.result
        self._progress.stage("analyzing", None)
        first = await self._store.read(lambda reader: reader.indexed_at(self._workspace.id) is None)
        found = await self._survey(None if first else paths, tree)
        todo = found.todo
        result.files = found.files
        result.languages = found.languages
        result.tree = found.tree
        result.problems = [f"{path}: {failure.message}" for path, failure in found.problems]
        await self._note_problems(dict(found.problems), whole=found.tree is not None)
        if first or todo.changed or todo.removed:
            paths_now = [each.path for each in todo.changed]
            result.created = [path for path in paths_now if path not in found.known]
            result.changed = [path for path in paths_now if path in found.known]
            result.removed = todo.removed
            await self._as_job(found, kind="full" if first else "incremental")
        result.seconds = self._clock.monotonic() - started
        return result

    async def _note_problems(self, now: dict[str, Failure], *, whole: bool) -> None:
        if not (now or whole):
            return  # a look at a few files says nothing of the others
        before = await self._store.read(
            lambda reader: reader.runs.walk_problems(self._workspace.id)
        )
        new = [
            (path, why)
            for path, why in now.items()
            if before.get(path) != kept(why.message, MAX_MESSAGE_CHARS)
        ]
        gone = [path for path in before if path not in now] if whole else []
        if new or gone:
            await self._store.note_walk_problems(self._workspace.id, new, gone)

    async def _survey(self, paths: Collection[str] | None, tree: Tree | None) -> Survey:
        exclude, max_file_bytes = self._options.exclude, self._options.max_file_bytes
        found = None
        if paths is not None and tree is not None:
            found = await survey_at(
                self._store,
                self._workspace,
                paths,
                tree,
                exclude=exclude,
                max_file_bytes=max_file_bytes,
            )
        return found or await survey(
            self._store, self._workspace, exclude=exclude, max_file_bytes=max_file_bytes
        )

    def _requests(self, found: Survey) -> list[ParseRequest]:
        packages = {
            language.name: (language.package_files, found.packages[language.name])
            for language in languages().values()
        }
        return [
            ParseRequest(
                root=found.root,
                path=file.path,
                language=file.language,
                module=module_name(file.path, *packages[file.language]),
                max_file_bytes=self._options.max_file_bytes,
                size=file.stat.size,
            )
            for file in found.todo.changed
        ]

    async def _as_job(self, found: Survey, *, kind: str) -> None:
        result, todo = self.result, found.todo
        result.job_id = uuid.uuid4().hex
        status = JobStatus.FAILED
        try:
            await self._store.begin_job(result.job_id, self._workspace.id, kind, owner=self._owner)
        except EnrichdError as error:
            result.error, result.status = error.message, status
            raise
        try:
            await self._index(found)
            status = JobStatus.COMPLETED
        except EnrichdError as error:
            result.error = error.message
            raise
        except asyncio.CancelledError:
            status = JobStatus.CANCELLED
            result.error = "cancelled"
            raise
        except BaseException as error:
            result.error = f"{type(error).__name__}: {error}"
            raise
        finally:
            self._time_stage(None, self._clock.monotonic())
            end = conclude(
                JobResult(
                    status=status,
                    error_message=result.error,
                    files_total=len(todo.changed),
                    files_indexed=len(todo.changed) - result.failed,
                    files_failed=result.failed,
                    symbols_found=result.symbols,
                    languages=result.languages,
                )
            )
            result.error, result.status = end.error_message, end.status
            await self._end(result.job_id, end)

    async def _end(self, job_id: str, end: JobResult) -> None:
        """A job does not stay open because the disk is full just now: its end is written later."""
        for _ in range(_END_ATTEMPTS - 1):
            try:
                return await self._store.end_job(job_id, end)
            except StoreUnavailable:
                await self._clock.sleep(_END_AGAIN_S)
        return await self._store.end_job(job_id, end)

    async def _index(self, found: Survey) -> None:
        self._before_change()
        total = len(found.todo.changed)
        self._progress.stage("parsing", total)
        await self._report(Stage.PARSING, 0, total, force=True)
        renamed = found.todo.renamed
        away = set(renamed.values())
        await self._keep([], [path for path in self.result.removed if path not in away])
        done = 0
        wanted = self._requests(found)
        async with (
            ParserPool(self._options.parse_processes) as pool,
            aclosing(pool.parse(wanted)) as batches,
        ):
            async for batch in batches:
                await self._keep(batch, [], renamed)
                done += len(batch)
                self._progress.advance(done, total, batch[-1].path)
                await self._report(Stage.PARSING, done, total, batch[-1].path)
        await self._report(Stage.PARSING, done, total, force=True)
        await self._report(Stage.STORING, done, total, force=True)
        commit = await asyncio.to_thread(commit_of, found.root)
        await self._store.finish_run(self._workspace.id, self.result.job_id, commit)

    async def _keep(
        self,
        files: list[ParsedFile],
        removed: list[str],
        renamed: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        if not files and not removed:
            return
        stored = await self._store.store_files(self._workspace.id, files, removed, renamed=renamed)
        self.result.symbols += stored.symbols
        self.result.forgotten += stored.had_failed
        for file in files:
            if file.status is ParseStatus.ERROR:
                self.result.failed += 1
            if file.failure is not None:
                kind = file.failure.type
                self.result.errors[kind] = self.result.errors.get(kind, 0) + 1
                self.result.problems.append(f"{file.path}: {file.failure.message}")
            elif file.error_lines:
                lines = ", ".join(map(str, file.error_lines))
                self.result.problems.append(f"{file.path}: did not parse whole, see line {lines}")

    def _time_stage(self, stage: Stage | None, now: float) -> None:
        """Note how long the stage before took; None: it was the last one."""
        before, began = self._stage
        if stage is before:
            return
        if before is not None:
            self.result.stage_seconds[before] = now - began
        self._stage = stage, now

    async def _report(
        self, stage: Stage, done: int, total: int, current: str = "", *, force: bool = False
    ) -> None:
        now = self._clock.monotonic()
        self._time_stage(stage, now)
        if not force and now - self._reported_at < _REPORT_EVERY_S:
            return
        self._reported_at = now
        assert self.result.job_id is not None
        await self._store.report_stage(self.result.job_id, stage, done, total, current)
