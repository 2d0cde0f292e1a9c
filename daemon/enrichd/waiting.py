"""`enrichd wait`: until the graph is as current as it can be, and what stands in its way."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from msgspec import Struct

from enrichd.clock import Clock, within
from enrichd.enrich.service import Enrichment
from enrichd.errors import EnrichdError
from enrichd.indexing import Indexing
from enrichd.lsp.states import ServerState
from enrichd.query.answers import counted, listed
from enrichd.query.select import chosen
from enrichd.query.status import ServerInfo
from enrichd.report import WaitReport, WorkspaceWait
from enrichd_tracker.model import Workspace
from enrichd_tracker.store.port import Reader, Store, WorkspaceCounts

_LOOK_EVERY_S = 0.1
_LOOK_AT_LEAST_EVERY_S = 1.0
_TELL_EVERY_S = 0.5
"""Orphans are counted for it."""
_AT_LEAST_EVERY_S = 5.0
"""The monitor's ticks change what is served without news."""


class _Found(Struct, frozen=True):
    counts: WorkspaceCounts
    orphans: dict[str, int]


class Waiting:
    """Waits for what indexing and enrichment tell; any number of waits go on at once."""

    def __init__(
        self,
        *,
        store: Store,
        indexing: Indexing,
        enrichment: Enrichment,
        clock: Clock,
        servers: Callable[[], list[ServerInfo]],
        advice: Callable[[str], str],
    ) -> None:
        self._store = store
        self._indexing = indexing
        self._enrichment = enrichment
        self._clock = clock
        self._servers = servers
        self._advice = advice

    async def wait(self, name: str | None, timeout_s: float) -> WaitReport:
        """Return when the workspace of this name, or all of them, are current, or in time.

        Current: a look at all files that began after this call has come to its end, nothing was
        touched since, and every orphan that can be served has its outcome. Raises AnswerIsNo for
        a name that there is not.
        """
        started = self._clock.monotonic()
        wanted = await self._store.read(lambda reader: chosen(reader, name))
        problems: dict[int, str] = {}
        timed_out = False
        try:
            await within(self._clock, timeout_s, self._until_current(wanted, problems))
        except TimeoutError:
            timed_out = True
        told: list[str] = []
        rows: list[WorkspaceWait] = []
        for workspace in wanted:
            found = await self._store.read(partial(_found, workspace))
            current = workspace.id not in problems and await self._is_current(workspace)
            rows.append(
                WorkspaceWait(
                    name=workspace.name,
                    current=current,
                    pending_changes=self._indexing.unindexed(workspace.id).count,
                    orphans=found.counts.orphans,
                    backing_off=found.counts.backing_off,
                    skipped=found.counts.skipped,
                )
            )
            reasons = self._reasons(workspace, found, problems, late=timed_out and not current)
            told += [f"{workspace.name}: {reason}" for reason in reasons]
        current = all(row.current for row in rows)
        return WaitReport(
            current=current,
            complete=current and not any(row.orphans or row.skipped for row in rows),
            timed_out=timed_out and not current,
            seconds=round(self._clock.monotonic() - started, 3),
            workspaces=rows,
            problems=told,
        )

    async def orphans(self, workspace: Workspace) -> int:
        """How many symbols lack an outcome."""
        by_language = await self._store.read(
            lambda reader: reader.orphans_by_language(workspace.id)
        )
        return sum(by_language.values())

    async def until_settled(
        self,
        workspace: Workspace,
        advance: Callable[[int], Awaitable[None]],
        *,
        retries: bool = True,
    ) -> None:
        """Return when nothing in the workspace is left that can be served, whatever its files do.

        ``advance`` is told how many orphans there are. Without ``retries`` symbols that wait for
        their next attempt are not waited for.
        """
        progress = self._enrichment.progress
        seen = progress.count
        told_at = -math.inf
        while not await self._enrichment.settled(workspace.id, retries=retries):
            if (now := self._clock.monotonic()) - told_at >= _TELL_EVERY_S:
                told_at = now
                await advance(await self.orphans(workspace))
            await self._clock.sleep(_LOOK_EVERY_S)
            with suppress(TimeoutError):
                await within(self._clock, _LOOK_AT_LEAST_EVERY_S, progress.after(seen))
            seen = progress.count

    async def reasons(self, workspace: Workspace) -> list[str]:
        """Why its graph is not complete, one sentence each; none where it is."""
        found = await self._store.read(partial(_found, workspace))
        return self._reasons(workspace, found, {}, late=False)

    async def _until_current(self, wanted: list[Workspace], problems: dict[int, str]) -> None:
        async with asyncio.TaskGroup() as group:
            for workspace in wanted:
                name = f"waiting for {workspace.name}"
                group.create_task(self._until_one_is(workspace, problems), name=name)

    async def _until_one_is(self, workspace: Workspace, problems: dict[int, str]) -> None:
        try:
            await self._indexing.looked(workspace.id)
        except EnrichdError as error:
            problems[workspace.id] = error.message + (f"; {error.hint}" if error.hint else "")
            return
        while True:
            files, answers = self._indexing.news.count, self._enrichment.progress.count
            if await self._is_current(workspace):
                return
            await self._news_after(files, answers)

    async def _is_current(self, workspace: Workspace) -> bool:
        return self._indexing.is_calm(workspace.id) and await self._enrichment.settled(
            workspace.id, retries=False
        )

    async def _news_after(self, files: int, answers: int) -> None:
        either = [
            asyncio.ensure_future(self._indexing.news.after(files)),
            asyncio.ensure_future(self._enrichment.progress.after(answers)),
        ]
        try:
            news = asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            with suppress(TimeoutError):
                await within(self._clock, _AT_LEAST_EVERY_S, news)
        finally:
            for each in either:
                each.cancel()
            await asyncio.gather(*either, return_exceptions=True)

    def _reasons(
        self, workspace: Workspace, found: _Found, problems: dict[int, str], *, late: bool
    ) -> list[str]:
        told = [problems[workspace.id]] if workspace.id in problems else []
        unindexed = self._indexing.unindexed(workspace.id)
        if late and unindexed.count:
            files = counted(unindexed.count, "touched file")
            told.append(f"{files} not indexed yet ({listed(unindexed.paths)})")
        elif late and not self._indexing.is_calm(workspace.id):
            told.append("its files are still being looked at; raise --timeout")
        servers = {
            each.language: each for each in self._servers() if each.workspace == workspace.name
        }
        failing = found.counts.backing_off
        for language, orphans in found.orphans.items():
            if not orphans:
                continue
            server = servers.get(language)
            reason = why_it_waits(language, orphans, server, late=late and orphans > failing)
            if server is None and (advice := self._advice(language)):
                reason = f"{language}: {counted(orphans, 'symbol')} not enriched, {advice}"
            if reason is not None:
                told.append(reason)
        if failing:
            told.append(
                f"{counted(failing, 'symbol')} failed and will be tried again; "
                "`enrichd failures` says why and when"
            )
        if found.counts.skipped:
            told.append(why_skipped(found.counts.skipped))
        return told


