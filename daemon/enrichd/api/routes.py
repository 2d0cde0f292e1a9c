"""The routes about the daemon itself: its health, its workspaces, its failures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, ClassVar

from aiohttp import hdrs, web
from msgspec import Meta, Struct
from prometheus_client.exposition import choose_encoder

from enrichd.api.answers import answer
from enrichd.api.daemon import Daemon
from enrichd.api.parameters import (
    AbsolutePath,
    Limit,
    Offset,
    SymbolText,
    Text,
    WorkspaceName,
    about,
)
from enrichd.api.routing import (
    AMBIGUOUS,
    NOT_FOUND,
    Content,
    Nothing,
    Route,
    delete,
    get,
    post,
    raw,
)
from enrichd.errors import DaemonUnreachable
from enrichd.query.answers import SCHEMA_VERSION, UnindexedFiles
from enrichd.query.failures import FailureList, FailureState, failures
from enrichd.query.select import chosen, select
from enrichd.query.servers import Restarted, ServerList
from enrichd.query.status import Status
from enrichd.report import WaitReport
from enrichd_tracker.model import Workspace
from enrichd_tracker.store.port import Reader

WaitSeconds = Annotated[
    float, Meta(gt=0, le=86_400, description="How many seconds to wait at most.")
]


_EXPOSITIONS = ("text/plain", "application/openmetrics-text")


class FailuresPage(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose failures, in which state, and how many of them."""

    workspace: Text | None = None
    state: FailureState | None = None
    limit: Limit = 100
    offset: Offset = 0


class Retry(Struct, frozen=True, forbid_unknown_fields=True):
    """What to try again: one symbol, or everything that failed."""

    symbol: SymbolText | None = None
    workspace: Text | None = None
    all: bool = False

    law: ClassVar[dict[str, object]] = {
        "oneOf": [
            {
                "required": ["symbol"],
                "properties": {"symbol": {"type": "string"}, "all": {"const": False}},
            },
            {
                "required": ["all"],
                "properties": {"symbol": {"type": "null"}, "all": {"const": True}},
            },
        ]
    }

    def __post_init__(self) -> None:
        if (self.symbol is None) is not self.all:
            raise ValueError('symbol: expected either a symbol or "all": true')

    def symbol_ids(self, reader: Reader) -> list[int]:
        """Raises AnswerIsNo where there is no such symbol or workspace."""
        if self.symbol is not None:
            with about("symbol"):
                return select(reader, self.symbol, workspace=self.workspace).ids
        workspace = None if self.workspace is None else chosen(reader, self.workspace)[0].id
        return [each.symbol_id for each in reader.failures(workspace)]


class RestartServer(Struct, frozen=True, forbid_unknown_fields=True):
    """Which server to start afresh, and for which workspace; else for all that it serves."""

    name: Text
    workspace: Text | None = None


class Wait(Struct, frozen=True, forbid_unknown_fields=True):
    """For which workspace, and how long."""

    workspace: Text | None = None
    timeout: WaitSeconds = 60.0


class NewWorkspace(Struct, frozen=True, forbid_unknown_fields=True):
    """A folder to index, and what it is called; else it is named after the folder."""

    root: AbsolutePath
    name: WorkspaceName | None = None


class OneWorkspace(Struct, frozen=True, forbid_unknown_fields=True):
    """A workspace by its name."""

    name: Text


class Health(Struct, frozen=True):
    """Whether the daemon does its work."""

    ok: bool
    problems: list[str]


class Readiness(Struct, frozen=True):
    """Whether the daemon can answer about every workspace."""

    ok: bool
    reasons: list[str]
    """Why not."""


class Retried(Struct, frozen=True, kw_only=True):
    """How many symbols are asked again."""

    schema_version: int = SCHEMA_VERSION
    retried: int


class WorkspaceView(Struct, frozen=True):
    """A workspace as clients see it."""

    name: str
    root: str

    @classmethod
    def of(cls, workspace: Workspace) -> WorkspaceView:
        return cls(workspace.name, workspace.root)


class WorkspaceList(Struct, frozen=True, kw_only=True):
    """All of them."""

    schema_version: int = SCHEMA_VERSION
    workspaces: list[WorkspaceView]


