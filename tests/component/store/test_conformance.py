"""What every store promises, said in the words of the port; see conftest for how one is made."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from msgspec.structs import replace
from tests.component.store.driving import LEASE_S, TY, Driver
from tests.component.store.worlds import Class, Def, From, Use, Var, parsed

from enrichd.clock import FakeClock
from enrichd_tracker.errors import StorageError
from enrichd_tracker.jobs import JobResult
from enrichd_tracker.model import (
    Canary,
    ErrorType,
    External,
    Failure,
    JobStatus,
    Lane,
    Operation,
    Origin,
    Outcome,
    ParsedFile,
    ParseStatus,
    Relation,
    ResolvedEdge,
    Stage,
    SymbolKind,
    Workspace,
)
from enrichd_tracker.store.port import Batch, Store, StoredSymbol, WorkspaceCounts

A = {"a": (Def("f", (Use("g"),)), Def("g"), Class("C", (), (Def("m", (Use("f"),)),)))}
F, G, M, MODULE, C = "a.py/f().", "a.py/g().", "a.py/C#m().", "a.py/", "a.py/C#"
DEFINITION, SUPERTYPES = Operation.DEFINITION, Operation.SUPERTYPES


async def counts(driver: Driver) -> WorkspaceCounts:
    return await driver.store.read(lambda reader: reader.counts(driver.workspace.id))


# Workspaces


async def test_a_root_is_one_workspace_whatever_it_is_called_later(store: Store) -> None:
    first = await store.add_workspace("one", "/one")
    assert await store.add_workspace("other", "/one") == first
    second = await store.add_workspace("another", "/two")
    assert await store.read(lambda reader: reader.workspaces()) == [second, first]


async def test_a_taken_name_is_refused_with_its_root(store: Store) -> None:
    await store.add_workspace("one", "/one")
    with pytest.raises(StorageError, match=r"named one .* for /one") as refused:
        await store.add_workspace("one", "/two")
    assert refused.value.hint is not None


async def test_a_removed_workspace_leaves_nothing_behind(driver: Driver) -> None:
    store, other = driver.store, Driver(driver.store, await driver.store.add_workspace("b", "/b"))
    for each in (other, driver):
        await each.index(A | {"b": (From("a", "f", "Z"), Def("h", (Use("Z"), Use("os"))))})
        await each.require(DEFINITION)
        works = await each.claim()
        await each.commit(
            each.outcome(works[0], ResolvedEdge(Relation.CALLS, External("os", "x"), 1, 1))
        )
        await each.fail(works[1])
        await each.skip(works[2])
        await store.begin_job(f"job {each.workspace.id}", each.workspace.id, "full", owner="me")
        await store.report_stage(f"job {each.workspace.id}", Stage.PARSING, 1, 2)
        await store.log_error(
            each.workspace.id, "z.py", "python", Failure(ErrorType.IO, Stage.PARSING, "no")
        )
    kept = await other.snapshot()
    failed = await store.remove_workspace(driver.workspace.id)
    assert sorted(failed) == sorted(work.symbol_id for work in works[1:3])
    assert await store.read(lambda reader: reader.workspaces()) == [other.workspace]
    assert await other.snapshot() == kept
    assert await store.read(lambda r: r.files(driver.workspace.id)) == {}
    assert await store.read(lambda r: list(r.every_edge(driver.workspace.id))) == []
    assert await store.read(lambda r: r.failures(driver.workspace.id)) == []
    assert await store.read(lambda r: r.runs.jobs(driver.workspace.id)) == []
    assert await store.read(lambda r: r.runs.error_counts(driver.workspace.id)) == {}
    assert {each.lane for each in await store.read(lambda r: r.requirements())} == {other.lane}
    await driver.check()


async def test_two_workspaces_with_the_same_files_do_not_mix(driver: Driver) -> None:
    other = Driver(driver.store, await driver.store.add_workspace("b", "/b"))
    for each in (driver, other):
        await each.index(A)
        await each.settle()
    before = await other.snapshot()
    await driver.change(a=None)
    assert await other.snapshot() == before
    assert len(await driver.store.read(lambda reader: reader.symbol_by_uid(F))) == 1
    await driver.check()


# Files and symbols


async def test_what_was_parsed_is_what_is_stored(driver: Driver) -> None:
    file = parsed("a", (From("b", "x", "y"), *A["a"]))
    canary = Canary("a.py", 1, 2, 3, 4)
    file = replace(file, import_sites=[(1, 5)], canary=canary, ascii=False)
    stored = await driver.store.store_files(driver.workspace.id, [file], [])
    driver.world = {"a": ()}
    assert (stored.files, stored.symbols, stored.reopened) == (1, 5, 0)
    symbols = await driver.symbols()
    assert list(symbols) == [MODULE, F, G, C, M]
    assert symbols[M].parent_id == symbols[C].id
    workspace_id, lane = driver.workspace.id, driver.lane
    read = driver.store.read
    known = await read(lambda r: r.file(workspace_id, "a.py"))
    assert known is not None
    assert (known.path, known.stat, known.ascii, known.status) == (
        "a.py",
        file.stat,
        False,
        ParseStatus.OK,
    )
    assert await read(lambda r: r.files(workspace_id)) == {"a.py": known}
    assert await read(lambda r: r.file(workspace_id, "b.py")) is None
    assert await read(lambda r: r.languages(workspace_id)) == {"python": 1}
    assert await read(lambda r: r.names(workspace_id)) == {"a", "f", "g", "C", "m"}
    assert await read(lambda r: r.canary(lane)) == canary
    assert await read(lambda r: r.file_with_symbols(lane)) == "a.py"
    definitions = await read(lambda r: r.definitions(workspace_id, "a.py"))
    assert definitions is not None
    assert definitions.import_sites == {(1, 5)}
    assert definitions.module is not None
    assert definitions.at[symbols[F].line, symbols[F].column].symbol_id == symbols[F].id
    assert set(definitions.by_descriptors) == {"", "f().", "g().", "C#", "C#m()."}


async def test_an_unchanged_symbol_keeps_its_id_when_its_file_changes(driver: Driver) -> None:
    await driver.index(A)
    before = await driver.ids()
    await driver.change(a=(Var("new"), *A["a"], Def("last")))
    after = await driver.ids()
    assert {uid: after[uid] for uid in before} == before


async def test_a_symbol_that_names_nothing_is_settled_by_its_text(driver: Driver) -> None:
    await driver.index(A)
    assert await driver.orphans() == [M, F]
    found = (await driver.store.read(lambda r: r.outcomes_of(_id(r.symbol_by_uid(G)))))[0]
    assert (found.target.name, found.server, found.reason) == ("none", "syntax", "no sites")
    await driver.check()


def _id(found: list[StoredSymbol]) -> int:
    return found[0].id


async def test_a_name_without_a_body_needs_nothing(driver: Driver) -> None:
    await driver.index({"a": (Var("x"),)})
    assert await driver.edges_of("a.py/x.") == []
    assert await driver.orphans() == []


async def test_the_same_file_twice_in_one_call_is_stored_as_it_was_last(driver: Driver) -> None:
    files = [parsed("a", A["a"]), parsed("a", (Def("k"),))]
    driver.world = {"a": ()}
    await driver.store.store_files(driver.workspace.id, files, [])
    assert list(await driver.symbols()) == [MODULE, "a.py/k()."]
    await driver.check()


async def test_a_file_removed_and_stored_in_one_call_is_stored(driver: Driver) -> None:
    await driver.index(A)
    await driver.store.store_files(driver.workspace.id, [parsed("a", (Def("k"),))], ["a.py"])
    assert list(await driver.symbols()) == [MODULE, "a.py/k()."]
    await driver.check()


async def test_removing_an_unknown_file_is_no_error(driver: Driver) -> None:
    stored = await driver.store.store_files(driver.workspace.id, [], ["never.py"])
    assert stored.files == 0


# Claims


async def test_nothing_is_handed_out_before_the_first_run_went_through(driver: Driver) -> None:
    """On half of the files the answers would be wrong, and nobody would ask again."""
    await driver.index(A, finish=False)
    assert await driver.claim() == []
    await driver.index(A)
    assert len(await driver.claim()) == 2


async def test_work_has_all_that_a_worker_needs(driver: Driver) -> None:
    await driver.index(A)
    work = {each.uid: each for each in await driver.claim()}[F]
    assert (work.name, work.kind, work.lane) == ("f", SymbolKind.FUNCTION, driver.lane)
    assert work.operations == (DEFINITION,)
    assert [site.name for site in work.sites] == ["g"]
    assert work.file.path == "a.py"


async def test_what_is_claimed_is_given_to_nobody_else(driver: Driver) -> None:
    await driver.index(A)
    first = await driver.claim(1)
    second = await driver.claim()
    assert {work.uid for work in first}.isdisjoint(work.uid for work in second)
    assert len(first) + len(second) == 2
    assert await driver.claim() == []
    ids = [work.symbol_id for work in first]
    assert await driver.store.claim_again(ids, owner="b", lease_s=LEASE_S) == []


async def test_what_is_released_can_be_claimed_again(driver: Driver) -> None:
    await driver.index(A)
    works = await driver.claim()
    await driver.store.release(iter([works[0].symbol_id]))
    assert [work.uid for work in await driver.claim()] == [works[0].uid]


async def test_a_lease_that_is_over_frees_the_work(driver: Driver, clock: FakeClock) -> None:
    await driver.index(A)
    works = await driver.claim()
    clock.advance(LEASE_S - 1)
    assert await driver.claim() == []
    clock.advance(1)
    assert await driver.claim() == works


async def test_of_two_who_claim_at_once_each_work_goes_to_one(driver: Driver) -> None:
    await driver.index({f"m{n}": (Def("f", (Use("g"),)),) for n in range(20)})
    taken = await asyncio.gather(*(driver.claim(3) for _ in range(10)))
    uids = Counter(work.uid for works in taken for work in works)
    assert len(uids) == 20
    assert set(uids.values()) == {1}


async def test_functions_come_before_types_and_what_changed_before_all(driver: Driver) -> None:
    await driver.index({"a": (From("b", "x"), Class("C", ("x",)), Def("f", (Use("x"),))), "b": ()})
    works = await driver.claim()
    assert [work.uid for work in works] == ["a.py/f().", "a.py/C#", "a.py/"]
    await driver.store.release(work.symbol_id for work in works)
    await driver.change(z=(Class("Z", ("x",)),))
    assert (await driver.claim(1))[0].uid == "z.py/Z#"


async def test_another_lane_gets_nothing_of_this_one(driver: Driver) -> None:
    await driver.index(A)
    for lane in (Lane(driver.workspace.id, "go"), Lane(driver.workspace.id + 1, "python")):
        assert await driver.store.claim(lane, 10, owner="a", lease_s=1) == []
    assert await driver.claim(0) == []


async def test_who_failed_is_claimed_by_id_only(driver: Driver) -> None:
    await driver.index(A)
    work = await driver.work(F)
    await driver.fail(work)
    assert F not in {each.uid for each in await driver.claim()}
    assert (await driver.work(F)).symbol_id == work.symbol_id


async def test_what_is_no_orphan_cannot_be_claimed(driver: Driver) -> None:
    await driver.index(A)
    await driver.settle()
    ids = list((await driver.ids()).values())
    assert await driver.store.claim_again([*ids, 1, 2, 99_999], owner="a", lease_s=1) == []


# Commits


async def test_an_outcome_its_edges_and_its_mark_are_written_together(driver: Driver) -> None:
    await driver.index(A)
    ids, work = await driver.ids(), await driver.work(F)
    edge = ResolvedEdge(Relation.CALLS, ids[G], 2, 8, by_syntax=True, unparsed=True)
    committed = await driver.commit(driver.outcome(work, edge))
    assert (committed.written, committed.dropped) == (1, [])
    assert await driver.orphans() == [M]
    (found,) = await driver.store.read(lambda r: r.edges_to([ids[G]], [Relation.CALLS]))
    assert (found.source.uid, found.target.uid) == (F, G)
    assert (found.line, found.column, found.by_syntax, found.unparsed) == (2, 8, True, True)
    assert (found.operation, found.server, found.version) == ("definition", "ty", "1.0")
    assert await driver.store.read(lambda r: r.edges_from([ids[F]], ["calls"])) == [found]
    await driver.check()


async def test_no_edges_are_an_explicit_none(driver: Driver) -> None:
    await driver.index(A)
    await driver.commit(driver.outcome(await driver.work(F)))
    assert await driver.edges_of(F) == [("", "none")]
    assert F not in await driver.orphans()
    await driver.check()


async def test_an_error_never_becomes_none_and_keeps_what_was_found(driver: Driver) -> None:
    await driver.index(A)
    ids = await driver.ids()
    edge = ResolvedEdge(Relation.CALLS, ids[G], 2, 8)
    await driver.skip(await driver.work(F), edge)
    await driver.skip(await driver.work(M))
    assert await driver.edges_of(F) == [("", "error"), ("calls", G)]
    assert await driver.edges_of(M) == [("", "error")]
    found = await counts(driver)
    assert found.outcomes == {"edges": 0, "none": 3, "error": 2}
    assert (found.orphans, found.skipped, found.enriched) == (0, 2, found.symbols - 2)
    await driver.check()


async def test_the_same_edge_twice_is_one_edge(driver: Driver) -> None:
    await driver.index(A)
    ids, work = await driver.ids(), await driver.work(F)
    edge = ResolvedEdge(Relation.CALLS, ids[G], 2, 8)
    await driver.commit(driver.outcome(work, edge, edge, replace(edge, column=9)))
    assert await driver.edges_of(F) == [("calls", G)] * 2
    assert (await counts(driver)).edges["calls"] == 2
    await driver.check()


async def test_a_target_outside_is_one_symbol_and_goes_with_its_last_edge(driver: Driver) -> None:
    await driver.index(A)
    # In the stubs a function, in the module itself a variable: which comes first is chance.
    for uid, kind in ((F, "function"), (M, "")):
        outside = External("os", "os.path.join", kind)
        work = await driver.work(uid)
        await driver.commit(driver.outcome(work, ResolvedEdge(Relation.CALLS, outside, 2, 8)))
    (target,) = await driver.store.read(lambda r: r.symbol_by_uid("os os.path.join"))
    assert (target.path, target.name, target.kind) == (None, "join", "external")
    assert (target.qualified_name, target.pending) == ("os.path.join", 0)
    assert len(await driver.store.read(lambda r: r.edges_to([target.id], ["calls"]))) == 2
    await driver.check()
    await driver.change(a=(Def("f"),))
    assert await driver.store.read(lambda r: r.symbol_by_uid("os os.path.join")) == []
    await driver.check()


async def test_an_answer_whose_target_is_gone_is_dropped_and_asked_again(driver: Driver) -> None:
    await driver.index(A | {"b": (Def("k"),)})
    target, work = (await driver.ids())["b.py/k()."], await driver.work(F)
    await driver.fail(work)
    await driver.change(b=None)
    outcome = driver.outcome(work, ResolvedEdge(Relation.CALLS, target, 2, 8))
    committed = await driver.commit(outcome, cleared=[work.symbol_id])
    assert committed.dropped == [work.symbol_id]
    assert await driver.edges_of(F) == []
    await driver.check()
    # Its failures are over for the tracker: were they not in the store, nobody would ask again.
    assert F in {each.uid for each in await driver.claim()}


async def test_an_answer_for_an_older_revision_is_dropped(driver: Driver) -> None:
    await driver.index(A)
    work = await driver.work(F)
    await driver.change(a=(Var("x"), *A["a"]))
    committed = await driver.commit(driver.outcome(work), charges=[driver.charge(work)])
    assert (committed.written, committed.dropped) == (0, [work.symbol_id])
    assert F in await driver.orphans()
    assert await driver.store.read(lambda r: r.failures()) == []
    await driver.check()


async def test_an_answer_about_a_symbol_that_is_gone_is_dropped(driver: Driver) -> None:
    await driver.index(A)
    work = await driver.work(F)
    await driver.change(a=(Var("x"),))
    committed = await driver.commit(driver.outcome(work), charges=[driver.charge(work)])
    assert committed.dropped == [work.symbol_id]
    await driver.check()


async def test_of_two_answers_to_one_question_the_first_counts(
    driver: Driver, clock: FakeClock
) -> None:
    """A lease can end before its worker does."""
    await driver.index(A)
    ids, first = await driver.ids(), await driver.work(F)
    clock.advance(LEASE_S)
    second = await driver.work(F)
    await driver.commit(driver.outcome(second, ResolvedEdge(Relation.CALLS, ids[G], 2, 8)))
    committed = await driver.commit(driver.outcome(first), driver.outcome(first))
    assert committed.written == 0
    assert await driver.edges_of(F) == [("calls", G)]
    late_failure = await driver.commit(charges=[driver.charge(first)])
    assert late_failure.dropped == [first.symbol_id]
    assert (await counts(driver)).backing_off == 0
    await driver.check()


async def test_a_committed_claim_is_released(driver: Driver) -> None:
    await driver.index(A)
    work = await driver.work(F)
    await driver.commit(driver.outcome(work))
    await driver.store.retry([work.symbol_id])
    assert F in {each.uid for each in await driver.claim()}


async def test_an_empty_batch_is_no_error(driver: Driver) -> None:
    assert (await driver.commit()).written == 0


# Failures


async def test_a_failure_is_remembered_whole(driver: Driver) -> None:
    await driver.index(A)
    work = await driver.work(F)
    charge = driver.charge(work, attempts=3)
    await driver.commit(charges=[charge])
    read = driver.store.read
    assert await read(lambda r: r.failures()) == [charge.record]
    assert await read(lambda r: r.failure(work.symbol_id)) == charge.record
    assert await read(lambda r: r.failure(work.symbol_id + 1)) is None
    found = await counts(driver)
    assert (found.backing_off, found.orphans, found.skipped) == (1, 2, 0)
    assert await read(lambda r: r.orphans_by_language(driver.workspace.id)) == {"python": 2}
    await driver.check()


async def test_failures_come_due_first_and_skipped_last_by_the_page(driver: Driver) -> None:
    await driver.index({f"m{n}": (Def("f", (Use("g"),)),) for n in range(4)})
    works = sorted(await driver.claim(), key=lambda each: each.uid)
    for work, at in zip(works, (300.0, 100.0, 200.0), strict=False):
        await driver.fail(work, at=at)
    await driver.skip(works[3])
    read = driver.store.read
    order = [works[1].uid, works[2].uid, works[0].uid, works[3].uid]
    assert [each.uid for each in await read(lambda r: r.failures())] == order
    page = await read(lambda r: r.failures(driver.workspace.id, limit=2, offset=1))
    assert [each.uid for each in page] == order[1:3]
    skipped = await read(lambda r: r.failures(skipped=True))
    assert [each.uid for each in skipped] == order[3:]
    waiting = await read(lambda r: r.failures(skipped=False))
    assert [each.uid for each in waiting] == order[:3]
    assert await read(lambda r: r.failures(driver.workspace.id + 1)) == []


async def test_a_success_clears_the_failure_in_the_same_transaction(driver: Driver) -> None:
    await driver.index(A)
    work = await driver.work(F)
    await driver.fail(work)
    again = await driver.work(F)
    await driver.commit(driver.outcome(again), cleared=[work.symbol_id])
    assert await driver.store.read(lambda r: r.failures()) == []
    assert (await counts(driver)).orphans == 1
    await driver.check()


async def test_a_change_of_the_file_forgets_failures_and_says_whose(driver: Driver) -> None:
    await driver.index(A)
    backing_off, skipped = await driver.work(F), await driver.work(M)
    await driver.fail(backing_off)
    await driver.skip(skipped)
    stored = await driver.change(a=(Var("x"), *A["a"]))
    assert sorted(stored.had_failed) == sorted([backing_off.symbol_id, skipped.symbol_id])
    assert await driver.orphans() == [M, F]
    assert (await counts(driver)).outcomes["error"] == 0
    await driver.check()


async def test_a_removed_file_says_whose_failures_are_gone(driver: Driver) -> None:
    await driver.index(A)
    work = await driver.work(F)
    await driver.skip(work)
    assert (await driver.change(a=None)).had_failed == [work.symbol_id]
    await driver.check()


async def test_retry_makes_orphans_of_whatever_they_were(driver: Driver) -> None:
    await driver.index(A)
    await driver.skip(await driver.work(F))
    await driver.settle()
    ids = await driver.ids()
    had_failed = await driver.store.retry([ids[F], ids[M], ids[G]])
    assert had_failed == [ids[F]]
    assert await driver.orphans() == [M, F]
    assert await driver.edges_of(G) == [("", "none")]
    await driver.check()


async def test_retry_of_what_is_gone_or_outside_changes_nothing(driver: Driver) -> None:
    await driver.index(A)
    work = await driver.work(F)
    outside = ResolvedEdge(Relation.CALLS, External("os", "x", "function"), 2, 8)
    await driver.commit(driver.outcome(work, outside))
    (target,) = await driver.store.read(lambda r: r.symbol_by_uid("os x"))
    before = await driver.snapshot()
    assert await driver.store.retry([99_999, 1, 2, target.id]) == []
    assert await driver.snapshot() == before
    await driver.check()


async def test_an_answer_from_before_a_retry_is_dropped(driver: Driver) -> None:
    await driver.index(A)
    work = await driver.work(F)
    await driver.store.retry([work.symbol_id])
    assert (await driver.commit(driver.outcome(work))).dropped == [work.symbol_id]


# What a server is asked for


async def test_a_requirement_is_remembered_and_the_version_survives_a_restart(
    driver: Driver,
) -> None:
    await driver.require(DEFINITION, SUPERTYPES, version="1.2")
    await driver.require(DEFINITION, SUPERTYPES, version="")
    (known,) = await driver.store.read(lambda r: r.requirements())
    assert (known.lane, known.server, known.version) == (driver.lane, "ty", "1.2")
    assert known.operations == DEFINITION.bit | SUPERTYPES.bit
    await driver.require(DEFINITION, server="pyright", version="")
    assert (await driver.store.read(lambda r: r.requirements()))[0].version == ""


async def test_a_dropped_operation_is_neither_none_nor_error(driver: Driver) -> None:
    await driver.index(A | {"b": (Def("k", (Use("f"),)), Def("l", (Use("f"),)))})
    await driver.require(DEFINITION)
    ids = await driver.ids()
    await driver.commit(
        driver.outcome(await driver.work(F), ResolvedEdge(Relation.CALLS, ids[G], 2, 8))
    )
    await driver.commit(driver.outcome(await driver.work(M)))
    await driver.skip(await driver.work("b.py/k()."))
    await driver.fail(await driver.work("b.py/l()."))
    forgotten = await driver.require(SUPERTYPES)
    assert sorted(forgotten) == sorted([ids["b.py/k()."], ids["b.py/l()."]])
    for uid in ids:
        assert await driver.edges_of(uid) == []
    assert await driver.orphans() == []
    found = await counts(driver)
    assert found.outcomes == {"edges": 0, "none": 0, "error": 0}
    assert (found.backing_off, found.skipped) == (0, 0)
    await driver.check()


async def test_an_added_operation_is_pending_and_what_the_text_proves_is_settled(
    driver: Driver,
) -> None:
    await driver.require(SUPERTYPES)
    await driver.index(A)
    assert await driver.orphans() == []
    await driver.require(SUPERTYPES, DEFINITION)
    assert await driver.orphans() == [M, F]
    assert await driver.edges_of(G) == [("", "none")]
    await driver.check()


async def test_an_answer_to_an_operation_that_was_dropped_meanwhile_counts_for_nothing(
    driver: Driver,
) -> None:
    await driver.index(A)
    await driver.require(DEFINITION)
    work = await driver.work(F)
    await driver.require(SUPERTYPES)
    await driver.commit(driver.outcome(work))
    assert await driver.edges_of(F) == []
    await driver.check()


@pytest.mark.parametrize(
    "change", [{"version": "2"}, {"settings": "other"}, {"server": "pyright"}], ids=str
)
async def test_another_version_or_configuration_reopens_errors_and_only_errors(
    driver: Driver, change: dict[str, Any]
) -> None:
    await driver.index(A | {"b": (Def("k", (Use("f"),)),)})
    await driver.require(DEFINITION)
    await driver.skip(await driver.work(F))
    await driver.fail(await driver.work("b.py/k()."))
    await driver.settle()
    before, ids = await driver.edges_of(M), await driver.ids()
    forgotten = await driver.require(DEFINITION, **change)
    assert sorted(forgotten) == sorted([ids[F], ids["b.py/k()."]])
    assert await driver.orphans() == [F, "b.py/k()."]
    assert await driver.edges_of(M) == before
    assert {each.uid for each in await driver.claim()} == {F, "b.py/k()."}
    await driver.check()


async def test_the_same_requirement_again_changes_nothing(driver: Driver) -> None:
    await driver.index(A)
    await driver.require(DEFINITION)
    await driver.skip(await driver.work(F))
    before = await driver.snapshot()
    assert await driver.require(DEFINITION) == []
    assert await driver.snapshot() == before


async def test_a_requirement_concerns_its_own_lane_only(driver: Driver) -> None:
    await driver.index(A)
    other = Driver(driver.store, await driver.store.add_workspace("b", "/b"))
    await other.index(A)
    await driver.require(SUPERTYPES)
    assert await driver.orphans() == []
    assert await other.orphans() == [M, F]
    await driver.check()


# Counts


async def test_counts_are_right_at_every_step(driver: Driver) -> None:
    await driver.index(A | {"b": (From("a", "C"), Class("D", ("C",), (Def("m"), Def("n"))))})
    found = await counts(driver)
    assert (found.files, found.symbols, found.orphans) == (2, 9, 4)
    assert found.edges == {"contains": 7}
    assert found.outcomes == {"edges": 0, "none": 5, "error": 0}
    assert found.parse == {"ok": 2, "partial": 0, "error": 0, "unsupported": 0}
    assert found.indexed_at is not None
    await driver.settle()
    found = await counts(driver)
    assert (found.orphans, found.enriched) == (0, 9)
    assert found.edges == {
        "calls": 2,
        "contains": 7,
        "imports": 2,
        "inherits": 1,
        "overrides": 1,
    }
    assert found.outcomes == {"edges": 4, "none": 5, "error": 0}
    await driver.change(a=None)
    found = await counts(driver)
    assert (found.files, found.symbols, found.orphans) == (1, 4, 2)
    assert found.edges == {"contains": 3}
    await driver.check()


async def test_a_file_is_counted_in_the_language_that_it_has_now(driver: Driver) -> None:
    file = parsed("a", A["a"])
    empty = replace(parsed("b", ()), symbols=[], status=ParseStatus.ERROR)

    async def found(*files: ParsedFile, removed: tuple[str, ...] = ()) -> object:
        await driver.store.store_files(driver.workspace.id, list(files), list(removed))
        await driver.check()
        languages = await driver.store.read(lambda r: r.languages(driver.workspace.id))
        now = await counts(driver)
        return languages, now.files, now.symbols, now.edges.get("contains", 0), now.parse["ok"]

    number = len(file.symbols)
    assert await found(file, empty) == ({"python": 2}, 2, number, number - 1, 1)
    assert await found(replace(file, language="go", digest=b"2")) == (
        {"go": 1, "python": 1}, 2, number, number - 1, 1,
    )  # fmt: skip
    assert await found(replace(file, symbols=file.symbols[:1], digest=b"3")) == (
        {"python": 2}, 2, 1, 0, 1,
    )  # fmt: skip
    assert await found(removed=("a.py",)) == ({"python": 1}, 1, 0, 0, 0)
    assert await found(removed=("b.py",)) == ({}, 0, 0, 0, 0)


async def test_unsettled_mentions_are_found_under_any_alias(driver: Driver) -> None:
    await driver.index(
        {
            "a": (Def("f"),),
            "b": (From("a", "f", "Z"),),
            "c": (Def("g", (Use("Z"),)), Def("h", (Use("x"),))),
        }
    )
    workspace_id = driver.workspace.id
    ask = driver.store.read
    found = await ask(lambda r: r.mentions(["f"], workspace_id).unsettled)
    assert sorted(each.uid for each in found) == ["b.py/", "c.py/g()."]
    await driver.settle()
    assert await ask(lambda r: r.mentions(["f"], workspace_id).unsettled) == []


# Jobs


async def test_a_job_tells_its_stages_as_they_go(driver: Driver, clock: FakeClock) -> None:
    store, workspace_id = driver.store, driver.workspace.id
    started = clock.time()
    await store.begin_job("j", workspace_id, "full", owner="me")
    await store.report_stage("j", Stage.PARSING, 0, 10)
    clock.advance(1)
    await store.report_stage("j", Stage.PARSING, 7, 10, "x.py")
    (job,) = await store.read(lambda r: r.runs.jobs(workspace_id))
    assert (job.job_id, job.workspace, job.kind) == ("j", "tree", "full")
    assert (job.status, job.stage, job.files_total) == (JobStatus.RUNNING, Stage.PARSING, 10)
    assert (job.started_at, job.completed_at) == (started, None)
    (stage,) = job.stages
    assert (stage.processed, stage.total, stage.current_item) == (7, 10, "x.py")
    clock.advance(1)
    await store.report_stage("j", Stage.STORING, 10, 10)
    clock.advance(1)
    await store.end_job("j", JobResult(JobStatus.COMPLETED, None, 10, 9, 1, 42, {"python": 10}))
    (job,) = await store.read(lambda r: r.runs.jobs())
    assert (job.status, job.files_indexed, job.files_failed) == (JobStatus.COMPLETED, 9, 1)
    assert (job.symbols_found, job.languages) == (42, {"python": 10})
    assert job.completed_at == started + 3
    assert [(each.stage, each.completed_at) for each in job.stages] == [
        (Stage.PARSING, started + 2),
        (Stage.STORING, started + 3),
    ]
    assert await store.read(lambda r: r.runs.job_counts()) == {"completed": 1}


async def test_a_job_whose_process_died_is_ended_as_interrupted(driver: Driver) -> None:
    store, workspace_id = driver.store, driver.workspace.id
    await store.begin_job("dead", workspace_id, "full", owner="before")
    await store.report_stage("dead", Stage.PARSING, 1, 2)
    await store.begin_job("ended", workspace_id, "full", owner="before")
    await store.end_job("ended", JobResult(JobStatus.CANCELLED))
    await store.begin_job("mine", workspace_id, "full", owner="now")
    assert await store.end_interrupted_jobs("now") == ["dead"]
    jobs = {each.job_id: each for each in await store.read(lambda r: r.runs.jobs())}
    assert (jobs["dead"].status, jobs["mine"].status, jobs["ended"].status) == (
        JobStatus.FAILED,
        JobStatus.RUNNING,
        JobStatus.CANCELLED,
    )
    assert "interrupted" in (jobs["dead"].error_message or "")
    assert all(each.completed_at is not None for each in jobs["dead"].stages)
    assert await store.end_interrupted_jobs("now") == []


async def test_the_newest_jobs_come_first(driver: Driver, clock: FakeClock) -> None:
    for number in range(5):
        await driver.store.begin_job(f"j{number}", driver.workspace.id, "full", owner="me")
        clock.advance(number % 2)
    jobs = await driver.store.read(lambda r: r.runs.jobs(limit=3))
    assert [each.job_id for each in jobs] == ["j4", "j3", "j2"]


# Indexing errors


def broken(message: str = "boom", traceback: str = "") -> Failure:
    return Failure(ErrorType.PARSING, Stage.PARSING, message, traceback)


async def open_errors(driver: Driver) -> dict[str, int]:
    return await driver.store.read(lambda r: r.runs.error_counts(driver.workspace.id))


async def test_an_error_is_open_until_its_file_succeeds(driver: Driver) -> None:
    store, workspace_id = driver.store, driver.workspace.id
    good = parsed("a", A["a"])
    bad = replace(good, status=ParseStatus.ERROR, symbols=[], failure=broken())
    for _ in range(2):
        await store.store_files(workspace_id, [bad], [])
        assert await open_errors(driver) == {"parsing_error": 1}
    await store.store_files(workspace_id, [good], [])
    assert await open_errors(driver) == {}
    await store.store_files(workspace_id, [bad], [])
    assert await open_errors(driver) == {"parsing_error": 1}
    await store.store_files(workspace_id, [], ["a.py"])
    assert await open_errors(driver) == {}


async def test_an_error_of_a_file_that_was_never_stored_goes_with_the_file(driver: Driver) -> None:
    await driver.store.log_error(driver.workspace.id, "x.py", "python", broken())
    await driver.store.store_files(driver.workspace.id, [], ["x.py"])
    assert await open_errors(driver) == {}


async def test_errors_are_counted_by_type_and_file(driver: Driver) -> None:
    store, workspace_id = driver.store, driver.workspace.id
    await store.log_error(workspace_id, "x.py", "python", broken())
    await store.log_error(workspace_id, "y.py", "python", broken())
    await store.log_error(
        workspace_id, "y.py", "python", Failure(ErrorType.IO, Stage.PARSING, "no")
    )
    assert await open_errors(driver) == {"parsing_error": 2, "io_error": 1}


async def test_an_error_in_any_words_can_be_recorded(driver: Driver) -> None:
    """A path or a message that is no proper text must not break the run."""
    failure = broken("lone \ud800 surrogate \udcff and \0", "trace \udcff" * 3)
    await driver.store.log_error(driver.workspace.id, "x.py", "python", failure)
    bad = replace(parsed("a", ()), status=ParseStatus.ERROR, failure=failure)
    await driver.store.store_files(driver.workspace.id, [bad], [])
    assert await open_errors(driver) == {"parsing_error": 2}


async def test_a_file_that_could_not_be_read_whole_is_told(driver: Driver) -> None:
    bad = replace(parsed("a", ()), status=ParseStatus.PARTIAL, error_lines=[3], error_count=1)
    await driver.store.store_files(driver.workspace.id, [bad], [])
    found = await driver.store.read(lambda r: r.unparsed_files(driver.workspace.id))
    assert found == [("a.py", ParseStatus.PARTIAL)]


async def test_outcomes_of_one_symbol_by_two_origins_keep_both(
    driver: Driver, workspace: Workspace
) -> None:
    await driver.index(A)
    for uid, version in ((F, "1"), (M, "2")):
        work = await driver.work(uid)
        outcome = Outcome(work.symbol_id, work.revision, DEFINITION, Origin("ty", version), [])
        await driver.store.commit(Batch([outcome], [], []))
    answer = await driver.store.read(lambda r: r.mentions(["f", "g"], workspace.id).newest)
    assert answer is not None
    assert answer[0].server == TY.server


async def test_what_somebody_asked_for_is_claimed_before_all_others(driver: Driver) -> None:
    await driver.index(A | {"b": (Def("k", (Use("f"),)),)})
    ids = await driver.ids()
    await driver.store.prefer([ids["b.py/k()."]])
    (first,) = await driver.claim(1)
    assert first.uid == "b.py/k()."
    await driver.store.prefer([ids["b.py/k()."], 10**9])
    await driver.check()


async def test_what_a_look_could_not_take_in_is_open_until_it_can(driver: Driver) -> None:
    store, workspace_id = driver.store, driver.workspace.id
    pipe = Failure(ErrorType.IO, Stage.ANALYZING, "not a regular file but a pipe")
    await store.note_walk_problems(workspace_id, [("a.py", pipe), ("b.py", pipe)], [])
    assert await store.read(lambda reader: reader.runs.walk_problems(workspace_id)) == {
        "a.py": pipe.message,
        "b.py": pipe.message,
    }
    await store.note_walk_problems(workspace_id, [], ["a.py"])
    assert list(await store.read(lambda reader: reader.runs.walk_problems(workspace_id))) == [
        "b.py"
    ]
    assert await store.read(lambda reader: reader.runs.error_counts(workspace_id)) == {
        "io_error": 1
    }
