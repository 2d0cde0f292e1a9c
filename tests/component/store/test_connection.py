"""The database as a file: who owns it, how it gets its schema, what if it is damaged or locked."""
# ruff: noqa: ASYNC240  (nothing else waits for the loop)

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.component.store.driving import Driver
from tests.component.store.worlds import Def, File, Use, parsed
from tests.figures import Reached

from enrichd.clock import FakeClock
from enrichd_tracker.errors import (
    AlreadyLocked,
    ExitCode,
    PermissionRefused,
    SchemaTooNew,
    StorageError,
    StoreDamaged,
    StoreUnavailable,
)
from enrichd_tracker.store import connection
from enrichd_tracker.store.connection import connect_reader, migrations, suspicion
from enrichd_tracker.store.lock import holder
from enrichd_tracker.store.sqlite import SqliteStore

REPOSITORY = Path(__file__).parents[3]
NOBODY = 65_534


def many(number: int) -> dict[str, File]:
    return {f"m{n}": tuple(Def(f"f{k}", (Use("g"),)) for k in range(10)) for n in range(number)}


@contextmanager
def child(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.component.store.child", *map(str, arguments)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


_opened: list[SqliteStore] = []


async def opened(database: Path) -> SqliteStore:
    store = await SqliteStore.open(database, FakeClock())
    _opened.append(store)
    return store


@pytest.fixture(autouse=True)
async def nothing_is_left_open() -> AsyncIterator[None]:
    yield
    while _opened:
        store = _opened.pop()
        for thread in (store._reader, store._writer):
            await thread._connection.close()
        store._lock.release()


async def is_sound(store: SqliteStore) -> None:
    """It can be written and read, and is what it promises to be."""
    driver = Driver(store, await store.add_workspace("sound", "/sound"))
    await driver.index(many(2))
    await driver.settle()
    await driver.check()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "graph.db"


@pytest.fixture
async def filled(database: Path) -> Path:
    """A database with something in it, closed cleanly."""
    store = await opened(database)
    driver = Driver(store, await store.add_workspace("tree", "/tree"))
    await driver.index(many(30))
    await driver.settle()
    await store.close()
    return database


@pytest.fixture
async def crashed(filled: Path, tmp_path: Path) -> Path:
    """As a process that was killed leaves it: with a write-ahead log."""
    store = await opened(filled)
    driver = Driver(store, await store.add_workspace("tree", "/tree"))
    driver.world = many(30)
    await driver.change(new=(Def("k", (Use("g"),)),))
    image = tmp_path / "image"
    image.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(f"{filled}{suffix}", image / f"{filled.name}{suffix}")
    await store.close()
    return image / filled.name


# One owner


async def test_a_second_store_is_refused_at_once_and_the_first_is_unharmed(database: Path) -> None:
    first = await opened(database)
    started = time.monotonic()
    with pytest.raises(AlreadyLocked, match=f"{database} is in use by process {os.getpid()}"):
        await opened(database)
    assert time.monotonic() - started < 1
    assert AlreadyLocked.exit_code is ExitCode.LOCKED
    assert holder(database) == os.getpid()
    await is_sound(first)
    await first.close()
    assert holder(database) is None


async def test_another_process_is_named_and_after_its_death_the_database_is_free(
    database: Path,
) -> None:
    with child("hold", database) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(AlreadyLocked, match=f"process {process.pid}$") as refused:
            await opened(database)
        assert refused.value.hint is not None
        assert holder(database) == process.pid
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert holder(database) is None
    assert database.with_name("graph.db.lock").read_text() == f"{process.pid}\n"
    store = await opened(database)
    assert store.set_aside is None
    await is_sound(store)
    await store.close()


async def test_a_closed_store_can_be_opened_again(filled: Path) -> None:
    for _ in range(3):
        store = await opened(filled)
        assert len(await store.read(lambda reader: reader.workspaces())) == 1
        await store.close()


async def test_a_failed_opening_gives_the_lock_back(filled: Path) -> None:
    with sqlite3.connect(filled) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    for _ in range(2):
        with pytest.raises(SchemaTooNew):
            await opened(filled)
    assert holder(filled) is None


def test_nobody_holds_what_is_not_there(database: Path) -> None:
    assert holder(database) is None


# Where it is


async def test_missing_folders_are_made_for_the_owner_alone(tmp_path: Path) -> None:
    store = await opened(tmp_path / "one" / "two" / "graph.db")
    assert (tmp_path / "one" / "two").stat().st_mode & 0o777 == 0o700
    await store.close()


@pytest.mark.parametrize("name", ["with space.db", "percent%20.db", "question?mark.db", "hash#.db"])
async def test_any_name_of_a_file_will_do(tmp_path: Path, name: str) -> None:
    store = await opened(tmp_path / name)
    await is_sound(store)
    assert (tmp_path / name).exists()
    await store.close()


async def test_a_file_where_a_folder_should_be_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        await opened(tmp_path / "file" / "graph.db")


async def test_a_folder_that_may_not_be_written_is_refused_with_77() -> None:
    """Root may write anywhere: as root, the test is somebody else for a moment."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o555)
        before = os.geteuid()
        if before == 0:
            os.seteuid(NOBODY)
        try:
            for path in ("graph.db", "new/graph.db"):
                with pytest.raises(PermissionRefused, match="cannot write"):
                    await opened(Path(folder) / path)
        finally:
            os.seteuid(before)
    assert PermissionRefused.exit_code is ExitCode.PERMISSION


def test_a_reader_says_that_there_is_no_database(database: Path) -> None:
    with pytest.raises(StorageError, match="there is no database at"):
        connect_reader(database)
    assert not database.exists()


def test_a_reader_cannot_write(filled: Path) -> None:
    reader = connect_reader(filled)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM edge")
    reader.close()


async def test_the_database_of_another_program_is_refused_and_left_alone(database: Path) -> None:
    with sqlite3.connect(database) as other:
        other.execute("CREATE TABLE precious (x)")
    other.close()
    before = database.read_bytes()
    with pytest.raises(StorageError, match="not one of enrichd"):
        await opened(database)
    assert database.read_bytes() == before


# The schema


@pytest.mark.fault(14, "a schema from the future: exit 78, nothing is touched")
async def test_a_newer_schema_is_refused_with_both_versions_and_exit_code_78(
    filled: Path, reached: Reached
) -> None:
    with sqlite3.connect(filled) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    known = len(migrations())
    before = filled.read_bytes()
    with pytest.raises(SchemaTooNew, match=f"99; this enrichd knows up to {known}") as refused:
        await opened(filled)
    assert refused.value.exit_code is ExitCode.CONFIG
    with pytest.raises(SchemaTooNew):
        connect_reader(filled)
    reached("bytes that differ after it", filled.read_bytes() != before, 0, times=2)


STATEMENTS = [connection._statements(script) for script in migrations()]


@pytest.mark.fault(14, "an error at every statement of the migrations")
async def test_a_migration_that_fails_at_any_statement_completes_at_the_next_open(
    database: Path, monkeypatch: pytest.MonkeyPatch, reached: Reached
) -> None:
    half_made = 0
    for after in range(len(STATEMENTS[0]) + 1):
        with monkeypatch.context() as patch:
            broken = [*STATEMENTS[0][:after], "SELECT never()"]
            patch.setattr(connection, "_statements", lambda _, broken=broken: broken)
            with pytest.raises(StorageError, match="no such function"):
                await opened(database)
        with sqlite3.connect(database) as other:
            half_made += other.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            assert other.execute("PRAGMA user_version").fetchone() == (0,)
        other.close()
    reached("tables of a half made schema", half_made, 0, times=len(STATEMENTS[0]) + 1)
    store = await opened(database)
    await is_sound(store)
    await store.close()


@pytest.mark.fault(14, "killed at every statement of the migrations")
async def test_a_migration_that_is_killed_completes_at_the_next_open(
    database: Path, reached: Reached
) -> None:
    with child("migrate", database) as process:
        assert process.stdout is not None
        killed = [int(line) for line in process.stdout]
        assert process.wait() == 0
    incomplete = 0
    for number in killed:
        store = await opened(database.with_name(f"{database.name}.{number}"))
        incomplete += store.set_aside is not None
        await is_sound(store)
        await store.close()
    assert len(killed) > sum(map(len, STATEMENTS))
    reached("starts that did not complete it", incomplete, 0, times=len(killed))


@pytest.mark.parametrize("script", migrations())
def test_no_statement_of_a_migration_is_lost(script: str) -> None:
    statements = connection._statements(script)
    assert "".join(statements) == script
    assert all(sqlite3.complete_statement(each) for each in statements)
    assert connection._statements("SELECT 1;\nSELECT 2") == ["SELECT 1;\n", "SELECT 2"]


# Damage


def flip(file: Path, *, start: int = 0, every: int = 4096) -> None:
    data = bytearray(file.read_bytes())
    for place in range(start, len(data), every):
        data[place] ^= 0xFF
    file.write_bytes(data)


async def is_rebuilt(database: Path) -> None:
    """The damaged file is kept under a name that is told, and a new one is begun."""
    store = await opened(database)
    assert store.set_aside is not None
    assert store.set_aside.name.startswith("graph.db.damaged-20")
    assert store.set_aside.stat().st_size > 0
    assert await store.read(lambda reader: reader.workspaces()) == []
    await is_sound(store)
    await store.close()
    again = await opened(database)
    assert again.set_aside is None
    await again.close()


@pytest.mark.parametrize("left", ["", "-wal"])
async def test_a_file_that_is_no_database_is_set_aside_and_rebuilt(
    database: Path, left: str
) -> None:
    database.write_bytes(b"no database at all\n" * 1000)
    if left:
        database.with_name("graph.db-wal").write_bytes(b"nor a log" * 100)
        shutil.copy(database, database.with_name("graph.db-shm"))
    await is_rebuilt(database)


@pytest.mark.parametrize("page", [1, 2, 5, 9, 14])
async def test_flipped_bits_of_a_page_are_found_at_the_start(filled: Path, page: int) -> None:
    flip(filled, start=page * 4096, every=2**30)
    await is_rebuilt(filled)


async def test_flipped_bits_beside_a_log_are_found_at_the_start(crashed: Path) -> None:
    flip(crashed, start=4096)
    await is_rebuilt(crashed)


async def test_a_truncated_database_beside_a_log_is_found_at_the_start(crashed: Path) -> None:
    crashed.with_name("graph.db-wal").write_bytes(b"")
    data = crashed.read_bytes()
    crashed.write_bytes(data[: len(data) // 8192 * 4096 + 1000])
    await is_rebuilt(crashed)


@pytest.mark.fault(13, "a log that ends in the middle of any frame")
async def test_a_torn_log_gives_a_committed_prefix(crashed: Path, reached: Reached) -> None:
    wal = crashed.with_name("graph.db-wal")
    data = wal.read_bytes()
    frame = 24 + 4096
    lengths = [0, 40, *range(32 + frame // 2, len(data), frame), len(data) - 1]
    for length in lengths:
        folder = crashed.parent / str(length)
        folder.mkdir()
        shutil.copy(crashed, folder / "graph.db")
        (folder / "graph.db-wal").write_bytes(data[:length])
        store = await opened(folder / "graph.db")
        assert store.set_aside is None
        (workspace,) = await store.read(lambda reader: reader.workspaces())
        driver = Driver(store, workspace)
        await driver.check()
        files = await store.read(lambda reader: reader.files(1))
        assert len(files) in (30, 31)
        await store.close()
    reached("databases that hold no committed prefix", 0, 0, times=len(lengths))


async def test_a_crash_loses_nothing_that_was_committed(crashed: Path) -> None:
    store = await opened(crashed)
    assert store.set_aside is None
    assert len(await store.read(lambda reader: reader.files(1))) == 31
    assert await store.read(lambda reader: reader.verify()) == []
    await store.close()


async def test_a_wrong_number_of_symbols_is_found_by_verify(
    store: SqliteStore, driver: Driver
) -> None:
    await driver.index(many(2))
    wrong = "UPDATE file SET symbols = symbols + 1 WHERE path = 'm1.py'"
    await store._writer.run(lambda connection: connection.execute(wrong))
    found = await store.read(lambda reader: reader.verify())
    assert found == ["count: m1.py has 11 symbols, kept as 12"]


@pytest.mark.fault(13, "damage while the database is open")
async def test_damage_that_is_met_later_is_set_aside_at_the_next_start(
    filled: Path, reached: Reached
) -> None:
    """Closed cleanly, it would fail again at every start."""
    with closing(sqlite3.connect(filled)) as made:
        (last_root,) = made.execute("SELECT max(rootpage) FROM sqlite_schema").fetchone()
    store = await opened(filled)
    assert store.set_aside is None
    store._writer._raw().execute("PRAGMA shrink_memory")
    flip(filled, start=last_root * 4096)
    with pytest.raises(StoreDamaged):
        await store.remove_workspace(1)
    await store.close()
    assert suspicion(filled).exists()
    again = await opened(filled)
    assert again.set_aside is not None
    assert not suspicion(filled).exists()
    await is_sound(again)
    await again.close()
    reached("starts until it was set aside", 1, 1)


async def test_a_suspicion_without_ground_costs_nothing(filled: Path) -> None:
    suspicion(filled).touch()
    store = await opened(filled)
    assert store.set_aside is None
    assert not suspicion(filled).exists()
    assert len(await store.read(lambda reader: reader.files(1))) == 30
    await store.close()


# Just now impossible


async def test_a_locked_database_is_unavailable_and_nothing_is_lost(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_BUSY_TIMEOUT_S", 0.05)
    store = await opened(database)
    driver = Driver(store, await store.add_workspace("tree", "/tree"))
    await driver.index(many(1))
    works = await driver.claim()
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    before = await driver.snapshot()
    outcomes = [driver.outcome(work) for work in works]
    with pytest.raises(StoreUnavailable, match="locked"):
        await driver.commit(*outcomes)
    assert await driver.snapshot() == before, "reading goes on"
    assert await driver.claim() == [], "what was claimed stays claimed"
    other.execute("ROLLBACK")
    other.close()
    assert (await driver.commit(*outcomes)).written == 10
    await driver.check()
    await store.close()


async def test_a_full_disk_is_unavailable_and_nothing_is_half_written(database: Path) -> None:
    store = await opened(database)
    driver = Driver(store, await store.add_workspace("tree", "/tree"))
    await driver.index(many(1))
    before = await driver.snapshot()

    def limit(pages: int) -> None:
        store._writer._raw().execute(f"PRAGMA max_page_count = {pages}")

    pages = store._writer._raw().execute("PRAGMA page_count").fetchone()[0]
    limit(pages)
    with pytest.raises(StoreUnavailable, match="full"):
        await store.store_files(
            driver.workspace.id, [parsed(*each) for each in many(50).items()], []
        )
    assert await driver.snapshot() == before
    await driver.check()
    limit(1_000_000)
    await driver.index(many(50))
    await driver.check()
    await store.close()


async def test_a_mistake_of_ours_is_not_called_unavailable(database: Path) -> None:
    """Or it would be tried again for ever."""
    store = await opened(database)
    for statement in ("SELECT * FROM nowhere", "SELECT 1 +", "INSERT INTO symbol VALUES (1)"):
        with pytest.raises(StorageError) as refused:
            await store._writer.run(sqlite3.Connection.execute, statement)
        assert type(refused.value) is StorageError
    await store.close()


# One transaction


@pytest.mark.parametrize("table", ["edge", "failure", "tally", "parse_result"])
async def test_what_fails_in_the_middle_leaves_nothing(database: Path, table: str) -> None:
    store = await opened(database)
    driver = Driver(store, await store.add_workspace("tree", "/tree"))
    await driver.index(many(1))
    works = await driver.claim()
    before = await driver.snapshot()
    writer = store._writer._raw()
    writer.execute(
        f"CREATE TEMP TRIGGER fail BEFORE INSERT ON {table} "
        "BEGIN SELECT RAISE(ABORT, 'in the middle'); END"
    )
    files = [parsed(*each) for each in many(2).items()]
    storing = store.store_files(driver.workspace.id, files, [])
    charges, outcomes = [driver.charge(works[-1])], [driver.outcome(each) for each in works[:-1]]
    committing = driver.commit(*outcomes, charges=charges)
    concerned = table == "parse_result", table != "parse_result"
    for does, work in zip(concerned, (storing, committing), strict=True):
        if not does:
            work.close()
            continue
        with pytest.raises(StorageError, match="in the middle"):
            await work
    assert await driver.snapshot() == before
    assert await store.read(lambda reader: reader.failures()) == []
    assert not writer.in_transaction
    await driver.check()
    writer.execute("DROP TRIGGER fail")
    await driver.settle()
    await driver.check()
    await store.close()


async def test_a_cancelled_caller_leaves_the_transaction_complete(database: Path) -> None:
    store = await opened(database)
    begun, go_on = threading.Event(), threading.Event()

    def slow(writer: sqlite3.Connection) -> None:
        writer.execute("INSERT INTO workspace (name, root, created_at) VALUES ('x', '/x', 0)")
        begun.set()
        assert go_on.wait(10)
        writer.execute("INSERT INTO workspace (name, root, created_at) VALUES ('y', '/y', 0)")

    task = asyncio.create_task(store._write(slow))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await store.ping()
    assert not store._writer._raw().in_transaction
    names = [each.name for each in await store.read(lambda reader: reader.workspaces())]
    assert names == ["x", "y"]
    await store.close()


async def test_closing_finishes_what_was_begun(database: Path) -> None:
    store = await opened(database)
    workspace = await store.add_workspace("tree", "/tree")
    files = [parsed(*each) for each in many(20).items()]
    writing = asyncio.create_task(store.store_files(workspace.id, files, []))
    await asyncio.sleep(0)
    await store.close()
    assert (await writing).files == 20
    again = await opened(database)
    assert len(await again.read(lambda reader: reader.files(1))) == 20
    await again.close()


# Killed


async def test_a_process_killed_at_any_instant_leaves_a_sound_database(database: Path) -> None:
    for killed_after in (3, 1, 17, 40, 8, 2):
        with child("write", database) as process:
            assert process.stdout is not None
            for _ in range(killed_after):
                assert process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            process.wait()
        store = await opened(database)
        assert store.set_aside is None
        assert await store.read(lambda reader: reader.verify()) == []
        (workspace,) = await store.read(lambda reader: reader.workspaces())
        driver = Driver(store, workspace)
        known = await store.read(lambda reader: reader.files(1))
        driver.world = {path.removesuffix(".py"): () for path in known}
        await driver.claim()
        await store.close()