class DaemonRoutes:
    """The handlers, around the daemon that they ask.

    A client that goes away cancels its handler; what changes something goes on to its end.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._stopping = asyncio.Event()

    async def stop(self) -> None:
        """Those who wait are told that there is nothing to wait for any more."""
        self._stopping.set()

    def table(self) -> Iterable[Route]:
        """What each asks and gives."""
        return (*self._about_the_daemon(), *self._about_the_work(), *self._about_workspaces())

    def _about_the_daemon(self) -> Iterable[Route]:
        return (
            raw(
                "/healthz",
                "Whether the daemon does its work",
                self._healthz,
                asks=Nothing,
                answers=_either(Health),
            ),
            raw(
                "/readyz",
                "Whether the daemon can answer about every workspace",
                self._readyz,
                asks=Nothing,
                answers=_either(Readiness),
            ),
            raw(
                "/metrics",
                "Metrics for Prometheus",
                self._metrics,
                asks=Nothing,
                answers={HTTPStatus.OK: Content(_EXPOSITIONS)},
            ),
            get("/api/v1/status", "How things stand", self._status, asks=Nothing, gives=Status),
            get(
                "/api/v1/servers",
                "The language servers: state, memory, requests, restarts",
                self._servers,
                asks=Nothing,
                gives=ServerList,
            ),
            post(
                "/api/v1/servers/restart",
                "Start a language server afresh",
                self._restart_server,
                asks=RestartServer,
                gives=Restarted,
                refuses=(NOT_FOUND,),
            ),
        )

    def _about_the_work(self) -> Iterable[Route]:
        return (
            get(
                "/api/v1/wait",
                "Answer when the graph is current, or the time is up",
                self._wait,
                asks=Wait,
                gives=WaitReport,
                refuses=(NOT_FOUND,),
            ),
            get(
                "/api/v1/unindexed",
                "What was touched and is not in the graph as it is now",
                self._unindexed,
                asks=Nothing,
                gives=UnindexedFiles,
            ),
            get(
                "/api/v1/enrichment/failures",
                "What failed, how often, and when it is tried again",
                self._failures,
                asks=FailuresPage,
                gives=FailureList,
                refuses=(NOT_FOUND,),
            ),
            post(
                "/api/v1/enrichment/retry",
                "Forget failures, so that it is tried again at once",
                self._retry,
                asks=Retry,
                gives=Retried,
                refuses=(NOT_FOUND, AMBIGUOUS),
            ),
        )

    def _about_workspaces(self) -> Iterable[Route]:
        return (
            get(
                "/api/v1/workspaces",
                "The folders that are indexed",
                self._workspaces,
                asks=Nothing,
                gives=WorkspaceList,
            ),
            post(
                "/api/v1/workspaces",
                "Index a folder from now on",
                self._add_workspace,
                asks=NewWorkspace,
                gives=WorkspaceView,
                status=HTTPStatus.CREATED,
            ),
            delete(
                "/api/v1/workspaces/{name}",
                "Forget a workspace whole; its files stay, but the clone of a Git URL is deleted",
                self._remove_workspace,
                asks=OneWorkspace,
                refuses=(NOT_FOUND,),
            ),
        )

    async def _healthz(self, _: web.Request, __: Nothing) -> web.Response:
        problems = self._daemon.health()
        return answer(Health(not problems, problems), _ok_or_unavailable(problems))

    async def _readyz(self, _: web.Request, __: Nothing) -> web.Response:
        reasons = self._daemon.readiness()
        return answer(Readiness(not reasons, reasons), _ok_or_unavailable(reasons))

    async def _metrics(self, request: web.Request, _: Nothing) -> web.Response:
        await self._daemon.refresh_metrics()
        encode, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(
            body=encode(self._daemon.metrics.registry), headers={hdrs.CONTENT_TYPE: content_type}
        )

    async def _status(self, _: Nothing) -> Status:
        return await self._daemon.status()

    async def _servers(self, _: Nothing) -> ServerList:
        return self._daemon.server_list()

    async def _restart_server(self, asked: RestartServer) -> Restarted:
        return Restarted(restarted=self._daemon.restart_servers(asked.name, asked.workspace))

    async def _unindexed(self, _: Nothing) -> UnindexedFiles:
        unindexed = self._daemon.unindexed()
        workspaces = await self._daemon.store.read(lambda reader: reader.workspaces())
        return UnindexedFiles(workspaces={each.name: unindexed(each.id) for each in workspaces})

    async def _wait(self, asked: Wait) -> WaitReport:
        waiting = asyncio.ensure_future(self._daemon.wait(asked.workspace, asked.timeout))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            raise DaemonUnreachable("the daemon is stopping")
        finally:
            for each in (waiting, stopping):
                each.cancel()
            await asyncio.gather(waiting, stopping, return_exceptions=True)

    async def _failures(self, asked: FailuresPage) -> FailureList:
        return await self._daemon.store.read(
            lambda reader: failures(
                reader,
                state=asked.state,
                workspace=asked.workspace,
                limit=asked.limit,
                offset=asked.offset,
            )
        )

    async def _retry(self, asked: Retry) -> Retried:
        symbol_ids = await self._daemon.store.read(asked.symbol_ids)
        return Retried(retried=await asyncio.shield(self._daemon.retry(symbol_ids)))

    async def _workspaces(self, _: Nothing) -> WorkspaceList:
        workspaces = await self._daemon.store.read(lambda reader: reader.workspaces())
        return WorkspaceList(workspaces=[WorkspaceView.of(each) for each in workspaces])

    async def _add_workspace(self, asked: NewWorkspace) -> WorkspaceView:
        with about("root"):
            added = self._daemon.workspaces.add(Path(asked.root), asked.name)
            return WorkspaceView.of(await asyncio.shield(added))

    async def _remove_workspace(self, asked: OneWorkspace) -> None:
        await asyncio.shield(self._daemon.workspaces.remove(asked.name))


def _either(kind: type[Struct]) -> dict[HTTPStatus, Content | None]:
    """The same document whether the answer is yes or no."""
    content = Content(kind=kind)
    return {HTTPStatus.OK: content, HTTPStatus.SERVICE_UNAVAILABLE: content}


def _ok_or_unavailable(reasons: list[str]) -> HTTPStatus:
    return HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
