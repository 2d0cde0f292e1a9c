"""A job while it runs: who looks on can't harm it, and what it did before it began is told too."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest

from enrichd.clock import FakeClock
from enrichd.index.job import JobRecord, RunResult, end_badly
from enrichd.index.run import IndexOptions, IndexRun
from enrichd_tracker.errors import StoreUnavailable
from enrichd_tracker.jobs import Ground, Job, Level
from enrichd_tracker.model import JobStatus, Stage, Workspace
from enrichd_tracker.store.sqlite import SqliteStore


class House:
    """A store with a workspace."""

    def __init__(self, store: SqliteStore, workspace: Workspace, clock: FakeClock) -> None:
        self.store = store
        self.workspace = workspace
        self.clock = clock
        self.ended: list[RunResult] = []

    def record(self, progress: Shown | None = None, ground: Ground | None = None) -> JobRecord:
        return JobRecord(
            self.store,
            self.workspace,
            clock=self.clock,
            owner="test",
            progress=progress,
            ground=lambda: ground or Ground(),
            on_end=self.ended.append,
        )

    async def limit_pages(self, *, more: int) -> None:
        """The database may grow by so many pages."""

        def limit(connection: sqlite3.Connection) -> None:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages + more}")

        await self.store._writer.run(limit)

    async def fill(self) -> None:
        """Write until no more can be written."""
        number = 0
        while True:
            number += 1
            try:
                await self.store.add_workspace(f"w{number}" * 20, f"/w{number}" * 200)
            except StoreUnavailable:
                return

    async def job(self) -> Job:
        (job,) = await self.store.read(lambda reader: reader.runs.jobs())
        return job

    async def log(self, level: Level = Level.WARNING) -> list[str]:
        job = await self.job()
        lines = await self.store.read(
            lambda reader: reader.runs.job_logs(job.job_id, level.and_above, 100)
        )
        return [line.message for line in lines]


class Shown:
    """Somebody who looks on."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def stage(self, name: str, total: int | None) -> Awaitable[None] | None:
        self.seen.append(f"{name} {total}")
        return None

    def advance(self, done: int, total: int | None, current: str = "") -> Awaitable[None] | None:
        self.seen.append(f"{done} of {total} {current}")
        return None

    def message(self, text: str) -> None:
        self.seen.append(text)

    def close(self) -> None:
        """Nothing is open."""


class Raising(Shown):
    def advance(self, done: int, total: int | None, current: str = "") -> Awaitable[None] | None:
        super().advance(done, total, current)
        raise ValueError("no room on the screen")


