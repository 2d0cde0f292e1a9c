"""When an answer is believed at once, when it is held back, when it is asked for again."""

from __future__ import annotations

from tests.unit.enrich.made import DeafLedger, work

from enrichd.enrich.attempt import Ask, Attempt
from enrichd.enrich.flight import HORIZON, MAX_LOOKS, Flight
from enrichd.lsp.wire import Answered, Died, Target
from enrichd_tracker.model import Binding, Role, Site

INSIDE = Target("file:///root/m.py", 3, 0)
OUTSIDE = Target("file:///cache/os.pyi", 5, 0)
SITE = Site("path", 0, 0, Role.REFERENCE, Binding.IMPORTED)


def ask() -> Ask:
    attempt = Attempt(work(1), lambda _ask, _reply: None, DeafLedger())
    return Ask(attempt, SITE, uri=b'"file:///root/m.py"', line=0, character=0)


def flight(*, made_just_now: bool = True) -> Flight:
    return Flight("file:///root", lambda _uri: made_just_now)


def test_an_empty_answer_is_asked_for_again_when_another_first_saw_a_new_file_meanwhile() -> None:
    inflight, loser, winner = flight(), ask(), ask()
    inflight.send(loser)
    inflight.send(winner)
    assert inflight.land(loser, Answered([]), matters=True) == ([], [])
    settled, again = inflight.land(winner, Answered([OUTSIDE]), matters=True)
    assert again == [loser]
    assert [each for each, _ in settled] == [winner] or not settled


def test_it_does_not_matter_which_of_the_two_is_answered_first() -> None:
    inflight, loser, winner = flight(), ask(), ask()
    inflight.send(loser)
    inflight.send(winner)
    inflight.land(winner, Answered([OUTSIDE]), matters=True)
    _, again = inflight.land(loser, Answered([]), matters=True)
    assert again == [loser]


def test_a_file_that_was_there_before_puts_nothing_into_doubt() -> None:
    inflight, empty, other = flight(made_just_now=False), ask(), ask()
    inflight.send(empty)
    inflight.send(other)
    inflight.land(other, Answered([OUTSIDE]), matters=True)
    settled, again = inflight.land(empty, Answered([]), matters=True)
    assert again == []
    assert (empty, Answered([])) in settled


def test_what_would_not_be_kept_is_settled_at_once() -> None:
    inflight, one, other = flight(), ask(), ask()
    inflight.send(one)
    inflight.send(other)
    assert inflight.land(one, Answered([INSIDE]), matters=False) == (
        [(one, Answered([INSIDE]))],
        [],
    )


def test_a_held_answer_is_settled_once_enough_has_been_asked_after_it() -> None:
    inflight, held = flight(), ask()
    other = ask()
    inflight.send(held)
    inflight.send(other)
    assert inflight.land(held, Answered([]), matters=True) == ([], [])
    done: list[Ask] = []
    for _ in range(HORIZON + 3):
        following = ask()
        inflight.send(following)
        settled, again = inflight.land(other, Answered([INSIDE]), matters=False)
        assert again == []
        done += [each for each, _ in settled]
        other = following
    assert held in done


def test_nothing_is_held_back_when_nothing_is_in_flight() -> None:
    inflight, only = flight(), ask()
    inflight.send(only)
    assert inflight.land(only, Answered([]), matters=True) == ([(only, Answered([]))], [])


def test_a_death_settles_everything_that_was_held_back() -> None:
    inflight, held, last = flight(), ask(), ask()
    inflight.send(held)
    inflight.send(last)
    inflight.land(held, Answered([]), matters=True)
    settled, again = inflight.land(last, Died("gone"), matters=True)
    assert again == []
    assert {each for each, _ in settled} == {held, last}


def test_doubt_has_an_end() -> None:
    inflight, doubted = flight(), ask()
    for look in range(MAX_LOOKS + 1):
        first = ask()
        inflight.send(doubted)
        inflight.send(first)
        target = Target(f"file:///cache/{look}.pyi", 0, 0)
        inflight.land(first, Answered([target]), matters=True)
        settled, again = inflight.land(doubted, Answered([]), matters=True)
        if look < MAX_LOOKS:
            assert again == [doubted]
        else:
            assert (doubted, Answered([])) in settled
