"""The drift check: in idle time a few settled symbols are asked about again, and compared.

What is known is kept right by following changes; this is the independent voice that tells when
one was missed. It takes nothing on trust that it can look at: the file is read and hashed, the
server is asked, and what is stored is read at that very moment. It is never in anybody's way: it
begins where nothing is due, and gives way when something is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum

import structlog
from msgspec import Struct

from enrichd.clock import Clock
from enrichd.enrich.charging import Judgement, Verdict
from enrichd.enrich.lane import LaneWorker
from enrichd.enrich.recorder import Recorder
from enrichd.file_stat import OnDisk, look_at
from enrichd.metrics import Metrics
from enrichd_tracker.errors import StoreUnavailable
from enrichd_tracker.model import Lane, Origin, Outcome, ResolvedEdge, Work
from enrichd_tracker.store.port import Difference, Reader, SeenEdge, Store

LEAST_REST_S = 60.0
MOST_REST_S = 3600.0
CHECKING_SHARE = 0.0002
QUESTIONS_A_MINUTE = 60
MOST_QUESTIONS = 500
"""In one round: more are left to the next."""
_SAMPLE = 4  # symbols
_NEIGHBOURS = 64  # symbols of a file in which one was wrong
_AGAIN_S = 10.0
_SHOWN_EDGES = 10
_MOST_AVOIDED = 1000

_log = structlog.get_logger()


class Result(StrEnum):
    """What a check came to; the label of a metric."""

    SAME = "same"
    DRIFT = "drift"
    """Twice the same answer, which was not the stored one: it is stored now."""
    UNSTABLE = "unstable"
    """Two answers that differ: neither is written."""
    FILE = "file"
    """The file's content changed and nothing showed it: it is indexed again."""
    CHANGED = "changed"
    """The symbol or its file changed while it was looked at."""
    FAILED = "failed"
    """No answer to believe. Nobody is charged."""
    GAVE_WAY = "gave_way"
    """There was something else to do."""


class _Answer(Struct, frozen=True):
    origin: Origin
    edges: list[ResolvedEdge]


