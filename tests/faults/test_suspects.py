"""A language server that dies at random points a thousand times: who is charged for it.

The daemon's own workers on a fake clock, a server in the test's process that answers one question
at a time: so it is known what was in flight at each death.

ENRICHD_FAULT_SERVER_KILLS   how many times it dies (1,000)
ENRICHD_FAULT_SEED           to draw the same again; a failure tells it
"""

from __future__ import annotations

import asyncio
import functools
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.faults.connection import SEED
from tests.figures import Reached
from tests.integration.enrich.house import SHOP, Calls, House, count_calls
from tests.integration.enrich.oracle import DEFINITION, Oracle
from tests.servers.fake_process import SILENCE, Request

from enrichd.enrich.charging import Judgement
from enrichd.enrich.recorder import Recorder
from enrichd.lsp.supervisor import Supervisor
from enrichd_tracker.model import Origin, ResolvedEdge, Work

DEATHS = int(os.environ.get("ENRICHD_FAULT_SERVER_KILLS", "1000"))
FUNCTIONS = 10
FILES = 4 * DEATHS // FUNCTIONS
FIRST_LINE = 2
LINES = 3
"""Of each function, the empty one behind it included."""
USER = "from base import helper\n\n" + "\n".join(
    f"def f{number}():\n    return helper()\n" for number in range(FUNCTIONS)
)


class OneAtATime(Oracle):
    """Answers only when it is told to."""

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self.waiting: list[Request] = []

    def __call__(self, request: Request) -> object:
        if request["method"] != DEFINITION or "/base.py" in str(request["params"]):
            return super().__call__(request)
        self.waiting.append(request)
        return SILENCE

    def say_one(self, request: Request) -> None:
        self.waiting.remove(request)
        self.server.say({"id": request["id"], "result": self.answer(request)})


def symbol_of(request: Request) -> str:
    """The uid of the symbol that a question is about."""
    path = Path(request["params"]["textDocument"]["uri"]).name
    line = request["params"]["position"]["line"]
    if line < FIRST_LINE:
        return f"{path}/"
    return f"{path}/f{(line - FIRST_LINE) // LINES}()."


@pytest.fixture
async def oracle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OneAtATime]:
    count_calls(monkeypatch.setattr)
    files = {f"user{number}.py": USER for number in range(FILES)}
    house = House(tmp_path, {"base.py": SHOP["base.py"], **files})
    house.serve_with(profile={"command": (sys.executable,)})
    own = OneAtATime(house)
    supervisor = functools.partial(Supervisor, spawn=own.spawn)
    monkeypatch.setattr("enrichd.enrich.service.Supervisor", supervisor)
    # what is tried here is not how long a server rests
    monkeypatch.setattr("enrichd.lsp.restarts.Restarts.died", lambda *_: 1.0)
    yield own
    await house.close()


class Court:
    """Knows who was alone at which death, and so whether a charge is right.

    A symbol may be charged that was alone at the last death, or that is of a file whose symbols
    were alone at three deaths, none of it being answered between them.
    """

    def __init__(self) -> None:
        self.deaths = 0
        self.deaths_of_several = 0
        self.rightly = 0
        self.wrongly: list[str] = []
        self._last: set[str] = set()
        self._alone: Counter[str] = Counter()
        self._guilty_files: set[str] = set()

    def died(self, in_flight: set[str]) -> None:
        self.deaths += 1
        self.deaths_of_several += len(in_flight) > 1
        self._last = in_flight
        if len(in_flight) == 1:
            path = min(in_flight).partition("/")[0]
            self._alone[path] += 1
            if self._alone[path] >= 3:
                self._guilty_files.add(path)

    def answered(self, uid: str) -> None:
        self._last = set()
        if not uid.endswith("/"):  # a module has several questions
            del self._alone[uid.partition("/")[0]]

    def charged(self, uid: str, reason: str) -> None:
        path = uid.partition("/")[0]
        if self._last == {uid} or (path in self._guilty_files and path in reason):
            self.rightly += 1
        else:
            self.wrongly.append(f"{uid} ({reason}): after {sorted(self._last)} had been in flight")


@pytest.fixture
def court(monkeypatch: pytest.MonkeyPatch) -> Court:
    """Hears of every charge."""
    own = Court()
    failed = Recorder.failed

    def note(
        self: Recorder, work: Work, origin: Origin, edges: list[ResolvedEdge], judgement: Judgement
    ) -> None:
        own.charged(work.uid, judgement.reason)
        failed(self, work, origin, edges, judgement)

    monkeypatch.setattr(Recorder, "failed", note)
    return own


async def rest() -> None:
    """Return when nothing happens any more by itself."""
    quiet = 0
    while quiet < 30:
        await asyncio.sleep(0)
        quiet = 0 if Calls.under_way else quiet + 1


@pytest.mark.fault(1, "dies at random points of the daemon's own work")
async def test_no_symbol_is_charged_unless_it_was_alone(
    oracle: OneAtATime, court: Court, reached: Reached
) -> None:
    house, chance = oracle.house, random.Random(SEED)
    await house.open()
    while court.deaths < DEATHS:
        await rest()
        if not oracle.waiting:
            assert house.clock.monotonic() < 100 * DEATHS, f"nothing is left to ask, seed {SEED}"
            house.clock.jump()
        elif chance.random() < 0.7:
            request = chance.choice(oracle.waiting)
            court.answered(symbol_of(request))
            oracle.say_one(request)
        else:
            court.died({symbol_of(each) for each in oracle.waiting})
            oracle.waiting.clear()
            oracle.server.die()
    await rest()
    assert min(court.deaths_of_several, court.rightly) > DEATHS // 20
    what = f"symbols charged that were not alone (seed {SEED})"
    print(*court.wrongly, sep="\n")
    reached(what, len(court.wrongly), 0, times=court.deaths)
    await all_else_is_found(oracle)


async def all_else_is_found(oracle: OneAtATime) -> None:
    """After the last death, and with those skipped tried again, nothing is missing."""
    house = oracle.house
    skipped = [each for each in (await house.failures()).values() if each.skipped]
    assert sorted(await house.said("error")) == sorted(each.uid for each in skipped)
    await house.app.retry([each.symbol_id for each in skipped])
    for _ in range(100_000):
        await rest()
        if oracle.waiting:
            oracle.say_one(oracle.waiting[0])
        elif await house.all_settled():
            break
        else:
            house.clock.jump()
    assert await house.failures() == {}
    assert await house.said("none") == {}
    calls = {
        (source, target) for source, relation, target in await house.edges() if relation == "calls"
    }
    assert calls == {
        (f"user{file}.py/f{number}().", "base.py/helper().")
        for file in range(FILES)
        for number in range(FUNCTIONS)
    }
    await house.is_sound()
