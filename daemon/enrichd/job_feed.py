"""What happens to jobs, for all who follow them: read once, handed to everybody."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from functools import partial

from msgspec import Struct

from enrichd.clock import Clock, within
from enrichd.news import News
from enrichd.query import jobs
from enrichd.query.jobs import EventView, JobsSnapshot, Snapshot
from enrichd.query.select import chosen
from enrichd_tracker.errors import StoreUnavailable
from enrichd_tracker.jobs import JobEvent
from enrichd_tracker.model import ENDS
from enrichd_tracker.store.port import Reader, Store

MOST_WAITING = 4_096
"""Events for one follower. The log of a job, written at once, is a quarter of it."""
PAGE = 100
"""Events that are read at once."""
AT_ONCE = 4
"""Events that a follower gets at once: two hundred of them share the loop with everything else."""
LOOK_EVERY_S = 5.0
"""Though nothing was told."""
TRY_AGAIN_S = 1.0

Followed = Snapshot | JobsSnapshot | EventView


class FollowingEnded(Exception):
    """It is over before its end; ``seq`` is where to go on."""

    def __init__(self, seq: int) -> None:
        super().__init__(f"after {seq}")
        self.seq = seq


class FellBehind(FollowingEnded):
    """Too much waited for who follows."""


class JobIsGone(FollowingEnded):
    """The job was forgotten with its workspace."""


class Dismissed(FollowingEnded):
    """Who tells is going away."""


class _Start(Struct, frozen=True):
    """Where a following begins: with what stands, or behind an event."""

    job_id: str | None
    snapshot: Snapshot | JobsSnapshot | None
    over: bool
    """The job had come to its end."""
    seq: int


class JobFeed:
    """Reads the events of jobs while somebody follows them, and nothing while nobody does."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._live: set[Following] = set()
        self._seq = 0
        """All up to here was handed out; whoever has some of it is not given that again."""
        self._news = News()
        store.on_job_events(self._news.tell)

    @property
    def followers(self) -> int:
        """How many are told what happens just now."""
        return len(self._live)

    async def run(self) -> None:
        """Serve for ever."""
        while True:
            seen = self._news.count
            if not self._live:
                await self._news.after(seen)
                continue
            try:
                await self._hand_out()
                await within(self._clock, LOOK_EVERY_S, self._news.after(seen))
            except TimeoutError:
                with suppress(StoreUnavailable):
                    await self._end_those_without_a_job()
            except StoreUnavailable:
                await self._clock.sleep(TRY_AGAIN_S)

    async def follow(
        self, job: str | None = None, *, workspace: str | None = None, since: int | None = None
    ) -> Following:
        """What happens to the job whose id begins like this, or to all jobs, from now on.

        With ``since`` all that came after that event, where all of it is still kept; else what
        stands now, and then what comes. Raises AnswerIsNo where there is no such job or workspace,
        and StoreUnavailable. Who follows has to leave.
        """
        now = self._clock.time()
        start = await self._store.read(lambda reader: _start(reader, job, workspace, since, now))
        following = Following(self, start, workspace)
        if start.snapshot is not None and not start.over:
            self._join(following)
        return following

    async def read_on(self, following: Following) -> None:
        """Give it what it missed, a page of it; with the last page it joins the others."""
        since = following.taken

        def page(reader: Reader) -> tuple[list[JobEvent], int]:
            found = reader.runs.events_after(since, following.job_id, PAGE)
            return found, reader.runs.last_event()

        while True:
            try:
                found, last = await self._store.read(page)
                break
            except StoreUnavailable:
                await self._clock.sleep(TRY_AGAIN_S)
        whole = len(found) < PAGE
        following.catch_up([jobs.event(each) for each in found], last if whole else None)
        if whole and not following.over:
            self._join(following)

    def leave(self, following: Following) -> None:
        """Tell it nothing any more."""
        self._live.discard(following)

    def _join(self, following: Following) -> None:
        self._seq = min(self._seq, following.taken) if self._live else following.taken
        self._live.add(following)
        self._news.tell()

    async def _hand_out(self) -> None:
        while self._live:
            since = self._seq
            found = await self._store.read(partial(_page, since))
            if self._seq != since:
                continue  # somebody joined who has less
            for each in found:
                told = jobs.event(each)
                for following in list(self._live):
                    following.take(told)
                self._seq = each.seq
            if len(found) < PAGE:
                return

    async def _end_those_without_a_job(self) -> None:
        wanted = {each.job_id for each in self._live if each.job_id is not None}
        if not wanted:
            return
        gone = await self._store.read(
            lambda reader: {each for each in wanted if not reader.runs.jobs_named(each)}
        )
        for following in list(self._live):
            if following.job_id in gone:
                following.end(JobIsGone)