def _found(workspace: Workspace, reader: Reader) -> _Found:
    return _Found(reader.counts(workspace.id), reader.orphans_by_language(workspace.id))


def why_it_waits(
    language: str, orphans: int, server: ServerInfo | None, *, late: bool
) -> str | None:
    """Why symbols of a language have no outcome, and what to do; ``late``: the time was up."""
    if server is None:
        return (
            f"{language}: {orphans} symbols wait, no server is configured for it; "
            f'name one in [enrich.servers] {language} = "..."'
        )
    if server.state == ServerState.UNAVAILABLE:
        return (
            f"{language}: {orphans} symbols wait, {server.name} is not installed; "
            f"install it: {server.install_hint}"
        )
    if server.state == ServerState.BACKING_OFF and not late:
        return (
            f"{language}: {orphans} symbols wait, {server.name} does not stay up: "
            f"{server.last_error}; mend it and run this again"
        )
    if late:
        return (
            f"{language}: {orphans} symbols still wait, the time was up "
            f"({server.name} is {server.state}); run it again or raise --timeout"
        )
    return None


def why_skipped(symbols: int) -> str:
    """What to do about symbols whose attempts are used up."""
    return (
        f"{symbols} symbols failed for good; "
        "`enrichd failures --state skipped` says why, `enrichd retry --all` tries again"
    )
