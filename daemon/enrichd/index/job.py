"""A job while it runs: what it has come to, and who is told of it: the store, and whoever looks on.

Nothing that happens to those who look on can harm the job.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence

import structlog
from msgspec import Struct, field

from enrichd.clock import Clock, within
from enrichd.index.survey import Tree
from enrichd.report import NoProgress, Progress
from enrichd_tracker.errors import EnrichdError, StoreUnavailable
from enrichd_tracker.jobs import FIRM, Ground, JobResult, Level, Note, conclude
from enrichd_tracker.model import JobStatus, Stage, Workspace
from enrichd_tracker.store.port import Store

PLAN = (Stage.ANALYZING, Stage.PARSING, Stage.STORING, Stage.VALIDATING)
"""The stages of every job."""
STOPPED = "the process that ran it was told to stop"
_REPORT_EVERY_S = 1.0
_PATIENCE_S = 5.0
"""With who looks on."""
_END_ATTEMPTS = 5
_END_AGAIN_S = 1.0

_log = structlog.get_logger()


class RunResult(Struct):
    """What a run came to."""

    job_id: str | None = None
    """None: nothing had changed, so there was no job."""
    kind: str = ""
    files: int = 0
    changed: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    stored: int = 0
    """How many of these are in the graph by now, failed ones among them."""
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
        return not self.touched

    @property
    def touched(self) -> list[str]:
        """The files that were not as they had been."""
        return [*self.created, *self.changed, *self.removed]

    @property
    def has_failed(self) -> bool:
        """Whether its job ends as failed."""
        return self.status is JobStatus.FAILED

    def as_job(self, status: JobStatus, error: str | None) -> JobResult:
        """The same as its job is to end with."""
        total = len(self.changed) + len(self.created)
        return JobResult(
            status=status,
            error_message=error,
            kind=self.kind,
            files_total=total,
            files_indexed=self.stored - self.failed,
            files_failed=self.failed,
            files_removed=len(self.removed),
            files_unchanged=self.files - total,
            symbols_found=self.symbols,
            languages=self.languages,
            first_error=next(iter(self.problems), None),
        )


class JobRecord:
    """One job. Before ``begin`` there is none, and only who looks on is told."""

    def __init__(
        self,
        store: Store,
        workspace: Workspace,
        *,
        clock: Clock,
        owner: str,
        progress: Progress | None = None,
        ground: Callable[[], Ground] = lambda: FIRM,
        job_id: str | None = None,
        plan: Sequence[Stage] = PLAN,
        on_end: Callable[[RunResult], None] = lambda _: None,
    ) -> None:
        """``job_id``: of a job that is queued. ``ground`` may block, and is asked on a thread."""
        self.result = RunResult()
        self.has_ended = False
        self._store = store
        self._workspace = workspace
        self._clock = clock
        self._owner = owner
        self._progress = progress or NoProgress()
        self._ground = ground
        self._id = job_id
        self._plan = plan
        self._on_end = on_end
        self._began_at = clock.monotonic()
        self._stage: Stage | None = None
        self._stage_began_at = self._began_at
        self._reported_at = 0.0
        self._counts = (0, 0, "")
        self._notes: list[Note] = []

    @property
    def has_begun(self) -> bool:
        """Whether there is a job to be ended."""
        return self.result.job_id is not None

    @property
    def job_id(self) -> str:
        """Known before it begins."""
        if self._id is None:
            self._id = uuid.uuid4().hex
        return self._id

    def is_job(self, job_id: str) -> bool:
        """Whether it is this job, which has begun and not ended."""
        return self.has_begun and not self.has_ended and self._id == job_id

    async def begin(self, kind: str) -> None:
        """The job runs from now on. What it did before is told now."""
        self.result.job_id, self.result.kind = self.job_id, kind
        await self._store.begin_job(
            self.job_id, self._workspace.id, kind, owner=self._owner, plan=self._plan
        )
        if self._stage is not None:
            await self._report(ago_s=self._clock.monotonic() - self._stage_began_at)

    async def stage(self, stage: Stage, total: int = 0) -> None:
        """Another stage begins; ``total`` is 0 while nobody knows how much there is."""
        now = self._clock.monotonic()
        self._time_stage(now)
        self._stage, self._stage_began_at, self._counts = stage, now, (0, total, "")
        await self._tell(lambda: self._progress.stage(stage, total if total > 1 else None))
        await self._report()

    async def advance(
        self, done: int, total: int, current: str = "", *, last: bool = False
    ) -> None:
        """How far the stage is, and what is worked on."""
        self._counts = (done, total, current)
        await self._tell(lambda: self._progress.advance(done, total or None, current))
        if last or self._clock.monotonic() - self._reported_at >= _REPORT_EVERY_S:
            await self._report()

    def note(self, level: Level, message: str) -> None:
        """A line for its log, written with the next report."""
        self._notes.append(Note(level, message))

    async def validate(self) -> None:
        """Look whether what it has done is there; raises nothing, ``end`` says what was found."""
        await self.stage(Stage.VALIDATING, 1)
        ground = await asyncio.to_thread(self._ground)
        end = conclude(self.result.as_job(JobStatus.COMPLETED, None), ground)
        self.result.status, self.result.error = end.status, end.error_message
        await self.advance(1, 1, last=True)

    async def end(self, status: JobStatus | None = None, error: str | None = None) -> JobResult:
        """It ends as it was validated, or as it is said here."""
        result = self.result
        found = result.as_job(status or result.status, result.error if status is None else error)
        end = conclude(found)
        result.status, result.error = end.status, end.error_message
        self._time_stage(self._clock.monotonic())
        self._stage = None
        if self.has_begun and not self.has_ended:
            self.has_ended = True
            self._on_end(result)
            await self._insist(end)
        return end

    async def _insist(self, end: JobResult) -> None:
        """A job does not stay open because the disk is full just now.

        What can't be written after some attempts is written with whatever is written next.
        """
        notes, self._notes = self._notes, []
        for _ in range(_END_ATTEMPTS):
            try:
                return await self._store.end_job(self.job_id, end, notes=notes)
            except StoreUnavailable:
                await self._clock.sleep(_END_AGAIN_S)
        return None

    async def _report(self, ago_s: float = 0.0) -> None:
        self._reported_at = self._clock.monotonic()
        if not self.has_begun or self._stage is None:
            return
        notes = list(self._notes)
        await self._store.report_stage(
            self.job_id, self._stage, *self._counts, notes=notes, ago_s=ago_s
        )
        del self._notes[: len(notes)]

    def _time_stage(self, now: float) -> None:
        if self._stage is not None:
            self.result.stage_seconds[self._stage] = now - self._stage_began_at

    async def _tell(self, told: Callable[[], Awaitable[None] | None]) -> None:
        """Progress is a courtesy: who can't take it gets no more of it."""
        try:
            waits = told()
            if waits is not None:
                await within(self._clock, _PATIENCE_S, waits)
        except Exception as error:
            self._progress = NoProgress()
            why = f"{type(error).__name__}: {error}"
            _log.warning("progress dropped", action="progress_dropped", error=why)
            self.note(Level.WARNING, f"its progress is not shown any more: {why}")


async def end_badly(record: JobRecord, error: BaseException) -> None:
    """The job ends, if it has begun, and says why."""
    if not record.has_begun or record.has_ended:
        return
    if isinstance(error, asyncio.CancelledError):
        await record.end(JobStatus.CANCELLED, next(iter(error.args), STOPPED))
    elif isinstance(error, EnrichdError):
        await record.end(JobStatus.FAILED, error.message)
    else:
        await record.end(JobStatus.FAILED, f"{type(error).__name__}: {error}")
