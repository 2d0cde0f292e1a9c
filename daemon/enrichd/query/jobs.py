"""Jobs as they are shown: with their progress, and their stages with a rate."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from enrichd.errors import AnswerIsNo
from enrichd.query.answers import SCHEMA_VERSION, moment, moment_or_none
from enrichd.query.select import chosen
from enrichd_tracker.jobs import Job, JobStage
from enrichd_tracker.model import JobStatus, Stage
from enrichd_tracker.store.port import Reader


class StageView(Struct, frozen=True):
    """One step of a job."""

    stage: str
    started_at: datetime
    completed_at: datetime | None
    processed: int
    total: int
    current_item: str
    rate: float | None
    """Items a second; None before there is a second to speak of."""


class JobView(Struct, frozen=True):
    """One indexing run."""

    job_id: str
    workspace: str
    kind: str
    status: str
    stage: str | None
    progress: float
    error_message: str | None
    files_total: int
    files_indexed: int
    files_failed: int
    symbols_found: int
    languages: dict[str, int]
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    stages: list[StageView]


class JobList(Struct, frozen=True):
    """A page of jobs, the newest first."""

    schema_version: int
    limit: int
    offset: int
    more: bool
    """There is another page."""
    jobs: list[JobView]


class StageTimes(Struct, frozen=True):
    """How long one stage took in the jobs that are kept, in seconds."""

    stage: str
    count: int
    mean_s: float
    p50_s: float
    p95_s: float
    last_s: float


class StageMetrics(Struct, frozen=True):
    """Every stage that there was."""

    schema_version: int
    stages: list[StageTimes]


def jobs(
    reader: Reader, *, now: float, workspace: str | None = None, limit: int = 20, offset: int = 0
) -> JobList:
    """A page of jobs. Raises AnswerIsNo where there is no such workspace."""
    workspace_id = chosen(reader, workspace)[0].id if workspace is not None else None
    found = reader.runs.jobs(workspace_id, limit + 1, offset)
    shown = [view(job, now=now) for job in found[:limit]]
    return JobList(SCHEMA_VERSION, limit, offset, more=len(found) > limit, jobs=shown)


def job(reader: Reader, job_id: str, *, now: float) -> JobView:
    """The job whose id begins like this; raises AnswerIsNo."""
    found = reader.runs.jobs_named(job_id) if job_id.isalnum() else []
    if not found:
        raise AnswerIsNo(
            f"there is no job {job_id}", hint="`enrichd jobs` lists those that are kept"
        )
    if len(found) > 1:
        raise AnswerIsNo(f"more than one job begins with {job_id}: give more of its id")
    return view(found[0], now=now)


def stage_metrics(reader: Reader) -> StageMetrics:
    """How long the stages took."""
    found = reader.runs.stage_seconds()
    times = [_times(stage, found[stage]) for stage in Stage if stage in found]
    return StageMetrics(SCHEMA_VERSION, times)


def _times(stage: str, seconds: list[float]) -> StageTimes:
    in_order = sorted(seconds)
    return StageTimes(
        stage=stage,
        count=len(seconds),
        mean_s=round(sum(seconds) / len(seconds), 3),
        p50_s=round(in_order[len(in_order) // 2], 3),
        p95_s=round(in_order[min(len(in_order) * 95 // 100, len(in_order) - 1)], 3),
        last_s=round(seconds[-1], 3),
    )


def view(job: Job, *, now: float) -> JobView:
    """The job as it stands at ``now``."""
    return JobView(
        job_id=job.job_id,
        workspace=job.workspace,
        kind=job.kind,
        status=job.status,
        stage=job.stage,
        progress=round(_progress(job), 3),
        error_message=job.error_message,
        files_total=job.files_total,
        files_indexed=job.files_indexed,
        files_failed=job.files_failed,
        symbols_found=job.symbols_found,
        languages=job.languages,
        created_at=moment(job.created_at),
        started_at=moment_or_none(job.started_at),
        completed_at=moment_or_none(job.completed_at),
        stages=[_stage(stage, now) for stage in job.stages],
    )


def _progress(job: Job) -> float:
    """From 0 to 1; each stage counts the same."""
    if job.status is JobStatus.COMPLETED:
        return 1.0
    done = {stage.stage: _share(stage) for stage in job.stages}
    return sum(done.values()) / len(Stage)


def _share(stage: JobStage) -> float:
    if stage.completed_at is not None:
        return 1.0
    return min(stage.processed / stage.total, 1.0) if stage.total else 0.0


def _stage(stage: JobStage, now: float) -> StageView:
    elapsed_s = (stage.completed_at or now) - stage.started_at
    return StageView(
        stage=stage.stage,
        started_at=moment(stage.started_at),
        completed_at=moment_or_none(stage.completed_at),
        processed=stage.processed,
        total=stage.total,
        current_item=stage.current_item,
        rate=round(stage.processed / elapsed_s, 1) if elapsed_s > 0 else None,
    )
