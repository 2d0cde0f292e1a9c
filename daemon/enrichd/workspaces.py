"""Which workspaces there are: those of the configuration, those that were added, and clones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from enrichd.clock import Clock
from enrichd.enrich.service import Enrichment
from enrichd.errors import AnswerIsNo, UsageError
from enrichd.indexing import Indexing
from enrichd.jobs import Jobs
from enrichd.services import Services
from enrichd.settings import WorkspaceSettings, free_name
from enrichd.sources.folders import remove, remove_leftovers
from enrichd.sources.url import GitUrl
from enrichd_tracker.errors import StoreUnavailable
from enrichd_tracker.model import Workspace
from enrichd_tracker.store.port import Store

_TRY_AGAIN_S = 1.0
_TAKING_UP = "taking up workspaces"

_log = structlog.get_logger()


class Workspaces:
    """Takes them up, and lets them go."""

    def __init__(
        self,
        *,
        store: Store,
        indexing: Indexing,
        enrichment: Enrichment,
        jobs: Jobs,
        services: Services,
        clock: Clock,
        configured: Callable[[], Sequence[WorkspaceSettings]],
        sources: Path,
    ) -> None:
        """``sources``: the folder in which repositories are cloned."""
        self._store = store
        self._indexing = indexing
        self._enrichment = enrichment
        self._jobs = jobs
        self._services = services
        self._clock = clock
        self._configured = configured
        self._sources = sources

    async def begin(self) -> None:
        """Take up all of them, and what a daemon that was killed has left of clones away."""
        await remove_leftovers(self._sources)
        await self.take_up_all_at_last()

    async def take_up_all(self) -> None:
        """Take up the workspaces of the configuration and those that were added."""
        for each in self._configured():
            await self._store.add_workspace(each.name, str(each.root.resolve()))
        for workspace in await self._store.read(lambda reader: reader.workspaces()):
            self._indexing.take_up(workspace)

    async def take_up_all_at_last(self) -> None:
        """The same; where the database can't be written just now, as soon as it can."""
        await self._services.end(_TAKING_UP)
        try:
            await self.take_up_all()
        except StoreUnavailable as error:
            _log.error("can't write", action="store_unavailable", error=error.message)
            self._services.start(_TAKING_UP, self._insist_on_taking_up(), finite=True)

    async def _insist_on_taking_up(self) -> None:
        while True:
            await self._clock.sleep(_TRY_AGAIN_S)
            with suppress(StoreUnavailable):
                return await self.take_up_all()

    async def add(self, root: Path, name: str | None) -> Workspace:
        """Serve another folder from now on; without a name it gets its folder's."""
        workspace = await self.register(root, name)
        self._indexing.take_up(workspace)
        return workspace

    async def register(self, root: Path, name: str | None) -> Workspace:
        """The workspace of a folder, made where it is new."""
        try:
            folder = await asyncio.to_thread(root.resolve, strict=True)
        except OSError as error:
            raise UsageError(f"cannot use {root}: {error.strerror}") from error
        if not folder.is_dir():
            raise UsageError(f"{root} is not a folder", hint="give the folder that holds it")
        known = await self._store.read(lambda reader: reader.workspaces())
        wanted = name or free_name(folder.name, folder, {each.name: each.root for each in known})
        return await self._store.add_workspace(wanted, str(folder))

    async def source(self, url: GitUrl, branch: str | None, name: str | None) -> Workspace:
        """The workspace that a repository is cloned into; made where it is new."""
        folder = self._sources / url.folder(branch)
        known = await self._store.read(lambda reader: reader.workspaces())
        names = {each.name: each.root for each in known}
        wanted = name or free_name(url.name, folder, names)
        workspace = await self._store.add_workspace(wanted, str(folder))
        self._indexing.adopt(workspace)
        return workspace

    async def remove(self, name: str) -> None:
        """Forget a workspace whole, and what was cloned for it."""
        for workspace in await self._store.read(lambda reader: reader.workspaces()):
            if workspace.name == name:
                break
        else:
            raise AnswerIsNo(
                f"there is no workspace named {name}", hint="`enrichd workspaces list` shows them"
            )
        if any(each.name == name for each in self._configured()):
            raise AnswerIsNo(
                f"the workspace {name} comes from the configuration",
                hint="remove its [[workspace]] there and reload",
            )
        await self._jobs.forget(workspace.id)
        await self._indexing.let_go(workspace)
        await self._enrichment.remove_lanes(workspace.id)
        for symbol_id in await self._store.remove_workspace(workspace.id):
            self._enrichment.tracker.clear_failure(symbol_id)
        self._enrichment.monitor.new_work()
        if Path(workspace.root).parent == self._sources:
            await remove(Path(workspace.root), self._sources)
