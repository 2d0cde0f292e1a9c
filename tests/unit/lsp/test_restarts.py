from __future__ import annotations

import random

import pytest

from enrichd.lsp.restarts import MOST_EXCUSES, Restarts

DAY_S = 86_400.0


def middle() -> float:
    return 0.5


def test_rests_double_from_one_second_to_three_hundred() -> None:
    restarts = Restarts(middle)
    now, rests = 0.0, []
    for _ in range(11):
        now += 200.0  # far enough apart for the breaker
        rests.append(restarts.died(now, None, 0))
    assert rests == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_rests_are_spread_by_a_fifth() -> None:
    assert Restarts(lambda: 0.0).died(0.0, None, 0) == pytest.approx(0.8)
    assert Restarts(lambda: 1.0).died(0.0, None, 0) == pytest.approx(1.2)


def test_five_deaths_in_180_seconds_open_the_breaker() -> None:
    restarts = Restarts(middle)
    rests = [restarts.died(at, None, 0) for at in (0.0, 45.0, 90.0, 135.0, 180.0)]
    assert rests[:4] == [1, 2, 4, 8]
    assert restarts.breaker_open
    assert rests[4] == 320.0


def test_five_deaths_in_more_than_180_seconds_do_not() -> None:
    restarts = Restarts(middle)
    for at in (0.0, 45.0, 90.0, 135.0, 180.1):
        restarts.died(at, None, 0)
    assert not restarts.breaker_open


def test_an_open_breaker_lets_one_probe_through_at_a_time() -> None:
    restarts = Restarts(middle)
    for at in range(5):
        restarts.died(float(at), None, 0)
    assert restarts.died(400.0, None, 0) == 320.0
    assert restarts.died(800.0, 30.0, 99) == 320.0  # ready, but not proven healthy


@pytest.mark.parametrize(("ready_for_s", "answers"), [(600.0, 0), (5.0, 100)])
def test_proven_health_forgives(ready_for_s: float, answers: int) -> None:
    restarts = Restarts(middle)
    for at in range(5):
        restarts.died(float(at), None, 0)
    assert restarts.died(1000.0, ready_for_s, answers) == 1.0
    assert not restarts.breaker_open


def test_too_much_memory_is_no_death() -> None:
    restarts = Restarts(middle)
    for _ in range(10):
        assert restarts.outgrew(60.0, 0, ready=True)
    assert not restarts.breaker_open
    assert restarts.died(1000.0, None, 0) == 1.0


def test_who_takes_too_much_again_must_have_been_of_use_in_between() -> None:
    restarts = Restarts(middle)
    assert restarts.outgrew(0.0, 0, ready=False)
    assert restarts.outgrew(60.0, 0, ready=False)
    assert restarts.outgrew(0.0, 100, ready=True)
    assert not restarts.outgrew(59.9, 99, ready=True)
    assert not restarts.outgrew(0.0, 0, ready=True)


@pytest.mark.parametrize(
    ("ready", "answers", "rest"), [(True, 100, 1.0), (True, 99, 320.0), (False, 100, 320.0)]
)
def test_a_life_that_ended_for_its_size_may_have_proved_its_health(
    ready: bool, answers: int, rest: float
) -> None:
    restarts = Restarts(middle)
    for at in range(5):
        restarts.died(float(at), None, 0)
    restarts.outgrew(10.0, answers, ready=ready)
    assert restarts.died(1000.0, None, 0) == rest


def test_what_is_forgiven_counts_no_more() -> None:
    restarts = Restarts(middle)
    for at in range(4):
        restarts.died(float(at), None, 0)
    restarts.outgrew(0.0, 0, ready=False)
    restarts.forgive()
    assert restarts.outgrew(0.0, 0, ready=False)
    assert [restarts.died(4.0 + at, None, 0) for at in range(5)] == [1, 2, 4, 8, 320]
    restarts.forgive()
    assert not restarts.breaker_open


def die_excused(restarts: Restarts, now: float, answers: int = 0) -> float:
    restarts.excused = True
    return restarts.died(now, None if not answers else 1.0, answers)


def test_a_death_that_is_a_symbols_counts_for_nothing() -> None:
    restarts = Restarts(middle)
    assert [die_excused(restarts, float(at)) for at in range(10)] == [1.0] * 10
    assert not restarts.breaker_open
    assert [restarts.died(10.0 + at, None, 0) for at in range(5)] == [1, 2, 4, 8, 320]


def test_excuses_run_out_until_health_is_proven() -> None:
    restarts = Restarts(middle)
    rests = [die_excused(restarts, float(at)) for at in range(MOST_EXCUSES + 5)]
    assert rests == [1.0] * MOST_EXCUSES + [1, 2, 4, 8, 320]
    assert die_excused(restarts, 1000.0) == 320.0, "no excuse shuts an open breaker"
    assert die_excused(restarts, 2000.0, answers=100) == 1.0
    assert not restarts.breaker_open


def test_a_guilty_symbol_takes_the_death_before_its_trial_upon_itself() -> None:
    restarts = Restarts(middle)
    for at in range(20):
        assert restarts.died(float(at), None, 0) == 1.0
        restarts.pardon()
    restarts.pardon()
    assert not restarts.breaker_open


@pytest.mark.parametrize("seed", range(5))
def test_a_day_of_deaths_with_every_excuse_takes_at_most_300_spawns(seed: int) -> None:
    restarts = Restarts(random.Random(seed).random)
    now, spawns = 0.0, 0
    while now < DAY_S:
        spawns += 1
        now += 0.5 + die_excused(restarts, now)
        if spawns % MOST_EXCUSES == 3:
            restarts.pardon()
    assert spawns <= 300


def test_ten_years_of_deaths_do_not_overflow() -> None:
    restarts = Restarts(middle)
    rests = {restarts.died(n * 1000.0, None, 0) for n in range(2000)}
    assert max(rests) == 300.0


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("life_s", [0.0, 0.5, 10.0, 40.0, 60.0])
def test_a_day_of_crash_loop_takes_at_most_300_spawns(seed: int, life_s: float) -> None:
    restarts = Restarts(random.Random(seed).random)
    now, spawns = 0.0, 0
    while now < DAY_S:
        spawns += 1
        now += life_s
        now += restarts.died(now, None, 0)
    assert spawns <= 300


@pytest.mark.parametrize("at", [0.0, 1.0])
def test_an_open_breaker_heals_within_360_seconds(at: float) -> None:
    restarts = Restarts(lambda: at)
    rest = max(restarts.died(float(n), None, 0) for n in range(10))
    assert rest <= 340.0
