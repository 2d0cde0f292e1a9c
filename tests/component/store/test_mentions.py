"""Who mentions a name: told right whatever has happened, and without a look at each symbol."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest
from tests.component.store.driving import Driver, mentions_are_right
from tests.component.store.worlds import Blank, Class, Def, File, From, Server, Use, Var

from enrichd.clock import FakeClock
from enrichd_tracker.model import Operation, Origin, Outcome
from enrichd_tracker.store.port import Batch, Mentions
from enrichd_tracker.store.sqlite import SqliteStore

A: File = (Def("f", (Use("g"),)), Class("A", (), (Def("m", (Use("f"), Use("lost"))),)))
B: File = (From("a", "f", "Z"), Def("g", (Use("Z"), Use("lost"), Use("f"))), Def("f", (Use("h"),)))
WORLD = {"a": A, "b": B, "c": (From("a", "A"), Class("B", ("A",), (Def("m", (Use("lost"),)),)))}


async def said_of(driver: Driver, *names: str) -> Mentions:
    return await driver.store.read(lambda reader: reader.mentions(names, driver.workspace.id))


async def settled(driver: Driver) -> None:
    await driver.index(WORLD)
    await driver.require(Operation.DEFINITION)
    await driver.settle()


async def fails_once(driver: Driver) -> None:
    await driver.store.retry([(await driver.ids())["b.py/g()."]])
    await driver.fail(await driver.work("b.py/g()."))


async def is_given_up_half_way(driver: Driver) -> None:
    await driver.store.retry([(await driver.ids())["b.py/g()."]])
    work = await driver.work("b.py/g().")
    edges = driver.edges(work, Server(driver.world), await driver.ids())
    await driver.skip(work, *edges[:1])


async def is_given_up_and_tried_again(driver: Driver) -> None:
    await is_given_up_half_way(driver)
    await driver.require(Operation.DEFINITION, version="2")
    await driver.settle()


async def answers_late(driver: Driver) -> None:
    """An answer from before a retry is dropped, and so is the second of two."""
    await driver.store.retry([(await driver.ids())["b.py/g()."]])
    work = await driver.work("b.py/g().")
    await driver.commit(driver.outcome(work))
    await driver.store.retry([work.symbol_id])
    await driver.commit(driver.outcome(work))


async def is_retried_in_part(driver: Driver) -> None:
    await driver.store.retry(list((await driver.ids()).values())[::2])


async def drops_the_operation(driver: Driver) -> None:
    await driver.require(Operation.SUPERTYPES)


async def drops_it_and_asks_again(driver: Driver) -> None:
    await driver.require(Operation.SUPERTYPES)
    await driver.require(Operation.DEFINITION)
    await driver.settle()


async def asks_for_another_operation_as_well(driver: Driver) -> None:
    await driver.require(Operation.DEFINITION, Operation.SUPERTYPES)


async def is_put_right(driver: Driver) -> None:
    """The drift check has found another answer than the stored one."""
    settled = await driver.store.read(
        lambda reader: reader.settled([each.id for each in reader.symbol_by_uid("b.py/g().")])
    )
    outcome = driver.outcome(settled[0])
    assert await driver.store.replace([outcome], recount=True)


CHANGES: dict[str, Callable[[Driver], Awaitable[object]]] = {
    "nothing": lambda d: d.check(),
    "another body": lambda d: d.change(b=(From("a", "f", "Z"), Def("g", (Use("lost"),)))),
    "lines that moved": lambda d: d.change(b=(Blank(), Blank(), *B), a=(Blank(), *A)),
    "a name that appears": lambda d: d.change(b=(*B, Var("lost"))),
    "a file that goes": lambda d: d.change(a=None),
    "a file of another name": lambda d: d.rename("c", "d"),
    "an alias that goes": lambda d: d.change(b=B[1:]),
    "a retry": is_retried_in_part,
    "a failure": fails_once,
    "an error beside edges": is_given_up_half_way,
    "an error that is over": is_given_up_and_tried_again,
    "an answer that comes late": answers_late,
    "an operation that is dropped": drops_the_operation,
    "an operation that comes back": drops_it_and_asks_again,
    "an operation more": asks_for_another_operation_as_well,
    "an answer that is put right": is_put_right,
}


@pytest.mark.parametrize("what", CHANGES)
async def test_who_mentions_a_name_is_told_right_after(
    driver: Driver, clock: FakeClock, what: str
) -> None:
    await settled(driver)
    clock.advance(10)
    await CHANGES[what](driver)
    await mentions_are_right(driver)
    await driver.check()
    clock.advance(10)
    await driver.settle()
    await mentions_are_right(driver)
    await driver.check()


async def test_another_workspace_has_no_say_in_who_mentions_a_name(driver: Driver) -> None:
    other = Driver(driver.store, await driver.store.add_workspace("b", "/b"))
    await settled(driver)
    before = await said_of(driver, "lost", "f")
    await other.index(WORLD)
    assert await said_of(driver, "lost", "f") == before
    await mentions_are_right(other)
    await other.settle()
    assert await said_of(driver, "lost", "f") == before
    await driver.store.remove_workspace(other.workspace.id)
    assert await said_of(driver, "lost", "f") == before
    await driver.check()


async def test_who_answered_last_is_told_of_whoever_was_first(
    driver: Driver, clock: FakeClock
) -> None:
    await driver.index({"a": (Def("g", (Use("x"),)), Def("h", (Use("x"),)))})
    for uid, version in (("a.py/h().", "1"), ("a.py/g().", "2")):
        work = await driver.work(uid)
        origin = Origin("ty", version)
        outcome = Outcome(work.symbol_id, work.revision, Operation.DEFINITION, origin, [])
        await driver.store.commit(Batch([outcome], [], []))
        clock.advance(1)
    newest = (await said_of(driver, "x")).newest
    assert newest is not None
    assert newest[0] == Origin("ty", "2")


async def test_a_clock_that_goes_back_makes_no_answer_the_newest(
    driver: Driver, clock: FakeClock
) -> None:
    await settled(driver)
    before = (await said_of(driver, "lost")).newest
    await driver.store.retry([(await driver.ids())["b.py/g()."]])
    clock.set_wall(clock.time() - 3_600)
    await driver.settle()
    assert (await said_of(driver, "lost")).newest == before
    await mentions_are_right(driver)


@pytest.mark.parametrize("what", ["nothing", "lines that moved", "an operation that comes back"])
async def test_what_is_settled_is_not_looked_at_one_by_one(
    driver: Driver, store: SqliteStore, what: str
) -> None:
    await settled(driver)
    await CHANGES[what](driver)
    heard: list[str] = []
    reader = store._reader._raw()
    reader.set_trace_callback(heard.append)
    await said_of(driver, "lost", "f")
    reader.set_trace_callback(None)
    looked = [each for each in heard if "FROM symbol" in each or "FROM site" in each]
    assert looked == []


async def test_verify_tells_what_is_kept_wrongly_of_a_settled_symbol(
    driver: Driver, store: SqliteStore
) -> None:
    await settled(driver)
    with closing(sqlite3.connect(store.database)) as connection:
        connection.execute("UPDATE settled SET unresolved = NULL WHERE unresolved IS NOT NULL")
        connection.execute("UPDATE language_count SET symbols = symbols + 1")
        connection.commit()
    problems = await store.read(lambda reader: reader.verify())
    assert [each for each in problems if each.startswith("settled: what is kept of b.py/g().")]
    assert [each for each in problems if "python in workspace 1" in each]
