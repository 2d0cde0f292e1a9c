"""How long the drift check rests: its share of the time, and questions a minute, are bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichd.enrich.drift import (
    CHECKING_SHARE,
    LEAST_REST_S,
    MOST_REST_S,
    QUESTIONS_A_MINUTE,
    rest_s,
)

ROWS = [
    (0.0, 0, LEAST_REST_S),  # nothing was found that could be checked
    (0.01, 20, LEAST_REST_S),
    (0.1, 20, 500.0),  # it took long
    (25.0, 20, MOST_REST_S),  # most of that was waiting for an answer that did not come
    (0.01, 300, 300.0),  # it asked a lot
    (0.1, 3000, 3000.0),
]


@pytest.mark.parametrize(("spent_s", "questions", "expected_s"), ROWS)
def test_the_rest_follows_from_what_the_last_round_cost(
    spent_s: float, questions: int, expected_s: float
) -> None:
    assert rest_s(spent_s, questions) == pytest.approx(expected_s)


@given(st.floats(0, CHECKING_SHARE * MOST_REST_S), st.integers(0, 10_000))
def test_neither_the_share_nor_the_rate_is_exceeded(spent_s: float, questions: int) -> None:
    rest = rest_s(spent_s, questions)
    assert spent_s <= rest * CHECKING_SHARE * 1.000001
    assert questions <= rest / 60.0 * QUESTIONS_A_MINUTE + 1e-6
