"""`enrichd index`: index and enrich one folder until nothing is left to find out, then end."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from enrichd.app import App, Servers
from enrichd.clock import Clock, SystemClock, within
from enrichd.config import Config
from enrichd.index.job import RunResult
from enrichd.index.languages import languages
from enrichd.lsp.life import prepare
from enrichd.lsp.states import ServerState
from enrichd.report import IndexReport, Progress
from enrichd.waiting import why_it_waits, why_skipped
from enrichd_tracker.model import Workspace
from enrichd_tracker.store.port import WorkspaceCounts


def run_index(
    config: Config, path: Path, *, enrich: bool, timeout_s: float | None, progress: Progress
) -> IndexReport:
    """Index the folder at ``path``; without ``enrich`` no server is asked.

    What is not done after ``timeout_s`` seconds of enriching stays an orphan, and is reported.
    """
    return asyncio.run(_run(config, path, enrich, timeout_s, progress))


async def _run(
    config: Config, path: Path, enrich: bool, timeout_s: float | None, progress: Progress
) -> IndexReport:
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    clock = SystemClock()
    app = await App.open(config, clock, Servers.WHEN_NEEDED if enrich else Servers.NEVER)
    try:
        return await _Once(app, clock, progress).run(path, enrich=enrich, timeout_s=timeout_s)
    finally:
        progress.close()
        await app.close()


class _Once:
    def __init__(self, app: App, clock: Clock, progress: Progress) -> None:
        self._app = app
        self._clock = clock
        self._progress = progress

    async def run(self, path: Path, *, enrich: bool, timeout_s: float | None) -> IndexReport:
        started = self._clock.monotonic()
        app = self._app
        workspace = await app.workspaces.register(path, None)
        app.indexing.adopt(workspace)
        prepared = asyncio.create_task(prepare(), name="prepare") if enrich else None
        result = await app.indexing.index(workspace, self._progress)
        if prepared is not None:
            await prepared
        indexed = self._clock.monotonic()
        late = False
        if enrich:
            late = not await self._enrich(workspace, timeout_s)
        counts = await app.store.read(lambda reader: reader.counts(workspace.id))
        jobs = await app.store.read(lambda reader: reader.runs.jobs(workspace.id, 1))
        problems = await self._problems(workspace, counts, late=late, enrich=enrich)
        ended = self._clock.monotonic()
        servers = app.servers()
        requests = sum(each.requests for each in servers)
        return IndexReport(
            workspace=workspace.name,
            root=workspace.root,
            files=counts.files,
            files_changed=len(result.created) + len(result.changed),
            files_removed=len(result.removed),
            symbols=counts.symbols,
            edges=counts.edges,
            outcomes=counts.outcomes,
            parse=counts.parse,
            orphans=counts.orphans,
            backing_off=counts.backing_off,
            skipped=counts.skipped,
            seconds=round(ended - started, 3),
            parse_seconds=round(indexed - started, 3),
            enrich_seconds=round(ended - indexed, 3),
            requests=requests,
            server=", ".join(f"{each.name} {each.version}" for each in servers if each.version)
            or None,
            complete=not counts.orphans and not counts.skipped and not result.has_failed,
            nothing_to_do=result.nothing_to_do and not requests,
            problems=[*_file_problems(result), *problems],
            job=jobs[0] if jobs and result.job_id == jobs[0].job_id else None,
        )

    async def _enrich(self, workspace: Workspace, timeout_s: float | None) -> bool:
        """Wait until the workspace is settled; False when the time was up first."""
        total = await self._app.waiting.orphans(workspace)
        if total:
            self._progress.stage("enriching", total)
        settled = asyncio.ensure_future(self._until_settled(workspace, total))
        failed = asyncio.ensure_future(self._app.services.failure())
        try:
            either = asyncio.wait({settled, failed}, return_when=asyncio.FIRST_COMPLETED)
            if timeout_s is None:
                await either
            else:
                await within(self._clock, timeout_s, either)
            if failed.done():
                failed.result()
        except TimeoutError:
            return False
        finally:
            for each in (settled, failed):
                each.cancel()
            await asyncio.gather(settled, failed, return_exceptions=True)
        return True

    async def _until_settled(self, workspace: Workspace, total: int) -> None:
        told = ""

        async def advance(left: int) -> None:
            nonlocal told
            self._progress.advance(total - left, total)
            if (text := self._what_is_waited_for()) != told:
                told = text
                if text:
                    self._progress.message(text)

        await self._app.waiting.until_settled(workspace, advance)
        self._progress.advance(total, total)

    def _what_is_waited_for(self) -> str:
        waits = [
            f"{each.name} is {each.state}" + (f": {each.last_error}" if each.last_error else "")
            for each in self._app.servers()
            if each.state in {ServerState.BACKING_OFF, ServerState.DEGRADED}
        ]
        stats = self._app.enrichment.tracker.get_stats()
        if stats.backing_off:
            waits.append(f"{stats.backing_off} symbols wait for their next attempt")
        return "; ".join(waits)

    async def _problems(
        self, workspace: Workspace, counts: WorkspaceCounts, *, late: bool, enrich: bool
    ) -> list[str]:
        found = []
        if not counts.files:
            known = ", ".join(languages())
            found.append(f"no file of {workspace.root} is in a language that is read: {known}")
        waiting = await self._app.store.read(
            lambda reader: reader.orphans_by_language(workspace.id)
        )
        servers = {each.language: each for each in self._app.servers()}
        for language, orphans in waiting.items():
            if not orphans:
                continue
            if not enrich:
                found.append(f"{language}: {orphans} symbols were not enriched, as asked for")
            elif told := why_it_waits(language, orphans, servers.get(language), late=late):
                found.append(told)
        if counts.skipped:
            found.append(why_skipped(counts.skipped))
        return found


def _file_problems(result: RunResult) -> list[str]:
    failed = [result.error] if result.has_failed and result.error else []
    return [*result.problems, *failed]
