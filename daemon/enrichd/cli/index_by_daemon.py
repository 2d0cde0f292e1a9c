"""`index` where a daemon has the database: the daemon does it, and is watched while it does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path

import msgspec
from msgspec import Struct

from enrichd.cli.invocation import Invocation
from enrichd.cli.live import Live, Shown
from enrichd.cli.progress import progress_for
from enrichd.clock import Clock, SystemClock, within
from enrichd.errors import DaemonUnreachable
from enrichd.query.jobs import EventView, JobsSnapshot
from enrichd.query.status import Status
from enrichd.report import IndexReport, Progress
from enrichd_tracker.jobs import Job, Level
from enrichd_tracker.model import ENDS, JobStatus, Stage
from enrichd_tracker.store.port import Reader, WorkspaceCounts
from enrichd_tracker.store.reading import reading

_MOST_PROBLEMS = 1_000


class _Requests(Struct, frozen=True):
    """What the servers of a workspace have been asked so far, and who they are."""

    number: int
    servers: str | None


class _Found(Struct, frozen=True):
    """What the database holds at the end."""

    root: str
    counts: WorkspaceCounts
    jobs: list[Job]
    """Ours, and those that ended in the workspace while we watched."""
    problems: list[str]


def index(
    invocation: Invocation,
    pid: int,
    what: Path | str,
    *,
    more: Mapping[str, object],
    enrich: bool,
    timeout_s: float | None,
) -> IndexReport:
    """Have the daemon index a folder or a URL; returns when that is done, or the time is up.

    ``more``: what else is wished for, as ``/api/v1/index`` takes it; without what is None.
    Raises AlreadyLocked where who has the database is no daemon, or can't be asked.
    """
    client = invocation.client(pid)
    clock = SystemClock()
    began_at = clock.monotonic()
    known = client.known_workspaces()
    if isinstance(what, Path):
        if str(what) not in known:
            client.post("/api/v1/workspaces", {"root": str(what)})
        wish: dict[str, object] = {"path": str(what)}
    else:
        wish = {"url": what}
    wish |= {key: value for key, value in more.items() if value is not None}
    started = client.post("/api/v1/index", wish | {"enrich": enrich})
    job_id, workspace = str(started["job_id"]), str(started["workspace"])
    before = _requests(invocation, workspace)
    watch = _Watch(invocation, clock, job_id, workspace)
    hint = f"`enrichd jobs {job_id[:8]} --follow`"
    late = not watch.until_its_end(timeout_s, hint)
    after = _requests(invocation, workspace)
    with reading(invocation.database) as reader:
        found = _found(reader, workspace, [job_id, *watch.ended])
    late = late and found.jobs[0].completed_at is None
    problems = [f"the time was up; the daemon goes on: {hint} shows it"] if late else []
    return _report(
        workspace,
        found,
        problems,
        seconds=clock.monotonic() - began_at,
        requests=max(0, after.number - before.number),
        servers=after.servers,
        late=late,
    )


def _requests(invocation: Invocation, workspace: str) -> _Requests:
    """Of whoever is the daemon now; it may be another one than before."""
    try:
        body = invocation.client(invocation.owner).get("/api/v1/status")
    except DaemonUnreachable:
        return _Requests(0, None)
    status = msgspec.json.decode(body, type=Status)
    here = [each for each in status.servers if each.workspace == workspace]
    names = ", ".join(f"{each.name} {each.version}" for each in here if each.version)
    return _Requests(sum(each.requests for each in here), names or None)


class _Watch:
    """Shows what our job does; until it begins, what else is done in its workspace."""

    def __init__(self, invocation: Invocation, clock: Clock, job_id: str, workspace: str) -> None:
        self.ended: list[str] = []
        """Other jobs that ended meanwhile, before ours did."""
        self._invocation = invocation
        self._clock = clock
        self._job_id = job_id
        self._workspace = workspace
        self._begun = False

    def until_its_end(self, timeout_s: float | None, hint: str) -> bool:
        """False when the time was up first."""
        invocation = self._invocation
        progress = progress_for(quiet=invocation.verbosity < 0, as_json=invocation.as_json)
        try:
            asyncio.run(self._within(timeout_s, progress))
        except TimeoutError:
            return False
        except (KeyboardInterrupt, DaemonUnreachable):
            progress.close()
            invocation.tell(f"the job goes on in the daemon; {hint} shows it")
            raise
        finally:
            progress.close()
        return True

    async def _within(self, timeout_s: float | None, progress: Progress) -> None:
        watching = self._watch(progress)
        if timeout_s is None:
            await watching
        else:
            await within(self._clock, timeout_s, watching)

    async def _watch(self, progress: Progress) -> None:
        live, shown = (
            Live(self._invocation, self._clock, workspace=self._workspace),
            Shown(progress),
        )
        async with aclosing(live.messages()) as messages:
            async for message in messages:
                if isinstance(message.told, JobsSnapshot):
                    ours = [each for each in message.told.jobs if each.job_id == self._job_id]
                    if not ours:
                        return  # it is over
                    if ours[0].status == "running":
                        self._begun = True
                        shown.stands(ours[0])
                elif isinstance(message.told, EventView) and self._is_end(message.told, shown):
                    return

    def _is_end(self, told: EventView, shown: Shown) -> bool:
        ours = told.job_id == self._job_id
        if told.event == "status" and told.status in ENDS:
            if not ours:
                self.ended.append(told.job_id)
            return ours
        self._begun = self._begun or (ours and told.status == "running")
        if ours or not self._begun:
            shown.happened(told)
        return False


def _found(reader: Reader, workspace: str, job_ids: list[str]) -> _Found:
    [here] = [each for each in reader.workspaces() if each.name == workspace]
    jobs = [job for each in job_ids for job in reader.runs.jobs_named(each)]
    lines = reader.runs.job_logs(job_ids[0], Level.WARNING.and_above, _MOST_PROBLEMS)
    problems = [each.message for each in lines if each.event == "log"]
    return _Found(here.root, reader.counts(here.id), jobs, problems)


def _report(
    workspace: str,
    found: _Found,
    problems: list[str],
    *,
    seconds: float,
    requests: int,
    servers: str | None,
    late: bool,
) -> IndexReport:
    counts, ours = found.counts, found.jobs[0]
    changed = sum(each.files_total for each in found.jobs)
    enriching = [each for each in ours.stages if each.stage is Stage.ENRICHING]
    enrich_s = sum((each.completed_at or each.started_at) - each.started_at for each in enriching)
    completed = ours.status is JobStatus.COMPLETED
    return IndexReport(
        workspace=workspace,
        root=found.root,
        files=counts.files,
        files_changed=changed,
        files_removed=None,
        symbols=counts.symbols,
        edges=counts.edges,
        outcomes=counts.outcomes,
        parse=counts.parse,
        orphans=counts.orphans,
        backing_off=counts.backing_off,
        skipped=counts.skipped,
        seconds=round(seconds, 3),
        parse_seconds=round(max(seconds - enrich_s, 0.0), 3),
        enrich_seconds=round(enrich_s, 3),
        requests=requests,
        server=servers,
        complete=completed and not counts.orphans and not counts.skipped,
        nothing_to_do=completed and not changed and not requests,
        problems=[*problems, *found.problems, *_why(ours, counts, late=late)],
        job=ours,
    )


def _why(job: Job, counts: WorkspaceCounts, *, late: bool) -> list[str]:
    """What the log of the job does not say."""
    if job.status in {JobStatus.FAILED, JobStatus.CANCELLED}:
        return [f"{job.status}: {job.error_message}"]
    enriched = job.request is None or job.request.enrich
    if counts.orphans and not enriched and not late:
        return [f"{counts.orphans:,} symbols are not enriched yet; the daemon goes on with them"]
    return []
