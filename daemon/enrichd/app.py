"""The composition root: builds everything from the configuration, starts it, stops it."""

from __future__ import annotations

import asyncio
import os
import random
from enum import Enum, auto
from pathlib import Path

import structlog
from msgspec import structs

from enrichd import __version__, server_list
from enrichd.clock import Clock
from enrichd.config import Config
from enrichd.embed.model import configured
from enrichd.embed.nearest import Meaning
from enrichd.embed.service import Embedding
from enrichd.enrich.service import Enrichment, EnrichOptions
from enrichd.errors import AlreadyLocked
from enrichd.index.run import IndexOptions
from enrichd.indexing import Indexing
from enrichd.job_feed import JobFeed
from enrichd.jobs import Jobs
from enrichd.metrics import Metrics
from enrichd.query.answers import NOTHING, UnindexedOf
from enrichd.query.servers import RestartedServer, ServerList
from enrichd.query.status import DaemonInfo, ServerInfo, Status, build
from enrichd.report import WaitReport
from enrichd.runs import Runs
from enrichd.servers import advice, profiles
from enrichd.services import Services
from enrichd.settings import SOURCES
from enrichd.waiting import Waiting
from enrichd.workspaces import Workspaces
from enrichd_tracker.backoff import BackoffPolicy
from enrichd_tracker.enrichment import EnrichmentTracker
from enrichd_tracker.model import JobStatus, Lane, Workspace
from enrichd_tracker.store.port import Reader
from enrichd_tracker.store.port_embeddings import EmbeddingModel
from enrichd_tracker.store.sqlite import SqliteStore

NOT_LOOKED_AT = "its files have not been looked at since the start"
_TICKS_TILL_DEAD = 3
_LEAST_PATIENCE_S = 30.0
_LOCK_TRIES = 20
_LOCK_AGAIN_S = 0.05

_log = structlog.get_logger()


class Servers(Enum):
    """Which language servers are started."""

    ALWAYS = auto()  # for every language: ready when something changes
    WHEN_NEEDED = auto()  # for languages with orphans
    NEVER = auto()


async def _open_store(database: Path, clock: Clock) -> SqliteStore:
    for _ in range(_LOCK_TRIES):
        try:
            return await SqliteStore.open(database, clock)
        except AlreadyLocked as error:
            if not error.owner_is_gone:
                raise
        await clock.sleep(_LOCK_AGAIN_S)
    return await SqliteStore.open(database, clock)


