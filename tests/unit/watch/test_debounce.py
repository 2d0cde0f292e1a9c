"""When a burst of changes is over: the times are the test's own."""

from __future__ import annotations

import pytest

from enrichd.watch.debounce import LOCK_PATIENCE_S, MOST_QUIET_S, QUIET_S, Burst


def due(burst: Burst, *, locked: bool = False) -> float:
    found = burst.due_at(locked=locked)
    assert found is not None
    return found


def test_where_nothing_changed_nothing_is_due() -> None:
    assert Burst().due_at(locked=False) is None
    assert Burst().due_at(locked=True) is None


def test_a_single_save_is_taken_up_at_once() -> None:
    burst = Burst()
    burst.add(10.0, 1)
    assert 10.05 <= due(burst) <= 10.1


def test_every_further_save_puts_the_end_off() -> None:
    burst = Burst()
    burst.add(10.0, 1)
    burst.add(10.05, 1)
    assert due(burst) == pytest.approx(10.05 + QUIET_S, abs=0.01)


@pytest.mark.parametrize(("changes", "quiet_s"), [(1, 0.06), (100, 0.16), (900, 0.96)])
def test_the_more_came_the_longer_the_quiet_that_ends_it(changes: int, quiet_s: float) -> None:
    burst = Burst()
    burst.add(0.0, changes)
    assert due(burst) == pytest.approx(quiet_s, abs=0.01)


def test_no_storm_needs_more_than_the_longest_quiet() -> None:
    burst = Burst()
    burst.add(0.0, 1_000_000)
    assert due(burst) == MOST_QUIET_S


@pytest.mark.parametrize(("at_once", "within_s"), [(1, 3.0), (100, 11.0), (10_000, 11.0)])
def test_changes_without_an_end_are_taken_up_some_time(at_once: int, within_s: float) -> None:
    burst, now = Burst(), 0.0
    burst.add(now, at_once)
    while due(burst) > now:
        now += 0.04
        burst.add(now, at_once)
        assert now < within_s


def test_while_git_is_at_work_a_burst_waits_but_not_for_ever() -> None:
    burst = Burst()
    burst.add(10.0, 1)
    assert due(burst, locked=True) == 10.0 + LOCK_PATIENCE_S
    assert due(burst) < 10.1


def test_what_was_taken_up_is_over() -> None:
    burst = Burst()
    burst.add(10.0, 5)
    burst.clear()
    assert (burst.due_at(locked=False), burst.size) == (None, 0)
    burst.add(20.0, 1)
    assert due(burst) == pytest.approx(20.0 + QUIET_S, abs=0.01)
