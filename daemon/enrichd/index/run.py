"""One indexing run over a workspace: look, parse what changed, store it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, aclosing, nullcontext
from types import MappingProxyType

from msgspec import Struct

from enrichd.clock import Clock
from enrichd.index.git import commit_of
from enrichd.index.job import JobRecord, RunResult
from enrichd.index.languages import languages
from enrichd.index.naming import module_name
from enrichd.index.parse import ParseRequest
from enrichd.index.pool import ParserPool
from enrichd.index.scope import Scope
from enrichd.index.survey import Survey, Tree, survey, survey_at
from enrichd_tracker.indexing_errors import MAX_MESSAGE_CHARS, kept
from enrichd_tracker.jobs import JobKind, Level
from enrichd_tracker.model import Failure, ParsedFile, ParseStatus, Stage, Workspace
from enrichd_tracker.store.port import Store


class IndexOptions(Struct, frozen=True):
    """What the configuration says about indexing a workspace."""

    exclude: tuple[str, ...]
    max_file_bytes: int
    parse_processes: int
    papers: frozenset[str] = frozenset()
    """Files of the root that language servers look for: every answer may hang on them."""


class IndexRun:
    """A run. Whoever made its record ends the job, whatever happens here."""

    def __init__(
        self,
        store: Store,
        workspace: Workspace,
        options: IndexOptions,
        *,
        clock: Clock,
        record: JobRecord,
        before_change: Callable[[], None],
        storing: Callable[[Collection[str]], AbstractContextManager[None]] = lambda _: (
            nullcontext()
        ),
    ) -> None:
        """``storing``: entered with the paths of files for as long as they are being stored."""
        self._store = store
        self._workspace = workspace
        self._options = options
        self._clock = clock
        self._record = record
        self._before_change = before_change
        self._storing = storing
        self._result = record.result

    async def run(
        self,
        paths: Collection[str] | None = None,
        tree: Tree | None = None,
        scope: Scope | None = None,
    ) -> RunResult:
        """Index what changed, as a job where there is something to do or the job has begun.

        Raises what the look raises. With ``paths``, and the ``tree`` of an earlier run over
        everything, only these are looked at where that is enough. With a ``scope`` that is partial
        only files in it are looked at.
        """
        started = self._clock.monotonic()
        result, record = self._result, self._record
        await record.stage(Stage.ANALYZING)
        first = await self._store.read(lambda reader: reader.indexed_at(self._workspace.id) is None)
        found = await self._survey(None if first else paths, tree, scope)
        todo = found.todo
        result.files = found.files
        result.languages = found.languages
        result.tree = found.tree
        for path, failure in found.problems:
            self._note_problem(f"{path}: {failure.message}")
        await record.advance(found.files, found.files, last=True)
        await self._note_problems(dict(found.problems), whole=found.tree is not None)
        if first or todo.changed or todo.removed or record.has_begun:
            paths_now = [each.path for each in todo.changed]
            result.created = [path for path in paths_now if path not in found.known]
            result.changed = [path for path in paths_now if path in found.known]
            result.removed = todo.removed
            if first and result.kind == JobKind.INCREMENTAL:
                result.kind = JobKind.FULL
            if not record.has_begun:
                await record.begin(JobKind.FULL if first else JobKind.INCREMENTAL)
            await self._index(found)
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

    async def _survey(
        self, paths: Collection[str] | None, tree: Tree | None, scope: Scope | None
    ) -> Survey:
        exclude, max_file_bytes = self._options.exclude, self._options.max_file_bytes
        found = None
        if paths is not None and tree is not None and scope is None:
            found = await survey_at(
                self._store,
                self._workspace,
                paths,
                tree,
                exclude=exclude,
                max_file_bytes=max_file_bytes,
            )
        return found or await survey(
            self._store,
            self._workspace,
            exclude=exclude,
            max_file_bytes=max_file_bytes,
            scope=scope,
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

    async def _index(self, found: Survey) -> None:
        self._before_change()
        record, total = self._record, len(found.todo.changed)
        await record.stage(Stage.PARSING, total)
        renamed = found.todo.renamed
        away = set(renamed.values())
        await self._keep([], [path for path in self._result.removed if path not in away])
        done = 0
        wanted = self._requests(found)
        async with (
            ParserPool(self._options.parse_processes) as pool,
            aclosing(pool.parse(wanted)) as batches,
        ):
            async for batch in batches:
                await self._keep(batch, [], renamed)
                done += len(batch)
                await record.advance(done, total, batch[-1].path)
        await record.advance(done, total, last=True)
        await record.stage(Stage.STORING, total)
        commit = await asyncio.to_thread(commit_of, found.root)
        await self._store.finish_run(self._workspace.id, record.job_id, commit)
        await record.advance(done, total, last=True)

    async def _keep(
        self,
        files: list[ParsedFile],
        removed: list[str],
        renamed: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        if not files and not removed:
            return
        with self._storing([*(file.path for file in files), *removed]):
            stored = await self._store.store_files(
                self._workspace.id, files, removed, renamed=renamed
            )
        self._result.stored += len(files)
        self._result.symbols += stored.symbols
        self._result.forgotten += stored.had_failed
        for file in files:
            failure = stored.unwritten.get(file.path, file.failure)
            if file.status is ParseStatus.ERROR or file.path in stored.unwritten:
                self._result.failed += 1
            if failure is not None:
                kind = failure.type
                self._result.errors[kind] = self._result.errors.get(kind, 0) + 1
                self._note_problem(f"{file.path}: {failure.message}")

    def _note_problem(self, text: str) -> None:
        self._result.problems.append(text)
        self._record.note(Level.WARNING, text)
