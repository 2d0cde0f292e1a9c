"""Whatever happens, in any order: no symbol is lost, charged wrongly, or tried before its time.

ENRICHD_MACHINE_EXAMPLES   how many sequences; each run then tries others
"""

from __future__ import annotations

import asyncio
import functools
import os
import random
import sys
import tempfile
from collections.abc import Coroutine, Iterable, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.integration.enrich.by_hand import ByHand
from tests.integration.enrich.expected import (
    BASE,
    BY_TEXT,
    Body,
    Expected,
    Files,
    Known,
    Place,
    Said,
    State,
)
from tests.integration.enrich.house import House, count_calls

from enrichd.clock import FakeClock
from enrichd.enrich.service import Enrichment
from enrichd.lsp.supervisor import Supervisor
from enrichd_tracker.store.port import Reader, StoredSymbol

T = TypeVar("T")

EXAMPLES = int(os.environ.get("ENRICHD_MACHINE_EXAMPLES", "20"))
STEPS = 30
QUEUE_SIZE = 3
WINDOW = 64
INDEXING_S = 1.5
DOWN_S = 1.0
NOT_NOW_S = 1.0
"""Longer than what was not answered now is left alone."""
SWEEP_S = 0.03
TICK_S = 5.0
USERS = ("a.py", "b.py", "c.py")

some = st.integers(0, 20)
bodies = st.sampled_from(Body)
users = st.sampled_from(USERS)


