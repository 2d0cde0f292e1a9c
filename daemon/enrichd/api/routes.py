"""The routes about the daemon itself: its health, its workspaces, its failures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from aiohttp import hdrs, web
from msgspec import Meta, Struct
from prometheus_client.exposition import choose_encoder

from enrichd.api.answers import answer
from enrichd.api.daemon import Daemon
from enrichd.api.parameters import Limit, Offset, Text, from_body, from_query
from enrichd.errors import DaemonUnreachable
from enrichd.query.failures import FailureState, failures
from enrichd.query.select import chosen, select
from enrichd.query.servers import Restarted
from enrichd.settings import WORKSPACE_NAME
from enrichd_tracker.model import Workspace
from enrichd_tracker.store.port import Reader

_MOST_WAIT_S = 86_400.0


class FailuresPage(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose failures, in which state, and how many of them."""

    workspace: Text | None = None
    state: str | None = None
    limit: Limit = 100
    offset: Offset = 0

    def __post_init__(self) -> None:
        if self.state is not None and self.state not in list(FailureState):
            raise ValueError(f"state: expected {' or '.join(FailureState)}, got {self.state}")


class Retry(Struct, frozen=True, forbid_unknown_fields=True):
    """What to try again: one symbol, or everything that failed."""

    symbol: Text | None = None
    workspace: Text | None = None
    all: bool = False

    def __post_init__(self) -> None:
        if (self.symbol is None) is not self.all:
            raise ValueError('symbol: expected either a symbol or "all": true')

    def symbol_ids(self, reader: Reader) -> list[int]:
        """Raises AnswerIsNo where there is no such symbol or workspace."""
        if self.symbol is not None:
            return select(reader, self.symbol, workspace=self.workspace).ids
        workspace = None if self.workspace is None else chosen(reader, self.workspace)[0].id
        return [each.symbol_id for each in reader.failures(workspace)]


class RestartServer(Struct, frozen=True, forbid_unknown_fields=True):
    """Which server to start afresh, and for which workspace; else for all that it serves."""

    name: Text
    workspace: Text | None = None


class Wait(Struct, frozen=True, forbid_unknown_fields=True):
    """For which workspace, and how many seconds at most."""

    workspace: Text | None = None
    timeout: Annotated[float, Meta(gt=0, le=_MOST_WAIT_S)] = 60.0


class NewWorkspace(Struct, frozen=True, forbid_unknown_fields=True):
    """A folder to index; the daemon's working directory is nobody's business."""

    root: Text
    name: Text | None = None

    def __post_init__(self) -> None:
        if not Path(self.root).is_absolute() or "\0" in self.root:
            raise ValueError("root: expected an absolute path")
        if self.name is not None and not WORKSPACE_NAME.fullmatch(self.name):
            raise ValueError('name: only letters, digits, ".", "_" and "-" can stand in it')


class WorkspaceDocument(Struct, frozen=True):
    """A workspace as clients see it."""

    name: str
    root: str

    @classmethod
    def of(cls, workspace: Workspace) -> WorkspaceDocument:
        return cls(workspace.name, workspace.root)


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

    def table(self) -> Iterable[web.RouteDef]:
        """Method, path and handler of each."""
        return (
            web.get("/healthz", self._healthz),
            web.get("/readyz", self._readyz),
            web.get("/metrics", self._metrics),
            web.get("/api/v1/status", self._status),
            web.get("/api/v1/servers", self._servers),
            web.post("/api/v1/servers/restart", self._restart_server),
            web.get("/api/v1/wait", self._wait),
            web.get("/api/v1/unindexed", self._unindexed),
            web.get("/api/v1/enrichment/failures", self._failures),
            web.post("/api/v1/enrichment/retry", self._retry),
            web.get("/api/v1/workspaces", self._workspaces),
            web.post("/api/v1/workspaces", self._add_workspace),
            web.delete("/api/v1/workspaces/{name}", self._remove_workspace),
        )

    async def _healthz(self, _: web.Request) -> web.Response:
        problems = self._daemon.health()
        return answer({"ok": not problems, "problems": problems}, _ok_or_unavailable(problems))

    async def _readyz(self, _: web.Request) -> web.Response:
        reasons = self._daemon.readiness()
        return answer({"ok": not reasons, "reasons": reasons}, _ok_or_unavailable(reasons))

    async def _metrics(self, request: web.Request) -> web.Response:
        await self._daemon.refresh_metrics()
        encode, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(
            body=encode(self._daemon.metrics.registry), headers={hdrs.CONTENT_TYPE: content_type}
        )

    async def _status(self, _: web.Request) -> web.Response:
        return answer(await self._daemon.status())

    async def _servers(self, _: web.Request) -> web.Response:
        return answer(self._daemon.server_list())

    async def _restart_server(self, request: web.Request) -> web.Response:
        wanted = await from_body(request, RestartServer)
        found = self._daemon.restart_servers(wanted.name, wanted.workspace)
        return answer(Restarted(restarted=found))

    async def _unindexed(self, _: web.Request) -> web.Response:
        unindexed = self._daemon.unindexed()
        workspaces = await self._daemon.store.read(lambda reader: reader.workspaces())
        return answer({"workspaces": {each.name: unindexed(each.id) for each in workspaces}})

    async def _wait(self, request: web.Request) -> web.Response:
        wanted = from_query(request, Wait)
        waiting = asyncio.ensure_future(self._daemon.wait(wanted.workspace, wanted.timeout))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return answer(waiting.result())
            raise DaemonUnreachable("the daemon is stopping")
        finally:
            for each in (waiting, stopping):
                each.cancel()
            await asyncio.gather(waiting, stopping, return_exceptions=True)

    async def _failures(self, request: web.Request) -> web.Response:
        wanted = from_query(request, FailuresPage)
        found = await self._daemon.store.read(
            lambda reader: failures(
                reader,
                state=FailureState(wanted.state) if wanted.state else None,
                workspace=wanted.workspace,
                limit=wanted.limit,
                offset=wanted.offset,
            )
        )
        return answer(found)

    async def _retry(self, request: web.Request) -> web.Response:
        wanted = await from_body(request, Retry)
        symbol_ids = await self._daemon.store.read(wanted.symbol_ids)
        return answer({"retried": await asyncio.shield(self._daemon.retry(symbol_ids))})

    async def _workspaces(self, _: web.Request) -> web.Response:
        workspaces = await self._daemon.store.read(lambda reader: reader.workspaces())
        return answer({"workspaces": [WorkspaceDocument.of(each) for each in workspaces]})

    async def _add_workspace(self, request: web.Request) -> web.Response:
        new = await from_body(request, NewWorkspace)
        workspace = await asyncio.shield(self._daemon.add_workspace(Path(new.root), new.name))
        return answer(WorkspaceDocument.of(workspace), HTTPStatus.CREATED)

    async def _remove_workspace(self, request: web.Request) -> web.Response:
        await asyncio.shield(self._daemon.remove_workspace(request.match_info["name"]))
        return web.Response(status=HTTPStatus.NO_CONTENT)


def _ok_or_unavailable(reasons: list[str]) -> HTTPStatus:
    return HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
