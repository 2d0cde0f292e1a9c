"""The routes about indexing runs: jobs, what went wrong, how well files parsed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from enrichd.api.answers import answer
from enrichd.api.daemon import Daemon
from enrichd.api.parameters import Limit, Offset, Text, from_query
from enrichd.query import errors, jobs, parse_health

_Since = Annotated[float, Meta(ge=0, le=1e12)]


def _known(name: str, value: str | None, values: Iterable[str]) -> None:
    if value is not None and value not in values:
        raise ValueError(f"{name}: expected {' or '.join(values)}, got {value}")


class JobsPage(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose jobs, and how many of them."""

    workspace: Text | None = None
    limit: Limit = 20
    offset: Offset = 0


class ErrorFilter(Struct, frozen=True, forbid_unknown_fields=True):
    """Which errors of the workspace that the path names."""

    error_type: str | None = None
    language: Text | None = None
    path: Text | None = None
    status: str = "open"
    since: _Since | None = None

    def __post_init__(self) -> None:
        _known("error_type", self.error_type, errors.TYPES)
        _known("status", self.status, errors.STATUSES)

    def of(self, workspace: str) -> errors.Wanted:
        return errors.Wanted(
            workspace, self.error_type, self.language, self.path, self.status, self.since
        )


class ErrorsPage(ErrorFilter, frozen=True, forbid_unknown_fields=True):
    """And how many of them."""

    limit: Limit = 100
    offset: Offset = 0


class ParsePage(Struct, frozen=True, forbid_unknown_fields=True):
    """Which files of the workspace that the path names, and how many of them."""

    status: str | None = None
    language: Text | None = None
    path: Text | None = None
    limit: Limit = 100
    offset: Offset = 0

    def __post_init__(self) -> None:
        _known("status", self.status, parse_health.STATUSES)


class RunRoutes:
    """The handlers, around the daemon whose database they read."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def table(self) -> Iterable[web.RouteDef]:
        """Method, path and handler of each."""
        return (
            web.get("/api/v1/index/status", self._jobs),
            web.get("/api/v1/index/status/{job}", self._job),
            web.get("/api/v1/index/metrics/stages", self._stages),
            web.get("/api/v1/indexing/batch/errors/{workspace}", self._errors),
            web.get("/api/v1/indexing/batch/errors/{workspace}/summary", self._summary),
            web.get("/api/v1/parse-results/{workspace}", self._parse_results),
        )

    async def _jobs(self, request: web.Request) -> web.Response:
        wanted, now = from_query(request, JobsPage), self._daemon.clock.time()
        found = await self._daemon.store.read(
            lambda reader: jobs.jobs(
                reader,
                now=now,
                workspace=wanted.workspace,
                limit=wanted.limit,
                offset=wanted.offset,
            )
        )
        return answer(found)

    async def _job(self, request: web.Request) -> web.Response:
        job_id, now = request.match_info["job"], self._daemon.clock.time()
        return answer(
            await self._daemon.store.read(lambda reader: jobs.job(reader, job_id, now=now))
        )

    async def _stages(self, _: web.Request) -> web.Response:
        return answer(await self._daemon.store.read(jobs.stage_metrics))

    async def _errors(self, request: web.Request) -> web.Response:
        page = from_query(request, ErrorsPage)
        wanted = page.of(request.match_info["workspace"])
        found = await self._daemon.store.read(
            lambda reader: errors.errors(reader, wanted, limit=page.limit, offset=page.offset)
        )
        return answer(found)

    async def _summary(self, request: web.Request) -> web.Response:
        wanted = from_query(request, ErrorFilter).of(request.match_info["workspace"])
        return answer(await self._daemon.store.read(lambda reader: errors.summary(reader, wanted)))

    async def _parse_results(self, request: web.Request) -> web.Response:
        page, workspace = from_query(request, ParsePage), request.match_info["workspace"]
        found = await self._daemon.store.read(
            lambda reader: parse_health.parse_results(
                reader,
                workspace,
                status=page.status,
                language=page.language,
                path=page.path,
                limit=page.limit,
                offset=page.offset,
            )
        )
        return answer(found)
