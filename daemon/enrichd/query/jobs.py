"""Jobs as they are shown: their progress, their stages with a rate, what happened to them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from enrichd.errors import AnswerIsNo
from enrichd.query.answers import SCHEMA_VERSION, moment, moment_or_none
from enrichd_tracker.jobs import Job, JobEvent, JobStage, Level
from enrichd_tracker.model import JobStatus, Stage

if TYPE_CHECKING:
    from enrichd_tracker.store.port import Reader

_WEIGHTS = {
    Stage.CLONING: 10,
    Stage.ANALYZING: 5,
    Stage.PARSING: 40,
    Stage.STORING: 3,
    Stage.VALIDATING: 2,
    Stage.EMBEDDING: 40,
    Stage.ENRICHING: 40,
}
"""What share of a job each stage is, about."""


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
    warnings: int
    """How many lines of its log are warnings."""
    languages: dict[str, int]
    """Files of the workspace by language, once it has been looked at."""
    source: str | None
    """The URL that it is about, where it is about one."""
    time_left_s: float | None
    """Of the stage that runs, at the rate so far; None where nobody can tell."""
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


class EventView(Struct, frozen=True):
    """Something that happened to a job, with what was true of it then."""

    seq: int
    """Grows with each event of any job; there are gaps."""
    event: str
    """``status``, ``stage`` (one begins), ``progress`` or ``log``."""
    job_id: str
    workspace: str
    at: datetime
    status: str
    stage: str | None
    processed: int
    total: int
    current_item: str
    level: str
    message: str


class Snapshot(Struct, frozen=True):
    """A job as it stands after the event of this number."""

    seq: int
    event: str
    """Always ``snapshot``."""
    job: JobView


class JobsSnapshot(Struct, frozen=True):
    """The jobs that wait or run, as they stand after the event of this number."""

    seq: int
    event: str
    """Always ``snapshot``."""
    jobs: list[JobView]
    """The one that was asked for first at the front."""


class JobLog(Struct, frozen=True):
    """A page of a job's log, the oldest line first."""

    schema_version: int
    job_id: str
    limit: int
    offset: int
    more: bool
    lines: list[EventView]


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
    reader: Reader,
    *,
    now: float,
    workspace: str | None = None,
    kind: str | None = None,
    limit: int = 20,
    offset: int = 0,
) -> JobList:
    """A page of jobs. Raises AnswerIsNo where there is no such workspace."""
    workspace_id = _id_of(reader, workspace)
    found = reader.runs.jobs(workspace_id, limit + 1, offset, kind)
    shown = [view(job, now=now) for job in found[:limit]]
    return JobList(SCHEMA_VERSION, limit, offset, more=len(found) > limit, jobs=shown)


def unfinished(
    reader: Reader, seq: int, *, workspace: str | None = None, now: float
) -> JobsSnapshot:
    """The jobs that wait or run. Raises AnswerIsNo where there is no such workspace."""
    workspace_id = _id_of(reader, workspace)
    found = reader.runs.unfinished_jobs(workspace_id)
    return JobsSnapshot(seq, "snapshot", [view(each, now=now) for each in found])


def job(reader: Reader, job_id: str, *, now: float) -> JobView:
    """The job whose id begins like this; raises AnswerIsNo."""
    return view(_named(reader, job_id), now=now)


def log(reader: Reader, job_id: str, *, level: Level, limit: int, offset: int = 0) -> JobLog:
    """A page of the job's log, lines of this level and above; raises AnswerIsNo."""
    full_id = _named(reader, job_id).job_id
    found = reader.runs.job_logs(full_id, level.and_above, limit + 1, offset)
    lines = [event(each) for each in found[:limit]]
    return JobLog(SCHEMA_VERSION, full_id, limit, offset, more=len(found) > limit, lines=lines)


def _id_of(reader: Reader, workspace: str | None) -> int | None:
    from enrichd.query.select import chosen  # noqa: PLC0415  (it brings the store)

    return chosen(reader, workspace)[0].id if workspace is not None else None


def _named(reader: Reader, job_id: str) -> Job:
    found = reader.runs.jobs_named(job_id) if job_id.isalnum() else []
    if not found:
        raise AnswerIsNo(
            f"there is no job {job_id}", hint="`enrichd jobs` lists those that are kept"
        )
    if len(found) > 1:
        raise AnswerIsNo(f"more than one job begins with {job_id}: give more of its id")
    return found[0]


def event(happened: JobEvent) -> EventView:
    """The event as it is shown."""
    return EventView(
        seq=happened.seq,
        event=happened.event,
        job_id=happened.job_id,
        workspace=happened.workspace,
        at=moment(happened.at),
        status=happened.status,
        stage=happened.stage,
        processed=happened.processed,
        total=happened.total,
        current_item=happened.current_item,
        level=happened.level,
        message=happened.message,
    )


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
        warnings=job.warnings,
        languages=job.languages,
        source=(job.request.url or None) if job.request else None,
        time_left_s=_time_left_s(job, now),
        created_at=moment(job.created_at),
        started_at=moment_or_none(job.started_at),
        completed_at=moment_or_none(job.completed_at),
        stages=[_stage(stage, now) for stage in job.stages],
    )


def _progress(job: Job) -> float:
    """From 0 to 1; the stages count for as long as they usually take."""
    if job.status is JobStatus.COMPLETED:
        return 1.0
    plan = job.plan or list(_WEIGHTS)
    done = {stage.stage: _share(stage) for stage in job.stages}
    all_of_it = sum(_WEIGHTS[stage] for stage in plan)
    return sum(_WEIGHTS[stage] * done.get(stage, 0.0) for stage in plan) / all_of_it


def _time_left_s(job: Job, now: float) -> float | None:
    """At the rate so far."""
    for stage in job.stages:
        if stage.completed_at is None and stage.processed and stage.total:
            elapsed_s = max(now - stage.started_at, 0.0)
            return round(elapsed_s * max(stage.total / stage.processed - 1, 0.0), 1)
    return None


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
