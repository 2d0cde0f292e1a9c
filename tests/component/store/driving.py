"""What the daemon does with a store, in the words of the port alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tests.component.store.worlds import File, Server, World, overridden, parsed

from enrichd_tracker.enrichment import FailureRecord
from enrichd_tracker.model import (
    External,
    Lane,
    Operation,
    Origin,
    Outcome,
    ResolvedEdge,
    Work,
    Workspace,
)
from enrichd_tracker.store.port import Batch, Charge, Committed, Store, Stored, StoredSymbol

TY = Origin("ty", "1.0")
LEASE_S = 60.0
Snapshot = tuple[list[tuple[object, ...]], list[tuple[object, ...]]]


class Driver:
    """One workspace of a store, indexed and enriched step by step."""

    def __init__(self, store: Store, workspace: Workspace) -> None:
        self.store = store
        self.workspace = workspace
        self.lane = Lane(workspace.id, "python")
        self.world: dict[str, File] = {}

    # Indexing.

    async def index(self, world: World, *, finish: bool = True) -> Stored:
        """Store what differs from the world before, as one run."""
        changed = [m for m, file in world.items() if self.world.get(m) != file]
        removed = [f"{m}.py" for m in self.world if m not in world]
        files = [parsed(module, world[module]) for module in changed]
        stored = await self.store.store_files(self.workspace.id, files, removed)
        if finish:
            await self.store.finish_run(self.workspace.id)
        self.world = dict(world)
        return stored

    async def change(self, **files: File | None) -> Stored:
        """Store some files anew; None removes one."""
        both = {**self.world, **files}
        return await self.index({m: file for m, file in both.items() if file is not None})

    async def rename(self, old: str, new: str) -> Stored:
        """Store a file that was only renamed."""
        self.world[new] = self.world.pop(old)
        stored = await self.store.store_files(
            self.workspace.id,
            [parsed(new, self.world[new])],
            [],
            renamed={f"{new}.py": f"{old}.py"},
        )
        await self.store.finish_run(self.workspace.id)
        return stored

    # Enriching.

    async def claim(self, limit: int = 1000) -> list[Work]:
        return await self.store.claim(self.lane, limit, owner="test", lease_s=LEASE_S)

    async def settle(self, *, inherited: bool = False) -> int:
        """Ask the server until nobody is left to ask; returns how many symbols were asked."""
        asked = 0
        server = Server(self.world, inherited=inherited)
        while works := await self.claim():
            asked += len(works)
            committed = await self.answer(works, server)
            assert not committed.dropped
        return asked

    async def answer(self, works: Iterable[Work], server: Server) -> Committed:
        """Commit what the server says about these symbols."""
        ids = await self.ids()
        outcomes = [
            Outcome(work.symbol_id, work.revision, operation, TY, self.edges(work, server, ids))
            for work in works
            for operation in work.operations
        ]
        return await self.store.commit(Batch(outcomes, [], []))

    def edges(self, work: Work, server: Server, ids: Mapping[str, int]) -> list[ResolvedEdge]:
        edges = []
        for relation, target, line, column in server.answers(work.uid):
            end: int | External | None = (
                target if isinstance(target, External) else ids.get(f"{target[0]}.py/{target[1]}")
            )
            if end is not None:
                edges.append(ResolvedEdge(relation, end, line, column))
        return edges

    def outcome(self, work: Work, *edges: ResolvedEdge, failed: bool = False) -> Outcome:
        return Outcome(
            work.symbol_id,
            work.revision,
            work.operations[0],
            TY,
            list(edges),
            failed,
            "why" if failed else "",
        )

    async def commit(
        self, *outcomes: Outcome, charges: Iterable[Charge] = (), cleared: Iterable[int] = ()
    ) -> Committed:
        return await self.store.commit(Batch(list(outcomes), list(charges), list(cleared)))

    def charge(
        self, work: Work, *, attempts: int = 1, at: float = 100.0, skipped: bool = False
    ) -> Charge:
        record = FailureRecord(
            symbol_id=work.symbol_id,
            uid=work.uid,
            lane=work.lane,
            file=work.file.path,
            line=work.line,
            name=work.name,
            kind=work.kind,
            attempts=attempts,
            last_attempt_at=at,
            next_retry_at=None if skipped else at + 5,
            operations=work.operations,
            reason="timed out",
            server="ty",
        )
        return Charge(record, work.revision)

    async def fail(self, work: Work, **how: float) -> None:
        await self.commit(charges=[self.charge(work, **how)])  # type: ignore[arg-type]

    async def skip(self, work: Work, *edges: ResolvedEdge) -> None:
        """The last failure: the record and the error edges, together."""
        outcomes = [
            Outcome(work.symbol_id, work.revision, each, TY, list(edges), True, "timed out")
            for each in work.operations
        ]
        charge = self.charge(work, attempts=7, skipped=True)
        await self.commit(*outcomes, charges=[charge])

    async def require(
        self,
        *operations: Operation,
        server: str = "ty",
        version: str = "1",
        settings: str = "",
        by_bodies: bool = False,
    ) -> list[int]:
        return await self.store.require(
            self.lane, server, operations, version=version, settings=settings, by_bodies=by_bodies
        )

    # Looking.

    async def symbols(self) -> dict[str, StoredSymbol]:
        """Every symbol of the workspace's files by uid."""
        workspace_id, paths = self.workspace.id, [f"{module}.py" for module in self.world]
        found = await self.store.read(
            lambda reader: [s for path in paths for s in reader.symbols_in(workspace_id, path)]
        )
        return {symbol.uid: symbol for symbol in found}

    async def ids(self) -> dict[str, int]:
        return {uid: symbol.id for uid, symbol in (await self.symbols()).items()}

    async def symbol(self, uid: str) -> StoredSymbol:
        return (await self.symbols())[uid]

    async def work(self, uid: str) -> Work:
        """Claim the one symbol."""
        ids = await self.ids()
        return (await self.store.claim_again([ids[uid]], owner="test", lease_s=LEASE_S))[0]

    async def orphans(self) -> list[str]:
        return sorted(uid for uid, symbol in (await self.symbols()).items() if symbol.pending)

    async def edges_of(self, uid: str) -> list[tuple[str, str]]:
        """(relation, target) of what starts at a symbol; the sentinels have no relation."""
        symbol_id = (await self.ids())[uid]
        found = await self.store.read(lambda reader: reader.outcomes_of(symbol_id))
        return sorted((edge.relation, edge.target.uid) for edge in found)

    async def snapshot(self) -> Snapshot:
        """All that must not depend on how the graph came to be: symbols and edges, by uid."""
        workspace_id = self.workspace.id
        symbols = await self.symbols()
        names = {symbol.id: uid for uid, symbol in symbols.items()}
        nodes: list[tuple[object, ...]] = [
            (s.uid, s.name, s.kind, s.line, s.overload, s.pending, names.get(s.parent_id or 0))
            for s in symbols.values()
        ]
        outcomes = await self.store.read(
            lambda reader: [edge for each in names for edge in reader.outcomes_of(each)]
        )
        every = await self.store.read(lambda reader: list(reader.every_edge(workspace_id)))
        assert len(every) == sum(edge.relation != "" for edge in outcomes)
        edges: list[tuple[object, ...]] = [
            (e.source.uid, e.operation, e.relation, e.target.uid, e.line, e.column)
            for e in outcomes
        ]
        return sorted(nodes, key=repr), sorted(edges, key=repr)

    async def check(self) -> None:
        """The store is what it promises to be."""
        assert await self.store.read(lambda reader: reader.verify()) == []


