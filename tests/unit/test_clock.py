"""The clocks: the fake one keeps the laws of the real one, without the waiting."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichd.clock import FakeClock, SystemClock, within

delays = st.floats(min_value=0.001, max_value=1e6)


async def settle() -> None:
    """Let every task that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


@given(st.lists(delays, max_size=20), st.lists(delays, max_size=20))
def test_sleepers_wake_in_order_of_deadline_and_never_early(
    asleep_s: list[float], steps_s: list[float]
) -> None:
    async def scenario() -> None:
        clock = FakeClock()
        woken: list[tuple[float, int]] = []

        async def sleeper(number: int, delay_s: float) -> None:
            await clock.sleep(delay_s)
            assert clock.monotonic() >= delay_s
            woken.append((delay_s, number))

        tasks = [asyncio.create_task(sleeper(*each)) for each in enumerate(asleep_s)]
        await settle()
        for step_s in steps_s:
            clock.advance(step_s)
            await settle()
            due = sorted((s, n) for n, s in enumerate(asleep_s) if s <= clock.monotonic())
            assert woken == due
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(scenario())


@given(st.lists(delays, min_size=1, max_size=20))
def test_jumps_reach_every_deadline(asleep_s: list[float]) -> None:
    async def scenario() -> None:
        clock = FakeClock()
        tasks = [asyncio.create_task(clock.sleep(delay_s)) for delay_s in asleep_s]
        await settle()
        for deadline in sorted(set(asleep_s)):
            assert clock.next_deadline() == deadline
            clock.jump()
            await settle()
        assert all(task.done() for task in tasks)
        assert clock.next_deadline() is None

    asyncio.run(scenario())


@given(st.lists(delays, max_size=20), st.floats(min_value=-1e9, max_value=1e9))
def test_the_wall_clock_may_jump_and_nothing_else_does(steps_s: list[float], wall: float) -> None:
    clock = FakeClock()
    clock.advance(1.0)
    clock.set_wall(wall)
    assert (clock.monotonic(), clock.time()) == (1.0, wall)
    for step_s in steps_s:
        clock.advance(step_s)
    assert clock.monotonic() == pytest.approx(1.0 + sum(steps_s))
    assert clock.time() - wall == pytest.approx(sum(steps_s), abs=1e-3)


async def test_a_wall_jump_wakes_nobody() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(5))
    await settle()
    clock.set_wall(clock.time() + 86_400)
    await settle()
    assert not task.done()
    clock.advance(5)
    await task


async def test_equal_deadlines_wake_first_come_first_served() -> None:
    clock = FakeClock()
    woken: list[int] = []

    async def sleeper(number: int) -> None:
        await clock.sleep(3)
        woken.append(number)

    tasks = [asyncio.create_task(sleeper(number)) for number in range(5)]
    await settle()
    assert clock.jump() == 3
    await asyncio.gather(*tasks)
    assert woken == [0, 1, 2, 3, 4]


async def test_a_cancelled_sleeper_is_no_deadline() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(3))
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert clock.next_deadline() is None
    assert clock.jump() == 0.0
    assert clock.monotonic() == 0.0


@pytest.mark.parametrize("delay_s", [0.0, -1.0])
@pytest.mark.parametrize("clock", [FakeClock(), SystemClock()], ids=["fake", "system"])
async def test_no_delay_lets_the_others_run_once(
    clock: FakeClock | SystemClock, delay_s: float
) -> None:
    ran = asyncio.Event()
    asyncio.get_running_loop().call_soon(ran.set)
    await clock.sleep(delay_s)
    assert ran.is_set()


async def test_within_gives_the_result_and_leaves_no_timer() -> None:
    clock = FakeClock()

    async def work() -> str:
        await clock.sleep(4)
        return "done"

    task = asyncio.create_task(within(clock, 5, work()))
    await settle()
    clock.advance(4)
    assert await task == "done"
    assert clock.next_deadline() is None


async def test_within_cancels_the_work_and_waits_for_its_end_when_the_time_is_up() -> None:
    clock = FakeClock()
    ended: list[str] = []

    async def work() -> None:
        try:
            await clock.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.append("cleaned up")

    task = asyncio.create_task(within(clock, 5, work()))
    await settle()
    clock.advance(5)
    with pytest.raises(TimeoutError, match="not done within 5 s"):
        await task
    assert ended == ["cleaned up"]


async def test_within_passes_on_what_the_work_raises() -> None:
    async def work() -> None:
        raise KeyError("its own")

    with pytest.raises(KeyError, match="its own"):
        await within(FakeClock(), 5, work())


async def test_within_takes_the_work_along_when_it_is_cancelled_itself() -> None:
    clock = FakeClock()
    work = asyncio.create_task(clock.sleep(60))
    task = asyncio.create_task(within(clock, 5, work))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.cancelled()
    assert clock.next_deadline() is None


async def test_the_system_clock_is_the_machines() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0.001)
    assert clock.monotonic() - before >= 0.001
    assert abs(clock.time() - time.time()) < 60
