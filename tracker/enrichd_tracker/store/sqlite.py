"""The SQLite store: the embedded default behind the port."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Concatenate, ParamSpec, TypeVar

from enrichd_tracker.enrichment import Clock
from enrichd_tracker.errors import StoreUnavailable
from enrichd_tracker.jobs import JobRequest, JobResult, Note
from enrichd_tracker.model import (
    ErrorStatus,
    Failure,
    Lane,
    Operation,
    Outcome,
    ParsedFile,
    Stage,
    Work,
    Workspace,
)
from enrichd_tracker.store import (
    drift,
    edges,
    embeddings,
    graph,
    indexing_errors,
    jobs,
    orphans,
    parse_results,
    salvage,
    workspaces,
)
from enrichd_tracker.store.connection import connect_reader, connect_writer, transaction
from enrichd_tracker.store.lock import Lock
from enrichd_tracker.store.port import Batch, Committed, Reader, Stored
from enrichd_tracker.store.port_embeddings import EmbeddedFile, EmbeddingModel, EmbeddingRun
from enrichd_tracker.store.reader import SqliteReader
from enrichd_tracker.store.thread import Thread

P = ParamSpec("P")
T = TypeVar("T")

_JOB_LEASE_S = 60.0
_REMEMBERED_S = 30.0
_ABOUT_JOBS = frozenset(
    {"queue_job", "begin_job", "report_stage", "end_job", "end_interrupted_jobs"}
)


class SqliteStore:
    """One writer thread, one reader thread, and the lock that makes them the only ones.

    The lock makes this process the only one that takes work, so claims live in memory: what was
    claimed by a process that died is free at once.
    """

    def __init__(
        self, database: Path, clock: Clock, lock: Lock, writer: Thread, reader: Thread
    ) -> None:
        self.database = database
        self.set_aside: Path | None = None
        """Where the damaged database is that was found instead of a sound one."""
        self._clock = clock
        self._lock = lock
        self._writer = writer
        self._reader = reader
        self._claims: dict[int, float] = {}  # symbol to deadline; on the writer's thread only
        self._ends: dict[
            str, tuple[JobResult, float, tuple[Note, ...]]
        ] = {}  # not written yet; there as well
        self._tell_of_jobs: Callable[[], None] = lambda: None
        self._refusals: dict[str, tuple[float, str]] = {}  # what was refused: when, and why

    @classmethod
    async def open(cls, database: Path, clock: Clock) -> SqliteStore:
        """Lock, migrate and open; see ``connection`` for what it raises."""
        lock = Lock(database)
        lock.acquire()
        try:
            stamp = datetime.fromtimestamp(clock.time(), UTC).strftime("%Y%m%dT%H%M%SZ")
            damaged: list[Path] = []
            writer = await Thread.start(
                lambda: connect_writer(
                    database, aside=f"damaged-{stamp}", on_damage=damaged.append
                ),
                database,
            )
            try:
                reader = await Thread.start(lambda: connect_reader(database), database)
            except BaseException:
                await writer.close()
                raise
        except BaseException:
            lock.release()
            raise
        lock.remember()
        store = cls(database, clock, lock, writer, reader)
        store.set_aside = next(iter(damaged), None)
        return store

    async def close(self) -> None:
        await self._reader.close()
        await self._writer.close()
        self._lock.release()

    @property
    def problem(self) -> str:
        """What is wrong with the database as a file; empty when all is well.

        A refusal counts until the same thing is done, or has not been tried for a while.
        """
        if (why := self.displaced()) is not None:
            return why
        now = self._clock.monotonic()
        recent = [why for at, why in self._refusals.values() if now - at < _REMEMBERED_S]
        return recent[-1] if recent else ""

    def displaced(self) -> str | None:
        return self._lock.displaced()

    async def read(self, question: Callable[[Reader], T]) -> T:
        return await self._noted("read", self._reader.run(_ask, question))

    async def _write(
        self,
        function: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        def write(connection: sqlite3.Connection) -> T:
            return self._transact(connection, function, *args, **kwargs)

        return await self._noted(function.__name__, self._writer.run(write))

    def _transact(
        self,
        connection: sqlite3.Connection,
        function: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """One transaction, with the ends of jobs that could not be written in their time."""

        def write(connection: sqlite3.Connection) -> T:
            for job_id, end in self._ends.items():
                jobs.end_job(connection, job_id, *end)
            return function(connection, *args, **kwargs)

        written = transaction(connection, write)
        self._ends.clear()
        return written

    async def _noted(self, what: str, call: Awaitable[T]) -> T:
        try:
            done = await call
        except StoreUnavailable as error:
            self._refusals.pop(what, None)
            verb = "read" if what in {"read", "claim"} else "write to"
            why = f"can't {verb} the database: {error.message}"
            self._refusals[what] = self._clock.monotonic(), why
            raise
        self._refusals.pop(what, None)
        if what in _ABOUT_JOBS:
            self._tell_of_jobs()
        return done

    async def ping(self) -> None:
        """Return once the writer's thread has answered."""
        await self._writer.run(lambda connection: connection.execute("SELECT 1").fetchone())

    async def shrink(self) -> None:
        """Let go of the pages that the connections keep at hand; they fill up again with work."""
        for thread in (self._writer, self._reader):
            await thread.run(lambda connection: connection.execute("PRAGMA shrink_memory"))

    async def add_workspace(self, name: str, root: str) -> Workspace:
        return await self._write(workspaces.add_workspace, name, root, self._clock.time())

    async def remove_workspace(self, workspace_id: int) -> list[int]:
        return await self._write(workspaces.remove_workspace, workspace_id)

    async def store_files(
        self,
        workspace_id: int,
        files: list[ParsedFile],
        removed: list[str],
        *,
        renamed: Mapping[str, str] = MappingProxyType({}),
    ) -> Stored:
        async def write(some: list[ParsedFile], gone: list[str]) -> Stored:
            now = self._clock.time()
            return await self._write(
                graph.store_files, workspace_id, some, gone, now, renamed=renamed
            )

        return await salvage.store_what_can_be(write, files, removed)

    async def finish_run(
        self, workspace_id: int, job_id: str | None = None, commit: str | None = None
    ) -> None:
        at = self._clock.time()
        await self._write(workspaces.finish_run, workspace_id, at, job_id=job_id, commit=commit)

    async def claim(self, lane: Lane, limit: int, *, owner: str, lease_s: float) -> list[Work]:
        del owner  # this process is the only one

        def take(connection: sqlite3.Connection) -> list[Work]:
            taken = self._unexpired()
            return self._take(orphans.find(connection, lane, limit, taken), lease_s)

        return await self._noted("claim", self._writer.run(take))

    async def claim_again(self, symbol_ids: list[int], *, owner: str, lease_s: float) -> list[Work]:
        del owner

        def take(connection: sqlite3.Connection) -> list[Work]:
            taken = self._unexpired()
            free = [each for each in symbol_ids if each not in taken]
            return self._take(orphans.fetch(connection, free), lease_s)

        return await self._noted("claim", self._writer.run(take))

    def _unexpired(self) -> set[int]:
        now = self._clock.monotonic()
        expired = [each for each, deadline in self._claims.items() if deadline <= now]
        for each in expired:
            del self._claims[each]
        return set(self._claims)

    def _take(self, works: list[Work], lease_s: float) -> list[Work]:
        deadline = self._clock.monotonic() + lease_s
        self._claims.update((work.symbol_id, deadline) for work in works)
        return works

    async def release(self, symbol_ids: Iterable[int]) -> None:
        await self._writer.run(lambda _: self._release(symbol_ids))

    def _release(self, symbol_ids: Iterable[int]) -> None:
        for each in symbol_ids:
            self._claims.pop(each, None)

    async def commit(self, batch: Batch) -> Committed:
        def write(connection: sqlite3.Connection) -> Committed:
            committed = self._transact(connection, edges.commit, batch, self._clock.time())
            self._release(outcome.symbol_id for outcome in batch.outcomes)
            self._release(charge.record.symbol_id for charge in batch.charges)
            return committed

        return await self._noted("commit", self._writer.run(write))

    async def require(
        self,
        lane: Lane,
        server: str,
        operations: tuple[Operation, ...],
        *,
        version: str = "",
        settings: str = "",
        by_bodies: bool = True,
    ) -> list[int]:
        return await self._write(
            orphans.require,
            lane,
            server,
            operations,
            version=version,
            settings=settings,
            by_bodies=by_bodies,
            at=self._clock.time(),
        )

    async def surround(self, lane: Lane, digest: str) -> list[int] | None:
        return await self._write(workspaces.surround, lane, digest, self._clock.time())

    async def prefer(self, symbol_ids: list[int]) -> None:
        await self._write(orphans.prefer, symbol_ids)

    async def retry(self, symbol_ids: list[int]) -> list[int]:
        return await self._write(orphans.reopen, symbol_ids, self._clock.time())

    async def queue_job(
        self, job_id: str, workspace_id: int, request: JobRequest, *, owner: str
    ) -> None:
        at = self._clock.time()
        await self._write(jobs.queue_job, job_id, workspace_id, request, owner=owner, at=at)

    async def begin_job(
        self, job_id: str, workspace_id: int, kind: str, *, owner: str, plan: Iterable[Stage] = ()
    ) -> None:
        now = self._clock.time()
        await self._write(
            jobs.begin_job,
            job_id,
            workspace_id,
            kind,
            owner=owner,
            plan=plan,
            lease_until=now + _JOB_LEASE_S,
            at=now,
        )

    async def report_stage(
        self,
        job_id: str,
        stage: Stage,
        processed: int,
        total: int,
        current_item: str = "",
        *,
        notes: Iterable[Note] = (),
        ago_s: float = 0.0,
    ) -> None:
        now = self._clock.time()
        await self._write(
            jobs.report_stage,
            job_id,
            stage,
            processed=processed,
            total=total,
            current_item=current_item,
            notes=notes,
            ago_s=ago_s,
            lease_until=now + _JOB_LEASE_S,
            at=now,
        )

    async def end_job(self, job_id: str, result: JobResult, *, notes: Iterable[Note] = ()) -> None:
        at, lines = self._clock.time(), tuple(notes)

        def end(connection: sqlite3.Connection) -> None:
            self._ends[job_id] = result, at, lines
            self._transact(connection, lambda _: None)

        await self._noted("end_job", self._writer.run(end))

    async def end_interrupted_jobs(self, owner: str) -> list[str]:
        return await self._write(jobs.end_interrupted_jobs, owner, self._clock.time())

    def on_job_events(self, told: Callable[[], None]) -> None:
        self._tell_of_jobs = told

    async def log_error(
        self, workspace_id: int, path: str, language: str, failure: Failure
    ) -> None:
        await self._write(
            indexing_errors.log_error, workspace_id, path, language, failure, self._clock.time()
        )

    async def note_unsupported(self, workspace_id: int, now: Mapping[str, str]) -> None:
        await self._write(parse_results.note_unsupported, workspace_id, now, self._clock.time())

    async def set_error_status(self, workspace_id: int, error_id: int, status: ErrorStatus) -> bool:
        return await self._write(indexing_errors.set_status, workspace_id, error_id, status)

    async def note_walk_problems(
        self, workspace_id: int, problems: list[tuple[str, Failure]], gone: list[str]
    ) -> None:
        at = self._clock.time()
        await self._write(indexing_errors.note_walk_problems, workspace_id, problems, gone, at)

    async def replace(self, outcomes: list[Outcome], *, recount: bool) -> bool:
        return await self._write(drift.replace, outcomes, self._clock.time(), recount=recount)

    async def distrust(self, workspace_id: int, path: str) -> None:
        await self._write(drift.distrust, workspace_id, path)

    async def store_embeddings(
        self, workspace_id: int, model: EmbeddingModel, files: list[EmbeddedFile], form: int
    ) -> int:
        return await self._write(embeddings.store, workspace_id, model, files, form)

    async def resolve_embedding_errors(self, workspace_id: int, path: str) -> None:
        await self._write(embeddings.resolve, workspace_id, path)

    async def note_embedding_run(self, run: EmbeddingRun) -> None:
        await self._write(embeddings.note_run, run)


def _ask(connection: sqlite3.Connection, question: Callable[[Reader], T]) -> T:
    """All that one question reads is one state of the database, whoever writes meanwhile."""
    connection.execute("BEGIN")
    try:
        return question(SqliteReader(connection))
    finally:
        connection.execute("ROLLBACK")
