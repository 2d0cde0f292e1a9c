"""The routes about jobs: asking for one, how they stand, breaking one off."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from posixpath import normpath
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct, structs

from enrichd.api.daemon import Daemon
from enrichd.api.parameters import AbsolutePath, Limit, Offset, Text, WorkspaceName, about
from enrichd.api.routing import NOT_FOUND, Nothing, Route, get, post
from enrichd.errors import AnswerIsNo
from enrichd.query import jobs
from enrichd.query.answers import SCHEMA_VERSION
from enrichd.query.select import chosen
from enrichd.sources.url import GitUrl, check_branch
from enrichd_tracker.jobs import JobKind, JobRequest, Level
from enrichd_tracker.model import Workspace
from enrichd_tracker.store.port import Reader

Extension = Annotated[
    str,
    Meta(
        pattern=r"^\.[A-Za-z0-9_+.-]{1,20}$",
        description="With the dot: `.py`.",
        extra={"expected": "an extension with its dot, such as .py"},
    ),
]
Depth = Annotated[int, Meta(ge=1, le=1_000_000, description="So many commits are fetched.")]


class Wish(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to index: a workspace, by its name or its root, or a Git URL."""

    workspace: Text | None = None
    path: AbsolutePath | None = None
    """The root of a workspace."""
    url: Text | None = None
    """https, ssh or file; it is cloned, or brought up to date if it was cloned before."""
    branch: Text | None = None
    depth: Depth | None = None
    name: WorkspaceName | None = None
    """Of the workspace that a URL becomes the first time."""
    kind: Literal["full", "incremental", "retry"] = "incremental"
    """All files anew, what has changed, or that and what errors are open about."""
    enrich: bool = True
    """The job ends when the graph is as complete as it can be, not when the files are stored."""

    law: ClassVar[dict[str, object]] = {
        "oneOf": [
            {"required": [name], "properties": {name: {"type": "string"}}}
            for name in ("workspace", "path", "url")
        ]
    }

    def __post_init__(self) -> None:
        given = [each for each in (self.workspace, self.path, self.url) if each is not None]
        if len(given) != 1:
            raise ValueError("workspace, path, url: expected exactly one of them")
        if self.url is None and (self.branch or self.depth or self.name):
            raise ValueError("branch, depth, name: they go with a url alone")

    def request(self, url: str = "") -> JobRequest:
        """The same as it is queued."""
        return JobRequest(
            kind=JobKind(self.kind),
            url=url,
            branch=self.branch or "",
            depth=self.depth or 0,
            enrich=self.enrich,
        )


