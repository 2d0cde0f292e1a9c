"""A process of its own that writes to a store until it is killed; tells each step on stdout."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sqlite3
import sys
from pathlib import Path

from tests.component.store.driving import Driver
from tests.component.store.worlds import Class, Def, File, From, Server, Use

from enrichd.clock import SystemClock
from enrichd_tracker.model import Operation
from enrichd_tracker.store import connection
from enrichd_tracker.store.sqlite import SqliteStore


def world(step: int) -> dict[str, File]:
    """Something else at every step."""
    names = [f"f{n}" for n in range(step % 5 + 1)]
    return {
        "a": tuple(Def(name, (Use("g"),)) for name in names),
        "b": (From("a", "f1", "Z"), Def("g", (Use("Z"),)), Class("A", (), (Def("m"),))),
        "c": (From("b", "A"), Class("B", ("A",), (Def("m", (Use("g"),)),))),
        f"d{step % 3}": (From("b", "g"), *(Def(name, (Use("g"),)) for name in names)),
    }


async def write_for_ever(database: Path) -> None:
    """Change, fail, skip and commit; a line on stdout before and after each."""
    store = await SqliteStore.open(database, SystemClock())
    driver = Driver(store, await store.add_workspace("tree", "/tree"))
    known = await store.read(lambda reader: reader.files(driver.workspace.id))
    driver.world = {path.removesuffix(".py"): () for path in known}
    for step in range(100_000):
        print(step, flush=True)
        await driver.index(world(step))
        works = await driver.claim(6)
        if len(works) > 2:
            await driver.fail(works[0])
            await driver.skip(works[1])
            await driver.answer(works[2:], Server(driver.world))
        await driver.require(Operation.DEFINITION, version=str(step // 7))


async def hold(database: Path) -> None:
    """Own the database and do nothing."""
    await SqliteStore.open(database, SystemClock())
    print("open", flush=True)
    await asyncio.Event().wait()


def migrate(database: Path) -> None:
    """Be killed at every statement of an opening in turn, each time over a database of its own.

    A line on stdout for each kill, with the number that is the database's suffix; it ends with an
    opening that was too short to be killed.
    """
    for number in itertools.count(1):
        pid = os.fork()
        if not pid:
            _open_till(database.with_name(f"{database.name}.{number}"), number)
            os._exit(0)
        if os.waitpid(pid, 0)[1] != signal.SIGKILL:
            return
        print(number, flush=True)


def _open_till(database: Path, statement: int) -> None:
    connect, numbers = connection._connect, itertools.count(1)

    def die_in_time(_: str) -> None:
        if next(numbers) == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    def deadly(uri: str) -> sqlite3.Connection:
        made = connect(uri)
        made.set_trace_callback(die_in_time)
        return made

    connection._connect = deadly
    connection.connect_writer(database, aside="damaged").close()


if __name__ == "__main__":
    _, what, path = sys.argv
    match what:
        case "write":
            asyncio.run(write_for_ever(Path(path)))
        case "hold":
            asyncio.run(hold(Path(path)))
        case _:
            migrate(Path(path))