class _Ledger:
    """Takes what became of one attempt, for whoever waits for it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.told: asyncio.Future[_Answer | Judgement | None] = loop.create_future()

    def succeeded(self, work: Work, origin: Origin, edges: list[ResolvedEdge]) -> None:
        del work
        self._tell(_Answer(origin, edges))

    def failed(
        self, work: Work, origin: Origin, edges: list[ResolvedEdge], judgement: Judgement
    ) -> None:
        del work, origin, edges
        self._tell(judgement)

    def released(self, works: Iterable[Work], *, at_once: bool = False) -> None:
        del works, at_once
        self._tell(None)

    def _tell(self, result: _Answer | Judgement | None) -> None:
        if not self.told.done():  # nobody waits any more
            self.told.set_result(result)


class DriftCheck:
    """Looks now and then, as often as its small share of the time allows."""

    def __init__(
        self,
        *,
        store: Store,
        lanes: Mapping[Lane, LaneWorker],
        recorder: Recorder,
        clock: Clock,
        metrics: Metrics,
        random: Callable[[], float],
        is_calm: Callable[[int], bool],
        on_stale: Callable[[int], None],
        on_distrust: Callable[[int, str], None],
    ) -> None:
        """``random``: from 0 up to 1. ``is_calm``: whether a workspace is as it was indexed.

        ``on_distrust`` hears of a file before the store says that it is not the one indexed.
        """
        self._store = store
        self._lanes = lanes
        self._recorder = recorder
        self._clock = clock
        self._metrics = metrics
        self._random = random
        self._is_calm = is_calm
        self._on_stale = on_stale
        self._on_distrust = on_distrust
        self._neighbours: deque[tuple[Lane, int]] = deque()
        """Symbols of files in which another was wrong: they are looked at next."""
        self._seen: set[int] = set()  # the symbols whose neighbours these are, and they themselves
        self._avoided: set[int] = set()  # the server did not live through them
        self._looked_at: dict[int, OnDisk] = {}  # files, in this round
        self._recounted: set[int] = set()  # workspaces, in this round
        self._questions = 0  # in this round
        self._gave_way = False  # in this round

    async def run(self) -> None:
        """Look for ever."""
        rest = LEAST_REST_S
        while True:
            await self._clock.sleep(rest)
            if not any(map(self._is_free, self._lanes)):
                rest = _AGAIN_S
                continue
            began = self._clock.monotonic()
            try:
                questions = await self.look()
            except StoreUnavailable as error:
                _log.warning("nothing can be checked", action="drift_waits", error=error.message)
                questions = self._questions
            least_s = _AGAIN_S if self._gave_way else LEAST_REST_S
            rest = rest_s(self._clock.monotonic() - began, questions, least_s)

    async def look(self) -> int:
        """One round; returns how many questions were asked, at most."""
        self._questions = 0
        self._gave_way = False
        self._looked_at.clear()
        self._recounted.clear()
        if not self._neighbours:
            self._seen.clear()
            places = [self._random() for _ in range(_SAMPLE)]
            for work in await self._store.read(lambda reader: _sample(reader, places)):
                await self._check(work)
        while self._neighbours and self._questions < MOST_QUESTIONS:
            lane, symbol_id = self._neighbours[0]
            if lane in self._lanes and not self._is_free(lane):
                break
            self._neighbours.popleft()
            for work in await self._settled(symbol_id):
                await self._check(work)
        return self._questions

    async def _settled(self, symbol_id: int) -> list[Work]:
        return await self._store.read(lambda reader: reader.settled([symbol_id]))

    def _is_free(self, lane: Lane) -> bool:
        """Whether the lane has nothing else to do, and its server's answers can be believed."""
        worker = self._lanes.get(lane)
        return (
            worker is not None
            and worker.idle
            and not (worker.paused or worker.blocked)
            and worker.supervisor.proved
            and not self._recorder.waiting
            and self._is_calm(lane.workspace_id)
        )

    async def _check(self, work: Work) -> None:
        if work.symbol_id in self._avoided:
            return
        if not self._is_free(work.lane):
            self._gave_way = True
            return
        result = await self._result(work)
        self._gave_way |= result is Result.GAVE_WAY
        self._metrics.drift_checks.labels(result).inc()

    async def _result(self, work: Work) -> Result:
        on_disk = await self._look_at(work)
        if on_disk is not OnDisk.SAME:
            return await self._stale(work, on_disk)
        first = await self._ask(work)
        if isinstance(first, Result):
            return first
        differences = await self._differences(work, first)
        if differences is None:
            return Result.CHANGED
        return await self._confirm(work, differences) if differences else Result.SAME

    async def _confirm(self, work: Work, differences: list[Difference]) -> Result:
        """Servers can be wrong for a moment: only what they say twice is written."""
        answer = await self._ask(work)
        if isinstance(answer, Result):
            return answer
        again = await self._differences(work, answer)
        if again is None:
            return Result.CHANGED
        if again != differences:
            self._tell("an answer is not stable", "unstable_answer", work, answer, differences)
            return Result.UNSTABLE
        recount = work.lane.workspace_id not in self._recounted
        if not await self._recorder.replace(_outcomes(work, answer), recount=recount):
            return Result.CHANGED
        self._recounted.add(work.lane.workspace_id)
        self._tell("the graph had drifted", "drift", work, answer, differences)
        for change, n in _count(differences).items():
            self._metrics.drift_edges.labels(change).inc(n)
        await self._widen(work)
        return Result.DRIFT

    # The file.

    async def _look_at(self, work: Work) -> OnDisk:
        file = work.file
        if file.id not in self._looked_at:
            path = f"{self._lanes[work.lane].workspace.root}/{file.path}"
            self._looked_at[file.id], _ = await asyncio.to_thread(look_at, path, file)
        return self._looked_at[file.id]

    async def _stale(self, work: Work, on_disk: OnDisk) -> Result:
        if on_disk is OnDisk.UNREADABLE:
            return Result.FAILED
        workspace_id = work.lane.workspace_id
        if on_disk is OnDisk.DRIFTED:
            self._on_distrust(workspace_id, work.file.path)
            await self._store.distrust(workspace_id, work.file.path)
            self._looked_at[work.file.id] = OnDisk.CHANGED  # it is told once
            _log.warning(
                "a file changed and neither its size nor its time nor its inode shows it",
                action="drift_file",
                workspace=self._lanes[work.lane].workspace.name,
                file=work.file.path,
                symbol=work.uid,
            )
        self._on_stale(workspace_id)
        return Result.FILE if on_disk is OnDisk.DRIFTED else Result.CHANGED

    # The answer.

    async def _ask(self, work: Work) -> _Answer | Result:
        worker = self._lanes.get(work.lane)
        if worker is None or not self._is_free(work.lane):
            return Result.GAVE_WAY
        ledger = _Ledger()
        self._questions += len(work.sites)
        worker.check(work, ledger)
        told = await ledger.told
        if isinstance(told, _Answer):
            return told
        if told is None:
            return Result.GAVE_WAY
        if told.verdict is Verdict.NOBODY:
            if len(self._avoided) >= _MOST_AVOIDED:
                self._avoided.clear()
            self._avoided.add(work.symbol_id)
        return Result.FAILED

    async def _differences(self, work: Work, answer: _Answer) -> list[Difference] | None:
        """Of each operation for which there is one; None when the symbol is not as it was."""

        def compare(reader: Reader) -> list[Difference] | None:
            found = [reader.difference(each) for each in _outcomes(work, answer)]
            known = [each for each in found if each is not None]
            if len(known) < len(found):
                return None
            return [each for each in known if not each.nothing]

        return await self._store.read(compare)

    async def _widen(self, work: Work) -> None:
        """What left one symbol wrong may have left others of its file so."""
        self._seen.add(work.symbol_id)
        file_id = work.file.id
        for each in await self._store.read(lambda reader: reader.settled_in(file_id, _NEIGHBOURS)):
            if each not in self._seen:
                self._seen.add(each)
                self._neighbours.append((work.lane, each))

    def _tell(
        self, event: str, action: str, work: Work, answer: _Answer, differences: list[Difference]
    ) -> None:
        stored = differences[0]
        missing = [edge for each in differences for edge in each.missing]
        extra = [edge for each in differences for edge in each.extra]
        _log.warning(
            event,
            action=action,
            workspace=self._lanes[work.lane].workspace.name if work.lane in self._lanes else "",
            symbol=work.uid,
            missing=[_words(each) for each in missing[:_SHOWN_EDGES]],
            extra=[_words(each) for each in extra[:_SHOWN_EDGES]],
            missing_edges=len(missing),
            extra_edges=len(extra),
            stored_at=_moment(stored.at),
            stored_by=_who(stored.origin),
            found_by=_who(answer.origin),
            file_digest="equal",  # else it would not have been asked about
            file_indexed_at=_moment(stored.indexed_at),
        )