class App:
    """The running daemon, or the one run of `enrichd index`: the same parts, the same care."""

    def __init__(self, config: Config, clock: Clock, store: SqliteStore, servers: Servers) -> None:
        self.config = config
        self.store = store
        self.metrics = Metrics()
        self.clock = clock
        self._servers = servers
        self._started_at = clock.monotonic()
        self._random = random.SystemRandom()
        self._stopping = False
        self.reload_problem = ""
        """Why the last reload was refused: the configuration in force is an older one."""
        self.services = Services()
        self.enrichment = Enrichment(
            store=store,
            tracker=EnrichmentTracker(_policy(config), clock, random=self._random),
            services=self.services,
            clock=clock,
            metrics=self.metrics,
            options=EnrichOptions(
                external=config.enrich.external,
                request_timeout_s=config.enrich.request_timeout_s,
                interval_s=config.monitor.interval_s,
                queue_size=config.monitor.queue_size,
            ),
            jitter=self._random.random,
            on_stale=lambda each: self.indexing.request(each),  # noqa: PLW0108 - made below
        )
        self.embedding = self._made_embedding()
        """The embedding stage, where it is configured."""
        self.runs = Runs(
            store=store,
            enrichment=self.enrichment,
            clock=clock,
            metrics=self.metrics,
            owner=f"{os.uname().nodename}:{os.getpid()}:{self._random.getrandbits(32):08x}",
            options=self._index_options,
            on_languages=self._serve_languages,
            embedding=lambda: self.embedding,
        )
        self.indexing = Indexing(self.runs, clock=clock, options=self._index_options)
        self.job_feed = JobFeed(store, clock)
        self.waiting = Waiting(
            store=store,
            indexing=self.indexing,
            enrichment=self.enrichment,
            clock=clock,
            servers=self.servers,
            advice=self.advice,
        )
        self.jobs = Jobs(
            store=store,
            indexing=self.indexing,
            runs=self.runs,
            waiting=self.waiting,
            clock=clock,
            metrics=self.metrics,
            max_clone_bytes=lambda: self.config.index.max_clone_bytes,
        )
        self.workspaces = Workspaces(
            store=store,
            indexing=self.indexing,
            enrichment=self.enrichment,
            jobs=self.jobs,
            services=self.services,
            clock=clock,
            configured=lambda: self.config.workspaces,
            sources=config.daemon.database.parent / SOURCES,
        )

    @classmethod
    async def open(cls, config: Config, clock: Clock, servers: Servers = Servers.ALWAYS) -> App:
        """Check what can be checked, take the database, begin to enrich what it holds."""
        profiles(config)
        configured(config)
        store = await _open_store(config.daemon.database, clock)
        app = cls(config, clock, store, servers)
        if store.set_aside is not None:
            _log.error(
                "the database was damaged: it was set aside, and all of it is made again",
                action="database_set_aside",
                set_aside=str(store.set_aside),
            )
        try:
            for job in await store.end_interrupted_jobs(app.runs.owner):
                _log.warning("job was interrupted", action="job_interrupted", job=job)
                app.metrics.jobs.labels(JobStatus.FAILED).inc()
            await app.enrichment.start()
            app.services.start("indexing", app.indexing.run())
            app.services.start("job feed", app.job_feed.run())
        except BaseException:
            await app.close()
            raise
        return app

    async def close(self) -> None:
        """Stop asking, write what was found out, end the servers, give the database back."""
        self._stopping = True
        await asyncio.gather(self.indexing.stop_watching(), self.enrichment.stop())
        await self.services.stop()
        if self.embedding is not None:
            await self.embedding.close()
        await self.store.close()

    def _made_embedding(self) -> Embedding | None:
        found = configured(self.config)
        if found is None:
            return None
        return Embedding(
            store=self.store, clock=self.clock, metrics=self.metrics.embedding, found=found
        )

    async def meaning_of(self, text: str) -> Meaning | None:
        """What a text means to the configured model; None where none is."""
        return None if self.embedding is None else await self.embedding.meaning_of(text)

    async def embedding_model(self) -> EmbeddingModel | None:
        """The configured model; None where none is."""
        return None if self.embedding is None else await self.embedding.model()

    async def serve(self) -> None:
        """Be the daemon: keep every workspace indexed and enriched from now on."""
        await self.workspaces.begin()
        self.services.start("jobs", self.jobs.run())
        self.indexing.watch(self.services)
        self.enrichment.check_for_drift(
            self._random.random, self.indexing.is_calm, self.indexing.distrust
        )

    def _index_options(self, workspace: Workspace) -> IndexOptions:
        index = self.config.index
        own = [each.exclude for each in self.config.workspaces if each.name == workspace.name]
        return IndexOptions(
            exclude=(*index.exclude, *(pattern for each in own for pattern in each)),
            max_file_bytes=index.max_file_bytes,
            parse_processes=index.parse_processes,
            papers=frozenset(
                name for each in profiles(self.config).values() for name in each.root_markers
            ),
        )

    async def _serve_languages(self, workspace: Workspace, languages: set[str]) -> None:
        if self._stopping or self._servers is Servers.NEVER:
            return
        known = profiles(self.config)
        named = {each: known.get(self.config.enrich.servers.get(each, "")) for each in languages}
        for language, profile in sorted(named.items()):
            if profile is not None:
                lane = Lane(workspace.id, language)
                await self.enrichment.look_around(lane, profile, Path(workspace.root))
        if self._servers is Servers.WHEN_NEEDED:
            orphans = await self.store.read(lambda reader: reader.orphans_by_language(workspace.id))
            languages = {language for language, n in orphans.items() if n}
        for language in sorted(languages):
            if (profile := named.get(language)) is not None:
                await self.enrichment.add_lane(Lane(workspace.id, language), workspace, profile)

    # How it is.

    @property
    def max_attempts(self) -> int:
        """After so many failures a symbol is skipped."""
        return self.config.tracker.max_attempts

    def advice(self, language: str) -> str:
        """What a person can do about a language that nobody speaks for."""
        return advice(self.config, language)

    def health(self) -> list[str]:
        """What is wrong with the daemon itself; empty when it is well."""
        found = []
        if not self.alive():
            found.append("a service has ended, or the monitor has not ticked for too long")
        if problem := self.enrichment.recorder.problem:
            found.append(f"can't write to the database: {problem}")
        elif problem := self.store.problem:
            found.append(problem)
        return found

    def alive(self) -> bool:
        """Whether every service runs and the monitor ticks."""
        monitor = self.enrichment.monitor
        silent_s = self.clock.monotonic() - monitor.last_tick_at
        patience_s = max(_TICKS_TILL_DEAD * monitor.interval_s, _LEAST_PATIENCE_S)
        ticks = silent_s <= patience_s or bool(self.store.problem)  # it can't, but it tries
        return ticks and not self.services.failed

    @property
    def generation(self) -> tuple[int, int, str]:
        """Differs from an earlier one when ``summary`` may."""
        return self.enrichment.recorder.generation, self.runs.count, self.reload_problem

    async def summary(self) -> str:
        """One line on how things stand, for systemd."""

        def sums(reader: Reader) -> tuple[int, int, int]:
            counts = [reader.counts(each.id) for each in reader.workspaces()]
            return (
                len(counts),
                sum(each.symbols for each in counts),
                sum(each.orphans for each in counts),
            )

        workspaces, symbols, orphans = await self.store.read(sums)
        left = f"{orphans} to enrich" if orphans else "all enriched"
        text = f"{workspaces} workspaces, {symbols} symbols, {left}"
        return f"{text}; {self.reload_problem}" if self.reload_problem else text

    def readiness(self) -> list[str]:
        """Why queries can't be served yet; empty when they can."""
        return ["shutting down"] if self._stopping else self.health()

    async def refresh_metrics(self) -> None:
        """Make the gauges true before they are read."""
        await self.enrichment.monitor.refresh_gauges()
        found = [self.indexing.freshness(each) for each in self.indexing.workspaces]
        known = [each for each in found if each is not None]
        self.metrics.pending_changes.set(sum(each.pending_changes for each in known))
        self.metrics.freshness_lag.set(max((each.lag_s for each in known), default=0.0))

    async def status(self) -> Status:
        """The document of `enrichd status --json`."""
        daemon = DaemonInfo(
            running=True,
            pid=os.getpid(),
            uptime_s=round(self.clock.monotonic() - self._started_at, 3),
            version=__version__,
        )
        servers = self.servers()
        now = self.clock.time()
        freshness = {each: self.indexing.freshness(each) for each in self.indexing.workspaces}
        found = await self.store.read(
            lambda reader: build(
                reader,
                daemon=daemon,
                servers=servers,
                now=now,
                advice=self.advice,
                freshness=freshness.get,
            )
        )
        problems = [
            f"{each.name}: {NOT_LOOKED_AT}"
            for each in self.indexing.workspaces.values()
            if each.id in self.indexing.unseen
        ]
        problems += self.health()
        problems += self.indexing.watch_problems()
        if self.store.set_aside is not None:
            problems.append(f"the database was damaged: it is set aside as {self.store.set_aside}")
        if self.reload_problem:
            problems.append(f"the configuration in force is an older one: {self.reload_problem}")
        return structs.replace(found, problems=[*problems, *found.problems])

    def servers(self) -> list[ServerInfo]:
        """The language servers, one a lane."""
        return server_list.infos(self.enrichment.statuses())

    def server_list(self) -> ServerList:
        """The document of `enrichd servers --json`."""
        return server_list.details(self.enrichment.lanes.values())

    def restart_servers(self, name: str, workspace: str | None) -> list[RestartedServer]:
        """End the servers of this name and start them afresh."""
        return server_list.restart(self.enrichment.lanes.values(), name, workspace)

    def unindexed(self) -> UnindexedOf:
        """What was touched and is not indexed yet, as of now; to be asked from any thread."""
        found = {each: self.indexing.unindexed(each) for each in self.indexing.workspaces}
        return lambda each: found.get(each, NOTHING)

    async def wait(self, workspace: str | None, timeout_s: float) -> WaitReport:
        """Return when the graph is current, or the time is up."""
        return await self.waiting.wait(workspace, timeout_s)

    async def retry(self, symbol_ids: list[int]) -> int:
        """Try these symbols again now."""
        return await self.enrichment.retry(symbol_ids)

    async def reload(self, config: Config) -> None:
        """Go on with another configuration; the database and the doors stay what they are."""
        profiles(config)
        configured(config)
        before, self.config = self.config, config
        if before.embeddings != config.embeddings:
            if self.embedding is not None:
                await self.embedding.close()
            self.embedding = self._made_embedding()
        self.enrichment.tracker.use_policy(_policy(config))
        self.enrichment.monitor.interval_s = config.monitor.interval_s
        self.enrichment.use_options(
            external=config.enrich.external, request_timeout_s=config.enrich.request_timeout_s
        )
        if (before.enrich, before.servers) != (config.enrich, config.servers):
            for workspace_id in list(self.indexing.workspaces):
                await self.enrichment.remove_lanes(workspace_id)
        for worker in self.enrichment.lanes.values():
            worker.supervisor.hurry()
        await self.workspaces.take_up_all_at_last()


def _policy(config: Config) -> BackoffPolicy:
    tracker = config.tracker
    return BackoffPolicy(
        initial_s=tracker.initial_s,
        factor=tracker.factor,
        max_s=tracker.max_s,
        max_attempts=tracker.max_attempts,
        jitter=tracker.jitter,
    )
