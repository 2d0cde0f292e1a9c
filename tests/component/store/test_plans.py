"""Query plans: what is asked all the time never reads a whole table of symbols or edges."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.component.store.driving import LEASE_S, Driver
from tests.component.store.worlds import Class, Def, From, Server, Use

from enrichd.clock import FakeClock
from enrichd_tracker.model import Lane, Operation, Relation
from enrichd_tracker.store.port import Reader
from enrichd_tracker.store.sqlite import SqliteStore

SCAN = re.compile(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?")
SMALL = {
    "CONSTANT",
    "workspace",
    "failure",
    "requirement",
    "heir",
    "inside",
    "mentioning",
    "sqlite_sequence",
    "tally",
}
PARTIAL = {"symbol_orphan", "failure_skipped", "indexing_error_open", "parse_result_not_whole"}


class Traced:
    """A store whose statements are heard."""

    def __init__(self, store: SqliteStore, driver: Driver) -> None:
        self.store = store
        self.driver = driver

    async def statements(self, action: Callable[[], Awaitable[object]]) -> list[str]:
        heard: list[str] = []
        connections = [thread._raw() for thread in (self.store._writer, self.store._reader)]
        for each in connections:
            each.set_trace_callback(heard.append)
        try:
            await action()
        finally:
            for each in connections:
                each.set_trace_callback(None)
        return [each for each in heard if re.match(r"\s*(SELECT|UPDATE|DELETE|WITH)", each)]

    async def scans(self, action: Callable[[], Awaitable[object]]) -> list[str]:
        """Each step of a plan that reads a whole table, with its statement."""
        statements = await self.statements(action)
        assert statements, "nothing was heard"
        found = []
        connection = self.store._reader._raw()
        for statement in dict.fromkeys(statements):
            if re.match(r"\s*(UPDATE|DELETE)", statement):
                connection = self.store._writer._raw()
            for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}"):
                for table, index in SCAN.findall(row[3]):
                    if table not in SMALL and index not in PARTIAL:
                        found.append(f"{row[3]}: {' '.join(statement.split())}")
        return found


@pytest.fixture
async def traced(tmp_path: Path) -> AsyncIterator[Traced]:
    store = await SqliteStore.open(tmp_path / "graph.db", FakeClock())
    driver = Driver(store, await store.add_workspace("tree", "/tree"))
    await driver.index(
        {
            "a": (Def("f", (Use("g"),)), Class("A", (), (Def("m", (Use("f"),)),))),
            "b": (From("a", "f", "Z"), From("a", "A"), Def("g", (Use("Z"),))),
            "c": (From("a", "A"), Class("B", ("A",), (Def("m", (Use("g"),)),))),
        }
    )
    await driver.require(Operation.DEFINITION)
    works = await driver.claim(4)
    await driver.fail(works[0])
    await driver.skip(works[1])
    await driver.answer(works[2:], Server(driver.world))
    yield Traced(store, driver)
    await store.close()


QUESTIONS: dict[str, Callable[[Reader], object]] = {
    "failures due": lambda r: r.failures(1, skipped=False),
    "a failure": lambda r: r.failure(4),
    "failures": lambda r: r.failures(1, limit=10),
    "who mentions a name": lambda r: r.mentions(["f", "A"], 1),
    "edges to": lambda r: r.edges_to([4, 5, 6], [Relation.CALLS, Relation.REFERENCES]),
    "edges from": lambda r: r.edges_from([4, 5, 6], [Relation.CALLS]),
    "outcomes": lambda r: r.outcomes_of(4),
    "edges in a file": lambda r: r.edges_in(1, "a.py"),
    "definitions": lambda r: r.definitions(1, "a.py"),
    "a file": lambda r: r.file(1, "a.py"),
    "a symbol": lambda r: r.symbol(4),
    "a symbol by uid": lambda r: r.symbol_by_uid("a.py/f()."),
    "a symbol by uid in a workspace": lambda r: r.symbol_by_uid("a.py/f().", 1),
    "symbols by name": lambda r: r.symbols_named("f", 1),
    "symbols whose names begin so": lambda r: r.symbols_like("f*", 1, 10),
    "symbols in a name": lambda r: r.symbols_like("A.[mn]*", 1, 10),
    "files that did not parse whole": lambda r: r.unparsed_files(1),
    "symbols of a file": lambda r: r.symbols_in(1, "a.py"),
    "orphans by language": lambda r: r.orphans_by_language(1),
    "a canary": lambda r: r.canary(Lane(1, "python")),
    "errors": lambda r: r.runs.error_counts(1),
    "files with errors": lambda r: r.runs.error_paths(1),
}


@pytest.mark.parametrize("what", QUESTIONS)
async def test_no_question_reads_a_whole_table(traced: Traced, what: str) -> None:
    assert await traced.scans(lambda: traced.store.read(QUESTIONS[what])) == []


async def test_a_part_of_a_name_is_looked_for_in_indexes_alone(traced: Traced) -> None:
    scans = await traced.scans(lambda: traced.store.read(lambda r: r.symbols_like("*e*", 1, 10)))
    assert {SCAN.findall(each)[0][1] for each in scans} == {"symbol_name", "symbol_qualified_name"}


async def test_counting_failures_visits_failures_only(traced: Traced) -> None:
    statements = await traced.statements(lambda: traced.store.read(lambda r: r.counts(1)))
    (failures,) = [each for each in statements if "next_retry_at" in each]
    plan = [row[3] for row in _explain(traced, failures)]
    assert plan[0].startswith("SCAN failure"), plan
    assert len(plan) == 2, plan


async def test_counting_orphans_visits_orphans_only(traced: Traced) -> None:
    statements = await traced.statements(lambda: traced.store.read(lambda r: r.counts(1)))
    orphans = [each for each in statements if "pending" in each]
    assert orphans
    for statement in orphans:
        rows = traced.store._reader._raw().execute(f"EXPLAIN QUERY PLAN {statement}")
        plan = [row[3] for row in rows]
        assert all("symbol_orphan" in step for step in plan), plan
    assert await traced.scans(lambda: traced.store.read(lambda r: r.counts(1))) == []


async def test_counting_files_visits_those_that_did_not_parse_whole_only(traced: Traced) -> None:
    def count(reader: Reader) -> None:
        reader.counts(1)
        reader.languages(1)

    statements = await traced.statements(lambda: traced.store.read(count))
    plans = [row[3] for each in statements for row in _explain(traced, each)]
    of_files = [each for each in plans if re.search(r"\b(file|parse_result)\b", each)]
    assert [re.split(r" \(", each)[0] for each in of_files] == [
        "SCAN parse_result USING COVERING INDEX parse_result_not_whole",
        "SEARCH file USING INTEGER PRIMARY KEY",
    ]


async def test_claiming_takes_the_orphans_in_their_order_without_sorting(traced: Traced) -> None:
    driver = traced.driver

    async def claim() -> None:
        works = await driver.claim(3)
        await driver.store.release(work.symbol_id for work in works)
        ids = [work.symbol_id for work in works]
        await driver.store.claim_again(ids, owner="a", lease_s=LEASE_S)

    statements = await traced.statements(claim)
    (find,) = [each for each in statements if "ORDER BY rank" in each]
    plan = [row[3] for row in _explain(traced, find)]
    assert len(plan) == 1, "no sorting"
    assert "symbol_orphan" in plan[0]
    await driver.store.release(range(100))
    assert await traced.scans(claim) == []


def _explain(traced: Traced, statement: str) -> list[sqlite3.Row]:
    return traced.store._reader._raw().execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()


async def test_a_commit_touches_what_it_writes(traced: Traced) -> None:
    driver = traced.driver
    works = await driver.claim(10)
    ids = await driver.ids()
    server = Server(driver.world)
    outcomes = [driver.outcome(work, *driver.edges(work, server, ids)) for work in works[1:]]
    charges = [driver.charge(works[0])]
    assert await traced.scans(lambda: driver.commit(*outcomes, charges=charges, cleared=[9])) == []


async def test_a_changed_file_touches_what_hangs_on_it(traced: Traced) -> None:
    driver = traced.driver
    await driver.settle()
    changed = (Def("h", (Use("g"),)), Class("A", (), (Def("n"),)))
    assert await traced.scans(lambda: driver.change(a=changed)) == []
    assert await traced.scans(lambda: driver.change(b=None)) == []


async def test_retry_touches_what_is_retried(traced: Traced) -> None:
    ids = list((await traced.driver.ids()).values())
    assert await traced.scans(lambda: traced.store.retry(ids)) == []
