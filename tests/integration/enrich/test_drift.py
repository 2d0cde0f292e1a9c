"""The drift check: what is wrong without anybody having changed it is found, told and put right."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.integration.enrich.house import SHOP, Calls, House
from tests.integration.enrich.oracle import Oracle
from tests.integration.enrich.test_disturbances import EDGES
from tests.servers.fake_process import SILENCE, Refusal, Request

from enrichd.enrich.drift import DriftCheck, Result
from enrichd.enrich.recorder import Recorder
from enrichd.lsp.states import ServerState
from enrichd_tracker.model import Outcome

Build = Callable[..., House]
Log = list[Any]
MAIN, RUN, SHOP_CLASS = "shop.py/main().", "shop.py/Shop#run().", "shop.py/Shop#"
CALLS = (MAIN, "calls", "base.py/helper().")
ID = "(SELECT id FROM symbol WHERE uid = '{}')"

PLANTED: dict[str, tuple[str, list[str], int, int]] = {
    # what was done: about whom, how, edges that are missing then, edges that are too many
    "an edge is gone": (
        MAIN,
        [f"DELETE FROM edge WHERE source = {ID.format(MAIN)} AND relation = 'calls'"],
        1,
        0,
    ),
    "an edge is wrong": (
        MAIN,
        [
            f"""UPDATE edge SET target = {ID.format("base.py/Base#run().")}
                WHERE source = {ID.format(MAIN)} AND relation = 'calls'"""
        ],
        1,
        1,
    ),
    "there is one edge more": (
        MAIN,
        [
            f"""INSERT INTO edge SELECT source, operation, {ID.format("base.py/Base#run().")},
                    relation, line, "column", origin_id, 0, 0, at, '' FROM edge
                WHERE source = {ID.format(MAIN)} AND relation = 'calls'"""
        ],
        0,
        1,
    ),
    "an edge stands elsewhere": (
        MAIN,
        [
            f"""UPDATE edge SET line = line + 1
                WHERE source = {ID.format(MAIN)} AND relation = 'calls'"""
        ],
        1,
        1,
    ),
    "edges have become none": (
        MAIN,
        [
            f"""INSERT INTO edge SELECT source, operation, 1, '', 0, 0, origin_id, 0, 0, at, ''
                FROM edge WHERE source = {ID.format(MAIN)} LIMIT 1""",
            f"DELETE FROM edge WHERE source = {ID.format(MAIN)} AND relation <> ''",
        ],
        2,
        0,
    ),
    "the outcome is gone whole": (
        RUN,
        [f"DELETE FROM edge WHERE source = {ID.format(RUN)} AND operation <> 'syntax'"],
        1,
        0,
    ),
    "a base is gone, and the override with it": (
        SHOP_CLASS,
        [
            f"DELETE FROM edge WHERE source = {ID.format(SHOP_CLASS)}",
            f"DELETE FROM edge WHERE source = {ID.format(RUN)} AND operation = 'syntax'",
        ],
        1,
        0,
    ),
    "what names nothing has an edge": (
        "base.py/Base#run().",
        [
            f"""INSERT INTO edge SELECT {ID.format("base.py/Base#run().")}, operation, target,
                    relation, line, "column", origin_id, 0, 0, at, '' FROM edge
                WHERE source = {ID.format(MAIN)} AND relation = 'calls'"""
        ],
        0,
        1,
    ),
}


async def plant(house: House, *statements: str) -> None:
    """Change the database behind everybody's back."""

    def change(connection: sqlite3.Connection) -> None:
        for each in statements:
            assert connection.execute(each).rowcount > 0, each

    await house.app.store._write(change)


def begin(house: House, seed: int = 1) -> DriftCheck:
    """What ``App.serve`` does too; the monitor ticks less often, for the sake of speed."""
    house.app.enrichment.monitor.interval_s = 600.0
    indexing = house.app.indexing
    return house.app.enrichment.check_for_drift(
        Random(seed).random, indexing.is_calm, indexing.distrust
    )


