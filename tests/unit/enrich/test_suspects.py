from __future__ import annotations

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.unit.enrich.made import work

from enrichd.enrich.charging import Verdict
from enrichd.enrich.suspects import MAX_POISON_DEATHS, Suspects
from enrichd_tracker.model import Work


def nobody() -> Work | None:
    return None


def test_a_death_in_company_charges_nobody_and_has_each_tried_alone() -> None:
    suspects = Suspects()
    for number in range(3):
        assert suspects.died(work(number), "boom", hung=False) is None
    for number in range(3):
        assert suspects.next_alone(nobody) == work(number)
        assert suspects.next_alone(nobody) is None
        suspects.survived(work(number))
    assert not suspects.isolating


def test_who_is_alone_is_charged_and_skipped_after_three_deaths() -> None:
    suspects = Suspects()
    suspects.died(work(1), "boom", hung=False)
    verdicts = []
    for _ in range(MAX_POISON_DEATHS):
        assert suspects.next_alone(nobody) == work(1)
        judgement = suspects.died(work(1), "boom", hung=False)
        assert judgement is not None
        assert "boom" in judgement.reason
        assert judgement.label == "poison"
        verdicts.append(judgement.verdict)
        assert suspects.is_known(work(1)) == (judgement.verdict is Verdict.CHARGED)
        suspects.add([work(1)])
    assert verdicts == [Verdict.CHARGED, Verdict.CHARGED, Verdict.DEFINITIVE]


def test_a_hang_is_a_symbols_only_if_others_were_answered_since_the_last() -> None:
    suspects = Suspects()
    suspects.died(work(1), "silence", hung=True)
    assert suspects.next_alone(nobody) == work(1)
    assert suspects.died(work(1), "silence", hung=True) is None
    control = [work(2)]
    assert suspects.next_alone(control.pop) == work(2)
    suspects.survived(work(2))
    assert suspects.next_alone(nobody) == work(1)
    assert suspects.died(work(1), "silence", hung=True) is not None


def test_where_all_hang_in_turn_nobody_is_ever_charged() -> None:
    suspects = Suspects()
    orphans = deque(work(number) for number in range(5))
    suspects.died(orphans.popleft(), "silence", hung=True)
    for _ in range(50):
        suspect = suspects.next_alone(lambda: orphans.popleft() if orphans else None)
        assert suspect is not None
        assert suspects.died(suspect, "silence", hung=True) is None


def test_who_hangs_again_and_again_with_nobody_else_to_ask_is_charged() -> None:
    suspects = Suspects()
    suspects.died(work(1), "silence", hung=True)
    assert suspects.next_alone(nobody) == work(1)
    assert suspects.died(work(1), "silence", hung=True) is None
    assert suspects.next_alone(nobody) == work(1)
    assert suspects.died(work(1), "silence", hung=True) is not None


def test_a_trial_without_a_verdict_ends() -> None:
    suspects = Suspects()
    suspects.add([work(1)])
    assert suspects.next_alone(nobody) == work(1)
    suspects.leave(work(1))
    assert not suspects.isolating


class Trials(RuleBasedStateMachine):
    """Whatever happens, everybody is in one place, and who is charged was alone."""

    def __init__(self) -> None:
        super().__init__()
        self.suspects = Suspects()
        self.orphans = deque(work(number) for number in range(6))
        self.in_flight: list[Work] = []
        self.kept: set[int] = set()
        self.charges: dict[int, int] = {}

    def take(self) -> Work | None:
        return self.orphans.popleft() if self.orphans else None

    @precondition(lambda self: not self.suspects.isolating)
    @rule(count=st.integers(1, 3))
    def begin(self, count: int) -> None:
        for _ in range(min(count, len(self.orphans))):
            one = self.orphans.popleft()
            if self.suspects.is_known(one):
                self.suspects.add([one])
                self.kept.add(one.symbol_id)
                return
            self.in_flight.append(one)

    @precondition(lambda self: self.suspects.isolating and not self.in_flight)
    @rule()
    def begin_alone(self) -> None:
        one = self.suspects.next_alone(self.take)
        assert one is not None
        self.kept.discard(one.symbol_id)
        self.in_flight.append(one)

    @precondition(lambda self: self.in_flight)
    @rule()
    def answer(self) -> None:
        one = self.in_flight.pop()
        self.suspects.survived(one)
        self.orphans.append(one)

    @precondition(lambda self: self.in_flight)
    @rule()
    def stop(self) -> None:
        one = self.in_flight.pop()
        self.suspects.leave(one)
        self.orphans.append(one)

    @precondition(lambda self: self.in_flight)
    @rule(hung=st.booleans())
    def die(self, hung: bool) -> None:
        company = len(self.in_flight)
        for one in self.in_flight:
            judgement = self.suspects.died(one, "boom", hung=hung)
            if judgement is None:
                self.kept.add(one.symbol_id)
                continue
            assert company == 1
            count = self.charges[one.symbol_id] = self.charges.get(one.symbol_id, 0) + 1
            assert (judgement.verdict is Verdict.DEFINITIVE) <= (count >= MAX_POISON_DEATHS)
            self.orphans.append(one)
        self.in_flight.clear()

    @invariant()
    def everybody_is_in_one_place(self) -> None:
        places = [
            *(each.symbol_id for each in self.orphans),
            *(each.symbol_id for each in self.in_flight),
            *self.kept,
        ]
        assert sorted(places) == list(range(6))
        if not self.in_flight:
            assert self.suspects.isolating == bool(self.kept)


TestTrials = Trials.TestCase
TestTrials.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