async def equals_full(driver: Driver, *, inherited: bool = False) -> None:
    """What was indexed step by step is what one index of the same world gives."""
    workspace = await driver.store.add_workspace("full", "/full")
    full = Driver(driver.store, workspace)
    await full.index(driver.world)
    await full.settle(inherited=inherited)
    stepwise, at_once = await driver.snapshot(), await full.snapshot()
    await mentions_are_right(driver)
    await driver.check()
    await driver.store.remove_workspace(workspace.id)
    for mine, theirs in zip(stepwise, at_once, strict=True):
        assert [row for row in mine if row not in theirs] == []
        assert [row for row in theirs if row not in mine] == []


async def mentions_are_right(driver: Driver) -> None:
    """What is said of who mentions a name is what going through all symbols shows."""
    files = {module: parsed(module, file) for module, file in driver.world.items()}
    aliases = {alias for file in files.values() for alias in file.aliases}
    symbols = await driver.symbols()
    outcomes = await driver.store.read(
        lambda reader: {
            uid: [edge for edge in reader.outcomes_of(symbol.id) if edge.operation != "syntax"]
            for uid, symbol in symbols.items()
        }
    )
    sites = {
        f"{file.path}/{symbol.descriptors}": symbol.sites
        for file in files.values()
        for symbol in file.symbols
    }
    every_name = {site.name for each in sites.values() for site in each} | {"nobody's"}
    for name in sorted(every_name | {original for original, _ in aliases}):
        found, before = {name}, set[str]()
        while found != before:
            before, found = found, found | {to for original, to in aliases if original in found}
        places = {
            uid: {(site.name, site.line, site.column) for site in each if site.name in found}
            for uid, each in sites.items()
        }
        mentioning = [symbols[uid] for uid, each in places.items() if each]
        led = {
            uid: {(edge.line, edge.column) for edge in outcomes[uid] if edge.relation}
            for uid in outcomes
        }
        answers = [edge.at for each in mentioning for edge in outcomes[each.uid]]
        said = await driver.store.read(
            lambda reader, name=name: reader.mentions([name], driver.workspace.id)  # type: ignore[misc]
        )
        assert sorted(each.uid for each in said.unsettled) == sorted(
            each.uid for each in mentioning if each.pending or each.failed
        ), name
        assert said.unresolved == sum(
            (line, column) not in led[each.uid]
            for each in mentioning
            if not each.pending
            for _, line, column in places[each.uid]
        ), name
        assert (said.newest and said.newest[1]) == max(answers, default=None), name


async def overrides_are_right(driver: Driver) -> None:
    """The overrides are those that Python itself would see."""
    expected = overridden(driver.world)
    workspace_id = driver.workspace.id
    found = await driver.store.read(
        lambda reader: {
            (edge.source.uid, edge.target.uid)
            for edge in reader.every_edge(workspace_id)
            if edge.relation == "overrides"
        }
    )
    assert expected is None or found == expected
