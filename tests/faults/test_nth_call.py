"""The N-th call of a port fails, for N = 1, 2, 3 … until a run is over with fewer calls.

A run is a whole daemon in the test's own process, on the fake clock: it indexes a few files,
enriches them, and does so again after edits. What a fault broke off is begun again, as systemd
would; then, without any fault, the graph must be that of an undisturbed run.

ENRICHD_FAULT_ROUNDS   where there are more calls than a quarter of it (200), not every N is tried
"""

# ruff: noqa: ASYNC240  (nothing else waits for the loop)

from __future__ import annotations

import asyncio
import functools
import gc
import itertools
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.faults.failing_ports import (
    PORTS,
    REAL_PARSERS,
    Fault,
    Install,
    ParserHere,
    by_the_test,
)
from tests.figures import Reached
from tests.integration.enrich.house import SHOP, Calls, House, count_calls
from tests.integration.enrich.oracle import Oracle

from enrichd.clock import FakeClock
from enrichd.errors import EnrichdError
from enrichd.lsp.supervisor import Supervisor

MOST = max(int(os.environ.get("ENRICHD_FAULT_ROUNDS", "200")) // 4, 5)
EDITED = {
    "base.py": SHOP["base.py"] + "\ndef more():\n    return helper()\n",
    "late.py": "from base import more\n\ndef late():\n    return more()\n",
}
PATIENCE_S = 120.0


class Patient(House):
    """Lets the clock move too where a run, or the start of a server, waits for it."""

    rest_s = 0.0
    """Real seconds that a run is waited for; longer where it waits for real processes."""
    _waits_since: float | None = None

    def _at_work(self) -> str:
        if Calls.under_way or not self.app.indexing.at_work:
            self._waits_since = None
            return "the store" if Calls.under_way else ""
        now = time.monotonic()
        self._waits_since = since = self._waits_since or now
        return "indexing" if now - since < self.rest_s else ""


@asynccontextmanager
async def living(folder: Path, fault: Fault, install: Install) -> AsyncIterator[Patient]:
    """A house where the call fails; at the end no task is left, and no exception unseen."""
    folder.mkdir()
    unseen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    with pytest.MonkeyPatch.context() as patch, capture_logs():
        count_calls(patch.setattr)
        house = Patient(folder)
        house.rest_s = 20.0 if install in REAL_PARSERS else 0.2
        house.serve_with(profile={"command": (sys.executable,)})
        oracle = Oracle(house)
        patch.setattr(
            "enrichd.enrich.service.Supervisor",
            functools.partial(Supervisor, spawn=oracle.spawn),
        )
        patch.setattr("enrichd.index.run.ParserPool", ParserHere)
        install(fault, oracle, patch)
        try:
            yield house
        finally:
            fault.armed = False
            await house.close()
    gc.collect()
    await asyncio.sleep(0)
    assert unseen == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def live(house: Patient) -> bool:
    """The run, as far as it comes; False: a process would have ended with it."""
    try:
        await house.open()
        if not await is_done(house):
            return False
        with by_the_test():
            house.write(EDITED)
        look_again(house)
        return await is_done(house)
    except (EnrichdError, OSError):
        return False


def look_again(house: Patient) -> None:
    for workspace_id in list(house.app.indexing.workspaces):
        house.app.indexing.request(workspace_id)


async def is_done(house: Patient) -> bool:
    """Let time pass until all is settled, or nothing comes any more; False: a service has ended.

    What is not settled then waits for the next look, which it gets afterwards.
    """
    end = house.clock.monotonic() + PATIENCE_S
    while house.clock.monotonic() < end:
        await house.settle()
        if house.app.services.failed:
            return False
        if await is_settled(house):
            return True
        if house.clock.next_deadline() is not None:
            house.clock.jump()
        elif not house.app.indexing.at_work:
            return True
    return True


async def is_settled(house: Patient) -> bool:
    if house.app.indexing.at_work:
        return False
    with by_the_test():
        return await house.indexed() and await house.all_settled()


async def recover(house: Patient, *, lived: bool) -> None:
    """Without any fault from now on, begin again where it ended, and look at everything."""
    if not lived:
        await house.close()
        house.clock = FakeClock(house.clock.time())
        await house.open()
    with by_the_test():
        house.write(EDITED)
    look_again(house)
    assert await is_done(house)
    assert await is_settled(house)


async def everything(house: Patient) -> set[tuple[str, str, str]]:
    """The edges, and who has none."""
    assert not await house.failures()
    assert not await house.said("error")
    await house.is_sound()
    return await house.edges() | {(each, "", "none") for each in await house.said("none")}


async def undisturbed(folder: Path, install: Install) -> tuple[int, set[tuple[str, str, str]]]:
    """How many calls there are, and the graph."""
    fault = Fault(0)
    async with living(folder, fault, install) as house:
        fault.armed = True
        assert await live(house)
        fault.armed = False
        return fault.calls, await everything(house)


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=pytest.mark.fault(10, each), id=each) for each in PORTS]
)
async def test_after_a_failed_call_the_graph_is_that_of_an_undisturbed_run(
    tmp_path: Path, reached: Reached, name: str
) -> None:
    install = PORTS[name]
    calls, expected = await undisturbed(tmp_path / "0", install)
    assert calls
    failed = different = 0
    for number in itertools.count(1, step := max(-(-calls // MOST), 1)):
        fault = Fault(number)
        async with living(tmp_path / str(number), fault, install) as house:
            fault.armed = True
            lived = await live(house)
            fault.armed = False
            await recover(house, lived=lived)
            different += len(await everything(house) ^ expected)
        if fault.calls < number:
            assert lived
            assert number > 0.8 * calls, "it came to its end too early"
            break
        failed += 1
    every = f"each of {calls}" if step == 1 else f"every {step}. of {calls}"
    reached(f"{every}: edges that differ afterwards", different, 0, times=failed)
