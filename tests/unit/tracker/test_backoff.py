"""The backoff policy: the table of delays, its cap and its end, and what jitter may do."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichd_tracker.backoff import BackoffPolicy

SCHEDULE = [
    (1, 5.0),  # the first failure
    (2, 10.0),
    (3, 20.0),
    (4, 40.0),
    (5, 80.0),
    (6, 160.0),
    (7, 320.0),  # would be the delay, but the seventh failure is the last
    (8, 320.0),  # capped
    (10_000, 320.0),  # and cheap
]

policies = st.builds(
    BackoffPolicy,
    initial_s=st.floats(0.01, 1000),
    factor=st.floats(1, 10),
    max_s=st.floats(0.01, 100_000),
    max_attempts=st.integers(1, 50),
    jitter=st.floats(0, 1),
)


@pytest.mark.parametrize(("attempts", "delay_s"), SCHEDULE)
def test_delays_double_from_5_s_and_are_capped_at_320_s(attempts: int, delay_s: float) -> None:
    assert BackoffPolicy().delay_s(attempts) == delay_s


@pytest.mark.parametrize(("attempts", "over"), [(1, False), (6, False), (7, True), (8, True)])
def test_the_seventh_failure_is_the_last(attempts: int, over: bool) -> None:
    assert BackoffPolicy().exhausted(attempts) is over


@pytest.mark.parametrize("attempts", [0, -1])
def test_there_is_no_delay_before_the_first_failure(attempts: int) -> None:
    with pytest.raises(ValueError, match="the first failure is number 1"):
        BackoffPolicy().delay_s(attempts)


@given(policies, st.integers(1, 60))
def test_delays_never_shrink_and_never_pass_the_cap(policy: BackoffPolicy, attempts: int) -> None:
    assert policy.delay_s(attempts) <= policy.delay_s(attempts + 1) <= policy.max_s


@given(policies, st.integers(1, 60), st.integers())
def test_jitter_keeps_a_delay_within_its_ratio(
    policy: BackoffPolicy, attempts: int, seed: int
) -> None:
    exact = policy.delay_s(attempts)
    delay = policy.delay_s(attempts, random.Random(seed))
    assert exact * (1 - policy.jitter) <= delay * (1 + 1e-9)
    assert delay <= exact * (1 + policy.jitter) * (1 + 1e-9)


@given(st.integers(1, 60), st.integers())
def test_without_jitter_the_schedule_is_exact_whatever_the_randomness(
    attempts: int, seed: int
) -> None:
    policy = BackoffPolicy(jitter=0.0)
    assert policy.delay_s(attempts, random.Random(seed)) == policy.delay_s(attempts)
