"""Indexing errors as they are kept: one row an error, whose status says whether it is over."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass

import pytest
from msgspec.structs import replace
from tests.component.store.driving import Driver
from tests.component.store.worlds import Def, Use, parsed

from enrichd.clock import FakeClock
from enrichd_tracker.errors import StorageError
from enrichd_tracker.model import (
    ErrorStatus,
    ErrorType,
    Failure,
    ParsedFile,
    ParseStatus,
    Stage,
    Workspace,
)
from enrichd_tracker.store.connection import transaction
from enrichd_tracker.store.indexing_errors import (
    get_error_summary,
    get_errors,
    log_error,
    resolve,
)
from enrichd_tracker.store.port_runs import ErrorPlace, ErrorQuery, StoredError
from enrichd_tracker.store.sqlite import SqliteStore

EVERY = ErrorQuery(status=None)
GOOD = (Def("f", (Use("f"),)),)


@dataclass
class Errors:
    """The errors of one workspace, and ways to make some."""

    store: SqliteStore
    workspace: Workspace

    async def all(self) -> list[StoredError]:
        return await self.store.read(lambda reader: reader.runs.errors(EVERY, 1_000))

    async def page(self, limit: int, before: ErrorPlace | None = None) -> list[StoredError]:
        return await self.store.read(lambda reader: reader.runs.errors(EVERY, limit, before=before))

    async def statuses(self) -> dict[str, str]:
        return {each.path: each.status for each in await self.all()}

    async def index(self, *files: ParsedFile) -> None:
        await self.store.store_files(self.workspace.id, list(files), [])

    async def judge(self, error: StoredError, status: ErrorStatus) -> bool:
        return await self.store.set_error_status(self.workspace.id, error.id, status)

    def refuse(self, table: str, where: str) -> None:
        """From now on no such row can be written."""
        with closing(sqlite3.connect(self.store.database)) as connection, connection:
            connection.execute(
                f"CREATE TRIGGER refused BEFORE INSERT ON {table} WHEN {where} "
                "BEGIN SELECT RAISE(ABORT, 'as it was told to'); END"
            )


@pytest.fixture
def errors(store: SqliteStore, workspace: Workspace) -> Errors:
    return Errors(store, workspace)


def bad(module: str, message: str = "is binary") -> ParsedFile:
    failure = Failure(ErrorType.ENCODING, Stage.PARSING, message)
    return replace(parsed(module, ()), status=ParseStatus.ERROR, symbols=[], failure=failure)


def good(module: str) -> ParsedFile:
    return parsed(module, GOOD)


async def test_an_error_logged_in_a_transaction_is_a_part_of_it(errors: Errors) -> None:
    failure = Failure(ErrorType.IO, Stage.PARSING, "no")

    def write(connection: sqlite3.Connection) -> None:
        log_error(connection, errors.workspace.id, "a.py", "python", failure, 1.0)
        assert [each.path for each in get_errors(connection, EVERY, 10)] == ["a.py"]
        assert [each.errors for each in get_error_summary(connection, EVERY)] == [1]
        resolve(connection, errors.workspace.id, "a.py")
        raise KeyError

    with (
        closing(sqlite3.connect(errors.store.database, isolation_level=None)) as connection,
        pytest.raises(KeyError),
    ):
        transaction(connection, write)
    assert await errors.all() == []


async def test_the_same_error_on_another_line_is_the_same_and_says_the_new_line(
    errors: Errors,
) -> None:
    await errors.index(bad("a", "byte 0xe9 at offset 8, line 1"))
    await errors.index(bad("a", "byte 0xe8 at offset 99, line 7"))
    [one] = await errors.all()
    assert (one.count, one.message) == (2, "byte 0xe8 at offset 99, line 7")


async def test_a_file_that_fails_in_another_way_has_one_open_error(errors: Errors) -> None:
    await errors.index(bad("a", "is binary"))
    await errors.index(bad("a", "is UTF-16"))
    assert {each.message: each.status for each in await errors.all()} == {
        "is UTF-16": "open",
        "is binary": "resolved",
    }


async def test_files_that_open_errors_are_about_are_told_by_type(
    errors: Errors, store: SqliteStore
) -> None:
    here = errors.workspace.id
    elsewhere = await store.add_workspace("other", "/other")
    await errors.index(bad("a"), bad("b"), bad("c"))
    await errors.index(good("b"))
    failure = Failure(ErrorType.EMBEDDING, Stage.EMBEDDING, "too long")
    for path in ("c.py", "d.py"):
        await store.log_error(here, path, "python", failure)
    await store.log_error(elsewhere.id, "e.py", "python", failure)
    [ignored] = [each for each in await errors.all() if each.path == "a.py"]
    assert await store.read(lambda r: r.runs.error_paths(here)) == {"a.py", "c.py", "d.py"}
    assert await errors.judge(ignored, ErrorStatus.IGNORED)
    assert await store.read(lambda r: r.runs.error_paths(here)) == {"c.py", "d.py"}
    embedding = await store.read(lambda r: r.runs.error_paths(here, ErrorType.EMBEDDING))
    assert embedding == {"c.py", "d.py"}


async def test_what_is_ignored_stays_ignored_until_a_person_reopens_it(errors: Errors) -> None:
    await errors.index(bad("a"))
    [one] = await errors.all()
    assert await errors.judge(one, ErrorStatus.IGNORED)
    for _ in range(2):
        await errors.index(bad("a"))
        assert await errors.statuses() == {"a.py": "ignored"}
        await errors.index(good("a"))
    assert await errors.store.read(lambda r: r.runs.error_counts(errors.workspace.id)) == {}
    await errors.index(bad("a"))
    assert await errors.judge(one, ErrorStatus.OPEN)
    assert await errors.statuses() == {"a.py": "open"}


async def test_an_error_that_is_reopened_though_its_file_is_fine_is_over(errors: Errors) -> None:
    await errors.index(bad("a"), bad("b"))
    found = await errors.all()
    for one in found:
        await errors.judge(one, ErrorStatus.IGNORED)
    await errors.index(good("a"))
    await errors.store.store_files(errors.workspace.id, [], ["b.py"])
    for one in found:
        assert await errors.judge(one, ErrorStatus.OPEN)
    assert await errors.statuses() == {"a.py": "resolved", "b.py": "resolved"}


async def test_an_ignored_problem_of_a_look_is_known_to_the_next_one(errors: Errors) -> None:
    pipe = Failure(ErrorType.IO, Stage.ANALYZING, "not a regular file but a FIFO")
    await errors.store.note_walk_problems(errors.workspace.id, [("p.py", pipe)], [])
    [one] = await errors.all()
    await errors.judge(one, ErrorStatus.IGNORED)
    known = await errors.store.read(lambda r: r.runs.walk_problems(errors.workspace.id))
    assert known == {"p.py": pipe.message}
    await errors.judge(one, ErrorStatus.OPEN)
    assert await errors.statuses() == {"p.py": "open"}


async def test_no_error_of_another_workspace_can_be_judged(errors: Errors) -> None:
    await errors.index(bad("a"))
    [one] = await errors.all()
    other = await errors.store.add_workspace("other", "/other")
    assert not await errors.store.set_error_status(other.id, one.id, ErrorStatus.IGNORED)
    assert not await errors.store.set_error_status(errors.workspace.id, 10**6, ErrorStatus.IGNORED)
    assert await errors.statuses() == {"a.py": "open"}


async def test_pages_by_place_do_not_shift_while_errors_come_in(
    errors: Errors, clock: FakeClock
) -> None:
    for n in range(5):
        clock.advance(1.0)
        await errors.index(bad(f"a{n}"), bad(f"b{n}"))
    seen: list[str] = []
    page = await errors.page(3)
    while page:
        seen += [each.path for each in page]
        clock.advance(1.0)
        await errors.index(bad(f"late{len(seen)}"))
        page = await errors.page(3, (page[-1].last_seen, page[-1].id))
    assert sorted(seen) == sorted(f"{letter}{n}.py" for n in range(5) for letter in "ab")


async def test_an_error_that_can_not_be_recorded_breaks_off_nothing(
    errors: Errors, driver: Driver
) -> None:
    errors.refuse("indexing_error", "NEW.path = 'a.py'")
    await errors.index(bad("a"), good("b"), bad("c"))
    assert await errors.statuses() == {"c.py": "open"}
    counts = await errors.store.read(lambda reader: reader.counts(errors.workspace.id))
    assert (counts.parse["ok"], counts.parse["error"]) == (1, 2)
    await driver.check()


async def test_a_file_whose_rows_can_not_be_written_costs_itself_alone(
    errors: Errors, driver: Driver
) -> None:
    errors.refuse("symbol", "NEW.uid GLOB 'poison.py/*'")
    store, workspace_id = errors.store, errors.workspace.id
    await errors.index(good("gone"))
    stored = await store.store_files(
        workspace_id, [good("a"), good("poison"), bad("c"), good("d")], ["gone.py"]
    )
    assert (stored.files, list(stored.unwritten)) == (4, ["poison.py"])
    [poison, other] = await errors.all()
    if poison.path != "poison.py":
        poison, other = other, poison
    assert (poison.error_type, poison.stage) == ("persistence_error", "storing")
    assert "as it was told to" in poison.message
    assert "IntegrityError" in poison.traceback
    assert (other.path, other.error_type, other.count) == ("c.py", "encoding_error", 1)
    known = await store.read(lambda reader: reader.files(workspace_id))
    assert {path: str(file.status) for path, file in known.items()} == {
        "a.py": "ok",
        "c.py": "error",
        "d.py": "ok",
        "poison.py": "error",
    }
    assert known["poison.py"].stat.inode == 0, "the next run reads it again"
    await driver.check()
    with closing(sqlite3.connect(store.database)) as connection, connection:
        connection.execute("DROP TRIGGER refused")
    await errors.index(good("poison"))
    assert (await errors.statuses())["poison.py"] == "resolved"
    await driver.check()


async def test_trouble_of_the_database_is_no_file_s(errors: Errors) -> None:
    errors.refuse("file", "1")
    with pytest.raises(StorageError, match="as it was told to"):
        await errors.index(good("a"), good("b"))
    assert await errors.all() == []


async def test_source_in_other_languages_is_counted_and_stays_no_file(
    errors: Errors, clock: FakeClock
) -> None:
    store, workspace_id = errors.store, errors.workspace.id
    await errors.index(good("a"))
    await store.note_unsupported(workspace_id, {"b.rb": "ruby", "c.rb": "ruby", "d.hs": "haskell"})
    await store.note_unsupported(workspace_id, {"b.rb": "ruby", "d.hs": "haskell", "e.go": "go"})
    counts = await store.read(lambda reader: reader.counts(workspace_id))
    assert (counts.files, counts.parse["ok"], counts.parse["unsupported"]) == (1, 1, 3)
    by_language = await store.read(lambda reader: reader.runs.parse_counts(workspace_id))
    assert {each.language: (each.ok, each.unsupported) for each in by_language} == {
        "go": (0, 1),
        "haskell": (0, 1),
        "python": (1, 0),
        "ruby": (0, 1),
    }
    page = await store.read(
        lambda reader: reader.runs.parse_results(workspace_id, status="unsupported", limit=2)
    )
    assert [(each.path, each.language) for each in page] == [("b.rb", "ruby"), ("d.hs", "haskell")]
    assert list(await store.read(lambda reader: reader.files(workspace_id))) == ["a.py"]
    await store.remove_workspace(workspace_id)
    assert await store.read(lambda reader: reader.runs.unsupported(workspace_id)) == {}


# What enrichment could not do.


async def enrichment_errors(driver: Driver) -> list[tuple[str, int, str]]:
    found = await driver.store.read(lambda reader: reader.runs.errors(EVERY, 100))
    return [
        (each.path, each.count, each.status)
        for each in found
        if each.error_type == ErrorType.ENRICHMENT
    ]


TWO = {"a": (Def("f", (Use("g"),)), Def("g", (Use("f"),))), "b": (Def("h", (Use("f"),)),)}


async def test_a_file_with_symbols_that_are_given_up_has_an_error_until_none_is(
    driver: Driver,
) -> None:
    await driver.index(TWO)
    works = {each.uid: each for each in await driver.claim()}
    f, g = works["a.py/f()."], works["a.py/g()."]
    tried = [driver.charge(f, attempts=6), driver.charge(g, attempts=6)]
    await driver.commit(charges=tried)
    assert await enrichment_errors(driver) == []
    for each in (f, g):
        error = driver.outcome(each, failed=True)
        await driver.commit(error, charges=[driver.charge(each, attempts=7, skipped=True)])
    assert await enrichment_errors(driver) == [("a.py", 2, "open")]
    await driver.store.retry([f.symbol_id])
    assert await enrichment_errors(driver) == [("a.py", 2, "open")]
    await driver.store.retry([g.symbol_id])
    assert await enrichment_errors(driver) == [("a.py", 2, "resolved")]
    await driver.settle()
    await driver.check()


async def test_an_error_of_enrichment_goes_with_its_symbol(driver: Driver) -> None:
    await driver.index(TWO)
    works = {each.uid: each for each in await driver.claim()}
    g = works["a.py/g()."]
    await driver.commit(
        driver.outcome(g, failed=True), charges=[driver.charge(g, attempts=7, skipped=True)]
    )
    assert await enrichment_errors(driver) == [("a.py", 1, "open")]
    await driver.index(TWO | {"a": (Def("f"),)})
    assert await enrichment_errors(driver) == [("a.py", 1, "resolved")]
