"""Any sequence of what the daemon does leaves the store what it promises to be."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.component.store.driving import LEASE_S, Driver, equals_full, mentions_are_right
from tests.component.store.worlds import Class, Def, File, From, Server, Use, Var

from enrichd.clock import FakeClock
from enrichd_tracker.backoff import BackoffPolicy
from enrichd_tracker.enrichment import EnrichmentTracker
from enrichd_tracker.model import Operation, Work
from enrichd_tracker.store.port import Batch, Charge
from enrichd_tracker.store.sqlite import SqliteStore

T = TypeVar("T")

FILES: list[File] = [
    (Def("f", (Use("g"),)), Class("A", (), (Def("m", (Use("f"),)),))),
    (From("a", "f"), From("a", "A"), Def("g", (Use("f"),)), Class("B", ("A",), (Def("m"),))),
    (From("a", "f", "Z"), Def("h", (Use("Z"), Use("os"))), Def("f", (Use("h"),))),
    (Var("f"), From("os", "x"), Def("g", (Use("x"),))),
]
some = st.integers(0, 3)


class StoreMachine(RuleBasedStateMachine):
    """The store and the tracker in step, as the daemon keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = FakeClock()
        self.runner = asyncio.Runner()
        self.claimed: list[tuple[Work, Server]] = []
        self.version = 0
        self._open()
        workspace = self.do(self.store.add_workspace("tree", "/tree"))
        self.driver = Driver(self.store, workspace)
        self.do(self.driver.index({"a": FILES[0], "b": FILES[1]}))

    def _open(self) -> None:
        database = Path(self.folder.name) / "graph.db"
        self.store = self.do(SqliteStore.open(database, self.clock))
        self.tracker = EnrichmentTracker(BackoffPolicy(max_attempts=2), self.clock)
        self.tracker.restore(self.do(self.store.read(lambda reader: reader.failures())))

    def do(self, work: Coroutine[object, object, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.do(self._settle_and_compare())
        self.do(self.store.close())
        self.runner.close()
        self.folder.cleanup()

    async def _settle_and_compare(self) -> None:
        """Whatever happened, in the end the graph is that of a fresh index."""
        await self.store.release(work.symbol_id for work, _ in self.claimed)
        await self.driver.require(Operation.DEFINITION)
        await self.store.retry(list((await self.driver.ids()).values()))
        await self.driver.settle()
        await equals_full(self.driver)

    def forget(self, symbol_ids: list[int]) -> None:
        for each in symbol_ids:
            self.tracker.clear_failure(each)

    @rule(module=st.sampled_from("abc"), file=st.sampled_from([*FILES, None]))
    def change(self, module: str, file: File | None) -> None:
        self.forget(self.do(self.driver.change(**{module: file})).had_failed)

    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        works = self.do(self.driver.claim(limit))
        self.claimed += [(work, Server(self.driver.world)) for work in works]

    @rule()
    def claim_again(self) -> None:
        due = self.tracker.ready_for_retry({self.driver.lane}, 3)
        works = self.do(self.store.claim_again(due, owner="a", lease_s=LEASE_S))
        self.claimed += [(work, Server(self.driver.world)) for work in works]

    @rule(place=some, again=st.booleans())
    def succeed(self, place: int, again: bool) -> None:
        """Sometimes the same answer comes twice."""
        if place < len(self.claimed):
            work, server = self.claimed[place] if again else self.claimed.pop(place)
            ids = self.do(self.driver.ids())
            cleared = [work.symbol_id] if self.tracker.clear_failure(work.symbol_id) else []
            outcome = self.driver.outcome(work, *self.driver.edges(work, server, ids))
            self._commit(Batch([outcome], [], cleared))

    @rule(place=some, definitive=st.booleans())
    def fail(self, place: int, definitive: bool) -> None:
        if place < len(self.claimed):
            work, _ = self.claimed.pop(place)
            record = self.tracker.record_failure(
                work, work.operations, "timed out", "ty", definitive=definitive
            )
            outcomes = [self.driver.outcome(work, failed=True)] if record.skipped else []
            self._commit(Batch(outcomes, [Charge(record, work.revision)], []))

    def _commit(self, batch: Batch) -> None:
        self.forget(self.do(self.store.commit(batch)).dropped)

    @rule()
    def release(self) -> None:
        self.do(self.store.release([work.symbol_id for work, _ in self.claimed]))
        self.claimed = []

    @rule(operations=st.sampled_from([(), (Operation.DEFINITION,), (Operation.SUPERTYPES,)]))
    def require(self, operations: tuple[Operation, ...]) -> None:
        self.forget(self.do(self.driver.require(*operations, version=str(self.version))))

    @rule()
    def upgrade(self) -> None:
        self.version += 1
        self.require((Operation.DEFINITION,))

    @rule(symbol_ids=st.lists(st.integers(1, 30), max_size=4))
    def retry(self, symbol_ids: list[int]) -> None:
        self.forget(self.do(self.store.retry(symbol_ids)))

    @rule(seconds=st.sampled_from([1, 5, 60]))
    def advance(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def restart(self) -> None:
        self.do(self.store.close())
        self.claimed = []
        self._open()
        self.driver.store = self.store

    @invariant()
    def the_store_is_what_it_promises(self) -> None:
        self.do(self.driver.check())

    @invariant()
    def what_is_said_of_mentions_is_so(self) -> None:
        self.do(mentions_are_right(self.driver))

    @invariant()
    def nobody_is_frozen(self) -> None:
        """Who is pending is claimable, claimed, or known to the tracker as not given up."""
        symbols = self.do(self.driver.symbols())
        for symbol in symbols.values():
            record = self.tracker.failure(symbol.id)
            if symbol.pending:
                assert symbol.failed is (record is not None)
                assert record is None or not record.skipped
        counts = self.do(self.store.read(lambda reader: reader.counts(self.driver.workspace.id)))
        assert counts.orphans == sum(symbol.pending != 0 for symbol in symbols.values())
        assert counts.symbols == counts.orphans + counts.skipped + counts.enriched


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