class BatchWish(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A folder of a workspace whose files are read anew."""

    repository: Text
    """The workspace, by its name or its root."""
    directory: Text = "."
    """Relative to the root, or absolute and inside it; and all that is below it."""
    extensions: list[Extension] = []
    """None: all that a known language has."""
    include_tests: bool = True

    def request(self, root: str) -> JobRequest:
        """The same as it is queued; raises AnswerIsNo for a folder outside the root."""
        there = self.directory
        path = normpath(there.removeprefix(root).lstrip("/") if _is_below(there, root) else there)
        if path.startswith(("/", "../")) or path == ".." or "\0" in path:
            raise AnswerIsNo(
                f"{there} is not inside {root}", hint="name a folder relative to the root"
            )
        return JobRequest(
            kind=JobKind.BATCH,
            directory="" if path == "." else path,
            extensions=sorted(set(self.extensions)),
            include_tests=self.include_tests,
        )


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root}/")


class JobStarted(Struct, frozen=True):
    """What became of the wish; the job can be asked about, followed and cancelled by its id."""

    schema_version: int
    job_id: str
    workspace: str
    joined: bool
    """The same was asked for before and has not begun yet: this is that job."""
    waits_for: str | None
    """The job in the same workspace that is to end first."""


class BatchStarted(JobStarted, frozen=True):
    """And how much there is to do."""

    total_files: int


class JobsPage(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose jobs, and how many of them."""

    workspace: Text | None = None
    limit: Limit = 20
    offset: Offset = 0


class OneJob(Struct, frozen=True, forbid_unknown_fields=True):
    """A job by its id, or by how that begins."""

    job: Text


class LogPage(Struct, frozen=True, forbid_unknown_fields=True):
    """Which lines of a job's log."""

    job: Text
    level: Level = Level.INFO
    """And what matters more."""
    limit: Limit = 100
    offset: Offset = 0


class BatchPage(JobsPage, frozen=True, forbid_unknown_fields=True):
    """Whose batches, and how many of them."""

    workspace: Text


class JobRoutes:
    """The handlers, around the daemon that does it."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def table(self) -> Iterable[Route]:
        """What each asks and gives."""
        return (
            post(
                "/api/v1/index",
                "Index a workspace, or a Git URL",
                self._index,
                asks=Wish,
                gives=JobStarted,
                status=HTTPStatus.ACCEPTED,
                refuses=(NOT_FOUND,),
            ),
            get(
                "/api/v1/index/status",
                "The indexing runs, the newest first",
                self._jobs,
                asks=JobsPage,
                gives=jobs.JobList,
                refuses=(NOT_FOUND,),
            ),
            get(
                "/api/v1/index/status/{job}",
                "One indexing run and its stages",
                self._one,
                asks=OneJob,
                gives=jobs.JobView,
                refuses=(NOT_FOUND,),
            ),
            get(
                "/api/v1/index/metrics/stages",
                "How long the stages of the runs took",
                self._stages,
                asks=Nothing,
                gives=jobs.StageMetrics,
            ),
            post(
                "/api/v1/index/status/{job}/cancel",
                "Break a job off, or don't let it begin",
                self._cancel,
                asks=OneJob,
                gives=jobs.JobView,
                refuses=(NOT_FOUND,),
            ),
            get(
                "/api/v1/index/status/{job}/logs",
                "What a job had to say, the oldest line first",
                self._logs,
                asks=LogPage,
                gives=jobs.JobLog,
                refuses=(NOT_FOUND,),
            ),
            post(
                "/api/v1/indexing/batch/start",
                "Read the files of a folder anew",
                self._batch,
                asks=BatchWish,
                gives=BatchStarted,
                status=HTTPStatus.ACCEPTED,
                refuses=(NOT_FOUND,),
            ),
            get(
                "/api/v1/indexing/batch/status/{workspace}",
                "The batches of a workspace, the newest first",
                self._batches,
                asks=BatchPage,
                gives=jobs.JobList,
                refuses=(NOT_FOUND,),
            ),
        )

    async def _index(self, asked: Wish) -> JobStarted:
        if asked.url is not None:
            with about("url"):
                url = GitUrl.parse(asked.url)
            with about("branch"):
                branch = check_branch(asked.branch) if asked.branch else None
            workspace = await self._daemon.workspaces.source(url, branch, asked.name)
            return await self._ask(workspace, asked.request(url.text))
        workspace = await self._workspace(asked.workspace or asked.path or "")
        return await self._ask(workspace, asked.request())

    async def _batch(self, asked: BatchWish) -> BatchStarted:
        workspace = await self._workspace(asked.repository)
        request = asked.request(workspace.root)
        total = await self._daemon.jobs.count(workspace, request)
        found = await self._ask(workspace, request)
        return BatchStarted(**structs.asdict(found), total_files=total)

    async def _ask(self, workspace: Workspace, request: JobRequest) -> JobStarted:
        found = await self._daemon.jobs.ask(workspace, request)
        return JobStarted(
            SCHEMA_VERSION, found.job_id, workspace.name, found.joined, found.waits_for
        )

    async def _workspace(self, named: str) -> Workspace:
        return await self._daemon.store.read(lambda reader: _named(reader, named))

    async def _jobs(self, asked: JobsPage) -> jobs.JobList:
        return await self._page(asked, None)

    async def _batches(self, asked: BatchPage) -> jobs.JobList:
        return await self._page(asked, JobKind.BATCH)

    async def _page(self, asked: JobsPage, kind: JobKind | None) -> jobs.JobList:
        now = self._daemon.clock.time()
        return await self._daemon.store.read(
            lambda reader: jobs.jobs(
                reader,
                now=now,
                workspace=asked.workspace,
                kind=kind,
                limit=asked.limit,
                offset=asked.offset,
            )
        )

    async def _one(self, asked: OneJob) -> jobs.JobView:
        return await self._job(asked.job)

    async def _stages(self, _: Nothing) -> jobs.StageMetrics:
        return await self._daemon.store.read(jobs.stage_metrics)

    async def _cancel(self, asked: OneJob) -> jobs.JobView:
        job = await self._job(asked.job)
        await self._daemon.jobs.cancel(job.job_id)
        return await self._job(job.job_id)

    async def _job(self, job_id: str) -> jobs.JobView:
        now = self._daemon.clock.time()
        return await self._daemon.store.read(lambda reader: jobs.job(reader, job_id, now=now))

    async def _logs(self, asked: LogPage) -> jobs.JobLog:
        return await self._daemon.store.read(
            lambda reader: jobs.log(
                reader, asked.job, level=asked.level, limit=asked.limit, offset=asked.offset
            )
        )


def _named(reader: Reader, named: str) -> Workspace:
    """By its root or its name."""
    by_root = [each for each in reader.workspaces() if each.root == named.rstrip("/")]
    return by_root[0] if by_root else chosen(reader, named)[0]