class Following:
    """One who follows: what was missed, then what comes, each once and in order."""

    def __init__(self, feed: JobFeed, start: _Start, workspace: str | None) -> None:
        self.job_id = start.job_id
        self.seq = start.seq
        """The last event that was given, or as of which the snapshot is."""
        self.taken = start.seq
        """The last event that was looked at."""
        self.over = start.over
        """Nothing comes after what was taken: the job has come to its end."""
        self._feed = feed
        self._workspace = workspace
        self._waiting: deque[Followed] = deque()
        self._behind = start.snapshot is None
        self._ended: type[FollowingEnded] | None = None
        self._something = asyncio.Event()
        if start.snapshot is not None:
            self._waiting.append(start.snapshot)

    async def next(self) -> list[Followed]:
        """What came next, some of it at once; nothing: the job has come to its end.

        Raises FellBehind, JobIsGone or Dismissed where it is over before.
        """
        while True:
            if self._ended is not None:
                raise self._ended(self.seq)
            if self._waiting:
                given = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
                self.seq = given[-1].seq
                return given
            if self._behind:
                await self._feed.read_on(self)
            elif self.over:
                return []
            else:
                self._something.clear()
                await self._something.wait()

    def leave(self) -> None:
        """Follow no more."""
        self._feed.leave(self)
        self._waiting.clear()

    def end(self, why: type[FollowingEnded]) -> None:
        """Whatever still waits to be given is dropped."""
        self.leave()
        self._ended = why
        self._something.set()

    def catch_up(self, missed: list[EventView], last: int | None) -> None:
        """Take what was missed; with ``last`` that is all of it, up to that event."""
        for each in missed:
            self._take(each)
        if last is not None:
            self.taken = max(self.taken, last)
            self._behind = False

    def take(self, told: EventView) -> None:
        """Take what is new of it; too much that waits ends the following."""
        if told.seq <= self.taken:
            return
        self._take(told)
        if len(self._waiting) > MOST_WAITING:
            self.end(FellBehind)
        elif self.over:
            self._feed.leave(self)
        self._something.set()

    def _take(self, told: EventView) -> None:
        self.taken = told.seq
        if self.job_id is not None:
            wanted = told.job_id == self.job_id
            self.over = self.over or (wanted and told.event == "status" and told.status in ENDS)
        else:
            wanted = self._workspace is None or told.workspace == self._workspace
        if wanted:
            self._waiting.append(told)


def _start(
    reader: Reader, job: str | None, workspace: str | None, since: int | None, now: float
) -> _Start:
    last = reader.runs.last_event()
    if job is not None:
        one = jobs.job(reader, job, now=now)
        over = one.completed_at is not None
        if since is not None and since <= last:
            return _Start(one.job_id, None, over, since)
        return _Start(one.job_id, Snapshot(last, "snapshot", one), over, last)
    if workspace is not None:
        chosen(reader, workspace)
    if since is not None and since <= last:
        oldest = reader.runs.events_after(0, None, 1)
        if since == last or (oldest and since >= oldest[0].seq - 1):
            return _Start(None, None, False, since)
    return _Start(None, jobs.unfinished(reader, last, workspace=workspace, now=now), False, last)


def _page(since: int, reader: Reader) -> list[JobEvent]:
    return reader.runs.events_after(since, None, PAGE)
