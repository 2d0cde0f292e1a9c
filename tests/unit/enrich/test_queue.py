from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.enrich.made import LANE, work

from enrichd.enrich.queue import WorkQueue
from enrichd_tracker.model import Lane

OTHER = Lane(2, "go")


def test_a_symbol_has_one_entry_while_it_waits_or_is_in_flight() -> None:
    queue = WorkQueue(10)
    queue.open(LANE)
    assert queue.put(LANE, [work(1), work(1), work(2)]) == 2
    taken = queue.take(LANE)
    assert taken is not None
    assert taken.symbol_id == 1
    assert 1 in queue
    assert queue.put(LANE, [work(1)]) == 0
    queue.done(1)
    assert 1 not in queue
    assert queue.put(LANE, [work(1)]) == 1
    assert (queue.depth, queue.known) == (2, 2)


def test_the_room_is_shared_out_evenly() -> None:
    queue = WorkQueue(10)
    queue.open(LANE)
    assert queue.room(LANE) == 10
    queue.open(OTHER)
    assert (queue.room(LANE), queue.room(OTHER)) == (5, 5)
    queue.put(LANE, [work(number) for number in range(5)])
    assert (queue.room(LANE), queue.room(OTHER)) == (0, 5)
    assert not queue.is_low(LANE)
    assert queue.is_low(OTHER)


def test_every_lane_has_room_for_one_however_many_there_are() -> None:
    queue = WorkQueue(1)
    for number in range(5):
        queue.open(Lane(number, "python"))
    assert {queue.room(Lane(number, "python")) for number in range(5)} == {1}


def test_what_is_picked_leaves_the_order_of_the_rest() -> None:
    queue = WorkQueue(10)
    queue.open(LANE)
    queue.put(LANE, [work(number) for number in range(6)])
    picked = queue.pick(LANE, lambda each: each.symbol_id % 2 == 1, 2)
    assert [each.symbol_id for each in picked] == [1, 3]
    assert 1 in queue
    left = [queue.take(LANE) for _ in range(4)]
    assert [each.symbol_id for each in left if each] == [0, 2, 4, 5]
    assert queue.pick(LANE, lambda each: True, 1) == []
    assert queue.pick(OTHER, lambda each: True, 1) == []


def test_a_closed_lane_gives_back_what_waited() -> None:
    queue = WorkQueue(10)
    queue.open(LANE)
    queue.put(LANE, [work(1), work(2)])
    queue.take(LANE)
    assert [each.symbol_id for each in queue.close(LANE)] == [2]
    assert (1 in queue, 2 in queue) == (True, False)
    assert queue.take(LANE) is None
    assert queue.close(LANE) == []


@given(
    st.integers(1, 20),
    st.lists(
        st.tuples(st.sampled_from([LANE, OTHER]), st.sampled_from(["fill", "take"]), st.booleans()),
        max_size=60,
    ),
)
def test_it_never_holds_more_than_its_size_if_it_is_filled_as_far_as_there_is_room(
    size: int, steps: list[tuple[Lane, str, bool]]
) -> None:
    queue = WorkQueue(size)
    queue.open(LANE)
    queue.open(OTHER)
    number = 0
    for lane, step, finish in steps:
        if step == "fill":
            room = queue.room(lane)
            queue.put(lane, [work(number + each, lane=lane) for each in range(room)])
            number += room
        elif (taken := queue.take(lane)) is not None and finish:
            queue.done(taken.symbol_id)
        assert queue.depth <= max(size, 2)
        assert queue.known >= queue.depth
