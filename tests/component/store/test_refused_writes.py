"""Writes that are refused for a while: what is told of them, and what is made good afterwards."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from enrichd.clock import FakeClock
from enrichd_tracker.errors import AlreadyLocked, StoreUnavailable
from enrichd_tracker.jobs import JobResult
from enrichd_tracker.model import JobStatus, Stage
from enrichd_tracker.store import connection
from enrichd_tracker.store.lock import Lock, require_free
from enrichd_tracker.store.sqlite import SqliteStore


class Blocker:
    """Another process that has the database to itself."""

    def __init__(self, database: Path) -> None:
        self._connection = sqlite3.connect(database, isolation_level=None)

    def take(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def give_back(self) -> None:
        self._connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SqliteStore]:
    monkeypatch.setattr(connection, "_BUSY_TIMEOUT_S", 0.01)
    made = await SqliteStore.open(tmp_path / "graph.db", clock)
    yield made
    await made.close()


@pytest.fixture
def blocker(store: SqliteStore) -> Iterator[Blocker]:
    made = Blocker(store.database)
    yield made
    made.close()


async def test_a_refusal_is_told_until_the_same_thing_is_done(
    store: SqliteStore, blocker: Blocker
) -> None:
    workspace = await store.add_workspace("tree", "/tree")
    assert store.problem == ""
    blocker.take()
    with pytest.raises(StoreUnavailable):
        await store.finish_run(workspace.id)
    assert store.problem == f"can't write to the database: {store.database}: database is locked"
    blocker.give_back()
    await store.prefer([1])
    assert store.problem, "something else was done"
    await store.finish_run(workspace.id)
    assert store.problem == ""


async def test_a_refusal_that_nobody_comes_back_to_is_forgotten(
    store: SqliteStore, blocker: Blocker, clock: FakeClock
) -> None:
    blocker.take()
    with pytest.raises(StoreUnavailable):
        await store.add_workspace("tree", "/tree")
    blocker.give_back()
    clock.advance(29.0)
    assert store.problem
    clock.advance(2.0)
    assert store.problem == ""


async def test_the_end_of_a_job_that_could_not_be_written_goes_with_the_next_write(
    store: SqliteStore, blocker: Blocker, clock: FakeClock
) -> None:
    workspace = await store.add_workspace("tree", "/tree")
    await store.begin_job("one", workspace.id, "full", owner="me")
    await store.report_stage("one", Stage.PARSING, 1, 2)
    blocker.take()
    ended_at = clock.time()
    with pytest.raises(StoreUnavailable):
        await store.end_job("one", JobResult(JobStatus.FAILED, "the disk is full", 2, 1, 1))
    clock.advance(60.0)
    with pytest.raises(StoreUnavailable):
        await store.finish_run(workspace.id)
    [job] = await store.read(lambda reader: reader.runs.jobs())
    assert job.status is JobStatus.RUNNING
    blocker.give_back()
    await store.finish_run(workspace.id)
    [job] = await store.read(lambda reader: reader.runs.jobs())
    assert (job.status, job.error_message) == (JobStatus.FAILED, "the disk is full")
    assert (job.files_total, job.files_failed, job.completed_at) == (2, 1, ended_at)
    assert [each.completed_at for each in job.stages] == [ended_at]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_lock_that_can_not_be_written_just_now_is_no_refusal_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    lock = Lock(tmp_path / "graph.db")
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fail)
        with pytest.raises(StoreUnavailable, match=os.strerror(number)):
            lock.acquire()
    lock.acquire()
    monkeypatch.setattr(os, "ftruncate", fail)
    lock.release()
    require_free(tmp_path / "graph.db")


async def test_who_writes_is_known_without_taking_the_lock(store: SqliteStore) -> None:
    with pytest.raises(AlreadyLocked, match=f"is in use by process {os.getpid()}"):
        require_free(store.database)
    require_free(store.database.with_name("another.db"))