class Late(Shown):
    """Tells somebody else, and waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = asyncio.Event()

    def advance(self, done: int, total: int | None, current: str = "") -> Awaitable[None]:
        super().advance(done, total, current)
        return self._told()

    async def _told(self) -> None:
        await self.goes_on.wait()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    clock = FakeClock()
    store = await SqliteStore.open(tmp_path / "graph.db", clock)
    yield House(store, await store.add_workspace("tree", str(tmp_path)), clock)
    await store.close()


async def test_progress_is_told_to_who_looks_on(house: House) -> None:
    shown = Shown()
    record = house.record(shown)
    await record.stage(Stage.PARSING, 3)
    await record.advance(2, 3, "a.py")
    assert shown.seen == ["parsing 3", "2 of 3 a.py"]


async def test_who_raises_is_told_nothing_more_and_the_job_says_so(house: House) -> None:
    shown = Raising()
    record = house.record(shown)
    await record.begin("full")
    await record.stage(Stage.PARSING, 3)
    for done in (1, 2, 3):
        await record.advance(done, 3, "a.py")
    assert shown.seen == ["parsing 3", "1 of 3 a.py"]
    record.result.created, record.result.stored = ["a.py"], 1
    await record.validate()
    await record.end()
    assert (await house.job()).status is JobStatus.COMPLETED
    assert await house.log() == [
        "its progress is not shown any more: ValueError: no room on the screen"
    ]


async def test_who_has_to_be_awaited_is_awaited(house: House) -> None:
    shown = Late()
    shown.goes_on.set()
    record = house.record(shown)
    await record.advance(1, 3)
    await record.advance(2, 3)
    assert shown.seen == ["1 of 3 ", "2 of 3 "]


async def test_who_takes_too_long_does_not_hold_the_job_up_for_long(house: House) -> None:
    shown = Late()
    record = house.record(shown)
    await record.begin("full")
    advancing = asyncio.ensure_future(record.advance(1, 3))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not advancing.done()
    house.clock.advance(6.0)
    await advancing
    await record.advance(2, 3)
    assert shown.seen == ["1 of 3 "]


async def test_a_stage_before_the_beginning_has_its_length(house: House) -> None:
    record = house.record()
    await record.stage(Stage.ANALYZING)
    house.clock.advance(2.5)
    await record.begin("incremental")
    await record.stage(Stage.PARSING, 1)
    analyzing, parsing = (await house.job()).stages
    assert analyzing.completed_at is not None
    assert analyzing.completed_at - analyzing.started_at == pytest.approx(2.5)
    assert parsing.completed_at is None


async def test_without_a_beginning_there_is_no_job_and_nothing_is_counted(house: House) -> None:
    record = house.record()
    await record.stage(Stage.ANALYZING)
    await record.end()
    assert await house.store.read(lambda reader: reader.runs.jobs()) == []
    assert house.ended == []


async def test_what_is_gone_when_it_ends_fails_the_job(house: House) -> None:
    record = house.record(ground=Ground(root="the root is gone"))
    await record.begin("full")
    record.result.created, record.result.stored = ["a.py"], 1
    await record.validate()
    await record.end()
    job = await house.job()
    assert (job.status, job.error_message) == (JobStatus.FAILED, "the root is gone")
    assert [each.status for each in house.ended] == [JobStatus.FAILED]


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (StoreUnavailable("the disk is full"), JobStatus.FAILED, "the disk is full"),
        (ValueError("odd"), JobStatus.FAILED, "ValueError: odd"),
        (asyncio.CancelledError("by a person"), JobStatus.CANCELLED, "by a person"),
    ],
)
async def test_a_job_that_breaks_off_says_how_far_it_came(
    house: House, error: BaseException, status: JobStatus, message: str
) -> None:
    record = house.record()
    await record.begin("full")
    record.result.created = ["a.py", "b.py", "c.py"]
    record.result.stored, record.result.failed = 2, 1
    await end_badly(record, error)
    await end_badly(record, ValueError("again"))
    job = await house.job()
    assert (job.status, job.error_message) == (status, message)
    assert (job.files_total, job.files_indexed, job.files_failed) == (3, 1, 1)
    assert len(house.ended) == 1


async def test_a_database_that_is_full_fails_the_job_as_soon_as_that_can_be_written(
    house: House, tmp_path: Path
) -> None:
    for number in range(40):
        text = "".join(f"def f{number}_{each}():\n    return {each}\n" for each in range(60))
        (tmp_path / f"m{number}.py").write_text(text)
    record = house.record()
    run = IndexRun(
        house.store,
        house.workspace,
        IndexOptions(exclude=(), max_file_bytes=1 << 20, parse_processes=1),
        clock=house.clock,
        record=record,
        before_change=lambda: None,
    )
    await house.limit_pages(more=40)

    async def indexed() -> None:
        try:
            await run.run()
        except StoreUnavailable as error:
            await end_badly(record, error)

    running = asyncio.ensure_future(indexed())
    while not running.done():
        await asyncio.sleep(0.01)
        house.clock.advance(0.5)
    await asyncio.gather(running, return_exceptions=True)  # nor may the end have been written
    await house.limit_pages(more=100_000)
    await house.store.add_workspace("other", "/other")  # any write brings it along
    job = await house.job()
    assert job.status is JobStatus.FAILED
    assert "full" in (job.error_message or "")
    files = await house.store.read(lambda reader: reader.files(house.workspace.id))
    assert job.files_indexed == len(files) < job.files_total == 40


async def test_an_end_that_can_not_be_written_harms_nobody_and_comes_later(house: House) -> None:
    record = house.record()
    await record.begin("full")
    record.note(Level.WARNING, "something odd")
    await house.limit_pages(more=0)
    await house.fill()
    ending = asyncio.ensure_future(end_badly(record, ValueError("odd")))
    while not ending.done():
        await asyncio.sleep(0.01)
        house.clock.advance(0.5)
    assert ending.exception() is None
    await house.limit_pages(more=1_000)
    await house.store.add_workspace("another", "/another")
    assert (await house.job()).status is JobStatus.FAILED
    assert "something odd" in await house.log()
