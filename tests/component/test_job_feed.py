"""Whoever follows jobs misses nothing and is given nothing twice, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enrichd import job_feed
from enrichd.clock import FakeClock, SystemClock, within
from enrichd.errors import AnswerIsNo
from enrichd.job_feed import (
    LOOK_EVERY_S,
    TRY_AGAIN_S,
    FellBehind,
    Followed,
    Following,
    JobFeed,
    JobIsGone,
)
from enrichd.query.jobs import EventView, JobsSnapshot, Snapshot
from enrichd_tracker.errors import StoreUnavailable
from enrichd_tracker.jobs import JobResult, Level, Note
from enrichd_tracker.model import JobStatus, Stage
from enrichd_tracker.store.port import Reader
from enrichd_tracker.store.sqlite import SqliteStore

T = TypeVar("T")
A, B = "a" * 32, "b" * 32
SEEN_WITHIN_S = 5.0


class House:
    """A store with two workspaces, a feed, and whoever follows."""

    def __init__(self, store: SqliteStore, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock
        self.feed = JobFeed(store, clock)
        self.service = asyncio.create_task(self.feed.run())
        self.ids: dict[str, int] = {}
        self.ended: set[str] = set()

    async def close(self) -> None:
        self.service.cancel()
        with suppress(asyncio.CancelledError):
            await self.service
        await self.store.close()

    async def begin(self, job: str, workspace: str = "shop") -> None:
        if workspace not in self.ids:
            made = await self.store.add_workspace(workspace, f"/{workspace}")
            self.ids[workspace] = made.id
        await self.store.begin_job(job, self.ids[workspace], "full", owner="test")

    async def note(self, job: str, lines: int = 1) -> None:
        """One event more than lines; after its end nothing happens to a job."""
        if job in self.ended:
            return
        notes = [Note(Level.INFO, f"line {n}") for n in range(lines)]
        await self.store.report_stage(job, Stage.PARSING, 1, 2, notes=notes)

    async def end(self, job: str, status: JobStatus = JobStatus.COMPLETED) -> None:
        await self.store.end_job(job, JobResult(status))
        self.ended.add(job)

    async def events(self, job: str | None = None, since: int = 0) -> list[int]:
        found = await self.store.read(lambda r: r.runs.events_after(since, job, 100_000))
        return [each.seq for each in found]


async def open_house(folder: Path) -> House:
    clock = FakeClock()
    return House(await SqliteStore.open(folder / "graph.db", clock), clock)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = await open_house(tmp_path)
    await house.begin(A)
    await house.note(A, 3)
    yield house
    await house.close()


async def soon(work: Following) -> list[Followed]:
    return await within(SystemClock(), SEEN_WITHIN_S, work.next())


async def till(following: Following, number: int) -> list[int]:
    """The sequence numbers of so many messages."""
    found: list[int] = []
    while len(found) < number:
        found += [each.seq for each in await soon(following)]
    return found


async def till_end(following: Following) -> list[Followed]:
    found: list[Followed] = []
    while told := await soon(following):
        found += told
    return found


async def quiet(house: House) -> None:
    """Whatever was told has been read: questions are answered in their order."""
    for _ in range(4):
        with suppress(StoreUnavailable):
            await house.store.read(lambda _: None)
        for _ in range(5):
            await asyncio.sleep(0)


async def nothing_comes(house: House, following: Following) -> bool:
    waits = asyncio.ensure_future(following.next())
    await quiet(house)
    came = waits.done()
    waits.cancel()
    await asyncio.gather(waits, return_exceptions=True)
    return not came


async def test_first_comes_what_stands_and_then_what_happens_until_the_end(house: House) -> None:
    following = await house.feed.follow(A[:6])
    [snapshot] = await soon(following)
    assert isinstance(snapshot, Snapshot)
    assert (snapshot.seq, snapshot.job.stage, snapshot.job.job_id) == (5, "parsing", A)
    await house.begin(B)  # not asked for
    await house.note(A)
    await house.end(A)
    told = await till_end(following)
    assert [each.event for each in told] == ["log", "progress", "status"]
    assert [each.seq for each in told] == await house.events(A, 5)
    last = told[-1]
    assert isinstance(last, EventView)
    assert last.status == "completed"


async def test_a_late_joiner_of_a_finished_job_gets_its_end(house: House) -> None:
    await house.end(A, JobStatus.FAILED)
    [snapshot] = await till_end(await house.feed.follow(A))
    assert isinstance(snapshot, Snapshot)
    assert snapshot.job.status == "failed"
    assert await till_end(await house.feed.follow(A, since=snapshot.seq)) == []


async def test_a_job_can_be_resumed_behind_each_of_its_events(house: House) -> None:
    following = await house.feed.follow(A)
    await soon(following)
    await house.note(A, 4)
    await house.end(A)
    all_of_them = await house.events(A)
    for since in range(all_of_them[-1] + 1):
        resumed = await till_end(await house.feed.follow(A, since=since))
        assert [each.seq for each in resumed] == [each for each in all_of_them if each > since]
        assert all(isinstance(each, EventView) for each in resumed)


async def test_a_number_that_was_never_given_leads_to_a_snapshot(house: House) -> None:
    for job in (A, None):
        [told] = await soon(await house.feed.follow(job, since=6))
        assert isinstance(told, Snapshot | JobsSnapshot)
        assert told.seq == 5


async def test_what_is_not_kept_any_more_leads_to_a_snapshot(house: House) -> None:
    await house.end(A)
    await house.begin(B, "bank")
    await house.store.remove_workspace(house.ids["shop"])
    [told] = await soon(await house.feed.follow(since=2))
    assert isinstance(told, JobsSnapshot)
    assert [each.job_id for each in told.jobs] == [B]
    assert await till(await house.feed.follow(since=told.seq - 1), 1) == [told.seq]


async def test_all_jobs_are_followed_or_those_of_one_workspace(house: House) -> None:
    everything = await house.feed.follow()
    of_one = await house.feed.follow(workspace="shop")
    resumed = await house.feed.follow(workspace="shop", since=0)
    for each in (everything, of_one):
        [told] = await soon(each)
        assert isinstance(told, JobsSnapshot)
        assert [job.job_id for job in told.jobs] == [A]
    await house.begin(B, "bank")
    await house.note(B)
    await house.end(A)
    assert await till(everything, 4) == [6, 7, 8, 9]
    assert await till(of_one, 1) == [9]
    assert await till(resumed, 6) == [1, 2, 3, 4, 5, 9]
    assert await nothing_comes(house, of_one)


async def test_what_there_is_not_is_said(house: House) -> None:
    with pytest.raises(AnswerIsNo, match="no job"):
        await house.feed.follow(B)
    with pytest.raises(AnswerIsNo, match="no workspace"):
        await house.feed.follow(workspace="bank")


async def test_news_that_got_lost_come_with_the_next_look(house: House) -> None:
    following = await house.feed.follow(A)
    await soon(following)
    assert await nothing_comes(house, following)
    house.store.on_job_events(lambda: None)
    await house.note(A)
    assert await nothing_comes(house, following)
    house.clock.advance(LOOK_EVERY_S)
    assert await till(following, 2) == [6, 7]


async def test_a_database_that_cannot_be_read_is_read_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await house.feed.follow(A)
    missed = await house.feed.follow(A, since=2)
    await soon(live)
    assert await nothing_comes(house, live)
    read, refused = house.store.read, 0

    async def refuse(question: Callable[[Reader], T]) -> T:
        nonlocal refused
        refused += 1
        raise StoreUnavailable("busy")

    monkeypatch.setattr(house.store, "read", refuse)
    await house.note(A)
    assert await nothing_comes(house, live)
    assert await nothing_comes(house, missed)
    catching_up = asyncio.create_task(till(missed, 5))
    await asyncio.sleep(0)
    assert refused >= 2
    monkeypatch.setattr(house.store, "read", read)
    house.clock.advance(TRY_AGAIN_S)
    assert await till(live, 2) == [6, 7]
    assert await catching_up == [3, 4, 5, 6, 7]


async def test_who_does_not_listen_is_dropped_and_can_go_on_where_he_was(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_feed, "MOST_WAITING", 50)
    slow, quick = await house.feed.follow(A), await house.feed.follow(A)
    [snapshot] = await soon(slow)
    heard = await till(quick, 1)
    for _ in range(60):
        await house.note(A, 0)
        heard += await till(quick, 1)
    with pytest.raises(FellBehind) as dropped:
        await soon(slow)
    assert dropped.value.seq == snapshot.seq
    await house.end(A)
    again = await till_end(await house.feed.follow(A, since=dropped.value.seq))
    assert [each.seq for each in again] == await house.events(A, snapshot.seq)
    heard += [each.seq for each in await till_end(quick)]
    assert heard[1:] == await house.events(A, snapshot.seq)


async def test_a_job_that_is_forgotten_ends_its_stream(house: House) -> None:
    following = await house.feed.follow(A)
    await soon(following)
    assert await nothing_comes(house, following)
    await house.store.remove_workspace(house.ids["shop"])
    house.clock.advance(LOOK_EVERY_S)
    with pytest.raises(JobIsGone):
        await soon(following)


async def test_nobody_follows_and_nothing_is_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    following = await house.feed.follow(A)
    await soon(following)
    following.leave()
    await house.note(A)
    reads = 0
    read = house.store.read

    async def count(question: Callable[[Reader], T]) -> T:
        nonlocal reads
        reads += 1
        return await read(question)

    await quiet(house)
    monkeypatch.setattr(house.store, "read", count)
    await house.note(A)
    house.clock.advance(10 * LOOK_EVERY_S)
    for _ in range(20):
        await asyncio.sleep(0)
    assert reads == 0


class Listener:
    """Follows one job or all; when it is dropped it goes on where it was."""

    def __init__(self, house: House, job: str | None, since: int | None) -> None:
        self.house = house
        self.job = job
        self.since = since
        self.from_seq: int | None = since
        self.heard: list[int] = []
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        while True:
            following = await self.house.feed.follow(self.job, since=self.since)
            try:
                while told := await following.next():
                    for each in told:
                        if isinstance(each, EventView):
                            self.heard.append(each.seq)
                        else:
                            assert not self.heard
                            self.from_seq = each.seq
                        self.since = each.seq
                    await self.may_read.wait()
                return
            except FellBehind as end:
                self.since = end.seq
            finally:
                following.leave()

    async def reconnect(self) -> None:
        await self.stop()
        if self.from_seq is None:
            self.since = None
        self.task = asyncio.create_task(self._listen())

    async def stall(self) -> None:
        self.may_read.clear()

    async def read(self) -> None:
        self.may_read.set()

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    async def has_heard_all(self) -> bool:
        if self.from_seq is None:
            return False
        return self.heard == await self.house.events(self.job, self.from_seq)


which = st.integers(0, 1)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), which, st.integers(0, 7)),
        st.tuples(st.just("end"), which, st.just(0)),
        st.tuples(st.just("follow"), st.integers(0, 2), st.integers(-1, 30)),
        st.tuples(st.just("reconnect"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("stall"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("read"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("turns"), st.integers(1, 6), st.just(0)),
        st.tuples(st.just("pause"), st.just(0), st.just(0)),
    ),
    max_size=40,
)


@given(steps=steps)
@settings(max_examples=60, deadline=None)
def test_whatever_happens_meanwhile_nothing_is_missed_and_nothing_comes_twice(
    steps: list[tuple[str, int, int]],
) -> None:
    small = mock.patch.multiple(job_feed, PAGE=3, MOST_WAITING=6, AT_ONCE=2)
    with small, tempfile.TemporaryDirectory() as folder:
        asyncio.run(_run(steps, Path(folder)))


async def _run(steps: list[tuple[str, int, int]], folder: Path) -> None:
    house = await open_house(folder)
    listeners: list[Listener] = []
    jobs = [f"{n:032x}" for n in range(2)]
    try:
        for each in jobs:
            await house.begin(each)
        for step in steps:
            await _do(step, house, jobs, listeners)
        for listener in listeners:
            listener.may_read.set()
        for job in jobs:
            await house.end(job)
        await within(SystemClock(), SEEN_WITHIN_S, _until_all_have_heard(listeners))
        of_one_job = [each.task for each in listeners if each.job is not None]
        await within(SystemClock(), SEEN_WITHIN_S, asyncio.gather(*of_one_job))
    finally:
        for listener in listeners:
            await listener.stop()
        await house.close()


async def _do(
    step: tuple[str, int, int], house: House, jobs: list[str], listeners: list[Listener]
) -> None:
    what, which, number = step
    match what:
        case "write":
            await house.note(jobs[which], number)
        case "end":
            await house.end(jobs[which])
        case "follow":
            last = await house.store.read(lambda r: r.runs.last_event())
            since = None if number < 0 else min(number, last)
            listeners.append(Listener(house, [*jobs, None][which], since))
        case "turns":
            for _ in range(which):
                await asyncio.sleep(0)
        case "pause":
            await asyncio.sleep(0.001)
        case _ if listeners:
            listener = listeners[which % len(listeners)]
            await {
                "reconnect": listener.reconnect,
                "stall": listener.stall,
                "read": listener.read,
            }[what]()
        case _:
            pass


async def _until_all_have_heard(listeners: list[Listener]) -> None:
    for listener in listeners:
        while not await listener.has_heard_all():
            assert len(listener.heard) <= len(await listener.house.events(listener.job))
            await asyncio.sleep(0.001)
