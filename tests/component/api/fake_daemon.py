"""A daemon for the API's tests: a real store with a small graph, and lists of what was asked."""

from __future__ import annotations

import asyncio
from pathlib import Path

from enrichd.clock import FakeClock
from enrichd.errors import AnswerIsNo
from enrichd.job_feed import JobFeed
from enrichd.jobs import Asked
from enrichd.metrics import Metrics
from enrichd.query.answers import Unindexed, UnindexedOf
from enrichd.query.search import Meaning
from enrichd.query.servers import RestartedServer, ServerDetail, ServerList
from enrichd.query.status import Status, build
from enrichd.report import WaitReport
from enrichd.sources.url import GitUrl
from enrichd_tracker.backoff import BackoffPolicy
from enrichd_tracker.enrichment import EnrichmentTracker
from enrichd_tracker.jobs import JobRequest
from enrichd_tracker.model import (
    Binding,
    FileStat,
    FoundSymbol,
    Lane,
    Operation,
    Origin,
    Outcome,
    ParsedFile,
    ParseStatus,
    Relation,
    ResolvedEdge,
    Role,
    Site,
    SymbolKind,
    Work,
    Workspace,
)
from enrichd_tracker.store.port import Batch, Charge
from enrichd_tracker.store.port_embeddings import EmbeddingModel
from enrichd_tracker.store.sqlite import SqliteStore

TY = Origin("ty", "0.0.104")


class FakeDesk:
    """Queues what is asked for, and does none of it."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.cancelled: list[str] = []
        self._asked = 0

    async def ask(self, workspace: Workspace, request: JobRequest) -> Asked:
        self._asked += 1
        job_id = f"{self._asked:032x}"
        await self._store.queue_job(job_id, workspace.id, request, owner="test")
        return Asked(job_id, joined=False, waits_for=None)

    async def count(self, workspace: Workspace, request: JobRequest) -> int:
        return 3

    async def cancel(self, job_id: str) -> None:
        if job_id in self.cancelled:
            raise AnswerIsNo(f"the job {job_id} has ended")
        self.cancelled.append(job_id)


class FakeWorkspaces:
    """Those of the store."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def add(self, root: Path, name: str | None) -> Workspace:
        return await self._store.add_workspace(name or root.name, str(root))

    async def source(self, url: GitUrl, branch: str | None, name: str | None) -> Workspace:
        return await self._store.add_workspace(name or url.name, f"/sources/{url.folder(branch)}")

    async def remove(self, name: str) -> None:
        for workspace in await self._store.read(lambda reader: reader.workspaces()):
            if workspace.name == name:
                await self._store.remove_workspace(workspace.id)
                return
        raise AnswerIsNo(f"there is no workspace named {name}")


