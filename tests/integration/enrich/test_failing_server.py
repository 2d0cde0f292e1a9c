"""A server that answers with errors: the schedule, the records, the end, and never a `none`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from tests.figures import Reached
from tests.integration.enrich.house import ASKED, House

from enrichd.lsp.states import ServerState

INTERNAL_ERROR = -32603
REQUEST_FAILED = -32803
SCHEDULE = [5.0, 10.0, 20.0, 40.0, 80.0, 160.0]

Build = Callable[..., House]


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


async def until_first_failure(house: House) -> float:
    await house.until_state(ServerState.DEGRADED)
    await house.until(lambda: house.app.enrichment.tracker.get_stats().total_failed == len(ASKED))
    return house.clock.time()


async def check_records(house: House, attempts: int, delay_s: float) -> None:
    records = await house.failures()
    assert sorted(records) == ASKED
    for record in records.values():
        assert record.attempts == attempts
        assert record.last_attempt_at == house.clock.time()
        assert record.next_retry_at == house.clock.time() + delay_s
        assert not record.skipped
        assert record.server == "fake"
        assert record.reason == "InternalError: as it was told to"
    assert await house.said("error") == {}
    assert await house.said("none") == {}
    assert await house.orphans() == ASKED
    counts = house.app.enrichment.tracker.get_stats()
    assert (counts.backing_off, counts.permanently_skipped) == (len(ASKED), 0)


async def check_the_end(house: House) -> None:
    records = await house.failures()
    assert sorted(records) == ASKED
    for record in records.values():
        assert (record.attempts, record.next_retry_at, record.skipped) == (7, None, True)
    errors = await house.said("error")
    assert sorted(errors) == ASKED
    for error in errors.values():
        assert (error.server, error.version) == ("fake", "1")
        assert error.reason == "InternalError: as it was told to"
    assert await house.said("none") == {}
    assert await house.orphans() == []
    counts = house.app.enrichment.tracker.get_stats()
    assert (counts.backing_off, counts.permanently_skipped) == (0, len(ASKED))


@pytest.mark.fault(6, "an error on every request, until seven attempts are used up")
async def test_errors_on_every_request_end_in_seven_attempts_on_the_exact_schedule(
    build: Build, reached: Reached
) -> None:
    house = build()
    house.serve_with(fail_with=INTERNAL_ERROR)
    await house.open()
    await until_first_failure(house)
    for attempt, delay_s in enumerate(SCHEDULE, 1):
        await check_records(house, attempt, delay_s)
        records = await house.failures()
        await house.pass_time(delay_s - 0.001)
        assert await house.failures() == records
        await house.pass_time(0.001)
    await check_the_end(house)
    await house.pass_time(400.0)
    asked = house.asked_at().values()
    for times in asked:
        assert gaps(times) == SCHEDULE
    await check_the_end(house)
    late_s = max(
        abs(gap - delay_s)
        for times in asked
        for gap, delay_s in zip(gaps(times), SCHEDULE, strict=True)
    )
    reached("attempts of each symbol", max(map(len, asked)), 7, times=len(ASKED))
    reached("off the schedule", late_s, 0, "s", times=len(SCHEDULE) * len(asked))
    reached("symbols with `none`", len(await house.said("none")), 0, times=len(ASKED))
    await house.is_sound()


@pytest.mark.parametrize("restart_after_s", [7.0, 100.0, 400.0])
async def test_the_schedule_goes_on_where_it_was_after_a_restart(
    build: Build, restart_after_s: float
) -> None:
    house = build()
    house.serve_with(fail_with=INTERNAL_ERROR, only="shop.py")
    await house.open()
    await house.until(lambda: house.app.enrichment.tracker.get_stats().total_failed == len(ASKED))
    first = house.clock.time()
    for attempt, delay_s in enumerate(SCHEDULE, 1):
        await check_records(house, attempt, delay_s)
        due = house.clock.time() + delay_s
        if house.clock.time() - first <= restart_after_s < due - first:
            await house.pass_time(restart_after_s - (house.clock.time() - first))
            records = await house.failures()
            await house.restart()
            assert await house.failures() == records
        await house.pass_time(due - house.clock.time())
    await check_the_end(house)
    if restart_after_s > sum(SCHEDULE):
        await house.restart()
        await house.pass_time(1000.0)
        await check_the_end(house)
    for times in house.asked_at().values():
        assert gaps(times) == pytest.approx(SCHEDULE, abs=0.1)
    await house.is_sound()


async def test_what_became_due_while_the_server_was_not_ready_waits_without_a_tick_too_many(
    build: Build,
) -> None:
    house = build()
    house.serve_with(fail_with=INTERNAL_ERROR)
    await house.open()
    await until_first_failure(house)
    await house.restart()
    ticks = house.ticks
    await house.pass_time(50.0)  # due after 5 s, but the server has 60 s to prove itself
    assert {each.attempts for each in (await house.failures()).values()} == {1}
    assert house.ticks - ticks <= 50.0 / 5.0 + 3
    await house.pass_time(15.0)
    assert {each.attempts for each in (await house.failures()).values()} == {2}


async def test_success_after_failures_clears_the_record(build: Build) -> None:
    house = build()
    house.serve_with(fail_with=REQUEST_FAILED)
    await house.open()
    await until_first_failure(house)
    await house.pass_time(5.0)
    assert {each.attempts for each in (await house.failures()).values()} == {2}
    house.change_server(fail_with=None)
    await house.pass_time(10.0)
    assert await house.failures() == {}
    assert await house.said("error") == {}
    assert ("shop.py/main().", "calls", "base.py/helper().") in await house.edges()
    assert ("shop.py/Shop#", "inherits", "base.py/Base#") in await house.edges()
    assert ("shop.py/Shop#run().", "overrides", "base.py/Base#run().") in await house.edges()
    assert await house.orphans() == []
    assert house.app.enrichment.tracker.get_stats().total_failed == 0
    await house.is_sound()
