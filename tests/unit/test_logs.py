"""Lines that are alike are bounded, and what is left out is counted."""

from __future__ import annotations

from typing import Any

import structlog

from enrichd.clock import FakeClock
from enrichd.logs import MOST_ALIKE, WINDOW_S, Repeats


def written(repeats: Repeats, **line: object) -> dict[str, Any] | None:
    try:
        return dict(repeats(None, "info", {"event": "something", **line}))
    except structlog.DropEvent:
        return None


def test_more_than_so_many_alike_are_left_out_and_the_next_says_how_many() -> None:
    clock = FakeClock()
    repeats = Repeats(clock.monotonic)
    lines = [written(repeats, action="symbol_failed", symbol=str(n)) for n in range(10_000)]
    assert sum(line is not None for line in lines) == MOST_ALIKE
    assert written(repeats, action="indexed") is not None, "others are not touched by it"
    clock.advance(WINDOW_S)
    later = written(repeats, action="symbol_failed")
    assert later is not None
    assert later["left_out"] == 10_000 - MOST_ALIKE
    again = written(repeats, action="symbol_failed")
    assert again is not None
    assert "left_out" not in again


def test_what_comes_slowly_is_all_written() -> None:
    clock = FakeClock()
    repeats = Repeats(clock.monotonic)
    for _ in range(3 * MOST_ALIKE):
        clock.advance(1.5 * WINDOW_S / MOST_ALIKE)
        line = written(repeats, action="indexed")
        assert line is not None
        assert "left_out" not in line


def test_what_has_no_action_is_nobodys_repetition() -> None:
    repeats = Repeats(FakeClock().monotonic)
    assert all(written(repeats) is not None for _ in range(2 * MOST_ALIKE))