async def settled(house: House) -> DriftCheck:
    await house.open()
    await house.until_settled()
    return begin(house)


def results(house: House) -> dict[str, float]:
    """How many checks had which result."""
    (metric,) = house.app.metrics.drift_checks.collect()
    return {
        each.labels["result"]: each.value
        for each in metric.samples
        if each.name.endswith("_total")
        and each.value
        and each.labels["result"] != Result.GAVE_WAY  # to the slow look at all files, say
    }


def gave_way(house: House) -> float:
    """How many checks gave way."""
    value: float = house.app.metrics.drift_checks.labels(Result.GAVE_WAY)._value.get()
    return value


def counted(house: House) -> tuple[float, float]:
    """Edges that were missing, and that were too many."""
    edges = house.app.metrics.drift_edges
    return edges.labels("missing")._value.get(), edges.labels("extra")._value.get()


async def until(house: House, result: Result) -> None:
    before = results(house).get(result, 0)
    await house.until(lambda: results(house).get(result, 0) > before, 6 * 3600.0)


@pytest.fixture
def log() -> Iterator[Log]:
    with capture_logs() as entries:
        yield entries


@pytest.fixture(autouse=True)
def _wait_for_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands still while a file is read."""
    to_thread = asyncio.to_thread

    async def counted(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        Calls.under_way += 1
        try:
            return await to_thread(function, *args, **kwargs)
        finally:
            Calls.under_way -= 1

    monkeypatch.setattr(asyncio, "to_thread", counted)


def told(log: Log, action: str) -> Log:
    return [each for each in log if each["action"] == action]


@pytest.mark.parametrize("what", PLANTED)
async def test_what_is_wrong_is_found_repaired_counted_and_told(
    oracle: Oracle, log: Log, what: str
) -> None:
    house = oracle.house
    uid, statements, missing, extra = PLANTED[what]
    await settled(house)
    await plant(house, *statements)
    await until(house, Result.DRIFT)
    assert await house.edges() == EDGES
    await house.is_sound()
    assert counted(house) == (missing, extra)
    (entry,) = told(log, "drift")
    assert entry["symbol"] == uid
    assert entry["workspace"] == "tree"
    assert (len(entry["missing"]), entry["missing_edges"]) == (missing, missing)
    assert entry["file_digest"] == "equal"
    assert entry["file_indexed_at"].startswith("2023-11-14T22:13:2")
    if "gone whole" not in what and uid != SHOP_CLASS:
        assert entry["stored_by"] in {"fake 1", "syntax"}
        assert entry["stored_at"].startswith("2023-11-14T22:13:2")
    assert await house.failures() == {}
    await house.pass_time(600.0)
    assert results(house)[Result.DRIFT] == 1
    assert len(told(log, "drift")) == 1


async def test_an_edge_is_told_as_a_person_would_look_for_it(oracle: Oracle, log: Log) -> None:
    house = oracle.house
    await settled(house)
    await plant(house, *PLANTED["an edge is wrong"][1])
    await until(house, Result.DRIFT)
    (entry,) = told(log, "drift")
    assert entry["missing"] == ["calls base.py/helper(). at 8:5"]
    assert entry["extra"] == ["calls base.py/Base#run(). at 8:5"]
    assert entry["found_by"] == "fake 1"


async def test_where_nothing_is_wrong_nothing_is_written_and_nothing_is_said(
    oracle: Oracle, log: Log
) -> None:
    house = oracle.house
    await settled(house)
    log.clear()
    generation = house.app.enrichment.recorder.generation
    with sqlite3.connect(f"file:{house.database}?mode=ro", uri=True) as connection:
        version = connection.execute("PRAGMA data_version").fetchone()
        await house.pass_time(4 * 3600.0)
        assert connection.execute("PRAGMA data_version").fetchone() == version
    connection.close()
    assert set(results(house)) == {Result.SAME}
    assert results(house)[Result.SAME] > 300
    assert house.app.enrichment.recorder.generation == generation
    assert log == []
    assert counted(house) == (0, 0)
    assert 300 < len(oracle.asked) < 4 * 3600
    await house.is_sound()


async def test_errors_during_a_check_write_nothing_and_charge_nobody(
    oracle: Oracle, log: Log
) -> None:
    house = oracle.house
    await settled(house)
    await plant(house, *PLANTED["an edge is wrong"][1])
    wrong = await house.edges()
    answer = oracle.answer

    def refuse(request: Request) -> object:
        raise Refusal(-32603)

    oracle.answer = refuse  # type: ignore[method-assign]
    log.clear()
    await house.pass_time(3600.0)
    assert results(house)[Result.FAILED] > 10
    assert Result.DRIFT not in results(house)
    assert await house.edges() == wrong
    assert await house.failures() == {}
    assert await house.said("error") == {}
    assert house.app.metrics.attempts._value.get() == 5
    assert log == []
    oracle.answer = answer  # type: ignore[method-assign]
    await until(house, Result.DRIFT)
    assert await house.edges() == EDGES
    await house.is_sound()


async def test_a_server_that_dies_of_a_check_is_not_asked_that_again_and_nobody_is_charged(
    oracle: Oracle,
) -> None:
    house = oracle.house
    await settled(house)
    answer = oracle.answer

    def die(request: Request) -> object:
        if request["params"]["position"]["line"] != 7:  # of ``helper()`` in ``main``
            return answer(request)
        oracle.server.die()
        return SILENCE

    oracle.answer = die  # type: ignore[method-assign]
    await house.pass_time(4 * 3600.0)
    assert results(house)[Result.FAILED] == 1
    assert len(oracle.spawn.servers) == 2
    assert await house.failures() == {}
    assert await house.orphans() == []
    assert await house.edges() == EDGES
    await house.is_sound()


async def test_a_hang_during_a_check_charges_nobody(oracle: Oracle) -> None:
    house = oracle.house
    await settled(house)
    oracle.hangs_on = "shop.py"
    await until(house, Result.FAILED)
    oracle.hangs_on = ""
    await house.until_state(ServerState.READY)
    assert await house.failures() == {}
    assert await house.orphans() == []
    assert await house.edges() == EDGES
    await house.is_sound()


async def test_an_operation_that_is_refused_during_a_check_is_not_dropped(oracle: Oracle) -> None:
    house = oracle.house
    await settled(house)

    def refuse(request: Request) -> object:
        raise Refusal(-32601)

    oracle.answer = refuse  # type: ignore[method-assign]
    await until(house, Result.FAILED)
    assert await house.edges() == EDGES


async def test_an_answer_that_is_not_stable_is_told_and_not_written(
    oracle: Oracle, log: Log
) -> None:
    house = oracle.house
    await settled(house)
    answer, asked = oracle.answer, list[Request]()

    def once_empty(request: Request) -> object:
        if request["params"]["position"]["line"] == 7 and not asked:
            asked.append(request)
            return []
        return answer(request)

    oracle.answer = once_empty  # type: ignore[method-assign]
    await until(house, Result.UNSTABLE)
    (entry,) = told(log, "unstable_answer")
    assert entry["symbol"] == MAIN
    assert entry["extra"] == ["calls base.py/helper(). at 8:5"]
    assert counted(house) == (0, 0)
    await house.pass_time(3600.0)
    assert await house.edges() == EDGES
    assert results(house).keys() == {Result.SAME, Result.UNSTABLE}


async def test_work_that_comes_goes_first(oracle: Oracle) -> None:
    house = oracle.house
    await settled(house)
    oracle.silent_about = "shop.py"
    asked = len(oracle.asked)
    await house.until(lambda: "shop.py" in str(oracle.asked[asked:]))
    oracle.silent_about = ""  # of the one question in flight there is still no answer
    house.write({"odd.py": "from base import helper\n\ndef odd():\n    return helper()\n"})
    begun = house.clock.monotonic()
    await house.index()
    await house.until_settled(within_s=3.0)
    assert house.clock.monotonic() - begun < 5.0
    assert ("odd.py/odd().", "calls", "base.py/helper().") in await house.edges()
    assert gave_way(house) > 0
    await house.pass_time(30.0)  # the question that was in flight is over
    assert await house.failures() == {}
    await until(house, Result.SAME)
    await house.is_sound()


async def test_nothing_is_checked_while_something_is_due(oracle: Oracle) -> None:
    house = oracle.house
    house.write({"odd.py": "from base import helper\n\ndef odd():\n    return helper()\n"})
    answer = oracle.answer

    def refuse(request: Request) -> object:
        if "odd.py" in request["params"]["textDocument"]["uri"]:
            raise Refusal(-32603)
        return answer(request)

    oracle.answer = refuse  # type: ignore[method-assign]
    await house.open()
    await house.pass_time(1.0)
    assert len(await house.failures()) == 2
    begin(house)
    house.app.enrichment.monitor.interval_s = 5.0
    await house.pass_time(300.0)  # the seventh attempt is after 315 s
    assert results(house) == {}
    await house.pass_time(120.0)
    assert results(house)[Result.SAME] > 0
    await house.pass_time(900.0)
    assert len(await house.said("error")) == 2, "what failed is not asked again"
    assert results(house).keys() == {Result.SAME}


async def test_a_server_that_has_not_proved_itself_is_not_believed(oracle: Oracle) -> None:
    house = oracle.house
    await settled(house)
    answer = oracle.answer
    oracle.answer = lambda request: []  # type: ignore[method-assign]
    oracle.server.die()
    await house.until_state(ServerState.DEGRADED)
    await house.pass_time(3600.0)
    assert results(house) == {}
    assert await house.edges() == EDGES
    oracle.answer = answer  # type: ignore[method-assign]
    await until(house, Result.SAME)


async def test_a_file_that_changed_without_showing_it_is_found_and_indexed_again(
    oracle: Oracle, log: Log
) -> None:
    house = oracle.house
    await settled(house)
    shop = house.root / "shop.py"
    before = shop.stat()
    text = SHOP["shop.py"].replace("    helper()\n", "    Base()  \n")
    assert len(text) == len(SHOP["shop.py"])
    with shop.open("r+") as file:
        file.write(text)
    os.utime(shop, ns=(before.st_atime_ns, before.st_mtime_ns))
    await house.index()
    assert CALLS in await house.edges(), "nothing shows it"
    await until(house, Result.FILE)
    await house.pass_time(5.0)
    await house.until_settled()
    assert CALLS not in await house.edges()
    assert await house.edges() == EDGES - {CALLS}
    (entry,) = told(log, "drift_file")
    assert entry["file"] == "shop.py"
    assert counted(house) == (0, 0)
    await house.is_sound()
    await house.pass_time(3600.0)
    assert results(house)[Result.FILE] == 1


async def test_an_edit_that_nobody_noticed_is_indexed(oracle: Oracle, log: Log) -> None:
    house = oracle.house
    check = await settled(house)
    house.write({"shop.py": SHOP["shop.py"].replace("    helper()\n", "    Base()\n")})
    while Result.CHANGED not in results(house):
        await check.look()
    await house.pass_time(5.0)
    await house.until_settled()
    assert await house.edges() == EDGES - {CALLS}
    assert told(log, "drift_file") == told(log, "drift") == []
    await house.is_sound()


async def test_a_symbol_that_changes_between_asking_and_writing_is_left_alone(
    oracle: Oracle, monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    house = oracle.house
    await settled(house)
    await plant(house, *PLANTED["an edge is wrong"][1])
    main = await house.symbol(MAIN)
    assert main is not None
    replace = Recorder.replace
    written: list[bool] = []

    async def late(self: Recorder, outcomes: list[Outcome], *, recount: bool) -> bool:
        if not written:
            await house.app.retry([main.id])
        written.append(await replace(self, outcomes, recount=recount))
        return written[-1]

    monkeypatch.setattr(Recorder, "replace", late)
    await until(house, Result.CHANGED)
    assert written == [False]
    assert told(log, "drift") == []
    assert counted(house) == (0, 0)
    await house.until_settled(within_s=10.0)
    assert await house.edges() == EDGES
    problems = await house.app.store.read(lambda reader: reader.verify())
    assert {each.partition(" ")[0] for each in problems} <= {"count:"}, "planted by this test"


async def test_the_rest_of_the_file_is_looked_at_next(oracle: Oracle, log: Log) -> None:
    house = oracle.house
    await house.open()
    await house.until_settled()
    for uid in (MAIN, RUN):
        await plant(
            house, f"DELETE FROM edge WHERE source = {ID.format(uid)} AND operation <> 'syntax'"
        )
    places = iter([0.999])
    check = house.app.enrichment.check_for_drift(
        lambda: next(places, 0.0), house.app.indexing.is_calm, house.app.indexing.distrust
    )
    await check.look()
    assert [each["symbol"] for each in told(log, "drift")] == [MAIN, RUN]
    assert await house.edges() == EDGES
    await house.is_sound()


async def test_the_end_does_not_wait_for_a_check(oracle: Oracle) -> None:
    house = oracle.house
    await settled(house)
    oracle.silent_about = "shop.py"
    asked = len(oracle.asked)
    await house.until(lambda: "shop.py" in str(oracle.asked[asked:]))
    before = house.clock.monotonic()
    await house.close()
    assert house.clock.monotonic() - before < 2.0


async def test_a_lane_may_be_removed_while_it_is_checked(oracle: Oracle) -> None:
    house = oracle.house
    await settled(house)
    oracle.silent_about = "shop.py"
    asked = len(oracle.asked)
    await house.until(lambda: "shop.py" in str(oracle.asked[asked:]))
    await house.app.enrichment.remove_lanes((await house.workspace()).id)
    await house.pass_time(120.0)
    assert gave_way(house) > 0
    assert not house.app.services.failed


async def test_looking_for_a_sample_reads_no_table_whole(oracle: Oracle) -> None:
    house = oracle.house
    await house.open()
    await house.until_settled()
    raw = house.app.store._reader._raw()
    heard: list[str] = []
    raw.set_trace_callback(heard.append)
    await house.app.store.read(lambda reader: reader.sample([0.0, 0.3, 0.6, 0.9]))
    await house.app.store.read(lambda reader: reader.settled_in(1, 10))
    raw.set_trace_callback(None)
    statements = [each for each in heard if re.match(r"\s*SELECT", each)]
    assert len(statements) > 5
    plans = [
        row[3]
        for statement in statements
        if "requirement" not in statement
        for row in house.app.store._reader._raw().execute(f"EXPLAIN QUERY PLAN {statement}")
    ]
    scans = {each for each in plans if re.match(r"SCAN \w", each)}
    assert scans == {"SCAN CONSTANT ROW", "SCAN near"}, "near: the few symbols after a place"


async def test_the_daemon_checks_and_a_single_run_does_not(oracle: Oracle) -> None:
    house = oracle.house
    app = await house.open()
    assert "drift check" not in app.services._tasks
    await app.serve()
    assert "drift check" in app.services._tasks
    await until(house, Result.SAME)


async def test_ty_says_the_same_twice(build: Build, log: Log) -> None:
    house = build(
        {
            **SHOP,
            "uses.py": (
                "import os.path\nfrom collections import OrderedDict as Sorted\n"
                "from shop import *\n\n"
                "def use(shop: Shop):\n"
                "    known = Sorted()\n"
                "    return os.path.join('a', shop.run(), main(), known)\n"
            ),
        }
    )
    house.languages = {"python": "ty"}
    await settled(house)
    edges = await house.edges()
    assert ("uses.py/use().", "calls", "shop.py/Shop#run().") in edges
    await plant(
        house, f"DELETE FROM edge WHERE source = {ID.format('uses.py/use().')} AND line = 6"
    )
    log.clear()
    await until(house, Result.DRIFT)
    await house.pass_time(6 * 3600.0)
    assert results(house).keys() == {Result.SAME, Result.DRIFT}
    assert [each["action"] for each in log] == ["drift"]
    assert await house.edges() == edges
    await house.is_sound()