class EnrichMachine(RuleBasedStateMachine):
    """A daemon on one database, its server's every answer chosen by the rules."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.patches = pytest.MonkeyPatch()
        self.runner = asyncio.Runner()
        self.change = "", ""
        self.wrong: list[str] = []
        self.left_since: dict[str, float] = {}
        self.files = Files(dict.fromkeys((BASE, *USERS), 1), {path: {} for path in USERS})
        for path, body in zip(("a.py", "a.py", "b.py", "c.py"), (*Body, Body.TWO), strict=True):
            self.files.add(path, body)
        self.expected = Expected(self.files)
        self.house = House(Path(self.folder.name), {})
        self.house.queue_size = QUEUE_SIZE
        self.house.external = "off"
        profile = {"command": (sys.executable,), "window": WINDOW}
        self.house.serve_with(profile=profile)
        self.oracle = ByHand(self.house, self.asked)
        self.patch()

    @initialize()
    def begin(self) -> None:
        self.write(BASE, *USERS)
        self.do(self.house.open())

    def patch(self) -> None:
        count_calls(self.patches.setattr)
        supervisor = functools.partial(Supervisor, spawn=self.oracle.spawn)
        self.patches.setattr("enrichd.enrich.service.Supervisor", supervisor)
        self.patches.setattr("enrichd.app.random.SystemRandom", lambda: random.Random(0))
        resume = Enrichment.resume

        def resumed(
            enrichment: Enrichment, workspace_id: int, forgotten: list[int], changed: list[str]
        ) -> None:
            resume(enrichment, workspace_id, forgotten, changed)
            if changed:
                self.expected.indexed(*self.change, self.now)
                self.change = "", ""

        self.patches.setattr(Enrichment, "resume", resumed)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @property
    def now(self) -> float:
        return self.house.clock.time()

    # What the server gets and says.

    def asked(self, place: Place) -> None:
        self.left_since.pop(place[0], None)
        try:
            self.expected.asked(place, self.now)
        except AssertionError as wrong:  # the loop would only log it
            self.wrong.append(str(wrong))

    @property
    def held(self) -> list[str]:
        """The symbols that the server has questions about."""
        return sorted({uid for uid, _ in self.oracle.held})

    async def replies(self, said: Mapping[str, tuple[Said, ...]]) -> None:
        """Answer all the questions about some symbols."""
        for uid, replies in said.items():
            places = sorted(each for each in self.oracle.held if each[0] == uid)
            for place, reply in zip(places, cycle(replies), strict=False):
                self.oracle.reply(place, reply)
                self.expected.said(place, reply, self.now)
        await self.house.settle()

    # Time.

    async def pass_time(self, seconds: float) -> None:
        await self.house.pass_time(seconds)
        while any(-SWEEP_S < deadline - self.now <= 0 for deadline, _ in self.expected.deadlines()):
            await self.house.pass_time(SWEEP_S)  # time-outs may come so much late
        self.expected.pass_to(self.now)
        self.drop_given_up()

    def drop_given_up(self) -> None:
        open_places = {place for _, place in self.expected.deadlines()}
        self.oracle.held = {
            place: held for place, held in self.oracle.held.items() if place in open_places
        }

    async def calm(self, seconds: float) -> None:
        """Wait until no question is given up within the time that is to come."""
        while any(deadline - self.now <= seconds for deadline, _ in self.expected.deadlines()):
            await self.pass_time(seconds)

    # Rules.

    @rule()
    def enqueue(self) -> None:
        self.do(self.look_once_more())

    async def look_once_more(self) -> None:
        self.house.app.enrichment.monitor.new_work()
        await self.house.settle()

    @rule(place=some, nothing=st.booleans())
    def answer(self, place: int, nothing: bool) -> None:
        said = Said.EMPTY if nothing else Said.RIGHT
        self.do(self.replies(dict.fromkeys(one_of(self.held, place), (said,))))

    @rule()
    def answer_all(self) -> None:
        self.do(self.replies(dict.fromkeys(self.held, (Said.RIGHT,))))

    @rule(place=some, said=st.lists(st.sampled_from(Said), min_size=1, max_size=3))
    def fail(self, place: int, said: list[Said]) -> None:
        """Of a symbol with several questions, some may be answered well."""
        replies = (*said, Said.FAILED)[:3]
        self.do(self.replies(dict.fromkeys(one_of(self.held, place), replies)))

    @rule()
    def fail_all(self) -> None:
        self.do(self.replies(dict.fromkeys(self.held, (Said.FAILED,))))

    @rule()
    def crash(self) -> None:
        """Several files are asked about: nobody can be found guilty."""
        if len({uid.partition("/")[0] for uid in self.held}) > 1:
            self.oracle.held.clear()
            self.expected.forget_attempts()
            self.do(self.die())

    async def die(self) -> None:
        self.oracle.server.die()
        await self.house.settle()

    @rule(seconds=st.sampled_from([0.5, 5.0, 10.0, 40.0, 160.0]))
    def tick(self, seconds: float) -> None:
        self.do(self.pass_time(seconds))

    @rule(path=users, body=bodies)
    def find(self, path: str, body: Body) -> None:
        self.files.add(path, body)
        self.index(path, f"{path}/")

    @rule(path=users, place=some, body=bodies)
    def edit(self, path: str, place: int, body: Body) -> None:
        """What it is edited to may be what it was."""
        functions = self.files.functions[path]
        for name in one_of(functions, place):
            before, functions[name] = functions[name], body
            same = body is before
            self.index(path, "" if same else f"{path}/{name}().", touched=same)

    @rule(path=users)
    def remove(self, path: str) -> None:
        functions = self.files.functions[path]
        for name in one_of(functions, 0):
            del functions[name]
            self.index(path, f"{path}/")

    @rule(path=st.sampled_from((BASE, *USERS)))
    def move(self, path: str) -> None:
        """Nobody is asked again where lines moved and nothing else."""
        self.files.above[path] += 1
        self.index(path)

    def index(self, path: str, edited: str = "", *, touched: bool = False) -> None:
        """A file was changed, and with it the text of one symbol; or it was only touched."""
        self.do(self.calm(2 * INDEXING_S))
        self.change = "" if touched else path, edited
        self.write(path)
        self.do(self.house.index())
        self.do(self.pass_time(0.0))

    def write(self, *paths: str) -> None:
        self.house.write({path: self.files.text(path) for path in paths})

    @rule(place=some)
    def retry(self, place: int) -> None:
        """A person wants to see what failed tried again."""
        self.do(self.try_again(one_of(self.resting, place)))

    @property
    def resting(self) -> list[str]:
        """The symbols that are skipped, or whose time has not come."""
        return sorted(
            uid
            for uid, known in self.expected.known.items()
            if known.state is State.SKIPPED or known.due_at > self.now
        )

    async def try_again(self, uids: list[str]) -> None:
        stored = await self.stored()
        for uid in uids:
            self.expected.known[uid] = Known(due_at=self.now)
        await self.house.app.retry([stored[uid].id for uid in uids])
        await self.house.settle()

    @rule()
    def restart(self) -> None:
        self.do(self.calm(DOWN_S))
        self.oracle.held.clear()
        self.expected.forget_attempts()
        self.left_since.clear()
        self.do(self.reopen())

    async def reopen(self) -> None:
        """On another machine's clock, as it were, after a time that is always the same."""
        up_at = self.now + DOWN_S
        await self.house.close()
        assert self.now < up_at
        self.house.clock = FakeClock(up_at)
        await self.house.open()

    # What must be true at any time.

    async def stored(self) -> dict[str, StoredSymbol]:
        def ask(reader: Reader) -> dict[str, StoredSymbol]:
            found = (reader.symbols_in(1, path) for path in reader.files(1))
            return {each.uid: each for symbols in found for each in symbols}

        return await self.house.app.store.read(ask)

    @invariant()
    def all_is_as_expected(self) -> None:
        self.do(self.check())

    async def check(self) -> None:
        assert self.wrong == []
        await self.house.is_sound()
        stored, records = await self.stored(), await self.house.failures()
        assert stored.keys() == self.expected.known.keys() | BY_TEXT.keys()
        await self.check_edges(stored)
        tracker, queue = self.house.app.enrichment.tracker, self.house.app.enrichment.queue
        for uid in BY_TEXT:
            assert (stored[uid].pending, uid in records) == (0, False)
        for uid, known in self.expected.known.items():
            symbol, record = stored[uid], records.get(uid)
            found = (bool(symbol.pending), 0 if record is None else record.attempts)
            unsettled = known.state in {State.PENDING, State.BACKING_OFF}
            assert found == (unsettled, known.attempts), (uid, known)
            assert record == tracker.failure(symbol.id)
            assert symbol.failed is (record is not None)
            waits = None if record is None else record.next_retry_at
            wanted = known.due_at if known.state is State.BACKING_OFF else None
            assert waits == pytest.approx(wanted, abs=2 * SWEEP_S), (uid, known)
            asked = any(each[0] == uid for each in self.oracle.held)
            in_hand = symbol.id in queue
            assert in_hand or not asked, f"{uid} is in flight and nobody knows"
            assert unsettled or not in_hand, f"{uid} is {known.state} and in hand"
            self.check_patience(uid, known, due=unsettled and not in_hand)

    def check_patience(self, uid: str, known: Known, *, due: bool) -> None:
        """Who may be asked about is, within a tick."""
        enrichment = self.house.app.enrichment
        (worker,) = enrichment.lanes.values()
        served = worker.supervisor.servable and enrichment.queue.room(worker.lane) > 0
        if not (due and served and known.due_at <= self.now):
            self.left_since.pop(uid, None)
            return
        waited_s = self.now - self.left_since.setdefault(uid, self.now)
        assert waited_s <= TICK_S, f"{uid} is left lying for {waited_s} s"

    async def check_edges(self, stored: dict[str, StoredSymbol]) -> None:
        known = self.expected.known
        edges = [edge for each in (*known.values(),) for edge in each.edges]
        by_text = [edge for edges in BY_TEXT.values() for edge in edges]
        assert await self.house.edges() == {*edges, *by_text}
        sentinels = {
            uid: [edge.target.name for edge in edges]
            for uid, edges in (await self.house.outcomes()).items()
        }
        wanted = {uid: ["none"] for uid, edges in BY_TEXT.items() if not edges}
        for uid, each in known.items():
            if each.state is State.SKIPPED:
                wanted[uid] = ["error"]
            elif each.state is State.SETTLED and not each.edges:
                wanted[uid] = ["none"]
        assert sentinels == wanted

    # The end.

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.do(self.end())
            self.do(self.house.close())
            self.do(self.nothing_is_left())
        finally:
            self.runner.close()
            self.patches.undo()
            self.folder.cleanup()

    async def end(self) -> None:
        """The faults are over, and a person has what was given up tried again."""
        await self.pass_time(NOT_NOW_S)
        self.oracle.answers_all = True
        await self.replies(dict.fromkeys(self.held, (Said.RIGHT,)))
        skipped = [uid for uid, each in self.expected.known.items() if each.state is State.SKIPPED]
        await self.try_again(skipped)
        await self.house.until_settled()
        for uid, known in self.expected.known.items():
            if known.state is not State.SETTLED:
                edges = self.files.edges(uid)
                self.expected.known[uid] = Known(state=State.SETTLED, edges=edges)
        self.expected.forget_attempts()
        await self.check()
        assert self.house.app.enrichment.queue.known == 0

    async def nothing_is_left(self) -> None:
        assert asyncio.all_tasks() == {asyncio.current_task()}


def one_of(names: Iterable[str], place: int) -> list[str]:
    """One of them, if there are any."""
    found = list(names)
    return [found[place % len(found)]] if found else []


TestMachine = EnrichMachine.TestCase
TestMachine.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    derandomize="ENRICHD_MACHINE_EXAMPLES" not in os.environ,
)