class FakeDaemon:
    """Healthy and ready; what it is told is written down."""

    def __init__(self, store: SqliteStore, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock
        self.job_feed = JobFeed(store, clock)
        self.jobs = FakeDesk(store)
        self.workspaces = FakeWorkspaces(store)
        self.metrics = Metrics()
        self.max_attempts = 7
        self.problems: list[str] = []
        self.reasons: list[str] = []
        self.retried: list[int] = []
        self.servers: list[ServerDetail] = []
        self.restarted: list[tuple[str, str | None]] = []
        self.fails_with: Exception | None = None
        self.touched = Unindexed()
        self.current = asyncio.Event()
        self.waits: list[tuple[str | None, float]] = []
        """Those that go on."""
        self.meaning: Meaning | None = None

    def advice(self, language: str) -> str:
        return f"install a server for {language}"

    def unindexed(self) -> UnindexedOf:
        return lambda _: self.touched

    async def wait(self, workspace: str | None, timeout_s: float) -> WaitReport:
        self.waits.append((workspace, timeout_s))
        try:
            await self.current.wait()
        finally:
            self.waits.pop()
        return WaitReport(
            current=True, complete=True, timed_out=False, seconds=0.0, workspaces=[], problems=[]
        )

    def health(self) -> list[str]:
        return self.problems

    def readiness(self) -> list[str]:
        return self.reasons

    async def refresh_metrics(self) -> None:
        pass

    async def status(self) -> Status:
        if self.fails_with is not None:
            raise self.fails_with
        return await self.store.read(
            lambda reader: build(reader, daemon=None, servers=[], now=self.clock.time())
        )

    def server_list(self) -> ServerList:
        return ServerList(servers=self.servers)

    def restart_servers(self, name: str, workspace: str | None) -> list[RestartedServer]:
        found = [each for each in self.servers if each.name == name]
        if not found:
            raise AnswerIsNo(f"there is no server named {name}", hint="there are: ty")
        self.restarted.append((name, workspace))
        return [RestartedServer(name, each.language, each.workspace) for each in found]

    async def retry(self, symbol_ids: list[int]) -> int:
        reopened = await self.store.retry(symbol_ids)
        self.retried += reopened
        return len(reopened)

    async def meaning_of(self, text: str) -> Meaning | None:
        return self.meaning

    async def embedding_model(self) -> EmbeddingModel | None:
        return self.meaning.model if self.meaning is not None else None

    async def add_file(self, name: str) -> None:
        """A file with one function of the same name, which nobody has asked about."""
        (workspace,) = await self.known()
        symbols = [_module(name, 3), _function(f"{name}().", name, line=0)]
        await self.store.store_files(workspace.id, [_file(f"{name}.py", symbols)], [])

    async def next_in_turn(self) -> str:
        """The uid of the orphan that would be asked about next."""
        (workspace,) = await self.known()
        lane = Lane(workspace.id, "python")
        (work,) = await self.store.claim(lane, 1, owner="test", lease_s=60.0)
        return work.uid

    async def known(self) -> list[Workspace]:
        return await self.store.read(lambda reader: reader.workspaces())


async def open_daemon(folder: Path) -> FakeDaemon:
    """``bill.py`` calls ``total`` of ``cart.py``; ``total`` of ``bill.py`` failed, see below."""
    clock = FakeClock()
    store = await SqliteStore.open(folder / "graph.db", clock)
    workspace = await store.add_workspace("shop", str(folder / "shop"))
    lane = Lane(workspace.id, "python")
    await store.require(lane, TY.server, (Operation.DEFINITION,), version=TY.version)
    await store.store_files(workspace.id, [_cart(), _bill()], [])
    await store.finish_run(workspace.id)
    works = {work.uid: work for work in await store.claim(lane, 100, owner="test", lease_s=60.0)}
    total = (await store.read(lambda reader: reader.symbol_by_uid("cart.py/total().")))[0]
    edge = ResolvedEdge(Relation.CALLS, total.id, line=1, column=11)
    await store.commit(
        Batch(
            outcomes=[
                _outcome(work, [edge] if uid == "bill.py/show()." else [])
                for uid, work in works.items()
                if uid not in {"bill.py/total().", "bill.py/Bill#pay()."}
            ],
            charges=[
                _charge(works["bill.py/total()."], clock, failures=1),
                _charge(works["bill.py/Bill#pay()."], clock, failures=7),
            ],
            cleared=[],
        )
    )
    return FakeDaemon(store, clock)


def _outcome(work: Work, edges: list[ResolvedEdge]) -> Outcome:
    return Outcome(work.symbol_id, work.revision, Operation.DEFINITION, TY, edges)


def _charge(work: Work, clock: FakeClock, *, failures: int) -> Charge:
    tracker = EnrichmentTracker(BackoffPolicy(), clock)
    for _ in range(failures):
        record = tracker.record_failure(work, work.operations, "RequestFailed", TY.server)
    return Charge(record, work.revision)


def _cart() -> ParsedFile:
    return _file("cart.py", [_module("cart", 3), _function("total().", "total", line=0)])


def _bill() -> ParsedFile:
    return _file(
        "bill.py",
        [
            _module("bill", 9),
            _function("show().", "show", line=0),
            _function("total().", "total", line=3),
            _function("Bill#", "Bill", line=6, kind=SymbolKind.CLASS),
            _function("Bill#pay().", "pay", line=7, kind=SymbolKind.METHOD, parent=3),
        ],
    )


def _file(path: str, symbols: list[FoundSymbol]) -> ParsedFile:
    return ParsedFile(
        path=path,
        language="python",
        stat=FileStat(100, 1, 1),
        digest=path.encode(),
        status=ParseStatus.OK,
        symbols=symbols,
    )


def _module(name: str, end_line: int) -> FoundSymbol:
    return FoundSymbol(
        descriptors="",
        name=name,
        qualified_name=name,
        kind=SymbolKind.MODULE,
        parent=-1,
        line=0,
        column=0,
        start_line=0,
        start_column=0,
        end_line=end_line,
        end_column=0,
        digest=name.encode(),
    )


def _function(
    descriptors: str,
    name: str,
    *,
    line: int,
    kind: SymbolKind = SymbolKind.FUNCTION,
    parent: int = 0,
) -> FoundSymbol:
    return FoundSymbol(
        descriptors=descriptors,
        name=name,
        qualified_name=f"Bill.{name}" if parent else name,
        kind=kind,
        parent=parent,
        line=line,
        column=4,
        start_line=line,
        start_column=0,
        end_line=line + 2,
        end_column=0,
        digest=descriptors.encode(),
        sites=[Site("total", line + 1, 11, Role.CALL, Binding.IMPORTED)],
    )