def rest_s(spent_s: float, questions: int, least_s: float = LEAST_REST_S) -> float:
    """How long to rest after a round that took so long and asked so much."""
    share = min(spent_s / CHECKING_SHARE, MOST_REST_S)  # most of a long one was waiting
    return max(least_s, share, questions * 60.0 / QUESTIONS_A_MINUTE)


def _sample(reader: Reader, places: list[float]) -> list[Work]:
    """Settled symbols of lanes in which none waits to be settled."""
    works = reader.sample(places)
    waiting = {
        workspace_id: reader.orphans_by_language(workspace_id)
        for workspace_id in {work.lane.workspace_id for work in works}
    }
    return [each for each in works if not waiting[each.lane.workspace_id].get(each.lane.language)]


def _outcomes(work: Work, answer: _Answer) -> list[Outcome]:
    return [
        Outcome(work.symbol_id, work.revision, operation, answer.origin, answer.edges)
        for operation in work.operations
    ]


def _count(differences: list[Difference]) -> dict[str, int]:
    """Edges between symbols: one to a sentinel only says that there are none."""
    return {
        "missing": sum(bool(edge.relation) for each in differences for edge in each.missing),
        "extra": sum(bool(edge.relation) for each in differences for edge in each.extra),
    }


def _words(edge: SeenEdge) -> str:
    if not edge.relation:
        return edge.target
    return f"{edge.relation} {edge.target} at {edge.line + 1}:{edge.column + 1}"


def _who(origin: Origin | None) -> str:
    return "" if origin is None else f"{origin.server} {origin.version}".strip()


def _moment(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
