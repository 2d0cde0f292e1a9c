"""The wall clock is set, the machine sleeps: no storm of questions, no symbol that is frozen."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from tests.figures import Reached
from tests.integration.enrich.house import ASKED, House
from tests.integration.enrich.oracle import Oracle

from enrichd.lsp.states import ServerState

DAY_S = 86_400.0
HOUR_S = 3_600.0
SCHEDULE = [5.0, 10.0, 20.0, 40.0, 80.0, 160.0]
INTERNAL_ERROR = -32603
CALLS = ("shop.py/main().", "calls", "base.py/helper().")

Build = Callable[..., House]


async def until_first_failure(house: House) -> None:
    await house.until(lambda: house.app.enrichment.tracker.get_stats().total_failed == len(ASKED))


async def heals(house: House) -> None:
    """Once the server is right again, so is the graph."""
    house.change_server(fail_with=None)
    await house.app.retry([each.symbol_id for each in (await house.failures()).values()])
    await house.until_settled(within_s=60.0)
    assert CALLS in await house.edges()
    assert await house.failures() == {}
    assert await house.orphans() == []
    await house.is_sound()


@pytest.mark.fault(19, "the wall clock jumps by a day in the middle of the schedule")
@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S])
async def test_a_wall_clock_that_jumps_leaves_the_schedule_as_it_was(
    build: Build, reached: Reached, jump_s: float
) -> None:
    house = build()
    house.serve_with(fail_with=INTERNAL_ERROR, only="shop.py")
    await house.open()
    await until_first_failure(house)
    await house.pass_time(6.0)  # one second into the wait of ten
    house.clock.set_wall(house.clock.time() + jump_s)
    await house.pass_time(400.0)
    off_s = 0.0
    for times in house.asked_at().values():
        gaps = [later - earlier for earlier, later in pairwise(times)]
        gaps[1] -= jump_s
        assert len(gaps) == len(SCHEDULE)
        off_s = max(off_s, *(abs(gap - wanted) for gap, wanted in zip(gaps, SCHEDULE, strict=True)))
    reached(f"{jump_s:+,.0f} s: off the schedule", off_s, 0.0, "s", times=len(ASKED))
    records = await house.failures()
    assert sorted(records) == ASKED
    assert {(each.attempts, each.skipped) for each in records.values()} == {(7, True)}
    assert house.starts == 1
    await heals(house)


@pytest.mark.fault(19, "an hour asleep, with everybody backing off")
async def test_an_hour_asleep_costs_everybody_one_attempt_and_then_the_schedule_goes_on(
    build: Build, reached: Reached
) -> None:
    house = build()
    house.serve_with(fail_with=INTERNAL_ERROR, only="shop.py")
    await house.open()
    await until_first_failure(house)
    ticks, rounds = house.ticks, house.rounds
    house.clock.advance(HOUR_S)  # all at once, as a machine wakes up
    await house.settle()
    records = await house.failures()
    reached(
        "attempts at once", max(each.attempts for each in records.values()) - 1, 1, times=len(ASKED)
    )
    reached("ticks at once", house.ticks - ticks, 3)
    reached("rounds of the lane at once", house.rounds - rounds, 10)
    assert sorted(records) == ASKED
    await house.pass_time(400.0)
    for times in house.asked_at().values():
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert gaps == [HOUR_S, *SCHEDULE[1:]]
    assert house.starts == 1
    await heals(house)


@pytest.mark.fault(19, "an hour asleep, with questions in flight")
async def test_an_hour_asleep_with_questions_in_flight_costs_one_attempt_at_most(
    oracle: Oracle, reached: Reached
) -> None:
    """When it wakes up they are all late."""
    house = oracle.house
    oracle.silent_about = "shop.py"
    await house.open()
    await house.until_state(ServerState.READY)
    await house.settle()
    assert await house.orphans() == ASKED
    begun = house.clock.monotonic()
    house.clock.advance(HOUR_S)
    oracle.silent_about = ""
    await house.settle()
    charged = max((each.attempts for each in (await house.failures()).values()), default=0)
    reached("attempts charged", charged, 1, times=len(ASKED))
    await house.until_settled(within_s=30.0)
    reached("enriched after", house.clock.monotonic() - begun - HOUR_S, 30.0, "s", times=len(ASKED))
    reached("servers started afresh", len(oracle.spawn.servers) - 1, 1)
    assert await house.failures() == {}
    assert CALLS in await house.edges()
    await house.is_sound()
