"""What was touched and not looked at, and when to look at what: the times are the test's own."""

from __future__ import annotations

import pytest

from enrichd.watch.changes import (
    AGAIN_S,
    LOOKING_SHARE,
    POLL_S,
    POLLING_SHARE,
    RECONCILE_S,
    Changes,
    Watching,
)


def kept() -> Changes:
    changes = Changes()
    changes.reconciles = True
    changes.watching = Watching.EVENTS
    return changes


def looked(changes: Changes, now: float, *, took_s: float = 0.0, found: bool = False) -> Changes:
    """A look at everything, from ``now`` on."""
    changes.ask(now)
    assert changes.begin(now).paths is None
    changes.end(now + took_s, found=found)
    return changes


def touch(changes: Changes, now: float, *paths: str, whole: bool = False) -> None:
    changes.touch(paths, now, whole=whole, folders=False)


def test_what_is_asked_for_is_due_at_once_and_is_a_look_at_everything() -> None:
    changes = kept()
    changes.ask(5.0)
    assert changes.due_at() == 5.0
    assert changes.begin(5.0).paths is None


def test_a_saved_file_is_looked_at_alone() -> None:
    changes = looked(kept(), 0.0)
    touch(changes, 10.0, "a.py")
    due = changes.due_at()
    assert due is not None
    assert 10.05 <= due <= 10.1
    assert changes.begin(due).paths == frozenset({"a.py"})


def test_a_file_waits_from_its_first_touch_until_the_look_that_began_after_it_has_ended() -> None:
    changes = looked(kept(), 0.0)
    touch(changes, 10.0, "a.py")
    touch(changes, 10.5, "a.py")
    assert (changes.pending(), changes.lag_s(11.0)) == (1, 1.0)
    changes.begin(11.0)
    touch(changes, 11.2, "a.py", "b.py")
    assert list(changes.paths()) == ["a.py", "b.py"]
    assert (changes.pending(), changes.lag_s(11.5)) == (2, 1.5)
    changes.end(11.5, found=True)
    assert changes.pending() == 2
    assert changes.lag_s(12.0) == pytest.approx(0.8)
    changes.begin(12.0)
    changes.end(12.5, found=True)
    assert (changes.pending(), changes.lag_s(13.0)) == (0, 0.0)


def test_while_a_look_is_under_way_no_other_is_due() -> None:
    changes = kept()
    changes.ask(0.0)
    changes.begin(0.0)
    touch(changes, 0.1, "a.py")
    changes.ask(0.2)
    assert changes.due_at() is None
    changes.end(0.5, found=False)
    assert changes.due_at() == 0.2


def test_many_files_are_looked_at_together_with_everything() -> None:
    changes = looked(kept(), 0.0)
    touch(changes, 10.0, *(f"{number}.py" for number in range(500)))
    assert changes.begin(11.0).paths is None


def test_after_a_storm_there_is_another_look_since_events_may_have_been_lost() -> None:
    changes = looked(kept(), 0.0)
    touch(changes, 10.0, *(f"{number}.py" for number in range(2_000)))
    changes.begin(12.0)
    changes.end(13.0, found=True)
    assert changes.due_at() == 13.0 + AGAIN_S
    changes.begin(14.0)
    changes.end(14.01, found=False)
    assert changes.due_at() == 14.01 + RECONCILE_S


def test_after_folders_there_is_another_look_since_their_files_may_not_have_been_told_of() -> None:
    changes = looked(kept(), 0.0)
    changes.touch(["new"], 10.0, whole=True, folders=True)
    assert changes.begin(10.1).paths is None
    changes.end(10.2, found=True)
    assert changes.due_at() == 10.2 + AGAIN_S


def test_looks_at_everything_that_find_nothing_do_not_take_all_of_the_time() -> None:
    changes = looked(kept(), 0.0)
    now = looking_s = 0.0
    while now < 100.0:
        touch(changes, now, "build", whole=True)
        due = changes.due_at()
        assert due is not None
        changes.begin(due)
        now = due + 0.5
        changes.end(now, found=False)
        looking_s += 0.5
    assert looking_s < 15.0


def test_a_saved_file_does_not_wait_for_such_looks() -> None:
    changes = looked(kept(), 0.0, took_s=2.0)
    touch(changes, 2.1, "a.py")
    due = changes.due_at()
    assert due is not None
    assert due < 2.2


def test_git_at_work_puts_off_what_was_asked_for_and_what_was_touched() -> None:
    changes = looked(kept(), 0.0)
    touch(changes, 10.0, "a.py")
    assert changes.due_at(locked=True) == 40.0
    changes.ask(10.0)
    assert changes.due_at(locked=True) == 40.0
    assert changes.due_at() == 10.0


@pytest.mark.parametrize(
    ("watching", "took_s", "after_s"),
    [
        (Watching.EVENTS, 0.01, RECONCILE_S),
        (Watching.EVENTS, 1.0, 1.0 / LOOKING_SHARE),
        (Watching.POLLING, 0.01, POLL_S),
        (Watching.POLLING, 1.0, 1.0 / POLLING_SHARE),
    ],
)
def test_everything_is_looked_at_now_and_then_within_its_share_of_the_time(
    watching: Watching, took_s: float, after_s: float
) -> None:
    changes = looked(kept(), 0.0, took_s=took_s)
    changes.watching = watching
    assert changes.due_at() == pytest.approx(took_s + after_s)


def test_what_nobody_keeps_current_is_looked_at_only_when_asked() -> None:
    assert looked(Changes(), 0.0).due_at() is None


def test_after_a_look_that_broke_off_everything_waits_as_before() -> None:
    changes = looked(kept(), 0.0)
    touch(changes, 10.0, "a.py")
    changes.begin(10.1)
    touch(changes, 10.2, "b.py")
    changes.fail(10.3, again_s=3.0)
    assert (changes.pending(), changes.lag_s(11.0)) == (2, 1.0)
    due = changes.due_at()
    assert due is not None
    assert changes.begin(due).paths is None


def test_after_a_failure_it_is_tried_again_in_time_where_nothing_else_happens() -> None:
    changes = kept()
    changes.ask(0.0)
    changes.begin(0.0)
    changes.fail(1.0, again_s=3.0)
    assert changes.due_at() == 4.0
    changes.begin(4.0)
    changes.fail(5.0, again_s=None)
    assert changes.due_at() == 5.0 + RECONCILE_S
